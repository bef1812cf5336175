//! The bodies of the fuzz targets on the pinned toolchain, without libFuzzer. They get what earlier soaks found worth
//! keeping (`fuzz/corpus`), and what was written by hand or once crashed (`fuzz/seeds`). `make soak` looks for more.

#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

#[path = "../fuzz/src/lib.rs"]
pub mod bodies;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn every_input_that_was_kept_obeys() {
    let mut wrong = Vec::new();
    for (target, body) in bodies::TARGETS {
        for inputs in [folder("seeds").join(target), folder("corpus").join(target)] {
            let files = names(&inputs);
            assert!(files.len() > 8, "{} was not found", inputs.display());
            for file in files {
                let data = fs::read(inputs.join(&file)).unwrap();
                // The panic itself has told where; this tells of which input.
                if catch_unwind(AssertUnwindSafe(|| body(&data))).is_err() {
                    wrong.push(inputs.join(&file));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_target_has_its_seeds_its_corpus_its_words_and_its_program() {
    let targets: BTreeSet<String> = bodies::TARGETS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let without = |folder_name: &str, ending: &str| -> BTreeSet<String> {
        let ended = |name: String| name.strip_suffix(ending).map(ToOwned::to_owned);
        names(&folder(folder_name))
            .into_iter()
            .filter_map(ended)
            .collect()
    };
    assert_eq!(names(&folder("seeds")), targets);
    assert_eq!(names(&folder("corpus")), targets);
    assert_eq!(without("dict", ".dict"), targets);
    assert_eq!(without("fuzz_targets", ".rs"), targets);
}
