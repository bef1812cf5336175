//! SARIF and `JUnit` against their published schemas, by validators that others wrote.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{check, gitops};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check/schemas")
}

/// The schemas and the validators, fetched once.
fn cache() -> String {
    let build = Command::new(folder().join("build.sh")).output().unwrap();
    assert!(
        build.status.success(),
        "{}",
        String::from_utf8_lossy(&build.stderr)
    );
    String::from_utf8(build.stdout).unwrap().trim().to_owned()
}

/// What is wrong with the two; empty when nothing is.
fn wrong(cache: &str, log: &Path, report: &Path) -> String {
    let run = Command::new(format!("{cache}/venv/bin/python"))
        .arg(folder().join("validate.py"))
        .args([cache.as_ref(), log, report])
        .output()
        .unwrap();
    let told = [run.stdout, run.stderr].concat();
    let told = String::from_utf8(told).unwrap();
    assert_eq!(run.status.success(), told.trim().is_empty(), "{told}");
    told.trim().to_owned()
}

#[test]
fn sarif_and_junit_are_valid_and_the_validators_see_what_is_not() {
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
    assert_eq!(wrong(&cache, &log, &report), "");

    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, text.replace("\"startLine\": ", "\"startLine\": -")).unwrap();
    let told = wrong(&cache, &log, &report);
    assert!(told.contains("less than the minimum"), "{told}");
    fs::write(&log, text).unwrap();
    let xml = fs::read_to_string(&report).unwrap();
    fs::write(
        &report,
        xml.replace("<testcase ", "<testcas ")
            .replace("</testcase>", "</testcas>"),
    )
    .unwrap();
    let told = wrong(&cache, &log, &report);
    assert!(told.contains("testcas"), "{told}");
}
