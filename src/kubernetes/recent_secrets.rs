//! Secrets that were read within the last seconds.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::domain::credentials::{Credentials, Key};
use crate::rules::facts::Reference;

/// The time for which a Secret is remembered: one `kubectl apply -f` of a folder whose backups share it.
const LIFETIME: Duration = Duration::from_secs(5);

/// The maximum number of Secrets. A thousand in five seconds is more than any namespace has; beyond it every Secret is
/// read.
const CAPACITY: usize = 1024;

/// The Secrets that were read within [`LIFETIME`]: their key names and the defects of their values, never the values.
///
/// A Secret without any known key is not remembered, because its author is about to correct it.
#[derive(Debug, Default)]
pub(super) struct RecentSecrets(Mutex<HashMap<String, Entry>>);

#[derive(Debug)]
struct Entry {
    credentials: Credentials,
    until: Instant,
}

impl RecentSecrets {
    /// Returns the credentials of the Secret if they were read within [`LIFETIME`].
    pub(super) fn get(&self, namespace: &str, name: &str, now: Instant) -> Option<Credentials> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries
            .get(&key(namespace, name))
            .filter(|entry| now < entry.until)?;
        Some(entry.credentials.clone())
    }

    /// Records the result of a read that began at `begun`.
    ///
    /// The lifetime starts when the read began: the Secret may have changed after that.
    pub(super) fn record(&self, namespace: &str, name: &str, read: &Reference<Credentials>, begun: Instant) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key(namespace, name);
        match read {
            Reference::Found(credentials) if Key::ALL.iter().any(|key| credentials.has(*key)) => {
                if entries.len() >= CAPACITY {
                    entries.retain(|_, entry| begun < entry.until);
                }
                if entries.len() < CAPACITY || entries.contains_key(&key) {
                    entries.insert(
                        key,
                        Entry {
                            credentials: credentials.clone(),
                            until: begun + LIFETIME,
                        },
                    );
                }
            }
            Reference::Found(_) | Reference::Absent => {
                entries.remove(&key);
            }
            // A failed read says nothing about the Secret.
            Reference::Unknown(_) => {}
        }
    }
}

/// Returns the key of a Secret. Namespaces and names contain no slash.
fn key(namespace: &str, name: &str) -> String {
    [namespace, "/", name].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Reference<Credentials> {
        Reference::Found(Credentials::read([("awsaccesskeyid", b"AKIA".as_slice())]))
    }

    fn after(start: Instant, milliseconds: u64) -> Instant {
        start + Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_secret_is_remembered_for_five_seconds() {
        let (recent, start) = (RecentSecrets::default(), Instant::now());
        recent.record("prod", "s3", &good(), start);
        assert_eq!(
            recent
                .get("prod", "s3", after(start, 4_999))
                .map(Reference::Found),
            Some(good())
        );
        assert_eq!(recent.get("prod", "s3", after(start, 5_000)), None);
        assert_eq!(recent.get("test", "s3", start), None);
    }

    #[test]
    fn an_absent_secret_and_one_without_keys_are_forgotten() {
        let start = Instant::now();
        for gone in [Reference::Absent, Reference::Found(Credentials::default())] {
            let recent = RecentSecrets::default();
            recent.record("prod", "s3", &good(), start);
            recent.record("prod", "s3", &gone, start);
            assert_eq!(recent.get("prod", "s3", start), None, "{gone:?}");
        }
    }

    #[test]
    fn a_failed_read_changes_nothing() {
        let (recent, start) = (RecentSecrets::default(), Instant::now());
        recent.record("prod", "s3", &Reference::Unknown("500".to_owned()), start);
        assert_eq!(recent.get("prod", "s3", start), None);
        recent.record("prod", "s3", &good(), start);
        recent.record("prod", "s3", &Reference::Unknown("500".to_owned()), start);
        assert!(recent.get("prod", "s3", start).is_some());
    }

    #[test]
    fn the_number_of_secrets_is_bounded_and_expired_ones_are_dropped() {
        let (recent, start) = (RecentSecrets::default(), Instant::now());
        for number in 0..=CAPACITY {
            recent.record("prod", &number.to_string(), &good(), start);
        }
        assert_eq!(recent.0.lock().unwrap().len(), CAPACITY);
        assert_eq!(recent.get("prod", &CAPACITY.to_string(), start), None);
        recent.record("prod", "new", &good(), after(start, 5_000));
        assert_eq!(recent.0.lock().unwrap().len(), 1);
        assert!(recent.get("prod", "new", after(start, 5_000)).is_some());
    }
}
