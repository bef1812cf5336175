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

/// The beginning of a PEM block. It is read only at the beginning of a line.
const BEGIN: &[u8] = b"-----BEGIN ";

/// Returns the certificates in `text`. Skips everything else, as the API server does: Go's `pem.Decode` continues behind the first
/// line of a broken block, so the certificates behind it count.
pub(super) fn read(text: &[u8]) -> BTreeSet<Authority> {
    blocks(text)
        .filter_map(|block| CertificateDer::from_pem_slice(block).ok())
        .filter_map(|der| Authority::read(&der))
        .collect()
}

/// Returns each PEM block with the text up to the next one.
fn blocks(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_at_line_start = |position: usize| {
        let before = position.checked_sub(1).and_then(|before| text.get(before));
        before.is_none_or(|byte| *byte == b'\n')
    };
    let found = text
        .windows(BEGIN.len())
        .enumerate()
        .filter(|(_, window)| *window == BEGIN);
    let starts: Vec<usize> = found
        .map(|(position, _)| position)
        .filter(|position| is_at_line_start(*position))
        .collect();
    let ends: Vec<usize> = starts.iter().copied().skip(1).chain([text.len()]).collect();
    starts
        .into_iter()
        .zip(ends)
        .filter_map(|(start, end)| text.get(start..end))
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
    fn a_broken_block_does_not_hide_the_certificates_behind_it() {
        let generate = || -> Authority {
            Signer::generate(Timestamp::UNIX_EPOCH, SignedDuration::from_hours(1))
                .unwrap()
                .as_ref()
                .clone()
        };
        let (first, second) = (generate(), generate());
        let (one, other) = (write([&first]), write([&second]));
        for broken in [
            "-----BEGIN CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nbm9pc2U=\n",
            "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE\nbm9pc2U=\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nbm9pc2U=\n-----END PRIVATE KEY-----\n",
            "-----BEGIN NOTHING-----\nbm9pc2U=\n",
        ] {
            let text = format!("{one}{broken}{other}{broken}");
            let expected = BTreeSet::from([first.clone(), second.clone()]);
            assert_eq!(read(text.as_bytes()), expected, "{broken}");
        }
        let inside_a_line = format!("noise{other}");
        assert_eq!(read(inside_a_line.as_bytes()), BTreeSet::new());
    }

    #[test]
    fn text_that_is_not_a_certificate_is_skipped() {
        assert_eq!(read(b""), BTreeSet::new());
        assert_eq!(read(b"noise"), BTreeSet::new());
        let not_a_certificate = b"-----BEGIN CERTIFICATE-----\nbm9pc2U=\n-----END CERTIFICATE-----\n";
        assert_eq!(read(not_a_certificate), BTreeSet::new());
    }
}
