//! The PEM text of a `caBundle`.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::plan::Authority;

/// The length of a line of base64 in PEM.
const LINE_LENGTH: usize = 64;

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
    use jiff::{SignedDuration, Timestamp};

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
