//! The files of a check: named files, folders and standard input.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

/// The maximum size of a file, in bytes.
pub const MAX_FILE_SIZE: u64 = 64 * 1024 * 1024;

/// A file with its bytes, or why it cannot be read.
#[derive(Debug)]
pub struct Input {
    /// The name for reports: the given path, a path below a given folder, or [`STDIN`].
    pub name: String,
    /// The content.
    pub bytes: Result<Vec<u8>, Unreadable>,
}

/// An error while reading a file.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The system returned an error.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A folder cannot be searched.
    #[error("cannot be searched: {0}")]
    Walk(#[from] walkdir::Error),
    /// It is a folder, a device or a pipe.
    #[error("is not a regular file")]
    NotAFile,
    /// It is larger than [`MAX_FILE_SIZE`].
    #[error("is larger than {} MiB", MAX_FILE_SIZE >> 20)]
    TooLarge,
}

/// The name of standard input in reports.
pub const STDIN: &str = "<stdin>";

/// A file that is to be read.
#[derive(Debug)]
pub struct GivenFile {
    path: PathBuf,
    /// The content of standard input, or the error of the search; `None`: the file is still to be read.
    known: Option<Result<Vec<u8>, Unreadable>>,
}

impl GivenFile {
    /// Returns its path if it can be read several times, unlike standard input and a pipe.
    pub(super) fn regular_file(&self) -> Option<PathBuf> {
        (self.known.is_none() && self.path.is_file()).then(|| self.path.clone())
    }

    /// Reads the file.
    #[must_use]
    pub fn read(self) -> Input {
        let name = if self.path == Path::new("-") {
            STDIN.to_owned()
        } else {
            file_name(&self.path)
        };
        let bytes = self.known.unwrap_or_else(|| read_file(&File::open(&self.path)?));
        Input { name, bytes }
    }
}

/// Finds the files of the given paths.
///
/// For a folder, these are its `.yaml`, `.yml` and `.json` files in the order of their names, without hidden ones. A file
/// is read whatever its name, `-` is `stdin`, and a file that is given twice is read once.
pub fn given_files(paths: &[PathBuf], mut stdin: impl Read) -> Vec<GivenFile> {
    let mut seen = BTreeSet::new();
    let mut files: Vec<GivenFile> = paths.iter().flat_map(|path| entries(path)).collect();
    files.retain(|file| seen.insert(file_name(&file.path)));
    for file in files.iter_mut().filter(|file| file.path == Path::new("-")) {
        file.known = Some(read_bounded(&mut stdin));
    }
    files
}

/// Reads a file that a kustomization names. A pipe is an error, because a read would wait for a writer.
#[must_use]
pub fn named_file(name: String) -> Input {
    Input {
        bytes: read_regular_file(Path::new(&name)),
        name,
    }
}

/// Reads a file, unless it is a folder, a device or a pipe.
pub(super) fn read_regular_file(path: &Path) -> Result<Vec<u8>, Unreadable> {
    if !path.metadata()?.is_file() {
        return Err(Unreadable::NotAFile);
    }
    read_file(&File::open(path)?)
}

fn entries(path: &Path) -> Vec<GivenFile> {
    let one = |path: &Path| GivenFile {
        path: path.to_owned(),
        known: None,
    };
    if path == Path::new("-") || !path.is_dir() {
        return vec![one(path)];
    }
    let walk = WalkDir::new(path).follow_links(true).sort_by_file_name();
    walk.into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry))
        .filter_map(|entry| match entry {
            Ok(entry) => {
                (entry.file_type().is_file() && is_manifest(entry.path())).then(|| one(entry.path()))
            }
            Err(error) => Some(GivenFile {
                path: error.path().unwrap_or(path).to_owned(),
                known: Some(Err(error.into())),
            }),
        })
        .collect()
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml" | "json"))
        || path.file_name().is_some_and(|name| name == "Kustomization")
}

/// Returns the name of a file or folder in reports: its path without `./` in it, with `/` between its parts.
#[must_use]
pub fn file_name(path: &Path) -> String {
    let text = path.to_string_lossy().replace('\\', "/");
    let parts: Vec<&str> = text
        .split('/')
        .enumerate()
        .filter(|(at, part)| *part != "." && (*at == 0 || !part.is_empty()))
        .map(|(_, part)| part)
        .collect();
    parts.join("/")
}

/// Reads a file into as much memory as it needs.
fn read_file(file: &File) -> Result<Vec<u8>, Unreadable> {
    let size = file.metadata()?.len().min(MAX_FILE_SIZE);
    read_into(
        Vec::with_capacity(usize::try_from(size).unwrap_or_default()),
        file,
    )
}

fn read_bounded(from: impl Read) -> Result<Vec<u8>, Unreadable> {
    read_into(Vec::new(), from)
}

fn read_into(mut bytes: Vec<u8>, from: impl Read) -> Result<Vec<u8>, Unreadable> {
    let length = from.take(MAX_FILE_SIZE + 1).read_to_end(&mut bytes)?;
    if u64::try_from(length).is_ok_and(|length| length > MAX_FILE_SIZE) {
        return Err(Unreadable::TooLarge);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{GivenFile, Input, Unreadable, given_files};
    use std::fs;
    use std::io::Read;
    use std::path::PathBuf;

    fn inputs(paths: &[PathBuf], stdin: impl Read) -> impl Iterator<Item = Input> {
        given_files(paths, stdin).into_iter().map(GivenFile::read)
    }

    #[test]
    fn a_folder_is_read_in_order_without_hidden_and_other_files() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for file in [
            "b/z.yml",
            "b/a.json",
            "a.yaml",
            "b/readme.md",
            ".git/x.yaml",
            "b/.hidden.yaml",
            "b/Kustomization",
        ] {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        let paths = [root.to_owned(), root.join("a.yaml"), root.join("./b/readme.md")];
        let read: Vec<String> = inputs(&paths, &b""[..])
            .map(|input| String::from_utf8(input.bytes.unwrap()).unwrap())
            .collect();
        assert_eq!(
            read,
            ["a.yaml", "b/Kustomization", "b/a.json", "b/z.yml", "b/readme.md"]
        );
    }

    #[test]
    fn standard_input_is_read_and_a_missing_file_is_an_error() {
        let paths = [PathBuf::from("-"), PathBuf::from("/no/such.yaml")];
        let read: Vec<_> = inputs(&paths, &b"a: 1"[..]).collect();
        assert_eq!(
            (read[0].name.as_str(), read[0].bytes.as_ref().unwrap().as_slice()),
            ("<stdin>", &b"a: 1"[..])
        );
        assert!(matches!(read[1].bytes, Err(Unreadable::Io(_))), "{read:?}");
    }
}
