//! `certs/make-pair.sh` generates a pair that `--tls files` accepts.

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

use crate::support::{NEVER, RunningServer, http2, roots};

fn make_pair(arguments: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("certs/make-pair.sh");
    Command::new("sh")
        .arg(script)
        .args(arguments)
        .output()
        .expect("sh is needed to run certs/make-pair.sh")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test]
async fn a_pair_of_the_script_is_served_and_clients_of_its_authority_trust_it() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("made");
    let made = make_pair(&[
        out.to_str().unwrap(),
        "cassgate.cassgate-system.svc",
        "127.0.0.1",
        "::1",
    ]);
    assert!(made.status.success(), "{}", stderr(&made));

    let pair = PairFiles::in_directory(&out).load().unwrap();
    assert_eq!(pair.names(), ["cassgate.cassgate-system.svc", "127.0.0.1", "::1"]);
    for (file, mode) in [
        ("tls.key", 0o600),
        ("ca.key", 0o600),
        ("tls.crt", 0o644),
        ("ca.crt", 0o644),
    ] {
        let actual = fs::metadata(out.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(actual, mode, "{file} has mode {actual:o}");
    }

    let metrics = Metrics::new();
    let source = PairSource::Files(PairFiles::in_directory(&out));
    // The script uses the system clock, so this test uses it too.
    let reloader = Reloader::start(source, metrics.clone(), Timestamp::now()).unwrap();
    assert_eq!(reloader.state().borrow().unready(), None);
    let router = Router::new().route("/", get(async || "hello"));
    let served = RunningServer::https(&reloader, router, Limits::default(), metrics, NEVER).await;
    let authority = CertificateDer::from_pem_file(out.join("ca.crt")).unwrap();
    let mut client = http2(served.address, &roots(authority)).await;
    assert_eq!(client.get("/").await.unwrap().body, "hello");
}

#[test]
fn an_existing_file_is_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().to_str().unwrap();
    fs::write(directory.path().join("tls.key"), "precious").unwrap();
    let rejected = make_pair(&[out, "localhost"]);
    assert_eq!(rejected.status.code(), Some(1));
    assert_eq!(
        stderr(&rejected),
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
fn missing_arguments_and_malformed_names_are_rejected() {
    for arguments in [&[][..], &["somewhere"]] {
        let rejected = make_pair(arguments);
        assert_eq!(rejected.status.code(), Some(2));
        assert!(
            stderr(&rejected).starts_with("usage: make-pair.sh FOLDER NAME..."),
            "{}",
            stderr(&rejected)
        );
    }
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("made");
    let rejected = make_pair(&[out.to_str().unwrap(), "good.example", "a,DNS:b"]);
    assert_eq!(rejected.status.code(), Some(2));
    assert_eq!(
        stderr(&rejected),
        "\"a,DNS:b\" is not a host name or IP address\n"
    );
    assert!(!out.exists());
}
