//! A pair for one machine, made at start.

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

/// How long the pair is valid. A year: a process that was started to try things out does not run that long.
const VALID: Duration = Duration::from_hours(365 * 24);

/// How far back the validity begins: clocks differ, and containers are restarted with their hosts.
const BACKDATED: Duration = Duration::from_hours(1);

/// The file that the authority's certificate is written to.
const CA_FILE: &str = "ca.crt";

/// For whom the pair is and where its authority is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DevOptions {
    /// Where `ca.crt` is written, so that a webhook configuration can be given its `caBundle`.
    pub directory: Option<PathBuf>,
    /// Names beside `localhost`, `127.0.0.1` and `::1`.
    pub names: Vec<SubjectAltName>,
}

/// A pair that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// The library refuses.
    #[error("--tls dev: no certificate could be made: {0}")]
    Make(rcgen::Error),
    /// What was made is no pair.
    #[error("--tls dev: {0}")]
    NoPair(PairError),
    /// The authority could not be written.
    #[error("--tls-dir: {} cannot be written: {reason}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
}

/// A pair and the authority that signed it.
pub(super) struct DevPair {
    pub(super) pair: Pair,
    pub(super) ca_pem: String,
}

impl DevOptions {
    /// Makes an authority and a certificate signed by it. The authority's key is forgotten at once: it signs
    /// nothing else, and no other process can.
    pub(super) fn generate(&self, now: Timestamp) -> Result<DevPair, DevError> {
        let (certificate, key, ca_pem) = self.issue(now).map_err(DevError::Make)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let pair = Pair::new(vec![certificate.into()], key.into()).map_err(DevError::NoPair)?;
        Ok(DevPair { pair, ca_pem })
    }

    fn issue(&self, now: Timestamp) -> Result<(rcgen::Certificate, KeyPair, String), rcgen::Error> {
        let authority = CertifiedIssuer::self_signed(authority(now), KeyPair::generate()?)?;
        let own = ["localhost", "127.0.0.1", "::1"].into_iter();
        let names: Vec<String> = own
            .chain(self.names.iter().map(SubjectAltName::as_str))
            .map(str::to_owned)
            .collect();
        let key = KeyPair::generate()?;
        let certificate = leaf(names, now)?.signed_by(&key, &authority)?;
        Ok((certificate, key, authority.pem()))
    }

    /// Writes the authority's certificate and answers where; nothing without a directory.
    pub(super) fn write(&self, ca_pem: &str) -> Result<Option<PathBuf>, DevError> {
        let Some(directory) = &self.directory else {
            return Ok(None);
        };
        let path = directory.join(CA_FILE);
        match write_whole(directory, &path, ca_pem.as_bytes()) {
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
    parameters.not_before = now - BACKDATED;
    parameters.not_after = now + VALID;
    parameters
}

/// Under another name first: who reads the file meanwhile finds the old one or the new one, never a half.
fn write_whole(directory: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let unfinished = directory.join(format!(".{CA_FILE}.{}", std::process::id()));
    let written = (|| {
        let mut file = File::create(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    })();
    if written.is_err() {
        // The error that is told is the first one.
        let _ = fs::remove_file(&unfinished);
    }
    written
}
