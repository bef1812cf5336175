//! What to do next, from one look at the cluster. Pure, so that tables and models can test it.

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

/// The certificate of an authority, and the time in which it vouches.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Authority {
    /// When it expires.
    pub until: Timestamp,
    /// When it was made.
    pub issued: Timestamp,
    /// The certificate.
    pub der: Arc<[u8]>,
}

/// Whatever an authority's certificate stands in.
pub trait Vouches {
    /// The authority.
    fn authority(&self) -> &Authority;
}

/// The authorities of the Secret. `S` has the key; former ones have none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorities<S> {
    /// The one that signs.
    pub current: Option<S>,
    /// The one that is being made known, and signs nothing yet.
    pub next: Option<S>,
    /// Those whose certificates may still be served.
    pub previous: Vec<Authority>,
}

/// What the Secret is to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret<S> {
    /// It cannot be read, is not there, or belongs to somebody else. It is left alone.
    Closed,
    /// It is ours.
    Ours {
        /// What could be read of it.
        authorities: Authorities<S>,
        /// Whether something in it could not be read, and is lost.
        damaged: bool,
    },
}

/// What is in the `caBundle` of each webhook of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configuration(pub Vec<BTreeSet<Authority>>);

/// The cluster at one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look<S> {
    /// The Secret.
    pub secret: Secret<S>,
    /// The configurations that exist; nothing when one of them could not be read.
    pub configurations: Option<Vec<Configuration>>,
}

/// The certificate that this replica serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Who signed it.
    pub issuer: Authority,
    /// When it was signed.
    pub issued: Timestamp,
    /// When it expires; never later than its issuer.
    pub until: Timestamp,
}

/// Since when every `caBundle` has held an authority, as far as this replica saw.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen(BTreeMap<Authority, Timestamp>);

/// How long things last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// An authority.
    pub authority: SignedDuration,
    /// A certificate; at most a third of an authority.
    pub leaf: SignedDuration,
    /// From the moment at which a `caBundle` is stored until every API server goes by it; less than a third of a
    /// certificate.
    pub settle: SignedDuration,
}

/// The longest time that a `caBundle` is given to reach every API server. They watch the configurations, so it takes
/// them moments.
const MAX_SETTLE: SignedDuration = SignedDuration::from_secs(15);

/// One thing to do. The steps of one plan do not rest on each other: each may fail alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Replace the Secret, if it still is as it was seen.
    Write(Change),
    /// Make this the `caBundle` of every webhook of the configuration at this place, if it still is as it was seen.
    Publish(usize, BTreeSet<Authority>),
    /// Sign a certificate by the current authority, and serve it.
    Issue,
}

/// What becomes of the Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A next authority is made.
    Prepare,
    /// The next authority becomes the current one.
    Promote,
    /// Former authorities that have expired go.
    Forget,
    /// What could be read is written again.
    Mend,
}

/// What to do after this look; nothing when all is well. Steps are in the order in which they are to be done.
///
/// Guarantees, whatever other replicas do between two steps: an authority signs only after every `caBundle` was seen
/// to hold it; a replica whose certificate is good goes over to another authority only after it saw that for
/// [`Timing::settle`]; no authority leaves a `caBundle` before it has expired.
#[must_use]
pub fn plan<S: Vouches>(
    look: &Look<S>,
    leaf: Option<&Leaf>,
    seen: &Seen,
    timing: &Timing,
    now: Timestamp,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let leaf_is_good = leaf.is_some_and(|leaf| leaf.is_good(look, now));
    if let Secret::Ours { authorities, damaged } = &look.secret {
        let change = change(authorities, leaf_is_good, seen, timing, now);
        steps.extend(
            change
                .or_else(|| damaged.then_some(Change::Mend))
                .map(Step::Write),
        );
    }
    steps.extend(publications(look, leaf, now));
    if let Secret::Ours { authorities, .. } = &look.secret
        && let Some(current) = authorities.current.as_ref().map(Vouches::authority)
        && issues(current, leaf, leaf_is_good, seen, timing, now)
    {
        steps.push(Step::Issue);
    }
    steps
}

fn change<S: Vouches>(
    authorities: &Authorities<S>,
    leaf_is_good: bool,
    seen: &Seen,
    timing: &Timing,
    now: Timestamp,
) -> Option<Change> {
    let usable = |signer: &Option<S>| {
        let authority = signer.as_ref().map(Vouches::authority);
        authority.filter(|authority| now < authority.until).cloned()
    };
    let current = usable(&authorities.current);
    let Some(next) = usable(&authorities.next) else {
        let due = current.is_none_or(|current| now >= two_thirds(current.issued, current.until));
        return if due {
            Some(Change::Prepare)
        } else {
            forgets(authorities, now)
        };
    };
    // Nobody who signs now could be cut off: there is nothing to wait for.
    let nothing_to_lose = current.is_none() && !leaf_is_good;
    if seen.has(&next) && (nothing_to_lose || seen.is_settled(&next, timing, now)) {
        return Some(Change::Promote);
    }
    forgets(authorities, now)
}

fn forgets<S>(authorities: &Authorities<S>, now: Timestamp) -> Option<Change> {
    let expired = authorities
        .previous
        .iter()
        .any(|authority| now >= authority.until);
    expired.then_some(Change::Forget)
}

fn publications<S: Vouches>(look: &Look<S>, leaf: Option<&Leaf>, now: Timestamp) -> Vec<Step> {
    let configurations = look.configurations.as_deref().unwrap_or_default();
    let mut always: BTreeSet<Authority> = leaf.iter().map(|leaf| leaf.issuer.clone()).collect();
    if let Secret::Ours { authorities, .. } = &look.secret {
        always.extend(authorities.all().cloned());
    }
    let publication = |(place, configuration): (usize, &Configuration)| {
        let mut wanted = always.clone();
        // Also those that are not ours: a replica of another mode may still be served by them.
        wanted.extend(configuration.0.iter().flatten().cloned());
        wanted.retain(|authority| now < authority.until);
        let differs = configuration.0.iter().any(|entry| *entry != wanted);
        (differs && !wanted.is_empty()).then_some(Step::Publish(place, wanted))
    };
    configurations
        .iter()
        .enumerate()
        .filter_map(publication)
        .collect()
}

fn issues(
    current: &Authority,
    leaf: Option<&Leaf>,
    leaf_is_good: bool,
    seen: &Seen,
    timing: &Timing,
    now: Timestamp,
) -> bool {
    if now >= current.until {
        return false;
    }
    match leaf {
        // Whoever takes the old one takes the new one.
        Some(leaf) if leaf.issuer == *current => {
            now >= two_thirds(leaf.issued, leaf.until) && timing.end_of_leaf(current, now) > leaf.until
        }
        Some(_) if leaf_is_good => seen.is_settled(current, timing, now),
        _ => seen.has(current),
    }
}

/// The authorities that every `caBundle` holds; none without a configuration, since nobody calls then.
#[must_use]
pub fn published(configurations: &[Configuration]) -> BTreeSet<Authority> {
    let mut entries = configurations.iter().flat_map(|configuration| &configuration.0);
    let Some(first) = entries.next() else {
        return BTreeSet::new();
    };
    entries.fold(first.clone(), |common, entry| &common & entry)
}

/// The moment at which two thirds of a life are over.
fn two_thirds(from: Timestamp, until: Timestamp) -> Timestamp {
    later(from, until.duration_since(from) / 3 * 2)
}

/// `time` and `duration`, or the end of all time.
pub(in crate::tls) fn later(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.checked_add(duration).unwrap_or(Timestamp::MAX)
}

impl<S: Vouches> Authorities<S> {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Authority> {
        let signers = self.current.iter().chain(&self.next).map(Vouches::authority);
        signers.chain(&self.previous)
    }

    /// The authorities after a change. `fresh` makes a new one.
    ///
    /// # Errors
    /// Those of `fresh`.
    pub fn after<E>(
        mut self,
        change: Change,
        now: Timestamp,
        fresh: impl FnOnce() -> Result<S, E>,
    ) -> Result<Self, E> {
        match change {
            Change::Prepare => self.next = Some(fresh()?),
            Change::Promote => {
                if let Some(next) = self.next.take() {
                    let former = self.current.replace(next);
                    self.previous
                        .extend(former.iter().map(|former| former.authority().clone()));
                }
            }
            Change::Forget | Change::Mend => {}
        }
        self.previous.retain(|authority| now < authority.until);
        Ok(self)
    }
}

impl<S> Default for Authorities<S> {
    fn default() -> Self {
        Self {
            current: None,
            next: None,
            previous: Vec::new(),
        }
    }
}

impl Leaf {
    /// Whether API servers take it: its time is right, and no `caBundle` that could be read lacks its issuer.
    fn is_good<S>(&self, look: &Look<S>, now: Timestamp) -> bool {
        let vouched = look.configurations.as_deref().is_none_or(|configurations| {
            let mut entries = configurations.iter().flat_map(|configuration| &configuration.0);
            entries.all(|entry| entry.contains(&self.issuer))
        });
        now < self.until && vouched
    }
}

impl Seen {
    /// Notes what every `caBundle` holds at `now`. What is missing in one of them loses its time.
    pub fn note(&mut self, published: &BTreeSet<Authority>, now: Timestamp) {
        self.0.retain(|authority, _| published.contains(authority));
        for authority in published {
            let since = self.0.entry(authority.clone()).or_insert(now);
            // The clock may have been set back.
            *since = now.min(*since);
        }
    }

    /// Whether every `caBundle` held it at the last look.
    #[must_use]
    pub fn has(&self, authority: &Authority) -> bool {
        self.0.contains_key(authority)
    }

    fn is_settled(&self, authority: &Authority, timing: &Timing, now: Timestamp) -> bool {
        self.0
            .get(authority)
            .is_some_and(|since| now.duration_since(*since) >= timing.settle)
    }
}

impl Timing {
    /// Returns the timing for these lifetimes of an authority and of its certificates. Short-lived certificates shorten
    /// the time to settle.
    #[must_use]
    pub fn new(authority: SignedDuration, leaf: SignedDuration) -> Self {
        Self {
            authority,
            leaf,
            settle: MAX_SETTLE.min(leaf / 6),
        }
    }

    /// When a certificate ends that `issuer` signs now.
    #[must_use]
    pub fn end_of_leaf(&self, issuer: &Authority, now: Timestamp) -> Timestamp {
        later(now, self.leaf).min(issuer.until)
    }
}

impl Vouches for Authority {
    fn authority(&self) -> &Authority {
        self
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Authority({} to {})", self.issued, self.until)
    }
}
