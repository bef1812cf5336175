//! The AWS library in the engines of Icarus 1.1.3 and 2.0.4, read from the published archives.

use std::process::Command;

use cassgate::domain::credentials::{Credentials, Key, SDK_REGIONS};

use crate::support::{parts, repository};

/// Regions of AWS that are newer than the library.
const NEWER: [&str; 7] = [
    "ap-northeast-3",
    "ap-southeast-3",
    "eu-central-2",
    "eu-south-1",
    "il-central-1",
    "me-central-1",
    "mx-central-1",
];

/// Returns the lines that `AwsLibrary.java` prints with the engine of a generation.
fn library(generation: &str) -> Vec<String> {
    let jars = parts().join(generation).join("sidecar/*");
    let output = Command::new("java")
        .args(["-Xmx256m", "-cp"])
        .arg(jars)
        .arg(repository().join("tests/sidecar/AwsLibrary.java"))
        .args(NEWER)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text.lines().map(ToOwned::to_owned).collect()
}

fn has_defect(key: Key, value: &str) -> bool {
    let credentials = Credentials::read([(key.as_str(), value.as_bytes())]);
    credentials.defect(key).is_some()
}

#[test]
fn the_regions_and_endpoints_are_those_of_the_library() {
    for generation in ["1", "2"] {
        let lines = library(generation);
        let with = |prefix: &str| -> Vec<&str> {
            let mut names: Vec<&str> = lines
                .iter()
                .filter_map(|line| line.strip_prefix(prefix))
                .collect();
            names.sort_unstable();
            names
        };
        assert_eq!(with("region "), SDK_REGIONS, "generation {generation}");
        assert_eq!(with("unknown "), NEWER, "generation {generation}");
        for region in NEWER {
            assert!(has_defect(Key::AwsRegion, region), "{region}");
        }
        // The library joins one slash with the path, and keeps a second one.
        let expected = [
            "'' PUT /bucket/key",
            "'/' PUT /bucket/key",
            "'//' PUT //bucket/key",
        ];
        assert_eq!(with("endpoint "), expected, "generation {generation}");
        for (suffix, is_defect) in [("", false), ("/", false), ("//", true)] {
            let endpoint = format!("minio:9000{suffix}");
            assert_eq!(has_defect(Key::AwsEndpoint, &endpoint), is_defect, "{endpoint}");
        }
    }
}
