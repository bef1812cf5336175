//! What stands in the Secret.
//!
//! | key | what |
//! |---|---|
//! | `ca.crt`, `ca.key` | the authority that signs |
//! | `next.crt`, `next.key` | the one that will, once every `caBundle` holds it |
//! | `previous.crt` | former ones, whose certificates may still be served; their keys are gone |

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    authority::Signer,
    bundle,
    plan::{Authorities, Secret},
    store::SecretObject,
};

const CURRENT: (&str, &str) = ("ca.crt", "ca.key");
const NEXT: (&str, &str) = ("next.crt", "next.key");
const PREVIOUS: &str = "previous.crt";

/// Something in the Secret that is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {what}")]
pub(super) struct Damage {
    key: &'static str,
    what: &'static str,
}

/// Why the Secret is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it holds data and lacks the label cassgate.db.orange.com/authority=self, so it is left alone")]
pub(super) struct Foreign;

/// What the Secret is to us, and what of it is lost. An empty one is ours: there is nothing to lose in it.
pub(super) fn read(object: &SecretObject) -> Result<(Secret<Signer>, Vec<Damage>), Foreign> {
    if !object.marked && !object.data.is_empty() {
        return Err(Foreign);
    }
    let mut damage = Vec::new();
    let mut signer = |(certificate, key)| {
        let read = match (object.data.get(certificate), object.data.get(key)) {
            (None, None) => return None,
            (Some(certificate), Some(key)) => Signer::read(certificate, key),
            (Some(_), None) => Err("there is no key beside it"),
            (None, Some(_)) => Err("it is missing, and its key is there"),
        };
        match read {
            Ok(signer) => Some(signer),
            Err(what) => {
                damage.push(Damage {
                    key: certificate,
                    what,
                });
                None
            }
        }
    };
    let (current, next) = (signer(CURRENT), signer(NEXT));
    let text = object.data.get(PREVIOUS);
    let previous: Vec<_> = text
        .map(|text| bundle::read(text))
        .into_iter()
        .flatten()
        .collect();
    if previous.is_empty() && text.is_some() {
        damage.push(Damage {
            key: PREVIOUS,
            what: "there is no authority in it",
        });
    }
    let secret = Secret::Ours {
        authorities: Authorities {
            current,
            next,
            previous,
        },
        damaged: !damage.is_empty(),
    };
    Ok((secret, damage))
}

/// The Secret's data with these authorities; keys that are not ours stay.
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
        let (certificate_text, key_text) = signer.as_ref().map(Signer::write).unzip();
        put(certificate, certificate_text);
        put(key, key_text);
    }
    let previous = bundle::write(&authorities.previous);
    put(PREVIOUS, Some(previous).filter(|text| !text.is_empty()));
    data
}

/// When the authority that signs expires.
pub(super) fn end_of_current(secret: &Secret<Signer>) -> Option<Timestamp> {
    use super::plan::Vouches;
    match secret {
        Secret::Closed => None,
        Secret::Ours { authorities, .. } => authorities
            .current
            .as_ref()
            .map(|current| current.authority().until),
    }
}
