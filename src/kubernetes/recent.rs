//! Answers of the API server of the last seconds.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::domain::credentials::{Credentials, Key};
use crate::rules::facts::{Caller, Reference};

/// The time for which an answer is remembered: one `kubectl apply -f` of a folder whose backups share a Secret.
const LIFETIME: Duration = Duration::from_secs(5);

/// The maximum number of answers. A thousand in five seconds is more than any namespace needs; beyond it every answer is
/// requested.
const CAPACITY: usize = 1024;

/// The maximum length of the `userInfo` of a right that is remembered, in bytes. It bounds the memory: the sender of a review
/// decides on its length.
const MAX_USER_INFO: usize = 4096;

/// The answers of the last [`LIFETIME`], by a key.
#[derive(Debug)]
struct Recent<T>(Mutex<HashMap<String, Entry<T>>>);

#[derive(Debug)]
struct Entry<T> {
    answer: T,
    until: Instant,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Recent<T> {
    fn get(&self, key: &str, now: Instant) -> Option<T> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(key).filter(|entry| now < entry.until)?;
        Some(entry.answer.clone())
    }

    /// Remembers the answer to a request that began at `begun`, from when its lifetime counts.
    fn insert(&self, key: String, answer: T, begun: Instant) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= CAPACITY {
            entries.retain(|_, entry| begun < entry.until);
        }
        if entries.len() < CAPACITY || entries.contains_key(&key) {
            let until = begun + LIFETIME;
            entries.insert(key, Entry { answer, until });
        }
    }

    fn remove(&self, key: &str) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.remove(key);
    }
}

/// The Secrets that were read recently: their key names and the defects of their values, never the values.
///
/// A Secret without any known key is not remembered, because its author is about to correct it.
#[derive(Debug, Default)]
pub(super) struct RecentSecrets(Recent<Credentials>);

impl RecentSecrets {
    /// Returns the credentials of the Secret if they were read recently.
    pub(super) fn get(&self, namespace: &str, name: &str, now: Instant) -> Option<Credentials> {
        self.0.get(&key(namespace, name), now)
    }

    /// Records the result of a read that began at `begun`. A failed read says nothing about the Secret.
    pub(super) fn record(&self, namespace: &str, name: &str, read: &Reference<Credentials>, begun: Instant) {
        let key = key(namespace, name);
        match read {
            Reference::Found(credentials) if Key::ALL.iter().any(|key| credentials.has(*key)) => {
                self.0.insert(key, credentials.clone(), begun);
            }
            Reference::Found(_) | Reference::Absent => self.0.remove(&key),
            Reference::Unknown(_) => {}
        }
    }
}

/// The rights to read a Secret that were asked recently. A right that is withdrawn still counts for [`LIFETIME`].
#[derive(Debug, Default)]
pub(super) struct RecentRights(Recent<bool>);

impl RecentRights {
    /// Returns the right of a user to read the Secret if it was asked recently.
    pub(super) fn get(&self, caller: &Caller, namespace: &str, name: &str, now: Instant) -> Option<bool> {
        self.0.get(&right(caller, namespace, name), now)
    }

    /// Records the answer to a request that began at `begun`.
    pub(super) fn record(
        &self,
        caller: &Caller,
        namespace: &str,
        name: &str,
        answer: &Reference<bool>,
        begun: Instant,
    ) {
        if let Reference::Found(allowed) = answer
            && caller.user_info.len() <= MAX_USER_INFO
        {
            self.0.insert(right(caller, namespace, name), *allowed, begun);
        }
    }
}

/// Returns the key of a Secret. Namespaces and names contain no slash.
fn key(namespace: &str, name: &str) -> String {
    [namespace, "/", name].concat()
}

/// Returns the key of a right: all that the API server says of the user.
fn right(caller: &Caller, namespace: &str, name: &str) -> String {
    [namespace, "/", name, "/", &caller.user_info].concat()
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
        assert_eq!(recent.0.0.lock().unwrap().len(), CAPACITY);
        assert_eq!(recent.get("prod", &CAPACITY.to_string(), start), None);
        recent.record("prod", "new", &good(), after(start, 5_000));
        assert_eq!(recent.0.0.lock().unwrap().len(), 1);
        assert!(recent.get("prod", "new", after(start, 5_000)).is_some());
    }

    #[test]
    fn a_right_is_that_of_one_user_with_the_same_groups_and_of_one_secret() {
        let (recent, start) = (RecentRights::default(), Instant::now());
        let caller = |user_info: &str| Caller {
            user_info: user_info.to_owned(),
        };
        let jane = caller(r#"{"username": "jane", "groups": ["a"]}"#);
        recent.record(&jane, "prod", "s3", &Reference::Found(true), start);
        recent.record(&jane, "prod", "gcp", &Reference::Unknown("500".to_owned()), start);
        let allowed = |caller: &Caller, name: &str, now| recent.get(caller, "prod", name, now);
        assert_eq!(allowed(&jane, "s3", after(start, 4_999)), Some(true));
        assert_eq!(allowed(&jane, "s3", after(start, 5_000)), None);
        assert_eq!(allowed(&jane, "gcp", start), None);
        assert_eq!(recent.get(&jane, "test", "s3", start), None);
        for other in [
            r#"{"username": "jane"}"#,
            r#"{"username": "jane", "groups": ["a"], "uid": "7"}"#,
            "",
        ] {
            assert_eq!(allowed(&caller(other), "s3", start), None, "{other}");
        }
        let long = caller(&" ".repeat(MAX_USER_INFO + 1));
        recent.record(&long, "prod", "s3", &Reference::Found(true), start);
        assert_eq!(allowed(&long, "s3", start), None);
    }
}
