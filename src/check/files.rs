//! Which files are read.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

/// The largest file that is read, in bytes.
pub const LARGEST_FILE: u64 = 64 * 1024 * 1024;

/// A file by its name in what is told, with its bytes or why there are none.
#[derive(Debug)]
pub struct Input {
    /// As it was given, or below the folder that was given; `<stdin>` for standard input.
    pub name: String,
    /// What it holds.
    pub bytes: Result<Vec<u8>, Unreadable>,
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The system refuses.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A folder cannot be walked through.
    #[error("cannot be looked through: {0}")]
    Walk(#[from] walkdir::Error),
    /// A folder, a device, a pipe.
    #[error("is no file")]
    NoFile,
    /// More than is sensible.
    #[error("is larger than {} MiB", LARGEST_FILE >> 20)]
    TooLarge,
}

/// What standard input is called.
pub const STDIN: &str = "<stdin>";

/// What is to be read: every `.yaml`, `.yml` and `.json` in a folder, in the order of their names and without hidden
/// ones; a file whatever its name; `-` for `stdin`. A file that is named twice is read once.
pub fn inputs(paths: &[PathBuf], mut stdin: impl Read) -> impl Iterator<Item = Input> {
    let mut seen = BTreeSet::new();
    let mut files: Vec<Found> = paths.iter().flat_map(|path| found(path)).collect();
    files.retain(|file| seen.insert(name(&file.path)));
    files.into_iter().map(move |file| match file.error {
        Some(error) => Input {
            name: name(&file.path),
            bytes: Err(error),
        },
        None if file.path == Path::new("-") => Input {
            name: STDIN.to_owned(),
            bytes: bounded(&mut stdin),
        },
        None => Input {
            name: name(&file.path),
            bytes: File::open(&file.path).map_err(Unreadable::from).and_then(bounded),
        },
    })
}

/// A file that a file names: only if it is one, what waits for a writer is not.
#[must_use]
pub fn beside(name: String) -> Input {
    let path = Path::new(&name);
    let read = || {
        if !path.metadata()?.is_file() {
            return Err(Unreadable::NoFile);
        }
        bounded(File::open(path)?)
    };
    Input { bytes: read(), name }
}

struct Found {
    path: PathBuf,
    error: Option<Unreadable>,
}

fn found(path: &Path) -> Vec<Found> {
    let one = |path: &Path| Found {
        path: path.to_owned(),
        error: None,
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
            Err(error) => Some(Found {
                path: error.path().unwrap_or(path).to_owned(),
                error: Some(error.into()),
            }),
        })
        .collect()
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn is_manifest(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    matches!(ending, Some("yaml" | "yml" | "json"))
        || path.file_name().is_some_and(|name| name == "Kustomization")
}

/// A path without `./` in it, with `/` between its parts.
fn name(path: &Path) -> String {
    let whole = path.to_string_lossy().replace('\\', "/");
    let clean: Vec<&str> = whole
        .split('/')
        .enumerate()
        .filter(|(at, part)| *part != "." && (*at == 0 || !part.is_empty()))
        .map(|(_, part)| part)
        .collect();
    clean.join("/")
}

fn bounded(from: impl Read) -> Result<Vec<u8>, Unreadable> {
    let mut bytes = Vec::new();
    let read = from.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read > LARGEST_FILE) {
        return Err(Unreadable::TooLarge);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Unreadable, inputs};
    use std::fs;
    use std::path::PathBuf;

    #[test]
    fn a_folder_is_read_in_order_without_what_is_hidden_or_no_manifest() {
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
    fn standard_input_is_read_and_what_is_not_there_says_so() {
        let paths = [PathBuf::from("-"), PathBuf::from("/no/such.yaml")];
        let read: Vec<_> = inputs(&paths, &b"a: 1"[..]).collect();
        assert_eq!(
            (read[0].name.as_str(), read[0].bytes.as_ref().unwrap().as_slice()),
            ("<stdin>", &b"a: 1"[..])
        );
        assert!(matches!(read[1].bytes, Err(Unreadable::Io(_))), "{read:?}");
    }
}
