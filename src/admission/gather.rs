//! One request's facts: what its object names and meets, asked for at once and within the request's budget.

use tokio::time::{Instant, timeout_at};

use crate::domain::credentials::Credentials;
use crate::domain::object_name::is_object_name;
use crate::domain::storage::Provider;
use crate::rules::facts::{
    Around, Caller, Cluster, FactSource, Facts, Freshness, Namespace, Neighbours, Pending, Reference,
    StoredBackup, StoredRestore,
};
use crate::rules::subject::Subject;

/// Asks `source` for what one request may rest on.
#[derive(Clone, Copy)]
pub(super) struct Gather<'a> {
    /// Who knows.
    pub(super) source: &'a dyn FactSource,
    /// Where the object is.
    pub(super) namespace: &'a str,
    /// What has not come by then is unknown.
    pub(super) deadline: Instant,
}

/// What was asked about the objects that one object names.
pub(super) struct Asked<'a> {
    cluster: Option<Pending<'a, Cluster>>,
    backup: Option<Pending<'a, StoredBackup>>,
    secret: Option<Pending<'a, Credentials>>,
    namespace: Option<Pending<'a, Namespace>>,
}

impl<'a> Gather<'a> {
    /// Everything that `subject` names and meets.
    ///
    /// Names that no object can have are not looked up; the rules refuse them. A restore that names no Secret uses
    /// its backup's, so that one is asked for in a second round.
    pub(super) async fn facts(self, subject: &Subject, freshness: Freshness) -> Facts {
        match self.known(subject, freshness) {
            Ok(facts) => facts,
            Err(asked) => self.wait(asked, subject, freshness).await,
        }
    }

    /// The same where every answer is known already, else what was asked.
    ///
    /// # Errors
    /// When somebody has to be [waited for](Self::wait).
    pub(super) fn known<'s>(self, subject: &'s Subject, freshness: Freshness) -> Result<Facts, Box<Asked<'s>>>
    where
        'a: 's,
    {
        let facts = self.ask(subject, freshness).at_once()?;
        if inherits(subject, facts.found_backup()) {
            return Err(Box::new(Asked::from(facts)));
        }
        Ok(self.with_neighbours(subject, facts))
    }

    /// The facts out of what was asked.
    pub(super) async fn wait(self, asked: Box<Asked<'_>>, subject: &Subject, freshness: Freshness) -> Facts {
        let (cluster, backup, secret, namespace) = tokio::join!(
            self.perhaps_in_time(asked.cluster),
            self.perhaps_in_time(asked.backup),
            self.perhaps_in_time(asked.secret),
            self.perhaps_in_time(asked.namespace),
        );
        let mut facts = Facts {
            cluster,
            backup,
            secret,
            namespace,
            neighbours: Neighbours::default(),
        };
        let backup = facts.found_backup();
        if inherits(subject, backup) {
            let inherited = self.secret(subject.secret(backup), freshness);
            facts.secret = self.perhaps_in_time(inherited).await;
        }
        self.with_neighbours(subject, facts)
    }

    fn ask<'s>(self, subject: &'s Subject, freshness: Freshness) -> Asked<'s>
    where
        'a: 's,
    {
        let own = subject.secret(None).filter(|_| needs_secret(subject));
        Asked {
            cluster: look_up(Some(subject.cluster()), |name| {
                self.source.cluster(self.namespace, name, freshness)
            }),
            backup: look_up(subject.backup(), |name| {
                self.source.backup(self.namespace, name, freshness)
            }),
            secret: self.secret(own, freshness),
            namespace: Some(self.source.namespace(self.namespace, freshness)),
        }
    }

    fn secret<'s>(self, name: Option<&'s str>, freshness: Freshness) -> Option<Pending<'s, Credentials>>
    where
        'a: 's,
    {
        look_up(name, |name| self.source.secret(self.namespace, name, freshness))
    }

    fn with_neighbours(self, subject: &Subject, facts: Facts) -> Facts {
        Facts {
            neighbours: self.neighbours(subject, facts.found_backup()),
            ..facts
        }
    }

    fn neighbours(self, subject: &Subject, backup: Option<&StoredBackup>) -> Neighbours {
        let name = &subject.meta().name;
        let around = match subject {
            Subject::Backup(own) => Around {
                backup: name,
                location: &own.spec.storage_location,
                tag: own.spec.snapshot_tag.as_deref().unwrap_or_default(),
                restore: false,
                ..self.around(name, subject.cluster())
            },
            Subject::Restore(own) => Around {
                backup: &own.spec.cassandra_backup,
                location: backup.map_or("", |backup| &backup.spec.storage_location),
                tag: backup
                    .and_then(|backup| backup.spec.snapshot_tag.as_deref())
                    .unwrap_or_default(),
                restore: true,
                ..self.around(name, subject.cluster())
            },
        };
        self.source.neighbours(around)
    }

    fn around<'n>(&'n self, name: &'n str, cluster: &'n str) -> Around<'n> {
        Around {
            namespace: self.namespace,
            name,
            restore: false,
            cluster,
            backup: name,
            location: "",
            tag: "",
        }
    }

    /// What stands around a backup that is known by its name alone.
    pub(super) fn neighbours_of_backup(self, name: &str) -> Neighbours {
        self.source.neighbours(self.around(name, ""))
    }

    /// The backup of this name; `None` when no backup can have it.
    pub(super) async fn backup(self, name: &str, freshness: Freshness) -> Option<Reference<StoredBackup>> {
        let asked = look_up(Some(name), |name| {
            self.source.backup(self.namespace, name, freshness)
        });
        self.perhaps_in_time(asked).await
    }

    /// The backup of this name in any namespace.
    pub(super) async fn backup_of(
        self,
        namespace: &str,
        name: &str,
        freshness: Freshness,
    ) -> Reference<StoredBackup> {
        self.in_time(self.source.backup(namespace, name, freshness)).await
    }

    /// The restore of this name, as it is now.
    pub(super) async fn restore(self, name: &str) -> Reference<StoredRestore> {
        self.in_time(self.source.restore(self.namespace, name)).await
    }

    /// The namespace itself.
    pub(super) async fn namespace_facts(self, freshness: Freshness) -> Reference<Namespace> {
        self.in_time(self.source.namespace(self.namespace, freshness))
            .await
    }

    /// Whether `caller` may read this Secret.
    pub(super) async fn may_read_secret(self, caller: &Caller, name: &str) -> Reference<bool> {
        self.in_time(self.source.may_read_secret(caller, self.namespace, name))
            .await
    }

    async fn perhaps_in_time<T>(self, answer: Option<Pending<'_, T>>) -> Option<Reference<T>> {
        Some(self.in_time(answer?).await)
    }

    async fn in_time<T>(self, answer: Pending<'_, T>) -> Reference<T> {
        timeout_at(self.deadline, answer).await.unwrap_or_else(|_| {
            Reference::Unknown("the API server did not answer within the time of this request".to_owned())
        })
    }
}

impl Asked<'_> {
    /// The answers, if all of them are known.
    fn at_once(self) -> Result<Facts, Box<Self>> {
        let cluster = self.cluster.map(Pending::at_once).transpose();
        let backup = self.backup.map(Pending::at_once).transpose();
        let secret = self.secret.map(Pending::at_once).transpose();
        let namespace = self.namespace.map(Pending::at_once).transpose();
        match (cluster, backup, secret, namespace) {
            (Ok(cluster), Ok(backup), Ok(secret), Ok(namespace)) => Ok(Facts {
                cluster,
                backup,
                secret,
                namespace,
                neighbours: Neighbours::default(),
            }),
            (cluster, backup, secret, namespace) => Err(Box::new(Self {
                cluster: again(cluster),
                backup: again(backup),
                secret: again(secret),
                namespace: again(namespace),
            })),
        }
    }
}

impl From<Facts> for Asked<'_> {
    fn from(facts: Facts) -> Self {
        Self {
            cluster: facts.cluster.map(Pending::known),
            backup: facts.backup.map(Pending::known),
            secret: facts.secret.map(Pending::known),
            namespace: facts.namespace.map(Pending::known),
        }
    }
}

/// To be waited for with the others.
fn again<T>(answer: Result<Option<Reference<T>>, Pending<'_, T>>) -> Option<Pending<'_, T>> {
    answer.map_or_else(Some, |known| known.map(Pending::known))
}

fn look_up<'n, T>(
    name: Option<&'n str>,
    ask: impl FnOnce(&'n str) -> Pending<'n, T>,
) -> Option<Pending<'n, T>> {
    name.filter(|name| is_object_name(name)).map(ask)
}

fn needs_secret(subject: &Subject) -> bool {
    subject.provider(None) != Some(Provider::File)
}

/// Whether the Secret is the one of the backup.
fn inherits(subject: &Subject, backup: Option<&StoredBackup>) -> bool {
    subject.secret(None).is_none() && subject.provider(backup) != Some(Provider::File)
}
