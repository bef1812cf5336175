//! The PEM text of a `caBundle`.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::parse_x509_certificate;

use super::plan::{Authority, saturating_add};

/// The time by which the start of every validity is set back, because clocks differ.
pub(super) const BACKDATE: SignedDuration = SignedDuration::from_hours(1);

/// The length of a line of base64 in PEM.
const LINE_LENGTH: usize = 64;

impl Authority {
    /// Reads a certificate of a `caBundle`, which may be that of a single server. Returns `None` if `der` is not a
    /// certificate.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = parse_x509_certificate(der).ok()?;
        let validity = certificate.validity();
        let time = |seconds: i64, limit| Timestamp::from_second(seconds).unwrap_or(limit);
        let not_before = time(validity.not_before.timestamp(), Timestamp::MIN);
        Some(Self {
            issued_at: saturating_add(not_before, BACKDATE),
            not_after: time(validity.not_after.timestamp(), Timestamp::MAX),
            der: der.into(),
        })
    }
}

/// Returns the certificates in `text`. Skips everything else, as the API server does.
pub(super) fn read(text: &[u8]) -> BTreeSet<Authority> {
    CertificateDer::pem_slice_iter(text)
        .map_while(Result::ok)
        .filter_map(|der| Authority::read(&der))
        .collect()
}

/// Returns the authorities as PEM.
pub(super) fn write<'a>(authorities: impl IntoIterator<Item = &'a Authority>) -> String {
    authorities.into_iter().map(pem).collect()
}

fn pem(authority: &Authority) -> String {
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let mut rest = STANDARD.encode(&authority.der);
    while !rest.is_empty() {
        let after = rest.split_off(rest.len().min(LINE_LENGTH));
        text.push_str(&rest);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

#[cfg(test)]
mod tests {
    use super::super::signer::Signer;
    use super::*;

    #[test]
    fn written_authorities_can_be_read_back() {
        let generate = || -> Authority {
            Signer::generate(Timestamp::UNIX_EPOCH, SignedDuration::from_hours(1))
                .unwrap()
                .as_ref()
                .clone()
        };
        let both = BTreeSet::from([generate(), generate()]);
        let text = write(&both);
        assert_eq!(read(text.as_bytes()), both);
        assert!(text.lines().all(|line| line.len() <= LINE_LENGTH));
    }

    #[test]
    fn text_that_is_not_a_certificate_is_skipped() {
        assert_eq!(read(b""), BTreeSet::new());
        assert_eq!(read(b"noise"), BTreeSet::new());
        let not_a_certificate = b"-----BEGIN CERTIFICATE-----\nbm9pc2U=\n-----END CERTIFICATE-----\n";
        assert_eq!(read(not_a_certificate), BTreeSet::new());
    }
}
