//! An authority that signs: made, read, used.

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
    plan::{Authority, Leaf, Timing, Vouches, later},
};
use crate::tls::{Pair, PairError};

/// How far back every validity begins: clocks differ.
const BACKDATED: SignedDuration = SignedDuration::from_hours(1);

/// An authority and its key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Signer {
    authority: Authority,
    key: String,
}

/// Why nothing could be made or signed. No text holds anything of a key.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignError {
    /// The library refuses.
    #[error("no certificate could be made: {0}")]
    Make(#[from] rcgen::Error),
    /// What was made is no pair.
    #[error("no certificate could be made: {0}")]
    NoPair(#[from] PairError),
    /// What was made cannot be read.
    #[error("no certificate could be made: it cannot be read")]
    Unreadable,
}

impl Signer {
    /// A new authority.
    pub(super) fn make(now: Timestamp, lifetime: SignedDuration) -> Result<Self, SignError> {
        let now = whole_second(now);
        let key = KeyPair::generate()?;
        let mut authority = CertificateParams::default();
        // No two have the same name, so that who verifies finds the right one at once.
        authority
            .distinguished_name
            .push(DnType::CommonName, format!("cassgate authority of {now}"));
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        valid(&mut authority, now, later(now, lifetime));
        let certificate = authority.self_signed(&key)?;
        let authority = Authority::read(certificate.der()).ok_or(SignError::Unreadable)?;
        Ok(Self {
            authority,
            key: key.serialize_pem(),
        })
    }

    /// An authority out of two PEM texts.
    ///
    /// # Errors
    /// What is wrong with them, in words that hold nothing of them.
    pub(super) fn read(certificate: &[u8], key: &[u8]) -> Result<Self, &'static str> {
        let der = CertificateDer::from_pem_slice(certificate).map_err(|_| "the certificate is no PEM")?;
        let authority = Authority::read(&der).ok_or("the certificate cannot be read")?;
        let key = std::str::from_utf8(key).map_err(|_| "the key is no PEM")?;
        let pair = KeyPair::from_pem(key).map_err(|_| "the key cannot be read")?;
        let (_, own) = parse_x509_certificate(&der).map_err(|_| "the certificate cannot be read")?;
        if !own.is_ca() {
            return Err("the certificate is none of an authority");
        }
        if own.public_key().raw != pair.subject_public_key_info() {
            return Err("the key does not belong to the certificate");
        }
        Ok(Self {
            authority,
            key: key.to_owned(),
        })
    }

    /// The certificate and the key as PEM.
    pub(super) fn write(&self) -> (String, String) {
        (bundle::write([&self.authority]), self.key.clone())
    }

    /// A certificate for these names, whose key exists in memory only.
    pub(super) fn sign(
        &self,
        names: &[String],
        timing: &Timing,
        now: Timestamp,
    ) -> Result<(Pair, Leaf), SignError> {
        let now = whole_second(now);
        let until = timing.end_of_leaf(&self.authority, now);
        let mut leaf = CertificateParams::new(names)?;
        leaf.distinguished_name.push(DnType::CommonName, "cassgate");
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        valid(&mut leaf, now, until);
        let der = CertificateDer::from(self.authority.der.to_vec());
        let issuer = Issuer::from_ca_cert_der(&der, KeyPair::from_pem(&self.key)?)?;
        let key = KeyPair::generate()?;
        let certificate = leaf.signed_by(&key, &issuer)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let pair = Pair::new(vec![certificate.into()], key.into())?;
        let leaf = Leaf {
            issuer: self.authority.clone(),
            issued: now,
            until,
        };
        Ok((pair, leaf))
    }
}

impl Authority {
    /// What vouches by this certificate, which may be that of a single server; nothing when it is no certificate.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = parse_x509_certificate(der).ok()?;
        let validity = certificate.validity();
        let time = |seconds: i64, beyond| Timestamp::from_second(seconds).unwrap_or(beyond);
        let from = time(validity.not_before.timestamp(), Timestamp::MIN);
        Some(Self {
            issued: later(from, BACKDATED),
            until: time(validity.not_after.timestamp(), Timestamp::MAX),
            der: der.into(),
        })
    }
}

impl Vouches for Signer {
    fn authority(&self) -> &Authority {
        &self.authority
    }
}

/// Without the key.
impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Signer")
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

/// Certificates know no shorter time.
fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn valid(parameters: &mut CertificateParams, now: Timestamp, until: Timestamp) {
    let begin = now.checked_sub(BACKDATED).unwrap_or(Timestamp::UNIX_EPOCH);
    let moment = |time: Timestamp| {
        date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(time.as_second()).unwrap_or(0))
    };
    parameters.not_before = moment(begin);
    parameters.not_after = moment(until);
}
