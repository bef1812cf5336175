//! `certs/make-pair.sh`: what it makes is what mode `files` takes.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use axum::{Router, routing::get};
use cassgate::{
    server::limits::Limits,
    telemetry::metrics::Metrics,
    tls::{PairFiles, PairSource, Reloader},
};
use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, pem::PemObject};

use crate::support::{NEVER, Served, http2, roots};

fn make_pair(arguments: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("certs/make-pair.sh");
    Command::new("sh")
        .arg(script)
        .args(arguments)
        .output()
        .expect("sh is needed to run certs/make-pair.sh")
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test]
async fn a_pair_made_by_hand_is_served_and_trusted_by_its_authority() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("made");
    let made = make_pair(&[
        out.to_str().unwrap(),
        "cassgate.cassgate-system.svc",
        "127.0.0.1",
        "::1",
    ]);
    assert!(made.status.success(), "{}", said(&made));

    let pair = PairFiles::in_directory(&out).load().unwrap();
    assert_eq!(pair.names(), ["cassgate.cassgate-system.svc", "127.0.0.1", "::1"]);
    for (file, mode) in [
        ("tls.key", 0o600),
        ("ca.key", 0o600),
        ("tls.crt", 0o644),
        ("ca.crt", 0o644),
    ] {
        let found = fs::metadata(out.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{file} has mode {found:o}");
    }

    let metrics = Metrics::new();
    let source = PairSource::Files(PairFiles::in_directory(&out));
    // The script takes its time from the system, so this test does too.
    let reloader = Reloader::start(source, metrics.clone(), Timestamp::now()).unwrap();
    assert_eq!(reloader.state().borrow().unready(), None);
    let router = Router::new().route("/", get(async || "hello"));
    let served = Served::https(&reloader, router, Limits::default(), metrics, NEVER).await;
    let authority = CertificateDer::from_pem_file(out.join("ca.crt")).unwrap();
    let mut client = http2(served.address, &roots(authority)).await;
    assert_eq!(client.get("/").await.unwrap().body, "hello");
}

#[test]
fn nothing_is_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().to_str().unwrap();
    fs::write(directory.path().join("tls.key"), "precious").unwrap();
    let refused = make_pair(&[out, "localhost"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(
        said(&refused),
        format!("{out}/tls.key exists; move it away or name another folder\n")
    );
    let left: Vec<_> = fs::read_dir(out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["tls.key"]);
    assert_eq!(
        fs::read_to_string(directory.path().join("tls.key")).unwrap(),
        "precious"
    );
}

#[test]
fn arguments_that_are_missing_or_no_names_are_refused() {
    for arguments in [&[][..], &["somewhere"]] {
        let refused = make_pair(arguments);
        assert_eq!(refused.status.code(), Some(2));
        assert!(
            said(&refused).starts_with("usage: make-pair.sh FOLDER NAME..."),
            "{}",
            said(&refused)
        );
    }
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("made");
    let refused = make_pair(&[out.to_str().unwrap(), "good.example", "a,DNS:b"]);
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(said(&refused), "\"a,DNS:b\" is no host name and no IP address\n");
    assert!(!out.exists());
}
