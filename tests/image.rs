//! Tests of the image that need no container: the instructions of the Dockerfile and the libraries of the binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::panic, reason = "a test that cannot go on has failed")]

use std::{fs, path::Path, process::Command};

/// The libraries of gcr.io/distroless/cc-debian12: libc6, libgcc-s1, libgomp1, libstdc++6 and libssl3 of Debian 12.
const BASE_LIBRARIES: [&str; 13] = [
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libresolv.so.2",
    "libgcc_s.so.1",
    "libgomp.so.1",
    "libstdc++.so.6",
    "libssl.so.3",
    "libcrypto.so.3",
];

/// The version of glibc in the base image.
const BASE_GLIBC: (u32, u32) = (2, 36);

/// An instruction of the Dockerfile: its keyword, and its arguments with continued lines joined.
type Instruction = (String, String);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Returns the instructions of the Dockerfile by stage.
fn stages() -> Vec<Vec<Instruction>> {
    let text = read("Dockerfile");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let mut stages: Vec<Vec<Instruction>> = Vec::new();
    for line in joined.lines().filter(|line| !line.trim().is_empty()) {
        let (keyword, arguments) = line.split_once(' ').unwrap();
        let arguments = arguments.split_whitespace().collect::<Vec<_>>().join(" ");
        if keyword == "FROM" {
            stages.push(Vec::new());
        }
        stages.last_mut().unwrap().push((keyword.to_owned(), arguments));
    }
    stages
}

/// Returns the arguments of every instruction with this keyword.
fn all<'a>(stage: &'a [Instruction], keyword: &str) -> Vec<&'a str> {
    let instructions = stage.iter().filter(|(name, _)| name == keyword);
    instructions.map(|(_, arguments)| arguments.as_str()).collect()
}

fn readelf(argument: &str) -> String {
    let output = Command::new("readelf")
        .args(["--wide", argument, env!("CARGO_BIN_EXE_cassgate")])
        .output()
        .unwrap_or_else(|error| panic!("readelf, of the package \"binutils\": {error}"));
    assert!(output.status.success(), "readelf {argument}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_binary_links_only_libraries_of_the_base_image() {
    let dynamic = readelf("--dynamic");
    let needed: Vec<&str> = dynamic
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .map(|line| line.rsplit_once('[').unwrap().1.trim_end_matches(']'))
        .collect();
    assert!(needed.contains(&"libc.so.6"), "{dynamic}");
    for library in needed {
        assert!(
            BASE_LIBRARIES.contains(&library),
            "{library} is not in the base image"
        );
    }
}

#[test]
fn the_binary_needs_no_newer_glibc_than_that_of_the_base_image() {
    let versions = readelf("--version-info");
    let needed: Vec<(u32, u32)> = versions
        .split("Name: GLIBC_")
        .skip(1)
        .map(|rest| {
            let version = rest.split_whitespace().next().unwrap();
            let mut parts = version.split('.').map(|part| part.parse().unwrap());
            (parts.next().unwrap(), parts.next().unwrap())
        })
        .collect();
    assert!(!needed.is_empty(), "{versions}");
    for version in needed {
        assert!(version <= BASE_GLIBC, "the binary needs glibc {version:?}");
    }
}

#[test]
fn the_build_stage_runs_the_script_of_the_reproducible_build() {
    let stages = stages();
    let [build, _] = stages.as_slice() else {
        panic!("two stages: {stages:#?}")
    };
    let toolchain = read("rust-toolchain.toml");
    let channel = toolchain.split('"').nth(1).unwrap();
    let minor = channel.rsplit_once('.').unwrap().0;
    assert_eq!(
        all(build, "FROM"),
        [format!("rust:{minor}-slim-bookworm AS build")]
    );
    let [run] = all(build, "RUN")[..] else {
        panic!("one command: {build:#?}")
    };
    let words: Vec<&str> = run
        .split(' ')
        .filter(|word| !word.starts_with("--mount="))
        .collect();
    assert_eq!(words, ["./release.sh", "/cassgate"]);
    assert_eq!(all(build, "COPY"), [". ."]);
}

#[test]
fn the_image_adds_the_binary_and_its_licence_to_a_base_without_a_shell() {
    let stages = stages();
    let image = stages.last().unwrap();
    assert_eq!(all(image, "FROM"), ["gcr.io/distroless/cc-debian12:nonroot"]);
    assert_eq!(
        all(image, "COPY"),
        [
            "--from=build --chmod=0555 /cassgate /usr/local/bin/cassgate",
            "--chmod=0444 LICENSE /usr/share/doc/cassgate/LICENSE",
        ]
    );
    // The base image has no shell, so RUN and the shell form of ENTRYPOINT would fail.
    let allowed = [
        "FROM",
        "ARG",
        "LABEL",
        "COPY",
        "ENV",
        "USER",
        "EXPOSE",
        "ENTRYPOINT",
        "CMD",
    ];
    for (keyword, arguments) in image {
        assert!(allowed.contains(&keyword.as_str()), "{keyword} {arguments}");
    }
    assert_eq!(all(image, "ENTRYPOINT"), [r#"["/usr/local/bin/cassgate"]"#]);
    assert_eq!(all(image, "CMD"), [r#"["run"]"#]);
}

#[test]
fn memory_of_large_bodies_returns_to_the_system() {
    let stages = stages();
    // tests/kube measures with the same value.
    assert_eq!(
        all(stages.last().unwrap(), "ENV"),
        ["MALLOC_MMAP_THRESHOLD_=262144"]
    );
}

#[test]
fn the_image_runs_as_a_numeric_user_that_is_not_root() {
    let stages = stages();
    let [user] = all(stages.last().unwrap(), "USER")[..] else {
        panic!("one user")
    };
    let (user, group) = user.split_once(':').unwrap();
    for id in [user, group] {
        assert_ne!(id.parse::<u32>().unwrap(), 0);
    }
}

#[test]
fn the_exposed_ports_are_the_default_ports() {
    let stages = stages();
    let help = Command::new(env!("CARGO_BIN_EXE_cassgate"))
        .args(["run", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let [ports] = all(stages.last().unwrap(), "EXPOSE")[..] else {
        panic!("one line of ports")
    };
    assert_eq!(ports.split(' ').count(), 2);
    for port in ports.split(' ') {
        assert!(help.contains(&format!("[default: 0.0.0.0:{port}]")), "{port}");
    }
}

#[test]
fn the_labels_match_the_package() {
    let stages = stages();
    let image = stages.last().unwrap();
    let version = format!("VERSION={}", env!("CARGO_PKG_VERSION"));
    assert_eq!(all(image, "ARG"), [version.as_str(), "REVISION=unknown"]);
    let labels = all(image, "LABEL").concat();
    for (label, value) in [
        ("title", env!("CARGO_PKG_NAME")),
        ("licenses", env!("CARGO_PKG_LICENSE")),
        ("source", env!("CARGO_PKG_REPOSITORY")),
        ("version", "$VERSION"),
        ("revision", "$REVISION"),
    ] {
        let label = format!("org.opencontainers.image.{label}=\"{value}\"");
        assert!(labels.contains(&label), "{label} is not in {labels}");
    }
}

/// A fast check for files that are missing; tests/image/twice.sh builds from exactly these files.
#[test]
fn every_file_that_the_sources_include_is_in_the_build_context() {
    let ignore = read(".dockerignore");
    let kept: Vec<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(ignore.lines().any(|line| line == "*"), "{ignore}");
    for path in [
        "Cargo.toml",
        "Cargo.lock",
        "rust-toolchain.toml",
        "release.sh",
        "src",
        "docs/rules",
        "LICENSE",
    ] {
        assert!(kept.contains(&path), "{path} is not in .dockerignore");
        assert!(root().join(path).exists(), "{path}");
    }
}
