//! The text of a `caBundle`.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::plan::Authority;

/// The longest line of base64 in PEM.
const LINE: usize = 64;

/// The certificates in it. What is none is left out: the API server ignores it too.
pub(super) fn read(text: &[u8]) -> BTreeSet<Authority> {
    CertificateDer::pem_slice_iter(text)
        .map_while(Result::ok)
        .filter_map(|der| Authority::read(&der))
        .collect()
}

/// The authorities as PEM.
pub(super) fn write<'a>(authorities: impl IntoIterator<Item = &'a Authority>) -> String {
    authorities.into_iter().map(pem).collect()
}

fn pem(authority: &Authority) -> String {
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let mut rest = STANDARD.encode(&authority.der);
    while !rest.is_empty() {
        let after = rest.split_off(rest.len().min(LINE));
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

    use super::super::{authority::Signer, plan::Vouches};
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let make = || {
            Signer::make(Timestamp::UNIX_EPOCH, SignedDuration::from_hours(1))
                .unwrap()
                .authority()
                .clone()
        };
        let both = BTreeSet::from([make(), make()]);
        let text = write(&both);
        assert_eq!(read(text.as_bytes()), both);
        assert!(text.lines().all(|line| line.len() <= LINE));
    }

    #[test]
    fn what_is_no_certificate_is_left_out() {
        assert_eq!(read(b""), BTreeSet::new());
        assert_eq!(read(b"noise"), BTreeSet::new());
        let none = b"-----BEGIN CERTIFICATE-----\nbm9pc2U=\n-----END CERTIFICATE-----\n";
        assert_eq!(read(none), BTreeSet::new());
    }
}
