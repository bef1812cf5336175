//! The hop of the `caBundle`.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::parse_x509_certificate;

use super::calls::Calls;
use super::fault::Fault;
use super::report::State;
use super::webhook::Webhook;

/// The remedy for a wrong `caBundle`.
const REMEDY: &str = "with cert-manager check the annotation cert-manager.io/inject-ca-from and the log of its cainjector, \
                      in mode self the log of cassgate";

/// The content of a `caBundle`.
struct Bundle {
    authorities: BTreeSet<Vec<u8>>,
    /// The time at which the last of them expires, in seconds since 1970.
    not_after: Option<i64>,
}

pub(super) fn judge(webhooks: &[Webhook], calls: &Calls, now: Timestamp) -> State {
    if webhooks.is_empty() {
        return State::Unknown("no webhook was found".to_owned());
    }
    if let Some(failure) = calls.failure(&[Fault::Authority]) {
        let content = webhooks
            .iter()
            .find(|webhook| webhook.name == failure.webhook)
            .map_or_else(String::new, describe);
        return State::broken(
            format!(
                "the caBundle of {}{content} does not verify the certificate of the server: {}",
                failure.webhook, failure.message
            ),
            REMEDY,
        );
    }
    let answered = calls.answered();
    let (verified, unverified): (Vec<&Webhook>, Vec<&Webhook>) = webhooks
        .iter()
        .partition(|webhook| answered.contains(webhook.name.as_str()));
    if let Some(state) = unverified.iter().find_map(|webhook| unusable(webhook, now)) {
        return state;
    }
    let Some(verified) = verified.first() else {
        return State::Unknown("no call reached the certificate that it has to verify".to_owned());
    };
    // All webhooks call the same server, so their bundles must share an authority with one that works.
    let known = read(verified).authorities;
    let different = unverified
        .iter()
        .find(|webhook| !known.is_empty() && read(webhook).authorities.is_disjoint(&known));
    if let Some(different) = different {
        return State::broken(
            format!(
                "the caBundle of {} shares no authority with that of {}, which works",
                different.name, verified.name
            ),
            REMEDY,
        );
    }
    State::Ok(format!(
        "the caBundle verifies the certificate of the server{}",
        describe(verified)
    ))
}

/// Returns why a `caBundle` cannot verify any certificate.
fn unusable(webhook: &Webhook, now: Timestamp) -> Option<State> {
    let name = &webhook.name;
    let text = webhook.client.ca_bundle.as_ref().map(|bytes| bytes.0.as_slice());
    if text.is_none_or(<[u8]>::is_empty) {
        return Some(State::broken(
            format!(
                "the caBundle of {name} is empty: the API server trusts only the authorities of its own machine"
            ),
            REMEDY,
        ));
    }
    let bundle = read(webhook);
    if bundle.authorities.is_empty() {
        return Some(State::broken(
            format!("the caBundle of {name} contains no certificate"),
            REMEDY,
        ));
    }
    let not_after = bundle
        .not_after
        .filter(|not_after| *not_after < now.as_second())?;
    Some(State::broken(
        format!(
            "every authority in the caBundle of {name} has expired, the last at {}",
            Timestamp::from_second(not_after).map_or_else(|_| not_after.to_string(), |time| time.to_string())
        ),
        REMEDY,
    ))
}

fn read(webhook: &Webhook) -> Bundle {
    let text = webhook
        .client
        .ca_bundle
        .as_ref()
        .map_or(&[][..], |bytes| bytes.0.as_slice());
    let certificates = CertificateDer::pem_slice_iter(text).map_while(Result::ok);
    let mut bundle = Bundle {
        authorities: BTreeSet::new(),
        not_after: None,
    };
    for certificate in certificates {
        let Ok((_, parsed)) = parse_x509_certificate(&certificate) else {
            continue;
        };
        let not_after = parsed.validity().not_after.timestamp();
        bundle.not_after = bundle.not_after.max(Some(not_after));
        bundle.authorities.insert(certificate.to_vec());
    }
    bundle
}

fn describe(webhook: &Webhook) -> String {
    match read(webhook).authorities.len() {
        1 => " (one authority)".to_owned(),
        number => format!(" ({number} authorities)"),
    }
}
