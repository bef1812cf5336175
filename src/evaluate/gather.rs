//! Reads the facts of one object: everything that it references and its neighbours.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::{Instant, timeout_at};

use crate::domain::credentials::Credentials;
use crate::domain::object_name::is_object_name;
use crate::domain::storage::Provider;
use crate::rules::facts::{
    Caller, Cluster, FactSource, Facts, Freshness, NO_TURN, Namespace, NeighbourQuery, Neighbours, Pending,
    PodQuery, Reference, StoredBackup, StoredRestore,
};
use crate::rules::subject::Subject;

/// Reads facts about the objects of one namespace from a source.
#[derive(Clone, Copy)]
pub struct Gatherer<'a> {
    /// The source of the facts.
    pub source: &'a dyn FactSource,
    /// The namespace of the object.
    pub namespace: &'a str,
    /// The time after which a missing answer is `Unknown`; `None` waits for every answer and needs no timer.
    pub deadline: Option<Instant>,
    /// True if the pods of a cluster with labels are looked up: CassKop selects them by these labels.
    pub looks_up_pods: bool,
    /// Becomes true if an answer is missing only because cassgate limits its own reads.
    pub had_no_turn: Option<&'a AtomicBool>,
}

/// The answers for the references of one object, some of them still pending.
pub(super) struct PendingFacts<'a> {
    cluster: Option<Pending<'a, Cluster>>,
    backup: Option<Pending<'a, StoredBackup>>,
    namespace: Option<Pending<'a, Namespace>>,
    secret: Option<Pending<'a, Credentials>>,
}

impl<'a> Gatherer<'a> {
    /// Returns the facts of `subject`.
    ///
    /// A name that is no valid object name is not looked up; the rules reject it. A restore without a Secret uses the
    /// Secret of its backup, which needs a second round.
    pub async fn facts(self, subject: &Subject, freshness: Freshness) -> Facts {
        match self.facts_at_once(subject, freshness) {
            Ok(facts) => facts,
            Err(pending) => self.wait(pending, subject, freshness).await,
        }
    }

    /// Returns the facts of `subject` if the source knows every answer without waiting.
    ///
    /// Most reviews are answered from caches. This path needs no timer and no allocation of a future.
    ///
    /// # Errors
    /// Returns the answers so far if one of them is pending; [`wait`](Self::wait) completes them.
    pub(super) fn facts_at_once<'s>(
        self,
        subject: &'s Subject,
        freshness: Freshness,
    ) -> Result<Facts, Box<PendingFacts<'s>>>
    where
        'a: 's,
    {
        let facts = self.ask(subject, freshness).at_once()?;
        if inherits_secret(subject, facts.found_backup()) || self.pod_query(subject, &facts).is_some() {
            return Err(Box::new(PendingFacts::from(facts)));
        }
        Ok(self.with_neighbours(subject, facts))
    }

    /// Waits for the pending answers and returns the facts.
    pub(super) async fn wait(
        self,
        pending: Box<PendingFacts<'_>>,
        subject: &Subject,
        freshness: Freshness,
    ) -> Facts {
        let (cluster, backup, secret, namespace) = tokio::join!(
            self.answer_of(pending.cluster),
            self.answer_of(pending.backup),
            self.answer_of(pending.secret),
            self.answer_of(pending.namespace),
        );
        let mut facts = Facts {
            cluster,
            backup,
            secret,
            namespace,
            ..Facts::default()
        };
        let backup = facts.found_backup();
        if inherits_secret(subject, backup) {
            let inherited = self.ask_secret(subject.secret(backup), freshness);
            facts.secret = self.answer_of(inherited).await;
        }
        if let Some(query) = self.pod_query(subject, &facts) {
            let labels = self.in_time(self.source.labels_without_pod(query)).await;
            facts.labels_without_pod = Some(labels);
        }
        self.with_neighbours(subject, facts)
    }

    fn ask<'s>(self, subject: &'s Subject, freshness: Freshness) -> PendingFacts<'s>
    where
        'a: 's,
    {
        let own_secret = subject.secret(None).filter(|_| needs_secret(subject));
        PendingFacts {
            cluster: ask_by_name(Some(subject.cluster()), |name| {
                self.source.cluster(self.namespace, name, freshness)
            }),
            backup: ask_by_name(subject.backup(), |name| {
                self.source.backup(self.namespace, name, freshness)
            }),
            namespace: Some(self.source.namespace(self.namespace, freshness)),
            secret: self.ask_secret(own_secret, freshness),
        }
    }

    /// Returns the query for the pods to which CassKop would send the object, if the cluster has labels of its own.
    ///
    /// CassKop selects the pods for a restore by the datacenter of its backup.
    fn pod_query<'s>(self, subject: &'s Subject, facts: &'s Facts) -> Option<PodQuery<'s>>
    where
        'a: 's,
    {
        let cluster = facts.found_cluster().filter(|_| self.looks_up_pods)?;
        let query = PodQuery {
            namespace: self.namespace,
            cluster: subject.cluster(),
            datacenter: subject.datacenter_of_pods(facts.found_backup()),
            labels: &cluster.labels,
        };
        query.own_labels().next().map(|_| query)
    }

    fn ask_secret<'s>(self, name: Option<&'s str>, freshness: Freshness) -> Option<Pending<'s, Credentials>>
    where
        'a: 's,
    {
        ask_by_name(name, |name| self.source.secret(self.namespace, name, freshness))
    }

    fn with_neighbours(self, subject: &Subject, facts: Facts) -> Facts {
        Facts {
            neighbours: self
                .source
                .neighbours(subject.neighbour_query(facts.found_backup())),
            ..facts
        }
    }

    /// Returns the neighbours of a backup of which only the name is known.
    pub(super) fn neighbours_of_backup(self, name: &str) -> Neighbours {
        self.source.neighbours(NeighbourQuery {
            namespace: self.namespace,
            name,
            restore: false,
            cluster: "",
            backup: name,
            location: "",
            tag: "",
        })
    }

    /// Returns the backup of this name; `None` if it is no valid object name.
    pub async fn backup(self, name: &str, freshness: Freshness) -> Option<Reference<StoredBackup>> {
        let answer = ask_by_name(Some(name), |name| {
            self.source.backup(self.namespace, name, freshness)
        });
        self.answer_of(answer).await
    }

    /// Returns the neighbour of this name, read live.
    pub(super) async fn neighbouring_backup(self, name: &str) -> Reference<StoredBackup> {
        self.in_time(self.source.backup(self.namespace, name, Freshness::Live))
            .await
    }

    /// Returns the restore of this name, read live.
    pub(super) async fn restore(self, name: &str) -> Reference<StoredRestore> {
        self.in_time(self.source.restore(self.namespace, name)).await
    }

    /// Returns the namespace itself.
    pub(super) async fn namespace(self, freshness: Freshness) -> Reference<Namespace> {
        self.in_time(self.source.namespace(self.namespace, freshness))
            .await
    }

    /// Returns `Found(true)` if `caller` may read this Secret.
    pub(super) async fn may_read_secret(self, caller: &Caller, name: &str) -> Reference<bool> {
        self.in_time(self.source.may_read_secret(caller, self.namespace, name))
            .await
    }

    async fn answer_of<T>(self, pending: Option<Pending<'_, T>>) -> Option<Reference<T>> {
        Some(self.in_time(pending?).await)
    }

    async fn in_time<T>(self, pending: Pending<'_, T>) -> Reference<T> {
        let Some(deadline) = self.deadline else {
            return pending.await;
        };
        let answer = timeout_at(deadline, pending).await.unwrap_or_else(|_| {
            let reason = if self.source.has_no_turn(self.namespace) {
                NO_TURN
            } else {
                "the API server did not answer within the time limit of this request"
            };
            Reference::Unknown(reason.to_owned())
        });
        if let (Reference::Unknown(reason), Some(had_no_turn)) = (&answer, self.had_no_turn)
            && reason == NO_TURN
        {
            had_no_turn.store(true, Ordering::Relaxed);
        }
        answer
    }
}

impl PendingFacts<'_> {
    /// Returns the facts if no answer is pending.
    fn at_once(self) -> Result<Facts, Box<Self>> {
        let cluster = self.cluster.map(Pending::at_once).transpose();
        let backup = self.backup.map(Pending::at_once).transpose();
        let namespace = self.namespace.map(Pending::at_once).transpose();
        let secret = self.secret.map(Pending::at_once).transpose();
        match (cluster, backup, namespace, secret) {
            (Ok(cluster), Ok(backup), Ok(namespace), Ok(secret)) => Ok(Facts {
                cluster,
                backup,
                secret,
                namespace,
                ..Facts::default()
            }),
            (cluster, backup, namespace, secret) => Err(Box::new(Self {
                cluster: still_pending(cluster),
                backup: still_pending(backup),
                namespace: still_pending(namespace),
                secret: still_pending(secret),
            })),
        }
    }
}

impl From<Facts> for PendingFacts<'_> {
    fn from(facts: Facts) -> Self {
        Self {
            cluster: facts.cluster.map(Pending::known),
            backup: facts.backup.map(Pending::known),
            namespace: facts.namespace.map(Pending::known),
            secret: facts.secret.map(Pending::known),
        }
    }
}

/// Turns an answer back into one that can be awaited with the others.
fn still_pending<T>(answer: Result<Option<Reference<T>>, Pending<'_, T>>) -> Option<Pending<'_, T>> {
    answer.map_or_else(Some, |known| known.map(Pending::known))
}

fn ask_by_name<'n, T>(
    name: Option<&'n str>,
    ask: impl FnOnce(&'n str) -> Pending<'n, T>,
) -> Option<Pending<'n, T>> {
    name.filter(|name| is_object_name(name)).map(ask)
}

fn needs_secret(subject: &Subject) -> bool {
    subject.provider(None) != Some(Provider::File)
}

/// Returns true if the object uses the Secret of its backup.
fn inherits_secret(subject: &Subject, backup: Option<&StoredBackup>) -> bool {
    subject.secret(None).is_none() && subject.provider(backup) != Some(Provider::File)
}
