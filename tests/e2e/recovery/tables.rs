//! Tables that are not what they were at the backup, and what depends on a table.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::support::cql;
use crate::support::ring::RingSettings;

/// The schema: an index, a materialized view, a type, a counter, and two tables to drop.
const SCHEMA: [&str; 7] = [
    "create keyspace k3 with replication = {'class': 'NetworkTopologyStrategy', 'dc1': 1}",
    "create type k3.address (street text, town text)",
    "create table k3.people (id int primary key, home frozen<address>, town text)",
    "create index people_town on k3.people (town)",
    "create materialized view k3.by_town as select * from k3.people where town is not null and id is not null primary \
     key (town, id)",
    "create table k3.visits (id int primary key, n counter)",
    "create table k3.gone (id int primary key)",
];

/// The queries whose answers describe the content of the tables.
const CONTENT: [&str; 5] = [
    "select count(*) from k3.people",
    "select count(*) from k3.people where town = 't1'",
    "select count(*) from k3.by_town",
    "select count(*), sum(n) from k3.visits",
    "select home from k3.people where id = 7",
];

/// A lab with this schema on one node: tables are the same on every node.
struct Tables {
    lab: Lab,
}

impl Tables {
    fn new() -> Self {
        let lab = Lab::with(RingSettings {
            size: 1,
            ..RingSettings::default()
        });
        let tables = Self { lab };
        tables.run(&SCHEMA);
        tables.insert(0..100);
        tables
    }

    fn run<S: std::borrow::Borrow<str>>(&self, statements: &[S]) -> Vec<Vec<Value>> {
        cql::run(self.lab.ring.address(0), statements)
    }

    /// Inserts people with these ids, and counts as many visits.
    fn insert(&self, ids: std::ops::Range<u32>) {
        let statements = |id| {
            let town = format!("t{}", id % 5);
            [
                format!(
                    "insert into k3.people (id, home, town) values ({id}, {{street: 's', town: '{town}'}}, '{town}')"
                ),
                format!("update k3.visits set n = n + 1 where id = {id}"),
                format!("insert into k3.gone (id) values ({id})"),
            ]
        };
        self.run(&ids.flat_map(statements).collect::<Vec<_>>());
    }

    /// Asserts the number of people, those in one town, the rows of the view, and the visits.
    #[track_caller]
    fn hold(&self, people: u32, in_town: u32, in_view: u32, visits: u32) {
        let mut expected = vec![
            json!([[people]]),
            json!([[in_town]]),
            json!([[in_view]]),
            json!([[visits, visits]]),
        ];
        expected.push(if people == 0 {
            json!([])
        } else {
            json!([[["s", "t2"]]])
        });
        assert_eq!(json!(self.run(&CONTENT)), json!(expected));
    }

    /// Returns the folders of a table, live or dropped.
    fn folders(&mut self, table: &str) -> Vec<PathBuf> {
        let keyspace = self.lab.ring.node(0).path("/var/lib/cassandra/data/k3");
        let folders = fs::read_dir(keyspace).unwrap().map(|entry| entry.unwrap().path());
        let prefix = format!("{table}-");
        folders
            .filter(|folder| folder.file_name().unwrap().to_string_lossy().starts_with(&prefix))
            .collect()
    }

    fn remove_folders(&mut self, table: &str) {
        for folder in self.folders(table) {
            fs::remove_dir_all(folder).unwrap();
        }
    }
}

#[test]
fn a_dropped_table_stops_a_restore_with_its_name_and_the_copies_bring_the_rows_back() {
    let mut tables = Tables::new();
    tables.run(&["create table k3.old (id int primary key)", "drop table k3.old"]);
    tables.lab.backup("nightly", "  entities: k3\n");
    tables.lab.is("cassandrabackup", "nightly", "COMPLETED");
    tables.insert(100..150);

    // The dropped table keeps its folder, in which the sidecar sees a table. It goes on when the table is there.
    tables.lab.restore("made-again", "nightly", "");
    let message = tables
        .lab
        .says("cassandrarestore", "made-again", "Stalled", "TablesNotTruncated");
    assert!(message.contains("k3.old"), "{message}");
    tables.run(&["create table k3.old (id int primary key)"]);
    tables.lab.is("cassandrarestore", "made-again", "COMPLETED");
    tables.hold(100, 20, 100, 100);

    // Or when the folder is removed.
    tables.run(&["drop table k3.old"]);
    tables.insert(100..150);
    tables.lab.restore("removed", "nightly", "");
    tables
        .lab
        .says("cassandrarestore", "removed", "Stalled", "TablesNotTruncated");
    tables.remove_folders("old");
    tables.lab.is("cassandrarestore", "removed", "COMPLETED");
    tables.hold(100, 20, 100, 100);

    // The way back: the restore is abandoned when tables are empty, and nodetool loads Cassandra's copies.
    tables.run(&["create table k3.old (id int primary key)", "drop table k3.old"]);
    tables.insert(100..150);
    tables.lab.restore("abandoned", "nightly", "");
    tables
        .lab
        .says("cassandrarestore", "abandoned", "Stalled", "TablesNotTruncated");
    tables.hold(0, 0, 0, 0);
    let annotation = "cassgate.db.orange.com/abandon=yes";
    tables
        .lab
        .stage
        .kubectl
        .run(&["annotate", "cassandrarestore", "abandoned", annotation])
        .succeeds();
    let (reason, message) = tables.lab.fails("cassandrarestore", "abandoned");
    assert!(message.contains("truncated-"), "{reason}: {message}");
    tables.hold(0, 0, 0, 0);
    for table in ["people", "by_town", "visits", "gone"] {
        let folder = tables.folders(table).remove(0);
        let mut copies: Vec<_> = fs::read_dir(folder.join("snapshots"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("truncated-"))
            .collect();
        copies.sort();
        let folder = folder.file_name().unwrap().to_str().unwrap();
        let copy = format!("/var/lib/cassandra/data/k3/{folder}/snapshots/{}", copies[0]);
        tables
            .lab
            .ring
            .nodetool(0, &["import", "--copy-data", "k3", table, &copy]);
    }
    tables.hold(150, 30, 150, 150);
}

#[test]
fn tables_dropped_or_made_since_and_a_view_are_restored_as_documented() {
    let mut tables = Tables::new();
    tables.lab.backup("nightly", "  entities: k3\n");
    tables.lab.is("cassandrabackup", "nightly", "COMPLETED");
    tables.insert(100..150);

    // A table of the backup is gone, with its folder.
    tables.run(&["drop table k3.gone"]);
    tables.remove_folders("gone");
    tables.lab.restore("gone", "nightly", "");
    let (reason, message) = tables.lab.fails("cassandrarestore", "gone");
    assert_eq!(reason, "TableMissing", "{message}");
    assert!(message.contains("k3.gone"), "{message}");
    tables.hold(150, 30, 150, 150);

    // A table made since the backup is emptied with the keyspace.
    tables.run(&[
        "create table k3.gone (id int primary key)",
        "create table k3.fresh (id int primary key)",
        "insert into k3.fresh (id) values (1)",
    ]);
    tables.lab.restore("keyspace", "nightly", "");
    tables.lab.is("cassandrarestore", "keyspace", "COMPLETED");
    tables.hold(100, 20, 100, 100);
    let counts = ["select count(*) from k3.gone", "select count(*) from k3.fresh"];
    assert_eq!(json!(tables.run(&counts)), json!([[[100]], [[0]]]));

    // The view of a base table that is restored alone stays empty: it has to be named too.
    tables.insert(100..150);
    tables.lab.restore("base", "nightly", "  entities: k3.people\n");
    tables.lab.is("cassandrarestore", "base", "COMPLETED");
    tables.hold(100, 20, 0, 150);
    tables.lab.restore(
        "base-and-view",
        "nightly",
        "  entities: k3.people,k3.by_town,k3.visits\n",
    );
    tables.lab.is("cassandrarestore", "base-and-view", "COMPLETED");
    tables.hold(100, 20, 100, 100);
}
