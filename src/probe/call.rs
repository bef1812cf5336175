//! What the two tries tell of the calls: the certificate and the server.

use std::collections::BTreeSet;

use kube::core::Status;
use serde_json::Value;

use super::{Entry, Seen, Side, Tried, report::State};

/// The rule by which the bad object is refused.
pub(super) const BAD_RULE: &str = "schedule-malformed";

/// The rules by which the good object may be refused, where a dry run is held to its references.
const REFERENCE_RULES: [&str; 2] = ["cluster-not-found", "secret-not-found"];

/// What the mutating side fills in, and with what.
pub(super) const FILLED: (&str, u64) = ("concurrentConnections", 10);

/// How the names of the shipped webhooks end.
const OUR_NAMES: &str = ".cassgate.db.orange.com";

/// What the API server's text says went wrong with a call. The texts are those of Go's `crypto/x509`, `net` and of
/// the API server's resolver of Services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The `caBundle` does not vouch.
    Authority,
    /// The time of the certificate.
    Time,
    /// Its names.
    Name,
    /// Something else about it.
    Certificate,
    /// The Service.
    Service,
    /// Nobody answers.
    Silence,
    /// Somebody answers something else.
    Answer,
}

/// What a text says, and which fault it tells: the first that fits.
const WORDS: [(&str, Fault); 22] = [
    ("certificate signed by unknown authority", Fault::Authority),
    ("unable to load root certificates", Fault::Authority),
    ("certificate has expired or is not yet valid", Fault::Time),
    ("certificate is valid for", Fault::Name),
    ("certificate is not valid for any names", Fault::Name),
    ("doesn't contain any IP SANs", Fault::Name),
    ("relies on legacy Common Name", Fault::Name),
    ("x509:", Fault::Certificate),
    ("no service port", Fault::Service),
    ("no endpoints available for service", Fault::Service),
    ("cannot route to service", Fault::Service),
    ("unsupported service type", Fault::Service),
    ("\" not found", Fault::Service),
    ("connection refused", Fault::Silence),
    ("connection reset", Fault::Silence),
    ("no route to host", Fault::Silence),
    ("no such host", Fault::Silence),
    ("i/o timeout", Fault::Silence),
    ("deadline exceeded", Fault::Silence),
    ("Client.Timeout", Fault::Silence),
    ("TLS handshake timeout", Fault::Silence),
    (": EOF", Fault::Silence),
];

/// A call that came to nothing.
#[derive(Debug, Clone)]
struct Failure {
    webhook: String,
    fault: Fault,
    words: String,
}

/// What the tries tell of one side.
#[derive(Debug, Clone)]
enum Told {
    /// The webhook of this name answered as it should.
    Answered { webhook: String, saw: String },
    /// It could not be asked.
    Failed(Failure),
    /// It answered something else, or nobody asked it.
    Wrong(String),
    /// Neither can be said.
    Unknown(String),
}

/// Both sides, as the tries tell them.
#[derive(Debug, Clone)]
pub(super) struct Path {
    validating: Told,
    mutating: Told,
    kind_is_absent: bool,
    /// The bad object passed, and nobody was in the way.
    unjudged: bool,
}

impl Path {
    pub(super) fn read(seen: &Seen, entries: &[Entry]) -> Self {
        let validating = match bad(&seen.bad, entries) {
            // Refusing the bad object is half of it.
            Told::Answered { webhook, saw } => good(&seen.good, entries, webhook, &saw),
            told => told,
        };
        Self {
            validating,
            mutating: mutating(seen, entries),
            kind_is_absent: matches!(&seen.bad, Tried::Refused(status)
                if status.code == 404 && !status.message.contains("namespaces")),
            unjudged: matches!(seen.bad, Tried::Accepted(_)),
        }
    }

    pub(super) fn kind_is_absent(&self) -> bool {
        self.kind_is_absent
    }

    fn failures(&self) -> impl Iterator<Item = &Failure> {
        [&self.validating, &self.mutating]
            .into_iter()
            .filter_map(|told| match told {
                Told::Failed(failure) => Some(failure),
                _ => None,
            })
    }

    fn fault(&self, wanted: &[Fault]) -> Option<&Failure> {
        self.failures().find(|failure| wanted.contains(&failure.fault))
    }

    /// What the API server says of the Service, when that is the fault.
    pub(super) fn service_fault(&self) -> Option<&str> {
        self.fault(&[Fault::Service])
            .map(|failure| failure.words.as_str())
    }

    /// The webhook whose `caBundle` does not vouch for the server, and the API server's words.
    pub(super) fn authority_fault(&self) -> Option<(&str, &str)> {
        self.fault(&[Fault::Authority])
            .map(|failure| (failure.webhook.as_str(), failure.words.as_str()))
    }

    /// The webhooks that have answered, and so have proven their `caBundle`.
    pub(super) fn proven(&self) -> BTreeSet<&str> {
        [&self.validating, &self.mutating]
            .into_iter()
            .filter_map(|told| match told {
                Told::Answered { webhook, .. } => Some(webhook.as_str()),
                _ => None,
            })
            .collect()
    }
}

/// The bad object: refused by our validating side, and by the rule that it breaks.
fn bad(tried: &Tried, entries: &[Entry]) -> Told {
    let status = match tried {
        Tried::Accepted(_) => return Told::Wrong(unjudged(entries)),
        Tried::Failed(why) => return Told::Unknown(why.clone()),
        Tried::Refused(status) => status,
    };
    match refusal(status, entries) {
        Refusal::Denied { webhook, rules } if rules.iter().any(|rule| rule == BAD_RULE) => Told::Answered {
            saw: format!("{webhook} refuses the bad object [{BAD_RULE}]"),
            webhook,
        },
        Refusal::Denied { webhook, .. } => Told::Wrong(format!(
            "{webhook} refuses the bad object in words that are not cassgate's: {}",
            status.message
        )),
        Refusal::Told(told) => told,
    }
}

fn unjudged(entries: &[Entry]) -> String {
    let ignore = entries
        .iter()
        .any(|entry| entry.side == Side::Validating && entry.is_tried() && entry.failure_policy == "Ignore");
    if ignore {
        "the bad object passes; with failurePolicy Ignore the API server does not say why".to_owned()
    } else {
        "the bad object passes".to_owned()
    }
}

/// The good object: passes, or lacks what a probe cannot have.
fn good(tried: &Tried, entries: &[Entry], webhook: String, saw: &str) -> Told {
    let status = match tried {
        Tried::Accepted(_) => {
            return Told::Answered {
                webhook,
                saw: format!("{saw} and lets the good one pass"),
            };
        }
        Tried::Failed(why) => return Told::Unknown(why.clone()),
        Tried::Refused(status) => status,
    };
    match refusal(status, entries) {
        Refusal::Denied { rules, .. } => {
            let known = rules.iter().all(|rule| REFERENCE_RULES.contains(&rule.as_str()));
            if known && !rules.is_empty() {
                let rules = rules.join(", ");
                let saw =
                    format!("{saw}, and of the good one only that it names what is not there [{rules}]");
                Told::Answered { webhook, saw }
            } else {
                Told::Wrong(format!("the good object is refused: {}", status.message))
            }
        }
        Refusal::Told(told) => told,
    }
}

/// The mutating side is seen by what it fills in.
fn mutating(seen: &Seen, entries: &[Entry]) -> Told {
    let of_mutating = |failure: &Failure| {
        entries
            .iter()
            .any(|entry| entry.side == Side::Mutating && entry.name == failure.webhook)
    };
    let filled = |object: &Value| {
        object
            .pointer("/spec")
            .and_then(|spec| spec.get(FILLED.0))
            .and_then(Value::as_u64)
            == Some(FILLED.1)
    };
    match &seen.good {
        Tried::Accepted(object) if filled(object) => {
            let webhook = entries
                .iter()
                .find(|entry| entry.side == Side::Mutating && entry.is_tried())
                .map_or_else(|| "the mutating side".to_owned(), |entry| entry.name.clone());
            let saw = format!("{webhook} fills in {}", FILLED.0);
            Told::Answered { webhook, saw }
        }
        Tried::Accepted(_) => Told::Wrong(format!(
            "the mutating side was not asked or not understood: {} was not filled in",
            FILLED.0
        )),
        Tried::Refused(status) => match refusal(status, entries) {
            Refusal::Told(Told::Failed(failure)) if of_mutating(&failure) => Told::Failed(failure),
            _ => Told::Unknown("what the mutating side fills in is not seen in a refusal".to_owned()),
        },
        Tried::Failed(why) => Told::Unknown(why.clone()),
    }
}

/// Who said no.
enum Refusal {
    /// A webhook of ours, with the rules that it names.
    Denied { webhook: String, rules: Vec<String> },
    /// Anything else.
    Told(Told),
}

fn refusal(status: &Status, entries: &[Entry]) -> Refusal {
    let text = status.message.as_str();
    // Who may not read the configurations still knows the names that the manifests give.
    let ours = |name: &str| {
        entries.iter().any(|entry| entry.name == name) || (entries.is_empty() && name.ends_with(OUR_NAMES))
    };
    let unknown = |text: String| Refusal::Told(Told::Unknown(text));
    if let Some((webhook, rest)) = named(text, "failed calling webhook \"") {
        if !ours(webhook) {
            return unknown(format!("another webhook is in the way: {text}"));
        }
        let words = rest.trim_start_matches([':', ' ']).to_owned();
        return Refusal::Told(Told::Failed(Failure {
            webhook: webhook.to_owned(),
            fault: fault(&words),
            words,
        }));
    }
    if let Some((webhook, _)) = named(text, "admission webhook \"") {
        if !ours(webhook) {
            return unknown(format!("another webhook is in the way: {text}"));
        }
        return Refusal::Denied {
            webhook: webhook.to_owned(),
            rules: rules(status),
        };
    }
    unknown(match status.code {
        401 => "the API server does not accept your credentials (401)".to_owned(),
        403 if text.contains("cannot create resource") => {
            "your account may not create cassandrabackups here, and a dry run asks for that right".to_owned()
        }
        _ => format!("the API server refuses the try before it asks: {text}"),
    })
}

/// The name after a prefix, and what follows it.
fn named<'a>(text: &'a str, prefix: &str) -> Option<(&'a str, &'a str)> {
    text.split_once(prefix)?.1.split_once('"')
}

/// The rules that a refusal of cassgate names: each cause ends with one in square brackets.
fn rules(status: &Status) -> Vec<String> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .filter_map(|cause| {
            let (_, rule) = cause.message.strip_suffix(']')?.rsplit_once('[')?;
            Some(rule.to_owned())
        })
        .collect()
}

fn fault(words: &str) -> Fault {
    WORDS
        .iter()
        .find(|(text, _)| words.contains(text))
        .map_or(Fault::Answer, |(_, fault)| *fault)
}

pub(super) fn certificate(path: &Path) -> State {
    if let Some(failure) = path.fault(&[Fault::Time, Fault::Name, Fault::Certificate]) {
        let saw = format!("the API server says: {}", failure.words);
        return State::broken(
            saw,
            match failure.fault {
                Fault::Time => {
                    "renew it: look at the issuer and the log of cassgate (mode files), or at the clocks of the nodes"
                }
                Fault::Name => {
                    "issue one for SERVICE.NAMESPACE.svc of the Service that the webhooks name, or for the host of their URL"
                }
                _ => "issue another certificate",
            },
        );
    }
    if path.proven().is_empty() {
        return State::Unknown("no call got as far as the certificate".to_owned());
    }
    State::Ok("the API server accepts what the server shows".to_owned())
}

pub(super) fn server(path: &Path, is_configured: bool) -> State {
    if path.unjudged && !is_configured {
        return State::Unknown("it was not asked; see the configuration".to_owned());
    }
    if let Some(failure) = path.failures().find(|failure| failure.fault == Fault::Silence) {
        return State::broken(
            format!("no answer: {}", failure.words),
            "see whether cassgate runs, and whether a NetworkPolicy or a firewall keeps the API server from its port",
        );
    }
    if let Some(failure) = path.failures().find(|failure| failure.fault == Fault::Answer) {
        return State::broken(
            format!("what answers is not cassgate as it should be: {}", failure.words),
            "look at the log of cassgate, and at what listens behind the Service or the URL",
        );
    }
    let mut seen = Vec::new();
    for told in [&path.validating, &path.mutating] {
        match told {
            Told::Wrong(saw) => {
                return State::broken(
                    saw.clone(),
                    "mend what the hops before say; else look at the log of cassgate and of the API server",
                );
            }
            Told::Failed(_) => return State::Unknown("no call got as far as the server".to_owned()),
            Told::Answered { saw, .. } => seen.push(saw.as_str()),
            Told::Unknown(_) => {}
        }
    }
    match &path.validating {
        Told::Unknown(why) => State::Unknown(why.clone()),
        _ => State::Ok(seen.join("; ")),
    }
}
