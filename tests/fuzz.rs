//! Replays the inputs of the fuzz targets on the pinned toolchain, without libFuzzer.
//!
//! `fuzz/corpus` has an archive for each target with the inputs that earlier runs of the fuzzer kept. `fuzz/seeds` has
//! inputs that were written by hand or that once crashed. `make fuzz` searches for more, `make corpus` keeps them.

#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

#[path = "../fuzz/src/lib.rs"]
pub mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// The size of a header and the unit of padding in a tar archive, in bytes.
const TAR_BLOCK: usize = 512;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
}

fn file_names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Returns the files of a folder, each with its name.
fn read_folder(folder: &Path) -> Vec<(String, Vec<u8>)> {
    file_names(folder)
        .into_iter()
        .map(|name| {
            let data = fs::read(folder.join(&name)).unwrap();
            (name, data)
        })
        .collect()
}

/// Returns the text of a header's field, which ends with a zero byte unless it fills the field.
fn tar_field(header: &[u8], from: usize, length: usize) -> &str {
    let field = &header[from..from + length];
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(length);
    std::str::from_utf8(&field[..end]).unwrap()
}

/// Returns the files of an archive in the POSIX format `ustar`, each with its name.
///
/// `make corpus` writes regular files with short names only, so any other entry is an error.
fn read_tar(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut rest = archive;
    // A block of zero bytes marks the end.
    while rest[0] != 0 {
        let (header, after) = rest.split_at(TAR_BLOCK);
        assert_eq!(tar_field(header, 257, 6), "ustar", "the format of the archive");
        assert_eq!(header[156], b'0', "the type of an entry");
        let name = tar_field(header, 0, 100).to_owned();
        let size = usize::from_str_radix(tar_field(header, 124, 12).trim(), 8).unwrap();
        files.push((name, after[..size].to_vec()));
        rest = &after[size.next_multiple_of(TAR_BLOCK)..];
    }
    files
}

#[test]
fn no_kept_input_makes_its_target_panic() {
    let mut crashes = Vec::new();
    for (target, run) in targets::TARGETS {
        let seeds = folder("seeds").join(target);
        let corpus = folder("corpus").join(format!("{target}.tar"));
        for (path, inputs) in [
            (&seeds, read_folder(&seeds)),
            (&corpus, read_tar(&fs::read(&corpus).unwrap())),
        ] {
            assert!(inputs.len() > 8, "{} has too few inputs", path.display());
            for (name, data) in inputs {
                // The panic message names the place in the code; the list names the input.
                if catch_unwind(AssertUnwindSafe(|| run(&data))).is_err() {
                    crashes.push(path.join(name));
                }
            }
        }
    }
    assert!(crashes.is_empty(), "{crashes:#?}");
}

#[test]
fn every_target_has_seeds_a_corpus_a_dictionary_and_a_program() {
    let targets: BTreeSet<String> = targets::TARGETS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let stems = |folder_name: &str, extension: &str| -> BTreeSet<String> {
        let stem = |name: String| name.strip_suffix(extension).map(ToOwned::to_owned);
        file_names(&folder(folder_name))
            .into_iter()
            .filter_map(stem)
            .collect()
    };
    assert_eq!(file_names(&folder("seeds")), targets);
    assert_eq!(stems("corpus", ".tar"), targets);
    assert_eq!(file_names(&folder("corpus")).len(), targets.len());
    assert_eq!(stems("dict", ".dict"), targets);
    assert_eq!(stems("fuzz_targets", ".rs"), targets);
}
