//! An authority with its key: generates it, reads it, and signs certificates with it.

use std::{fmt, time::Duration};

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject};
use x509_parser::parse_x509_certificate;

use super::{
    bundle,
    plan::{Authority, Leaf, Timing, saturating_add},
};
use crate::tls::{Pair, PairError};

/// An authority and its key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Signer {
    authority: Authority,
    key: String,
}

/// The reason why a certificate could not be generated. No text contains a part of a key.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignError {
    /// An error of the library.
    #[error("no certificate could be generated: {0}")]
    Generate(#[from] rcgen::Error),
    /// The generated certificate and key are not a pair.
    #[error("no certificate could be generated: {0}")]
    NoPair(#[from] PairError),
    /// The generated certificate cannot be read back.
    #[error("no certificate could be generated: it cannot be read back")]
    Unreadable,
}

impl Signer {
    /// Generates an authority.
    pub(super) fn generate(now: Timestamp, lifetime: SignedDuration) -> Result<Self, SignError> {
        let now = whole_second(now);
        let key = KeyPair::generate()?;
        let mut authority = CertificateParams::default();
        // Every authority has its own name, so that a client finds the issuer of a certificate at once.
        authority
            .distinguished_name
            .push(DnType::CommonName, format!("cassgate authority of {now}"));
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        set_validity(&mut authority, now, saturating_add(now, lifetime));
        let certificate = authority.self_signed(&key)?;
        let authority = Authority::read(certificate.der()).ok_or(SignError::Unreadable)?;
        Ok(Self {
            authority,
            key: key.serialize_pem(),
        })
    }

    /// Reads an authority from a certificate and a key as PEM.
    ///
    /// # Errors
    /// Returns a fixed text that contains no part of the input.
    pub(super) fn read(certificate: &[u8], key: &[u8]) -> Result<Self, &'static str> {
        let der = CertificateDer::from_pem_slice(certificate).map_err(|_| "the certificate is not PEM")?;
        let authority = Authority::read(&der).ok_or("the certificate cannot be read")?;
        let key = std::str::from_utf8(key).map_err(|_| "the key is not PEM")?;
        let pair = KeyPair::from_pem(key).map_err(|_| "the key cannot be read")?;
        let (_, own) = parse_x509_certificate(&der).map_err(|_| "the certificate cannot be read")?;
        if !own.is_ca() {
            return Err("the certificate is not that of an authority");
        }
        if own.public_key().raw != pair.subject_public_key_info() {
            return Err("the key does not belong to the certificate");
        }
        Ok(Self {
            authority,
            key: key.to_owned(),
        })
    }

    /// Returns the certificate and the key as PEM.
    pub(super) fn to_pem(&self) -> (String, String) {
        (bundle::write([&self.authority]), self.key.clone())
    }

    /// Signs a certificate for `names`. Its key exists only in memory.
    pub(super) fn sign(
        &self,
        names: &[String],
        timing: &Timing,
        now: Timestamp,
    ) -> Result<(Pair, Leaf), SignError> {
        let now = whole_second(now);
        let not_after = timing.leaf_not_after(&self.authority, now);
        let mut leaf = CertificateParams::new(names)?;
        leaf.distinguished_name.push(DnType::CommonName, "cassgate");
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        set_validity(&mut leaf, now, not_after);
        let der = CertificateDer::from(self.authority.der.to_vec());
        let issuer = Issuer::from_ca_cert_der(&der, KeyPair::from_pem(&self.key)?)?;
        let key = KeyPair::generate()?;
        let certificate = leaf.signed_by(&key, &issuer)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let pair = Pair::new(vec![certificate.into()], key.into())?;
        let leaf = Leaf {
            issuer: self.authority.clone(),
            issued_at: now,
            not_after,
        };
        Ok((pair, leaf))
    }
}

impl AsRef<Authority> for Signer {
    fn as_ref(&self) -> &Authority {
        &self.authority
    }
}

/// Omits the key.
impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Signer")
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

/// Returns `time` without fractions of a second, as certificates store it.
fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn set_validity(parameters: &mut CertificateParams, now: Timestamp, not_after: Timestamp) {
    let not_before = now.checked_sub(bundle::BACKDATE).unwrap_or(Timestamp::UNIX_EPOCH);
    let date_time = |time: Timestamp| {
        date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(time.as_second()).unwrap_or(0))
    };
    parameters.not_before = date_time(not_before);
    parameters.not_after = date_time(not_after);
}
