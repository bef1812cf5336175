//! The hop of the `caBundle`.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::parse_x509_certificate;

use super::{Entry, call::Path, report::State};

/// Who fills in a `caBundle`.
const WHO_FILLS: &str = "with cert-manager look at the annotation cert-manager.io/inject-ca-from and the log of its \
                         cainjector, in mode self at the log of cassgate";

/// What a `caBundle` holds.
struct Bundle {
    authorities: BTreeSet<Vec<u8>>,
    /// The last second at which one of them is valid.
    until: Option<i64>,
}

pub(super) fn judge(entries: &[Entry], path: &Path, now: Timestamp) -> State {
    if entries.is_empty() {
        return State::Unknown("no webhook was seen".to_owned());
    }
    if let Some((webhook, words)) = path.authority_fault() {
        let holds = entries
            .iter()
            .find(|entry| entry.name == webhook)
            .map_or_else(String::new, describe);
        return State::broken(
            format!("the caBundle of {webhook}{holds} does not vouch for what the server shows: {words}"),
            WHO_FILLS,
        );
    }
    let proven = path.proven();
    let unproven: Vec<&Entry> = entries
        .iter()
        .filter(|entry| !proven.contains(entry.name.as_str()))
        .collect();
    if let Some(state) = unproven.iter().find_map(|entry| unusable(entry, now)) {
        return state;
    }
    // A webhook that was not heard of is judged by one that was: all of them are answered by the same server.
    let sample = entries.iter().find(|entry| proven.contains(entry.name.as_str()));
    if let Some(sample) = sample {
        let known = read(sample).authorities;
        let stranger = unproven
            .iter()
            .find(|entry| read(entry).authorities.is_disjoint(&known) && !known.is_empty());
        if let Some(stranger) = stranger {
            return State::broken(
                format!(
                    "the caBundle of {} has nothing in common with that of {}, which works",
                    stranger.name, sample.name
                ),
                WHO_FILLS,
            );
        }
        return State::Ok(format!(
            "the caBundle vouches for what the server shows{}",
            describe(sample)
        ));
    }
    State::Unknown("no call got as far as the certificate that it has to vouch for".to_owned())
}

/// Why a bundle cannot vouch for anything.
fn unusable(entry: &Entry, now: Timestamp) -> Option<State> {
    let name = &entry.name;
    let text = entry.client.ca_bundle.as_ref().map(|bytes| bytes.0.as_slice());
    if text.is_none_or(<[u8]>::is_empty) {
        return Some(State::broken(
            format!("the caBundle of {name} is empty: the API server trusts only what its machine trusts"),
            WHO_FILLS,
        ));
    }
    let bundle = read(entry);
    if bundle.authorities.is_empty() {
        return Some(State::broken(
            format!("the caBundle of {name} holds no certificate"),
            WHO_FILLS,
        ));
    }
    let until = bundle.until.filter(|until| *until < now.as_second())?;
    Some(State::broken(
        format!(
            "every authority in the caBundle of {name} has expired, the last at {}",
            Timestamp::from_second(until).map_or_else(|_| until.to_string(), |time| time.to_string())
        ),
        WHO_FILLS,
    ))
}

fn read(entry: &Entry) -> Bundle {
    let text = entry
        .client
        .ca_bundle
        .as_ref()
        .map_or(&[][..], |bytes| bytes.0.as_slice());
    let certificates = CertificateDer::pem_slice_iter(text).map_while(Result::ok);
    let mut bundle = Bundle {
        authorities: BTreeSet::new(),
        until: None,
    };
    for certificate in certificates {
        let Ok((_, parsed)) = parse_x509_certificate(&certificate) else {
            continue;
        };
        let until = parsed.validity().not_after.timestamp();
        bundle.until = bundle.until.max(Some(until));
        bundle.authorities.insert(certificate.to_vec());
    }
    bundle
}

fn describe(entry: &Entry) -> String {
    match read(entry).authorities.len() {
        1 => " (one authority)".to_owned(),
        number => format!(" ({number} authorities)"),
    }
}
