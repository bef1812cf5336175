//! Secrets that were seen a moment ago.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::domain::credentials::{Credentials, Key};
use crate::rules::facts::Reference;

/// How long a Secret is remembered: through one `kubectl apply -f` of a folder whose backups share it.
const MEMORY: Duration = Duration::from_secs(5);

/// How many are remembered at the same time. A thousand in five seconds is more than any namespace has; beyond it
/// Secrets are read each time.
const CAPACITY: usize = 1024;

/// What was found of the Secrets that were read within [`MEMORY`]: which keys they have and what is wrong with their
/// values. A Secret without a key that matters is not remembered: its author is about to put that right.
#[derive(Debug, Default)]
pub(super) struct RecentSecrets(Mutex<HashMap<String, Seen>>);

#[derive(Debug)]
struct Seen {
    credentials: Credentials,
    until: Instant,
}

impl RecentSecrets {
    /// What was found of the Secret, if that was just now.
    pub(super) fn recall(&self, namespace: &str, name: &str, now: Instant) -> Option<Credentials> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.get(&key(namespace, name)).filter(|seen| now < seen.until)?;
        Some(seen.credentials.clone())
    }

    /// What a read of the Secret said. It counts from when the read began: the Secret was so then, not later.
    pub(super) fn note(&self, namespace: &str, name: &str, read: &Reference<Credentials>, begun: Instant) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key(namespace, name);
        match read {
            Reference::Found(credentials) if Key::ALL.iter().any(|key| credentials.has(*key)) => {
                if seen.len() >= CAPACITY {
                    seen.retain(|_, seen| begun < seen.until);
                }
                if seen.len() < CAPACITY || seen.contains_key(&key) {
                    seen.insert(
                        key,
                        Seen {
                            credentials: credentials.clone(),
                            until: begun + MEMORY,
                        },
                    );
                }
            }
            Reference::Found(_) | Reference::Absent => {
                seen.remove(&key);
            }
            // It says nothing about the Secret.
            Reference::Unknown(_) => {}
        }
    }
}

/// No namespace and no name has a slash.
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
    fn a_secret_is_remembered_for_five_seconds_and_not_longer() {
        let (recent, start) = (RecentSecrets::default(), Instant::now());
        recent.note("prod", "s3", &good(), start);
        assert_eq!(
            recent
                .recall("prod", "s3", after(start, 4_999))
                .map(Reference::Found),
            Some(good())
        );
        assert_eq!(recent.recall("prod", "s3", after(start, 5_000)), None);
        assert_eq!(recent.recall("test", "s3", start), None);
    }

    #[test]
    fn what_is_not_there_or_has_no_key_is_forgotten() {
        let start = Instant::now();
        for gone in [Reference::Absent, Reference::Found(Credentials::default())] {
            let recent = RecentSecrets::default();
            recent.note("prod", "s3", &good(), start);
            recent.note("prod", "s3", &gone, start);
            assert_eq!(recent.recall("prod", "s3", start), None, "{gone:?}");
        }
    }

    #[test]
    fn a_read_that_failed_changes_nothing() {
        let (recent, start) = (RecentSecrets::default(), Instant::now());
        recent.note("prod", "s3", &Reference::Unknown("500".to_owned()), start);
        assert_eq!(recent.recall("prod", "s3", start), None);
        recent.note("prod", "s3", &good(), start);
        recent.note("prod", "s3", &Reference::Unknown("500".to_owned()), start);
        assert!(recent.recall("prod", "s3", start).is_some());
    }

    #[test]
    fn the_memory_is_bounded_and_old_ones_make_room() {
        let (recent, start) = (RecentSecrets::default(), Instant::now());
        for number in 0..=CAPACITY {
            recent.note("prod", &number.to_string(), &good(), start);
        }
        assert_eq!(recent.0.lock().unwrap().len(), CAPACITY);
        assert_eq!(recent.recall("prod", &CAPACITY.to_string(), start), None);
        recent.note("prod", "new", &good(), after(start, 5_000));
        assert_eq!(recent.0.lock().unwrap().len(), 1);
        assert!(recent.recall("prod", "new", after(start, 5_000)).is_some());
    }
}
