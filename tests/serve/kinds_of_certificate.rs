//! What a pair can be, and what the answer is to each: one table.

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

use crate::support::{Authority, NEVER, PemPair, Served, http2, now};

/// What comes of a pair at the start.
#[derive(Debug, PartialEq)]
enum Answer {
    /// A client that trusts the authority is answered, and the replica is ready.
    Served,
    /// It is served, but the replica is not ready, for this reason.
    NotReady(&'static str),
    /// cassgate does not start and says this of the files; `{}` is the folder.
    Refused(&'static str),
}

use Answer::{NotReady, Refused, Served as ServedWell};

const NO_KEY: &str = "{}/tls.key: no private key in it; an unencrypted PEM block that begins with \
                      -----BEGIN PRIVATE KEY-----, -----BEGIN EC PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY----- \
                      is needed";
const ENCRYPTED: &str = "{}/tls.key: the private key is encrypted, and cassgate has no passphrase; write it without \
                         one, for example with openssl pkey -in tls.key -out plain.key";
const NO_USABLE_KEY: &str = "{}/tls.crt and {}/tls.key: the key cannot be used; RSA of 2048 to 8192 bits, ECDSA and \
                             Ed25519 can (unexpected error: failed to parse private key as RSA, ECDSA, or EdDSA)";
const MISMATCH: &str = "{}/tls.crt and {}/tls.key: the key does not belong to the first certificate; the webhook's own \
                        certificate must come first";

#[tokio::test]
async fn each_kind_of_certificate_has_its_answer() {
    let authority = Authority::new();
    for (what, pair, expected) in table(&authority) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tls.crt"), &pair.certificate).unwrap();
        fs::write(folder.path().join("tls.key"), &pair.key).unwrap();
        let answer = answer(folder.path(), &authority).await;
        let folder = folder.path().display().to_string();
        let expected = match expected {
            ServedWell => Ok(None),
            NotReady(reason) => Ok(Some(reason.to_owned())),
            Refused(says) => Err(says.replace("{}", &folder)),
        };
        assert_eq!(answer, expected, "{what}");
    }
}

/// What, the pair, and the answer.
fn table(authority: &Authority) -> Vec<(&'static str, PemPair, Answer)> {
    let mut table = keys(authority);
    table.extend(times(authority));
    table.extend(chains(authority));
    table.extend(damages(authority));
    table
}

fn keys(authority: &Authority) -> Vec<(&'static str, PemPair, Answer)> {
    let signed = |algorithm| authority.issue_with(&KeyPair::generate_for(algorithm).unwrap());
    let rsa = |size| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).unwrap();
    vec![
        ("ECDSA P-256", signed(&PKCS_ECDSA_P256_SHA256), ServedWell),
        ("ECDSA P-384", signed(&PKCS_ECDSA_P384_SHA384), ServedWell),
        ("Ed25519", signed(&PKCS_ED25519), ServedWell),
        (
            "RSA 2048",
            authority.issue_with(&rsa(RsaKeySize::_2048)),
            ServedWell,
        ),
        (
            "RSA 4096",
            authority.issue_with(&rsa(RsaKeySize::_4096)),
            ServedWell,
        ),
        (
            "RSA 1024",
            PemPair {
                key: openssl(&["genrsa", "1024"], ""),
                ..authority.issue()
            },
            Refused(NO_USABLE_KEY),
        ),
    ]
}

fn times(authority: &Authority) -> Vec<(&'static str, PemPair, Answer)> {
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
            NotReady("the certificate is valid only from 2026-11-23T12:05:00Z on"),
        ),
    ]
}

fn chains(authority: &Authority) -> Vec<(&'static str, PemPair, Answer)> {
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
            ServedWell,
        ),
        (
            "with an intermediate",
            with(&[&leaf.certificate, &between]),
            ServedWell,
        ),
        (
            "the intermediate first",
            with(&[&between, &leaf.certificate]),
            Refused(MISMATCH),
        ),
        (
            "of another key",
            PemPair {
                key: authority.issue().key,
                ..plain
            },
            Refused(MISMATCH),
        ),
    ]
}

fn damages(authority: &Authority) -> Vec<(&'static str, PemPair, Answer)> {
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
            Refused("{}/tls.crt: the PEM in it is damaged: a block has no -----END line"),
        ),
        (
            "a key cut in the middle",
            key(half(&pair.key)),
            Refused("{}/tls.key: the PEM in it is damaged: a block has no -----END line"),
        ),
        (
            "cut within its block",
            certificate(&shortened),
            Refused("{}/tls.crt and {}/tls.key: certificate 1 of the chain is no X.509 certificate"),
        ),
        ("no key", key(String::new()), Refused(NO_KEY)),
        (
            "a key with a passphrase",
            key(openssl(
                &["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:x"],
                &pair.key,
            )),
            Refused(ENCRYPTED),
        ),
        (
            "a key with a passphrase, as OpenSSL wrote it before",
            key(openssl(
                &["rsa", "-traditional", "-aes256", "-passout", "pass:x"],
                &rsa,
            )),
            Refused(ENCRYPTED),
        ),
    ]
}

/// What openssl makes of its input.
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

/// The same PEM without its last bytes.
fn shortened(pem: &str) -> String {
    let mut lines: Vec<&str> = pem.lines().collect();
    lines.remove(lines.len() - 2);
    lines.join("\n") + "\n"
}

/// What is served from the folder: nothing or a reason for not being ready; or why nothing is served.
async fn answer(folder: &Path, authority: &Authority) -> Result<Option<String>, String> {
    let metrics = Metrics::new();
    let source = PairSource::Files(PairFiles::in_directory(folder));
    let reloader = Reloader::start(source, metrics.clone(), now()).map_err(|error| error.to_string())?;
    if let Some(reason) = reloader.state().borrow().unready() {
        return Ok(Some(reason.to_owned()));
    }
    let router = Router::new().route("/", get(async || "hello"));
    let served = Served::https(&reloader, router, Limits::default(), metrics, NEVER).await;
    let mut client = http2(served.address, &authority.roots()).await;
    assert_eq!(client.get("/").await.unwrap().body, "hello");
    Ok(None)
}
