//! The repositories and artifacts that contain the folders of applications.

use crate::check::yaml::Node;

use super::Source;

/// A repository of Flux.
#[derive(Debug)]
pub(super) struct Repository {
    name: String,
    /// The last part of its URL.
    base_name: String,
}

/// An artifact that Flux assembles from the folders of a repository.
#[derive(Debug)]
pub(super) struct Artifact {
    /// The index of the file with its generator.
    pub(super) file: usize,
    name: String,
    /// The folder in the repository and the folder in the artifact of each copy.
    copies: Vec<(String, String)>,
}

impl Repository {
    /// Reads a `GitRepository` or another source of Flux.
    pub(super) fn read(node: &Node) -> Option<Self> {
        Some(Self {
            name: node.text_at(&["metadata", "name"])?.to_owned(),
            base_name: base_name(node.text_at(&["spec", "url"])?).to_owned(),
        })
    }
}

impl Artifact {
    /// Reads the artifacts of an `ArtifactGenerator`.
    pub(super) fn read_all(file: usize, node: &Node) -> Vec<Self> {
        let artifacts = node.at(&["spec", "artifacts"]).map(Node::items);
        let read = |artifact: &Node| {
            let copies = artifact.get("copy").map(Node::items).unwrap_or_default();
            let folders =
                |copy: &Node| Some((folder(copy.text_at(&["from"])?), folder(copy.text_at(&["to"])?)));
            Some(Self {
                file,
                name: artifact.text_at(&["name"])?.to_owned(),
                copies: copies.iter().filter_map(|copy| folders(&copy.node)).collect(),
            })
        };
        let artifacts = artifacts.unwrap_or_default().iter();
        artifacts.filter_map(|artifact| read(&artifact.node)).collect()
    }

    /// Returns the paths in the repository that a path in the artifact contains.
    fn originals(&self, path: &str) -> Vec<String> {
        let original = |(from, to): &(String, String)| {
            if to.is_empty() {
                return Some(joined(from, path));
            }
            match path.strip_prefix(to.as_str()) {
                Some("") => Some(from.clone()),
                Some(rest) => rest.strip_prefix('/').map(|rest| joined(from, rest)),
                None => super::is_within(to, path).then(|| from.clone()),
            }
        };
        self.copies.iter().filter_map(original).collect()
    }
}

/// Returns the last part of a URL, without `.git`.
pub(super) fn base_name(url: &str) -> &str {
    let url = url.trim_end_matches('/');
    let name = url.rsplit(['/', ':']).next().unwrap_or(url);
    name.strip_suffix(".git").unwrap_or(name)
}

/// Returns the folder in a pattern such as `@repository/apps/**`.
fn folder(pattern: &str) -> String {
    let path = pattern.split_once('/').map_or("", |(_, path)| path);
    let fixed = path.split('/').take_while(|part| !part.contains('*'));
    let parts: Vec<&str> = fixed.filter(|part| !part.is_empty()).collect();
    parts.join("/")
}

fn joined(folder: &str, path: &str) -> String {
    [folder, path]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("/")
}

/// Returns the sources of an artifact in its repository. `folder_of` returns the folder of a file, and `from` is that of the
/// application: of several artifacts with the same name, the closest one counts.
pub(super) fn resolved<'a>(
    source: &Source,
    from: &str,
    repositories: &[Repository],
    artifacts: &'a [Artifact],
    folder_of: impl Fn(&'a Artifact) -> &'a str,
) -> Vec<Source> {
    if let Some(name) = &source.artifact {
        let named = artifacts.iter().filter(|artifact| artifact.name == *name);
        let closest = named.max_by_key(|artifact| common_parts(folder_of(artifact), from));
        if let Some(artifact) = closest {
            let original = |path: String| Source {
                path,
                repositories: Vec::new(),
                artifact: None,
                ..source.clone()
            };
            return artifact
                .originals(&source.path)
                .into_iter()
                .map(original)
                .collect();
        }
    }
    let mut source = source.clone();
    let urls = repositories
        .iter()
        .filter(|repository| source.repositories.contains(&repository.name));
    let more: Vec<String> = urls.map(|repository| repository.base_name.clone()).collect();
    source.repositories.extend(more);
    vec![source]
}

/// Returns the number of folders that two paths have in common at their beginning.
pub(super) fn common_parts(one: &str, other: &str) -> usize {
    one.split('/')
        .zip(other.split('/'))
        .take_while(|(own, other)| own == other)
        .count()
}

#[cfg(test)]
mod tests {
    use super::{base_name, folder};

    #[test]
    fn a_repository_has_the_name_at_the_end_of_its_url() {
        for url in [
            "https://git.example/x/team-a.git",
            "ssh://git@git.example/team-a",
            "git@git.example:team-a.git/",
            "oci://ghcr.io/x/team-a",
        ] {
            assert_eq!(base_name(url), "team-a", "{url}");
        }
    }

    #[test]
    fn a_copy_names_folders() {
        assert_eq!(folder("@monorepo/apps/production/**"), "apps/production");
        assert_eq!(folder("@artifact/"), "");
        assert_eq!(folder("@monorepo/apps/*.yaml"), "apps");
    }
}
