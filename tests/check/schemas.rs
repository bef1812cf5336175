//! SARIF and `JUnit` against their published schemas, with independent validators.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{check, gitops};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check/schemas")
}

/// Returns the folder with the schemas and the validators, which are fetched once.
fn cache() -> String {
    let build = Command::new(folder().join("build.sh")).output().unwrap();
    assert!(
        build.status.success(),
        "{}",
        String::from_utf8_lossy(&build.stderr)
    );
    String::from_utf8(build.stdout).unwrap().trim().to_owned()
}

/// Returns the errors of the validators; empty if both files are valid.
fn errors(cache: &str, log: &Path, report: &Path) -> String {
    let run = Command::new(format!("{cache}/venv/bin/python"))
        .arg(folder().join("validate.py"))
        .args([cache.as_ref(), log, report])
        .output()
        .unwrap();
    let output = String::from_utf8([run.stdout, run.stderr].concat()).unwrap();
    assert_eq!(run.status.success(), output.trim().is_empty(), "{output}");
    output.trim().to_owned()
}

#[test]
fn sarif_and_junit_are_valid_and_the_validators_find_errors() {
    let cache = cache();
    let place = tempfile::tempdir().unwrap();
    let (log, report) = (place.path().join("log.sarif"), place.path().join("report.xml"));
    let formats = [
        format!("sarif={}", log.display()),
        format!("junit={}", report.display()),
    ];
    let args = [
        ".",
        "--allow",
        "bandwidth-malformed",
        "--format",
        &formats[0],
        "--format",
        &formats[1],
    ];
    assert_eq!(check(&gitops(), &args, "").code, 2);
    assert_eq!(errors(&cache, &log, &report), "");

    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, text.replace("\"startLine\": ", "\"startLine\": -")).unwrap();
    let found = errors(&cache, &log, &report);
    assert!(found.contains("less than the minimum"), "{found}");
    fs::write(&log, text).unwrap();
    let xml = fs::read_to_string(&report).unwrap();
    fs::write(
        &report,
        xml.replace("<testcase ", "<testcas ")
            .replace("</testcase>", "</testcas>"),
    )
    .unwrap();
    let found = errors(&cache, &log, &report);
    assert!(found.contains("testcas"), "{found}");
}
