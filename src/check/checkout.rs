//! The repository that contains the given files, for formats whose readers know a file by its place in it.

use std::path::{Component, Path, PathBuf};

use super::files::STDIN;

/// A repository, and the folder from which the names of the files are relative.
///
/// The default takes every relative name as relative to the root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkout {
    /// The root of the repository, if there is one.
    root: Option<PathBuf>,
    folder: PathBuf,
}

/// The place of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// A path relative to the root of the repository.
    Inside(String),
    /// An absolute path outside of the repository.
    Outside(String),
}

impl Checkout {
    /// Finds the repository around `folder`, an absolute path.
    #[must_use]
    pub fn around(folder: &Path) -> Self {
        Self {
            root: repository(folder).map(ToOwned::to_owned),
            folder: folder.to_owned(),
        }
    }

    /// Returns the place of a file by its name in the report.
    ///
    /// The name may be absolute, and lead through a symbolic link. A file of another repository has its place in that one.
    /// Without a repository, the current folder counts as its root.
    pub(super) fn locate(&self, name: &str) -> Location {
        if name == STDIN {
            return Location::Inside(STDIN.to_owned());
        }
        let path = normalized(&self.folder.join(name));
        let inside = |path: &Path, root: &Path| path.strip_prefix(root).ok().map(slashed);
        let in_root = |path: &Path| inside(path, self.root.as_deref()?);
        in_root(&path)
            .or_else(|| in_root(&path.canonicalize().ok()?))
            .or_else(|| inside(&path, repository(path.parent()?)?))
            .or_else(|| {
                inside(&path, &self.folder)
                    .filter(|inside| !inside.starts_with('/') && !inside.starts_with("../"))
            })
            .map_or_else(|| Location::Outside(slashed(&path)), Location::Inside)
    }
}

/// Returns the closest folder at or above `folder` with a repository in it. In a work tree `.git` is a file.
fn repository(folder: &Path) -> Option<&Path> {
    let mut folders = folder.ancestors().filter(|folder| folder.is_absolute());
    folders.find(|folder| folder.join(".git").exists())
}

/// Returns a path with `.` and `..` resolved by their names.
fn normalized(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if parts.file_name().is_some() => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts
}

fn slashed(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use super::{Checkout, Location};
    use std::fs;

    #[test]
    fn a_file_has_its_place_in_the_repository_whatever_its_name() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        let inside = |path: &str| Location::Inside(path.to_owned());
        let folder = root.join("repo/clusters/prod");
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir_all(root.join("repo/.git")).unwrap();
        fs::create_dir_all(root.join("other")).unwrap();
        fs::write(root.join("other/.git"), "gitdir: elsewhere").unwrap();
        fs::write(folder.join("b.yaml"), "").unwrap();
        std::os::unix::fs::symlink(root.join("repo"), root.join("link")).unwrap();
        let checkout = Checkout::around(&folder);
        let absolute = |path: &str| root.join(path).to_string_lossy().into_owned();
        for (name, expected) in [
            ("b.yaml".to_owned(), inside("clusters/prod/b.yaml")),
            ("../base/c.yaml".to_owned(), inside("clusters/base/c.yaml")),
            (
                absolute("repo/clusters/prod/b.yaml"),
                inside("clusters/prod/b.yaml"),
            ),
            (absolute("repo/a/../b.yaml"), inside("b.yaml")),
            (
                absolute("link/clusters/prod/b.yaml"),
                inside("clusters/prod/b.yaml"),
            ),
            (absolute("other/x/y.yaml"), inside("x/y.yaml")),
            (
                "../../../z.yaml".to_owned(),
                Location::Outside(absolute("z.yaml")),
            ),
            ("<stdin>".to_owned(), inside("<stdin>")),
        ] {
            assert_eq!(checkout.locate(&name), expected, "{name}");
        }
        assert_eq!(Checkout::default().locate("a/b.yaml"), inside("a/b.yaml"));
        assert_eq!(
            Checkout::default().locate("/a/b.yaml"),
            Location::Outside("/a/b.yaml".to_owned())
        );
    }
}
