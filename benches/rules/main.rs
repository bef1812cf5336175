//! Measures the cost of all rules in process: a typical object, parsed from JSON and judged.
//!
//! `make bench`, or `cargo bench --bench rules`. It prints figures without a verdict: a slow machine is not a
//! failure.

#[path = "../review/report.rs"]
mod report;

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use cassgate::api::{CassandraBackup, CassandraBackupSpec, CassandraCluster, CassandraRestoreSpec};
use cassgate::domain::credentials::Credentials;
use cassgate::rules::facts::{Cluster, Facts, Namespace, Reference, StoredBackup};
use cassgate::rules::judge;
use cassgate::rules::policy::Context;
use cassgate::rules::subject::{Backup, Metadata, Restore, Subject};
use serde_json::json;

use report::{Table, median};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Calls per round, and rounds.
const CALLS: u32 = 5_000;
const ROUNDS: u32 = 25;

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<()> {
    let backup = json!({
        "bandwidth": "10M", "cassandraCluster": "c1", "concurrentConnections": 10, "datacenter": "dc1",
        "entities": "k1.t1,k1.t2,k2.t3", "schedule": "30 2 * * 1-5", "secret": "s3", "snapshotTag": "nightly",
        "storageLocation": "s3://cassandra-backups",
    });
    let restore = json!({
        "cassandraBackup": "nightly", "cassandraCluster": "c1", "entities": "k1.t1,k2.t3", "secret": "s3",
        "concurrentConnection": 10, "cassandraDirectory": "/var/lib/cassandra", "rename": {"k1.t1": "k1.old"},
    });
    let facts = facts(&backup)?;
    let (backup, restore) = (backup.to_string(), restore.to_string());
    let context = Context {
        creating: true,
        ..Context::default()
    };
    let read_backup = || -> Result<Subject> {
        let spec: CassandraBackupSpec = serde_json::from_str(black_box(&backup))?;
        Ok(Subject::Backup(Box::new(Backup::new(Metadata::default(), spec))))
    };
    let read_restore = || -> Result<Subject> {
        let spec: CassandraRestoreSpec = serde_json::from_str(black_box(&restore))?;
        Ok(Subject::Restore(Box::new(Restore::new(
            Metadata::default(),
            spec,
        ))))
    };
    let mut table = Table::new(["", "rules alone, µs", "read and judged, µs"]);
    for (name, read) in [
        ("a scheduled backup", &read_backup as &dyn Fn() -> Result<Subject>),
        ("a restore with a renaming", &read_restore),
    ] {
        let subject = read()?;
        let found = judge(&subject, &facts, &context);
        if !found.is_empty() {
            return Err(format!("{name} is not good: {found:?}").into());
        }
        let alone = microseconds(|| judge(black_box(&subject), black_box(&facts), &context));
        let whole = microseconds(|| read().map(|subject| judge(&subject, black_box(&facts), &context)));
        table.row([name.to_owned(), format!("{alone:.2}"), format!("{whole:.2}")]);
    }
    table.print();
    println!("goal: all rules on a typical backup at most 20 µs");
    Ok(())
}

fn facts(backup: &serde_json::Value) -> Result<Facts> {
    let cluster: CassandraCluster = serde_json::from_value(json!({
        "metadata": {"name": "c1"},
        "spec": {"topology": {"dc": [{"name": "dc1"}, {"name": "dc2"}]}},
    }))?;
    let mut stored = backup.clone();
    if let Some(spec) = stored.as_object_mut() {
        spec.remove("datacenter");
    }
    let stored: CassandraBackup = serde_json::from_value(json!({
        "apiVersion": "db.orange.com/v2", "kind": "CassandraBackup", "metadata": {"name": "nightly"},
        "spec": stored, "status": {"condition": {"type": "COMPLETED"}},
    }))?;
    let keys =
        ["awsaccesskeyid", "awssecretaccesskey", "awsregion"].map(|key| (key, b"eu-west-1".as_slice()));
    Ok(Facts {
        cluster: Some(Reference::Found(Cluster::from(&cluster))),
        backup: Some(Reference::Found(StoredBackup::from(&stored))),
        secret: Some(Reference::Found(Credentials::read(keys))),
        namespace: Some(Reference::Found(Namespace::default())),
        ..Facts::default()
    })
}

/// Returns the median time of one call.
fn microseconds<T>(mut call: impl FnMut() -> T) -> f64 {
    median((0..ROUNDS).map(|_| {
        let begun = Instant::now();
        for _ in 0..CALLS {
            black_box(call());
        }
        begun.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS)
    }))
}
