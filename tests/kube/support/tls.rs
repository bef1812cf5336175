//! Certificates as a user makes them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

use super::{gate::fresh_directory, repository};

/// Runs `certs/make-pair.sh`: `tls.crt`, `tls.key`, and the authority's `ca.crt`, in a new folder.
pub(crate) fn make_pair_by_hand() -> PathBuf {
    let folder = fresh_directory("tls").join("pair");
    let made = Command::new("sh")
        .arg(repository().join("certs/make-pair.sh"))
        .arg(&folder)
        .arg("127.0.0.1")
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    folder
}

/// Creates a self-signed certificate for this machine in `tls.crt` with its key in `tls.key`, by openssl, and returns
/// the certificate's path.
pub(crate) fn make_pair(directory: &Path) -> PathBuf {
    let certificate = directory.join("tls.crt");
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=cassgate", "-addext", "subjectAltName=IP:127.0.0.1"])
        .arg("-keyout")
        .arg(directory.join("tls.key"))
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap_or_else(|error| panic!("openssl, of the package \"openssl\": {error}"));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    certificate
}

/// Creates an expired certificate for this name in `tls.crt` with its key in `tls.key`, signed by an authority that
/// is still valid, and returns the authority's path.
pub(crate) fn make_expired_pair(directory: &Path, name: &str) -> PathBuf {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let mut leaf = CertificateParams::new([name.to_owned()]).unwrap();
    leaf.not_before = date_time_ymd(2024, 1, 1);
    leaf.not_after = date_time_ymd(2024, 2, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = leaf.signed_by(&key, &authority).unwrap();
    fs::write(directory.join("tls.crt"), certificate.pem()).unwrap();
    fs::write(directory.join("tls.key"), key.serialize_pem()).unwrap();
    let file = directory.join("ca.crt");
    fs::write(&file, authority.pem()).unwrap();
    file
}
