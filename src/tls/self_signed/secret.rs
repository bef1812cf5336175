//! The layout of the Secret.
//!
//! | key | content |
//! |---|---|
//! | `ca.crt`, `ca.key` | the current authority, which signs |
//! | `next.crt`, `next.key` | the next authority, which signs once every `caBundle` contains it |
//! | `previous.crt` | former authorities whose certificates may still be served, without their keys |

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    bundle,
    plan::{Authorities, Authority, SecretState},
    signer::Signer,
    store::StoredSecret,
};

const CURRENT: (&str, &str) = ("ca.crt", "ca.key");
const NEXT: (&str, &str) = ("next.crt", "next.key");
const PREVIOUS: &str = "previous.crt";

/// A part of the Secret that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub(super) struct Damage {
    key: &'static str,
    reason: &'static str,
}

/// A Secret that does not belong to cassgate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it holds data and lacks the label cassgate.db.orange.com/authority=self, so it is left alone")]
pub(super) struct ForeignSecret;

/// Reads the authorities of the Secret. The second value lists the parts that are lost.
///
/// An empty Secret without the label counts as owned, because it holds nothing that could be lost.
///
/// # Errors
/// Returns an error if the Secret holds data and lacks the label.
pub(super) fn read(stored: &StoredSecret) -> Result<(SecretState<Signer>, Vec<Damage>), ForeignSecret> {
    if !stored.is_labelled && !stored.data.is_empty() {
        return Err(ForeignSecret);
    }
    let mut damages = Vec::new();
    let mut signer = |(certificate, key)| {
        let signer = match (stored.data.get(certificate), stored.data.get(key)) {
            (None, None) => return None,
            (Some(certificate), Some(key)) => Signer::read(certificate, key),
            (Some(_), None) => Err("its key is missing"),
            (None, Some(_)) => Err("it is missing, but its key is present"),
        };
        match signer {
            Ok(signer) => Some(signer),
            Err(reason) => {
                damages.push(Damage {
                    key: certificate,
                    reason,
                });
                None
            }
        }
    };
    let (current, next) = (signer(CURRENT), signer(NEXT));
    let text = stored.data.get(PREVIOUS);
    let previous: Vec<_> = text
        .map(|text| bundle::read(text))
        .into_iter()
        .flatten()
        .collect();
    if previous.is_empty() && text.is_some() {
        damages.push(Damage {
            key: PREVIOUS,
            reason: "it contains no certificate of an authority",
        });
    }
    let secret = SecretState::Owned {
        authorities: Authorities {
            current,
            next,
            previous,
        },
        damaged: !damages.is_empty(),
    };
    Ok((secret, damages))
}

/// Returns the data of the Secret with these authorities. Keys that cassgate does not use keep their values.
pub(super) fn write(
    mut data: BTreeMap<String, Vec<u8>>,
    authorities: &Authorities<Signer>,
) -> BTreeMap<String, Vec<u8>> {
    let mut put = |key: &str, text: Option<String>| {
        match text {
            Some(text) => data.insert(key.to_owned(), text.into_bytes()),
            None => data.remove(key),
        };
    };
    for ((certificate, key), signer) in [(CURRENT, &authorities.current), (NEXT, &authorities.next)] {
        let (certificate_text, key_text) = signer.as_ref().map(Signer::to_pem).unzip();
        put(certificate, certificate_text);
        put(key, key_text);
    }
    let previous = bundle::write(&authorities.previous);
    put(PREVIOUS, Some(previous).filter(|text| !text.is_empty()));
    data
}

/// Returns the expiry of the current authority, if there is one.
pub(super) fn current_not_after(secret: &SecretState<Signer>) -> Option<Timestamp> {
    match secret {
        SecretState::Unavailable => None,
        SecretState::Owned { authorities, .. } => {
            let current: &Authority = authorities.current.as_ref()?.as_ref();
            Some(current.not_after)
        }
    }
}
