//! Plans the next actions from one observation of the Kubernetes cluster. Pure, so that tables and models can test it.

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

/// The longest time that a `caBundle` is given to reach every API server. They watch the configurations, so it takes
/// them moments.
const MAX_PROPAGATION_DELAY: SignedDuration = SignedDuration::from_secs(15);

/// The certificate of an authority and its validity.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Authority {
    /// The time at which it expires.
    pub not_after: Timestamp,
    /// The time at which it was generated.
    pub issued_at: Timestamp,
    /// The certificate.
    pub der: Arc<[u8]>,
}

/// The authorities in the Secret. `S` is an authority with its key; previous ones have no key any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorities<S> {
    /// The authority that signs.
    pub current: Option<S>,
    /// The authority that is being published and signs nothing yet.
    pub next: Option<S>,
    /// Authorities whose certificates may still be served.
    pub previous: Vec<Authority>,
}

/// The usability of the Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretState<S> {
    /// It cannot be read, does not exist, or belongs to another owner. It is left alone.
    Unavailable,
    /// It belongs to cassgate.
    Owned {
        /// The authorities that could be read.
        authorities: Authorities<S>,
        /// True if a part of it could not be read and is lost.
        damaged: bool,
    },
}

/// The authorities in the `caBundle` of each webhook of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bundles(pub Vec<BTreeSet<Authority>>);

/// The state of the Secret and of the webhook configurations at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation<S> {
    /// The Secret.
    pub secret: SecretState<S>,
    /// The bundles of the configurations that exist; `None` if one of them could not be read.
    pub configurations: Option<Vec<Bundles>>,
}

/// The certificate that this replica serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The authority that signed it.
    pub issuer: Authority,
    /// The time at which it was signed.
    pub issued_at: Timestamp,
    /// The time at which it expires; never later than its issuer.
    pub not_after: Timestamp,
}

/// The authorities that every `caBundle` contains, each with the time since which this replica has observed it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Published(BTreeMap<Authority, Timestamp>);

/// The lifetimes of an authority and its certificates, and the time that a `caBundle` takes to reach every API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The lifetime of an authority.
    pub authority_lifetime: SignedDuration,
    /// The lifetime of a certificate; at most a third of that of an authority.
    pub leaf_lifetime: SignedDuration,
    /// The time from the moment at which a `caBundle` is stored until every API server uses it; less than a third of
    /// the lifetime of a certificate.
    pub propagation_delay: SignedDuration,
}

/// One action of a plan. The actions of one plan are independent: each may fail alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Replaces the Secret, if it has not changed since the observation.
    UpdateSecret(SecretUpdate),
    /// Writes these authorities into the `caBundle` of every webhook of the configuration at this index, if it has not
    /// changed since the observation.
    Publish(usize, BTreeSet<Authority>),
    /// Signs a certificate with the current authority and serves it.
    Issue,
}

/// A change of the Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretUpdate {
    /// Adds a next authority.
    AddNext,
    /// Makes the next authority the current one.
    Promote,
    /// Removes previous authorities that have expired.
    RemoveExpired,
    /// Writes back the part that could be read.
    Repair,
}

/// Plans the actions after this observation, in the order in which they are to be done. Returns no action if the
/// Secret, the configurations and the certificate are as they should be.
///
/// # Guarantees
/// These hold whatever other replicas do between two actions. An authority signs only after every `caBundle` was
/// observed to contain it. A replica with a usable certificate switches to another authority only after it has observed
/// that for [`Timing::propagation_delay`]. No authority is removed from a `caBundle` before it has expired.
#[must_use]
pub fn plan<S: AsRef<Authority>>(
    observation: &Observation<S>,
    leaf: Option<&Leaf>,
    published: &Published,
    timing: &Timing,
    now: Timestamp,
) -> Vec<Action> {
    let mut actions = Vec::new();
    let leaf_is_usable = leaf.is_some_and(|leaf| leaf.is_usable(observation, now));
    if let SecretState::Owned { authorities, damaged } = &observation.secret {
        let update = secret_update(authorities, leaf_is_usable, published, timing, now)
            .or_else(|| damaged.then_some(SecretUpdate::Repair));
        actions.extend(update.map(Action::UpdateSecret));
    }
    actions.extend(publications(observation, leaf, now));
    if let SecretState::Owned { authorities, .. } = &observation.secret
        && let Some(current) = authorities.current.as_ref().map(S::as_ref)
        && must_issue(current, leaf, leaf_is_usable, published, timing, now)
    {
        actions.push(Action::Issue);
    }
    actions
}

fn secret_update<S: AsRef<Authority>>(
    authorities: &Authorities<S>,
    leaf_is_usable: bool,
    published: &Published,
    timing: &Timing,
    now: Timestamp,
) -> Option<SecretUpdate> {
    let valid = |signer: &Option<S>| {
        let authority = signer.as_ref().map(S::as_ref);
        authority.filter(|authority| now < authority.not_after).cloned()
    };
    let current = valid(&authorities.current);
    let Some(next) = valid(&authorities.next) else {
        let is_due =
            current.is_none_or(|current| now >= two_thirds_between(current.issued_at, current.not_after));
        return if is_due {
            Some(SecretUpdate::AddNext)
        } else {
            removal_of_expired(authorities, now)
        };
    };
    // Without a current authority and without a usable certificate, no client loses anything by a switch.
    let may_switch_at_once = current.is_none() && !leaf_is_usable;
    if published.contains(&next) && (may_switch_at_once || published.is_propagated(&next, timing, now)) {
        return Some(SecretUpdate::Promote);
    }
    removal_of_expired(authorities, now)
}

fn removal_of_expired<S>(authorities: &Authorities<S>, now: Timestamp) -> Option<SecretUpdate> {
    let any_expired = authorities
        .previous
        .iter()
        .any(|authority| now >= authority.not_after);
    any_expired.then_some(SecretUpdate::RemoveExpired)
}

fn publications<S: AsRef<Authority>>(
    observation: &Observation<S>,
    leaf: Option<&Leaf>,
    now: Timestamp,
) -> Vec<Action> {
    let configurations = observation.configurations.as_deref().unwrap_or_default();
    let mut own: BTreeSet<Authority> = leaf.iter().map(|leaf| leaf.issuer.clone()).collect();
    if let SecretState::Owned { authorities, .. } = &observation.secret {
        own.extend(authorities.all().cloned());
    }
    let publication = |(index, bundles): (usize, &Bundles)| {
        let mut wanted = own.clone();
        // Authorities of others stay: a replica in another TLS mode may still serve a certificate of theirs.
        wanted.extend(bundles.0.iter().flatten().cloned());
        wanted.retain(|authority| now < authority.not_after);
        let differs = bundles.0.iter().any(|bundle| *bundle != wanted);
        (differs && !wanted.is_empty()).then_some(Action::Publish(index, wanted))
    };
    configurations
        .iter()
        .enumerate()
        .filter_map(publication)
        .collect()
}

fn must_issue(
    current: &Authority,
    leaf: Option<&Leaf>,
    leaf_is_usable: bool,
    published: &Published,
    timing: &Timing,
    now: Timestamp,
) -> bool {
    if now >= current.not_after {
        return false;
    }
    match leaf {
        // A renewal by the same authority: a client that trusts the old certificate trusts the new one.
        Some(leaf) if leaf.issuer == *current => {
            let is_due = now >= two_thirds_between(leaf.issued_at, leaf.not_after);
            is_due && timing.leaf_not_after(current, now) > leaf.not_after
        }
        Some(_) if leaf_is_usable => published.is_propagated(current, timing, now),
        _ => published.contains(current),
    }
}

/// Returns the authorities that every `caBundle` contains. The result is empty if there is no configuration: then no
/// API server calls the webhook.
#[must_use]
pub fn common_authorities(configurations: &[Bundles]) -> BTreeSet<Authority> {
    let mut bundles = configurations.iter().flat_map(|bundles| &bundles.0);
    let Some(first) = bundles.next() else {
        return BTreeSet::new();
    };
    bundles.fold(first.clone(), |common, bundle| &common & bundle)
}

/// Returns the moment at which two thirds of the time between `from` and `until` have passed.
fn two_thirds_between(from: Timestamp, until: Timestamp) -> Timestamp {
    saturating_add(from, until.duration_since(from) / 3 * 2)
}

/// Returns `time` plus `duration`, at most [`Timestamp::MAX`].
pub(in crate::tls) fn saturating_add(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.checked_add(duration).unwrap_or(Timestamp::MAX)
}

impl<S: AsRef<Authority>> Authorities<S> {
    /// Returns the current, the next and the previous authorities.
    pub fn all(&self) -> impl Iterator<Item = &Authority> {
        let signers = self.current.iter().chain(&self.next).map(S::as_ref);
        signers.chain(&self.previous)
    }

    /// Returns the authorities after `update`. `generate` makes a new authority.
    ///
    /// # Errors
    /// Returns the error of `generate`.
    pub fn updated<E>(
        mut self,
        update: SecretUpdate,
        now: Timestamp,
        generate: impl FnOnce() -> Result<S, E>,
    ) -> Result<Self, E> {
        match update {
            SecretUpdate::AddNext => self.next = Some(generate()?),
            SecretUpdate::Promote => {
                if let Some(next) = self.next.take() {
                    let former = self.current.replace(next);
                    self.previous
                        .extend(former.iter().map(|former| former.as_ref().clone()));
                }
            }
            SecretUpdate::RemoveExpired | SecretUpdate::Repair => {}
        }
        self.previous.retain(|authority| now < authority.not_after);
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
    /// Returns true if API servers accept the certificate: it has not expired, and every `caBundle` that could be read
    /// contains its issuer.
    fn is_usable<S>(&self, observation: &Observation<S>, now: Timestamp) -> bool {
        let is_trusted = observation
            .configurations
            .as_deref()
            .is_none_or(|configurations| {
                let mut bundles = configurations.iter().flat_map(|bundles| &bundles.0);
                bundles.all(|bundle| bundle.contains(&self.issuer))
            });
        now < self.not_after && is_trusted
    }
}

impl Published {
    /// Records the authorities that every `caBundle` contains at `now`. An authority that one of them lacks loses its
    /// time.
    pub fn record(&mut self, authorities: &BTreeSet<Authority>, now: Timestamp) {
        self.0.retain(|authority, _| authorities.contains(authority));
        for authority in authorities {
            let since = self.0.entry(authority.clone()).or_insert(now);
            // The clock may have been set back.
            *since = now.min(*since);
        }
    }

    /// Returns true if every `caBundle` contained `authority` at the last observation.
    #[must_use]
    pub fn contains(&self, authority: &Authority) -> bool {
        self.0.contains_key(authority)
    }

    /// Returns true if every `caBundle` has contained `authority` for the propagation delay.
    fn is_propagated(&self, authority: &Authority, timing: &Timing, now: Timestamp) -> bool {
        self.0
            .get(authority)
            .is_some_and(|since| now.duration_since(*since) >= timing.propagation_delay)
    }
}

impl Timing {
    /// Returns the timing for these lifetimes. Short-lived certificates shorten the propagation delay.
    #[must_use]
    pub fn new(authority_lifetime: SignedDuration, leaf_lifetime: SignedDuration) -> Self {
        Self {
            authority_lifetime,
            leaf_lifetime,
            propagation_delay: MAX_PROPAGATION_DELAY.min(leaf_lifetime / 6),
        }
    }

    /// Returns the expiry of a certificate that `issuer` signs now.
    #[must_use]
    pub fn leaf_not_after(&self, issuer: &Authority, now: Timestamp) -> Timestamp {
        saturating_add(now, self.leaf_lifetime).min(issuer.not_after)
    }
}

impl AsRef<Self> for Authority {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Authority({} to {})", self.issued_at, self.not_after)
    }
}
