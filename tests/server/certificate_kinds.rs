//! Every kind of pair and its outcome at start, as one table.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use axum::{Router, routing::get};
use cassgate::{
    server::limits::Limits,
    telemetry::metrics::Metrics,
    tls::{PairFiles, PairSource, Reloader},
};
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize,
};

use crate::support::{Authority, NEVER, PemPair, RunningServer, http2, now};

/// The outcome of a pair at start.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// A client that trusts the authority gets an answer, and the replica is ready.
    Ready,
    /// The pair is served, but the replica is not ready, for this reason.
    NotReady(&'static str),
    /// cassgate does not start, with this error; `{}` is the directory.
    Rejected(&'static str),
}

use Outcome::{NotReady, Ready, Rejected};

const NO_KEY: &str = "{}/tls.key: no private key in it; an unencrypted PEM block that begins with \
                      -----BEGIN PRIVATE KEY-----, -----BEGIN EC PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY----- \
                      is needed";
const ENCRYPTED: &str = "{}/tls.key: the private key is encrypted, and cassgate has no passphrase; write it without \
                         one, for example with openssl pkey -in tls.key -out plain.key";
const NO_USABLE_KEY: &str = "{}/tls.crt and {}/tls.key: the key cannot be used; use RSA of 2048 to 8192 bits, ECDSA \
                             or Ed25519 (unexpected error: failed to parse private key as RSA, ECDSA, or EdDSA)";
const MISMATCH: &str = "{}/tls.crt and {}/tls.key: the key does not belong to the first certificate; the webhook's own \
                        certificate must come first";

#[tokio::test]
async fn each_kind_of_pair_has_its_outcome() {
    let authority = Authority::new();
    for (description, pair, expected) in table(&authority) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tls.crt"), &pair.certificate).unwrap();
        fs::write(folder.path().join("tls.key"), &pair.key).unwrap();
        let outcome = outcome(folder.path(), &authority).await;
        let folder = folder.path().display().to_string();
        let expected = match expected {
            Ready => Ok(None),
            NotReady(reason) => Ok(Some(reason.to_owned())),
            Rejected(error) => Err(error.replace("{}", &folder)),
        };
        assert_eq!(outcome, expected, "{description}");
    }
}

/// Returns the cases: a description, the pair and the outcome.
fn table(authority: &Authority) -> Vec<(&'static str, PemPair, Outcome)> {
    let mut table = keys(authority);
    table.extend(times(authority));
    table.extend(chains(authority));
    table.extend(damages(authority));
    table
}

fn keys(authority: &Authority) -> Vec<(&'static str, PemPair, Outcome)> {
    let signed = |algorithm| authority.issue_with(&KeyPair::generate_for(algorithm).unwrap());
    let rsa = |size| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).unwrap();
    vec![
        ("ECDSA P-256", signed(&PKCS_ECDSA_P256_SHA256), Ready),
        ("ECDSA P-384", signed(&PKCS_ECDSA_P384_SHA384), Ready),
        ("Ed25519", signed(&PKCS_ED25519), Ready),
        ("RSA 2048", authority.issue_with(&rsa(RsaKeySize::_2048)), Ready),
        ("RSA 4096", authority.issue_with(&rsa(RsaKeySize::_4096)), Ready),
        (
            "RSA 1024",
            PemPair {
                key: openssl(&["genrsa", "1024"], ""),
                ..authority.issue()
            },
            Rejected(NO_USABLE_KEY),
        ),
    ]
}

fn times(authority: &Authority) -> Vec<(&'static str, PemPair, Outcome)> {
    let minutes = |minutes: i64| -> Timestamp { now() + SignedDuration::from_mins(minutes) };
    vec![
        (
            "expired",
            authority.issue_for(minutes(-60), minutes(-30)),
            NotReady("the certificate expired at 2026-11-23T11:30:00Z"),
        ),
        (
            "not yet valid",
            authority.issue_for(minutes(5), minutes(60)),
            NotReady("the certificate is not valid before 2026-11-23T12:05:00Z"),
        ),
    ]
}

fn chains(authority: &Authority) -> Vec<(&'static str, PemPair, Outcome)> {
    let plain = authority.issue();
    let (between, leaf) = authority.issue_through_an_intermediate();
    let with = |certificates: &[&str]| PemPair {
        certificate: certificates.concat(),
        key: leaf.key.clone(),
    };
    vec![
        (
            "with its root",
            PemPair {
                certificate: format!("{}{}", plain.certificate, authority.pem()),
                ..plain.clone()
            },
            Ready,
        ),
        (
            "with an intermediate",
            with(&[&leaf.certificate, &between]),
            Ready,
        ),
        (
            "the intermediate first",
            with(&[&between, &leaf.certificate]),
            Rejected(MISMATCH),
        ),
        (
            "of another key",
            PemPair {
                key: authority.issue().key,
                ..plain
            },
            Rejected(MISMATCH),
        ),
    ]
}

fn damages(authority: &Authority) -> Vec<(&'static str, PemPair, Outcome)> {
    let pair = authority.issue();
    let certificate = |certificate: &str| PemPair {
        certificate: certificate.to_owned(),
        ..pair.clone()
    };
    let key = |key: String| PemPair { key, ..pair.clone() };
    let half = |text: &str| text[..text.len() / 2].to_owned();
    let shortened = shortened(&pair.certificate);
    let rsa = openssl(&["genrsa", "2048"], "");
    vec![
        (
            "cut in the middle",
            certificate(&half(&pair.certificate)),
            Rejected("{}/tls.crt: the PEM in it is damaged: a block has no -----END line"),
        ),
        (
            "a key cut in the middle",
            key(half(&pair.key)),
            Rejected("{}/tls.key: the PEM in it is damaged: a block has no -----END line"),
        ),
        (
            "cut within its block",
            certificate(&shortened),
            Rejected("{}/tls.crt and {}/tls.key: certificate 1 of the chain is not an X.509 certificate"),
        ),
        ("no key", key(String::new()), Rejected(NO_KEY)),
        (
            "a key with a passphrase",
            key(openssl(
                &["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:x"],
                &pair.key,
            )),
            Rejected(ENCRYPTED),
        ),
        (
            "a key with a passphrase, as OpenSSL wrote it before",
            key(openssl(
                &["rsa", "-traditional", "-aes256", "-passout", "pass:x"],
                &rsa,
            )),
            Rejected(ENCRYPTED),
        ),
    ]
}

/// Runs openssl with this input and returns its output.
fn openssl(arguments: &[&str], input: &str) -> String {
    let mut openssl = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is needed, of the package \"openssl\"");
    openssl.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let made = openssl.wait_with_output().unwrap();
    assert!(
        made.status.success(),
        "openssl {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&made.stderr)
    );
    String::from_utf8(made.stdout).unwrap()
}

/// Returns the PEM text without its last line of base64.
fn shortened(pem: &str) -> String {
    let mut lines: Vec<&str> = pem.lines().collect();
    lines.remove(lines.len() - 2);
    lines.join("\n") + "\n"
}

/// Serves the pair in the directory. Returns the reason of unreadiness if there is one.
///
/// # Errors
/// Returns the error of the start.
async fn outcome(folder: &Path, authority: &Authority) -> Result<Option<String>, String> {
    let metrics = Metrics::new();
    let source = PairSource::Files(PairFiles::in_directory(folder));
    let reloader = Reloader::start(source, metrics.clone(), now()).map_err(|error| error.to_string())?;
    if let Some(reason) = reloader.state().borrow().unready() {
        return Ok(Some(reason.to_owned()));
    }
    let router = Router::new().route("/", get(async || "hello"));
    let served = RunningServer::https(&reloader, router, Limits::default(), metrics, NEVER).await;
    let mut client = http2(served.address, &authority.roots()).await;
    assert_eq!(client.get("/").await.unwrap().body, "hello");
    Ok(None)
}
