//! One request's facts: what its object names and meets, asked for at once and within the request's budget.

use tokio::time::{Instant, timeout_at};

use crate::domain::object_name::is_object_name;
use crate::domain::storage::Provider;
use crate::rules::facts::{
    Around, Caller, FactSource, Facts, Freshness, Namespace, Neighbours, Pending, Reference, StoredBackup,
    StoredRestore,
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

impl Gather<'_> {
    /// Everything that `subject` names and meets.
    ///
    /// Names that no object can have are not looked up; the rules refuse them. A restore that names no Secret uses
    /// its backup's, so that one is asked for in a second round.
    pub(super) async fn facts(self, subject: &Subject, freshness: Freshness) -> Facts {
        let own = subject.secret(None);
        let secret = |name| self.source.secret(self.namespace, name, freshness);
        let (cluster, backup, own_secret, namespace) = tokio::join!(
            self.look_up(Some(subject.cluster()), |name| self.source.cluster(
                self.namespace,
                name,
                freshness
            )),
            async { self.backup(subject.backup()?, freshness).await },
            self.look_up(own.filter(|_| needs_secret(subject)), secret),
            self.namespace_facts(freshness),
        );
        let mut facts = Facts {
            cluster,
            backup,
            secret: own_secret,
            namespace: Some(namespace),
            neighbours: Neighbours::default(),
        };
        if own.is_none() && subject.provider(facts.found_backup()) != Some(Provider::File) {
            let inherited = subject.secret(facts.found_backup());
            facts.secret = self.look_up(inherited, secret).await;
        }
        facts.neighbours = self.neighbours(subject, facts.found_backup());
        facts
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
        self.look_up(Some(name), |name| {
            self.source.backup(self.namespace, name, freshness)
        })
        .await
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

    async fn look_up<'n, T>(
        self,
        name: Option<&'n str>,
        ask: impl FnOnce(&'n str) -> Pending<'n, T>,
    ) -> Option<Reference<T>> {
        let answer = ask(name.filter(|name| is_object_name(name))?);
        Some(self.in_time(answer).await)
    }

    async fn in_time<T>(self, answer: Pending<'_, T>) -> Reference<T> {
        timeout_at(self.deadline, answer).await.unwrap_or_else(|_| {
            Reference::Unknown("the API server did not answer within the time of this request".to_owned())
        })
    }
}

fn needs_secret(subject: &Subject) -> bool {
    subject.provider(None) != Some(Provider::File)
}
