//! A certificate chain and its key, checked to match.

use std::{net::IpAddr, sync::Arc};

use jiff::Timestamp;
use rustls::{InconsistentKeys, crypto::aws_lc_rs, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, parse_x509_certificate, time::ASN1Time,
};

/// A certificate chain and the key of its first certificate.
#[derive(Debug, Clone)]
pub struct Pair {
    key: Arc<CertifiedKey>,
    names: Vec<String>,
    serial: String,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// The reason why a chain and a key are not a pair. No text contains a part of the key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PairError {
    /// A certificate that cannot be read, by its position in the chain, from 1.
    #[error("certificate {0} of the chain is not an X.509 certificate")]
    NoCertificate(usize),
    /// The chain is empty.
    #[error("there is no certificate")]
    Empty,
    /// A key that rustls cannot use.
    #[error("the key cannot be used; use RSA of 2048 to 8192 bits, ECDSA or Ed25519 ({0})")]
    Key(String),
    /// The key of another certificate.
    #[error(
        "the key does not belong to the first certificate; the webhook's own certificate must come first"
    )]
    Mismatch,
}

impl Pair {
    /// Checks that every certificate can be read and that the key belongs to the first one.
    ///
    /// # Errors
    /// Returns the first part that is unusable.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, PairError> {
        for (index, certificate) in chain.iter().enumerate().skip(1) {
            parse_x509_certificate(certificate).map_err(|_| PairError::NoCertificate(index + 1))?;
        }
        let first = chain.first().ok_or(PairError::Empty)?.clone();
        let (_, own) = parse_x509_certificate(&first).map_err(|_| PairError::NoCertificate(1))?;
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(unusable)?;
        Ok(Self {
            key: Arc::new(key),
            names: names(&own),
            serial: own.raw_serial_as_string(),
            not_before: timestamp(own.validity().not_before),
            not_after: timestamp(own.validity().not_after),
        })
    }

    /// Returns the chain and key for rustls.
    #[must_use]
    pub fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.key)
    }

    /// Returns the host names and IP addresses of the certificate (`subjectAltName`).
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the serial number as hexadecimal octets.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// Returns the last second at which the certificate is valid.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Returns the reason why the certificate is not valid at `now`, and `None` if it is valid.
    #[must_use]
    pub fn invalid_at(&self, now: Timestamp) -> Option<String> {
        if now > self.not_after {
            return Some(format!("the certificate expired at {}", self.not_after));
        }
        (now < self.not_before).then(|| format!("the certificate is not valid before {}", self.not_before))
    }
}

fn unusable(error: rustls::Error) -> PairError {
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => PairError::Mismatch,
        // webpki, which rustls uses for the first certificate only, is stricter than x509-parser.
        rustls::Error::InvalidCertificate(_) => PairError::NoCertificate(1),
        // The text of rustls names the key formats that it tried, never the key.
        other => PairError::Key(other.to_string()),
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    alternatives.value.general_names.iter().filter_map(name).collect()
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(octets) => address(octets).map(|address| address.to_string()),
        _ => None,
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

/// Converts a time of a certificate. "No expiry" is 9999-12-31T23:59:59Z (RFC 5280), some hours after
/// [`Timestamp::MAX`], so the result saturates.
fn timestamp(time: ASN1Time) -> Timestamp {
    let seconds = time.timestamp();
    let limit = if seconds > 0 {
        Timestamp::MAX
    } else {
        Timestamp::MIN
    };
    Timestamp::from_second(seconds).unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_without_expiry_has_the_last_representable_time() {
        let time = ASN1Time::from_timestamp(253_402_300_799).unwrap();
        assert_eq!(time.to_string(), "Dec 31 23:59:59 9999 +00:00");
        assert_eq!(timestamp(time), Timestamp::MAX);
    }

    #[test]
    fn an_empty_chain_and_noise_have_different_errors() {
        let key = || PrivateKeyDer::Pkcs8(vec![0].into());
        assert_eq!(Pair::new(Vec::new(), key()).unwrap_err(), PairError::Empty);
        let noise = CertificateDer::from(b"noise".to_vec());
        assert_eq!(
            Pair::new(vec![noise], key()).unwrap_err(),
            PairError::NoCertificate(1)
        );
    }
}
