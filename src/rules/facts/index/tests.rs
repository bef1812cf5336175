use std::sync::Arc;

use crate::api::CassandraBackupSpec;
use crate::rules::facts::{MAX_NEIGHBOURS, NeighbourQuery, Run, StoredBackup, StoredRestore};

use super::{BackupIndex, NeighbourIndex, RestoreIndex, users};

fn query<'a>(name: &'a str, tag: &'a str) -> NeighbourQuery<'a> {
    NeighbourQuery {
        namespace: "prod",
        name,
        restore: false,
        cluster: "c1",
        backup: name,
        location: "s3://b",
        tag,
    }
}

fn backup(name: &str, tag: &str, state: Option<&str>, schedule: Option<&str>) -> Arc<StoredBackup> {
    Arc::new(StoredBackup {
        name: name.to_owned(),
        spec: CassandraBackupSpec {
            cassandra_cluster: "c1".into(),
            storage_location: "s3://b/".into(),
            snapshot_tag: Some(tag.into()),
            schedule: schedule.map(Into::into),
            ..CassandraBackupSpec::default()
        },
        run: state.map_or(Run::Never, |state| Run::State(state.into())),
        ..StoredBackup::default()
    })
}

fn restore(name: &str, state: Option<&str>, ended: i64) -> Arc<StoredRestore> {
    Arc::new(StoredRestore {
        name: name.to_owned(),
        cluster: "c1".into(),
        backup: "b1".into(),
        run: state.map_or(Run::Never, |state| Run::State(state.into())),
        ended: jiff::Timestamp::from_second(ended).ok(),
        ..StoredRestore::default()
    })
}

fn overlapping_backups(index: &BackupIndex, name: &str, tag: &str) -> Vec<String> {
    index
        .overlapping_backups(&query(name, tag))
        .iter()
        .map(|other| other.name.clone())
        .collect()
}

#[test]
fn overlapping_tags_of_the_namespace_are_found_in_both_directions_and_first_those_that_ran() {
    let mut index = BackupIndex::default();
    for (namespace, name, tag, state) in [
        ("prod", "shorter", "da", None),
        ("prod", "same", "daily", None),
        ("prod", "longer", "daily-eu", Some("COMPLETED")),
        ("test", "elsewhere", "daily2", None),
        ("prod", "other", "dairy", Some("COMPLETED")),
        ("prod", "itself", "daily", Some("RUNNING")),
    ] {
        index.insert(namespace, name, &backup(name, tag, state, None));
    }
    assert_eq!(
        overlapping_backups(&index, "itself", "daily"),
        ["longer", "same", "shorter"]
    );
    assert_eq!(overlapping_backups(&index, "new", ""), [""; 0]);
    let far = NeighbourQuery {
        location: "s3://other",
        ..query("new", "daily")
    };
    assert!(index.overlapping_backups(&far).is_empty());
}

#[test]
fn the_index_finds_the_same_tags_as_a_full_scan() {
    let mut random = fastrand::Rng::with_seed(6);
    let mut text = |letters: &[&str], most| -> String {
        let length = random.usize(1..=most);
        (0..length)
            .map(|_| letters[random.usize(..letters.len())])
            .collect()
    };
    for _ in 0..300 {
        let mut index = BackupIndex::default();
        let letters = ["a", "b", "\u{1}", "é"];
        let tags: Vec<String> = (0..8).map(|_| text(&letters, 4)).collect();
        for (number, tag) in tags.iter().enumerate() {
            let name = number.to_string();
            index.insert("prod", &name, &backup(&name, tag, None, None));
        }
        let asked = text(&letters, 5);
        let mut found = overlapping_backups(&index, "new", &asked);
        found.sort();
        let overlaps = |tag: &String| tag.starts_with(&asked) || asked.starts_with(tag.as_str());
        let expected: Vec<String> = (0..8)
            .filter(|number| overlaps(&tags[*number]))
            .map(|number| number.to_string())
            .collect();
        assert_eq!(found, expected, "{asked:?} among {tags:?}");
    }
}

#[test]
fn a_removed_object_is_not_found() {
    let mut index = BackupIndex::default();
    let object = backup("b1", "daily", Some("RUNNING"), Some("@daily"));
    index.insert("test", "b1", &object);
    let here = NeighbourQuery {
        namespace: "test",
        ..query("b2", "daily")
    };
    assert_eq!(index.running(&here).len(), 1);
    assert_eq!(index.overlapping_backups(&here).len(), 1);
    index.remove("test", "b1", &object);
    assert!(index.overlapping_backups(&here).is_empty() && index.running(&here).is_empty());
}

#[test]
fn an_answer_from_ten_thousand_objects_is_bounded() {
    let mut index = BackupIndex::default();
    for number in 0..10_000 {
        let name = format!("b{number}");
        index.insert(
            "prod",
            &name,
            &backup(&name, "same", Some("RUNNING"), Some("@daily")),
        );
    }
    assert_eq!(
        overlapping_backups(&index, "new", "same").len(),
        2 * MAX_NEIGHBOURS
    );
    assert_eq!(index.running(&query("new", "")).len(), MAX_NEIGHBOURS);
}

#[test]
fn running_restores_come_first_and_then_the_youngest() {
    let created = |name: &str, state: Option<&str>, seconds: Option<i64>| {
        Arc::new(StoredRestore {
            created: seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()),
            ..StoredRestore::clone(&restore(name, state, 0))
        })
    };
    let mut all: Vec<_> = (0..20)
        .map(|number| created(&format!("old{number:02}"), Some("REQUIRED"), Some(1_000)))
        .collect();
    all.push(created("pending", Some("PENDING"), Some(1)));
    all.push(created("running", Some("RUNNING"), Some(1)));
    all.push(created("young", None, Some(2_000)));
    let mut index = RestoreIndex::default();
    for restore in &all {
        index.insert("prod", &restore.name, restore);
    }
    let found = index.unfinished(&query("new", ""));
    let names: Vec<_> = found.iter().map(|restore| restore.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "pending", "running", "young", "old00", "old01", "old02", "old03", "old04"
        ]
    );
    for restore in &all {
        index.remove("prod", &restore.name, restore);
    }
    assert!(index.unfinished(&query("new", "")).is_empty());
}

#[test]
fn no_backup_of_another_namespace_is_found() {
    for states in [["COMPLETED", "COMPLETED"], ["COMPLETED", ""], ["", ""]] {
        let [theirs, own] = states.map(|state| (!state.is_empty()).then_some(state));
        let mut index = BackupIndex::default();
        for number in 0..100 {
            index.insert(&format!("a{number}"), "b1", &backup("b1", "daily", theirs, None));
        }
        for (name, tag) in [("longer", "daily2"), ("same", "daily"), ("shorter", "da")] {
            index.insert("prod", name, &backup(name, tag, own, None));
        }
        let found = overlapping_backups(&index, "new", "daily");
        assert_eq!(found, ["same", "longer", "shorter"]);
    }
}

#[test]
fn restores_are_found_by_cluster_by_backup_and_by_end() {
    let mut index = RestoreIndex::default();
    for (name, state, ended) in [
        ("waiting", None, 0),
        ("running", Some("RUNNING"), 0),
        ("good", Some("COMPLETED"), 2_000_000_000),
        ("bad", Some("FAILED"), 999_999_999),
    ] {
        index.insert("prod", name, &restore(name, state, ended));
    }
    let names = |restores: Vec<Arc<StoredRestore>>| -> Vec<String> {
        restores.iter().map(|restore| restore.name.clone()).collect()
    };
    let of_backup = query("b1", "");
    assert_eq!(names(index.unfinished(&of_backup)), ["running", "waiting"]);
    assert_eq!(names(users(&index.users, &of_backup)), ["running", "waiting"]);
    assert_eq!(names(users(&index.past_users, &of_backup)), ["bad", "good"]);
    assert_eq!(index.last(&of_backup).unwrap().name, "good");
    let itself = NeighbourQuery {
        restore: true,
        ..query("running", "")
    };
    assert_eq!(names(index.unfinished(&itself)), ["waiting"]);
    assert_eq!(names(users(&index.users, &itself)), [""; 0]);
    index.remove("prod", "good", &restore("good", Some("COMPLETED"), 2_000_000_000));
    assert_eq!(names(users(&index.past_users, &of_backup)), ["bad"]);
    assert_eq!(index.last(&of_backup).unwrap().name, "bad");
}
