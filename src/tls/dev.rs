//! A pair for one machine, generated at start.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls_pki_types::PrivatePkcs8KeyDer;

use super::{Pair, PairError, SubjectAltName};

/// The lifetime of the pair. A year: a process that was started to try cassgate out does not run that long.
const LIFETIME: Duration = Duration::from_hours(365 * 24);

/// The time by which the start of the validity is set back, because the clocks of clients differ.
const BACKDATE: Duration = Duration::from_hours(1);

/// The name of the file with the authority's certificate.
const CA_FILE: &str = "ca.crt";

/// The options of mode `dev`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DevOptions {
    /// The directory that `ca.crt` is written to, to be used as the `caBundle` of a webhook configuration.
    pub directory: Option<PathBuf>,
    /// Names in the certificate beside `localhost`, `127.0.0.1` and `::1`.
    pub names: Vec<SubjectAltName>,
}

/// The reason why a pair could not be generated.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// An error of the library.
    #[error("--tls dev: no certificate could be generated: {0}")]
    Generate(rcgen::Error),
    /// The generated certificate and key are not a pair.
    #[error("--tls dev: {0}")]
    NoPair(PairError),
    /// The authority could not be written.
    #[error("--tls-dir: {} cannot be written: {reason}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        reason: io::Error,
    },
}

/// A pair and the authority that signed it.
pub(super) struct DevPair {
    pub(super) pair: Pair,
    pub(super) ca_pem: String,
}

impl DevOptions {
    /// Generates an authority and a certificate signed by it. The authority's key is dropped at once, so no further
    /// certificate can be signed with it.
    pub(super) fn generate(&self, now: Timestamp) -> Result<DevPair, DevError> {
        let (certificate, key, ca_pem) = self.issue(now).map_err(DevError::Generate)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let pair = Pair::new(vec![certificate.into()], key.into()).map_err(DevError::NoPair)?;
        Ok(DevPair { pair, ca_pem })
    }

    fn issue(&self, now: Timestamp) -> Result<(rcgen::Certificate, KeyPair, String), rcgen::Error> {
        let authority = CertifiedIssuer::self_signed(authority(now), KeyPair::generate()?)?;
        let always = ["localhost", "127.0.0.1", "::1"].into_iter();
        let names: Vec<String> = always
            .chain(self.names.iter().map(SubjectAltName::as_str))
            .map(str::to_owned)
            .collect();
        let key = KeyPair::generate()?;
        let certificate = leaf(names, now)?.signed_by(&key, &authority)?;
        Ok((certificate, key, authority.pem()))
    }

    /// Writes the authority's certificate and returns its path; `None` if there is no directory.
    pub(super) fn write(&self, ca_pem: &str) -> Result<Option<PathBuf>, DevError> {
        let Some(directory) = &self.directory else {
            return Ok(None);
        };
        let path = directory.join(CA_FILE);
        match write_atomically(directory, &path, ca_pem.as_bytes()) {
            Ok(()) => Ok(Some(path)),
            Err(reason) => Err(DevError::Write { path, reason }),
        }
    }
}

fn authority(now: Timestamp) -> CertificateParams {
    let mut authority = valid_from(CertificateParams::default(), now);
    authority
        .distinguished_name
        .push(DnType::CommonName, "cassgate dev authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    authority
}

fn leaf(names: Vec<String>, now: Timestamp) -> Result<CertificateParams, rcgen::Error> {
    let mut leaf = valid_from(CertificateParams::new(names)?, now);
    leaf.distinguished_name.push(DnType::CommonName, "cassgate dev");
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    Ok(leaf)
}

fn valid_from(mut parameters: CertificateParams, now: Timestamp) -> CertificateParams {
    let since_epoch = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0));
    let now = date_time_ymd(1970, 1, 1) + since_epoch;
    parameters.not_before = now - BACKDATE;
    parameters.not_after = now + LIFETIME;
    parameters
}

/// Writes a temporary file and renames it, so that a reader sees the old or the new content and never a part.
fn write_atomically(directory: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let temporary = directory.join(format!(".{CA_FILE}.{}", std::process::id()));
    let written = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // The first error is the one that is returned.
        let _ = fs::remove_file(&temporary);
    }
    written
}
