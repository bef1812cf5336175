//! CQL through Python's driver: every read and write uses all replicas.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use super::{parts, repository};

/// Runs statements on one node and returns the rows of each SELECT.
pub(crate) fn run<S: Borrow<str>>(address: Ipv4Addr, statements: &[S]) -> Vec<Vec<serde_json::Value>> {
    let mut child = Command::new(parts().join("python/bin/python"))
        .arg(repository().join("tests/sidecar/cql.py"))
        .arg(address.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The input fits into a pipe and is read completely before the output begins.
    child
        .stdin
        .take()
        .unwrap()
        .write_all(statements.join("\n").as_bytes())
        .unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(
        done.status.success(),
        "cql.py on {address}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Creates keyspaces (name, replicas) with the tables `t1` and `t2` each.
pub(crate) fn create(address: Ipv4Addr, keyspaces: &[(&str, u32)]) {
    let statements: Vec<String> = keyspaces
        .iter()
        .flat_map(|(keyspace, replicas)| {
            let class = "'class': 'NetworkTopologyStrategy'";
            [
                format!("create keyspace {keyspace} with replication = {{{class}, 'dc1': {replicas}}}"),
                format!("create table {keyspace}.t1 (id int primary key)"),
                format!("create table {keyspace}.t2 (id int primary key)"),
            ]
        })
        .collect();
    run(address, &statements);
}

/// Inserts rows with these keys.
pub(crate) fn insert(address: Ipv4Addr, tables: &[&str], keys: std::ops::Range<u32>) {
    let statements: Vec<String> = tables
        .iter()
        .flat_map(|table| {
            keys.clone()
                .map(move |key| format!("insert into {table} (id) values ({key})"))
        })
        .collect();
    run(address, &statements);
}

/// Returns the keys of each table.
pub(crate) fn keys(address: Ipv4Addr, tables: &[&str]) -> Vec<BTreeSet<u32>> {
    let statements: Vec<String> = tables
        .iter()
        .map(|table| format!("select id from {table}"))
        .collect();
    let key = |row| serde_json::from_value::<[u32; 1]>(row).unwrap()[0];
    let keys = |rows: Vec<_>| rows.into_iter().map(key).collect();
    let answers = run(address, &statements);
    assert_eq!(answers.len(), tables.len());
    answers.into_iter().map(keys).collect()
}

/// Asserts that each of these tables holds exactly these keys.
#[track_caller]
pub(crate) fn hold(address: Ipv4Addr, tables: &[&str], expected: &BTreeSet<u32>) {
    for (table, keys) in tables.iter().zip(keys(address, tables)) {
        assert_eq!(keys, *expected, "{table}");
    }
}

/// Returns the keys of a table whose first replica is on a node with these tokens, in a ring with all these tokens.
pub(crate) fn owned_keys(address: Ipv4Addr, table: &str, tokens: &[i64], ring: &[i64]) -> BTreeSet<u32> {
    let rows = run(address, &[format!("select id, token(id) from {table}")]).remove(0);
    let rows = rows
        .into_iter()
        .map(|row| serde_json::from_value::<(u32, i64)>(row).unwrap());
    // A row belongs to the first token at or after its own, and after the last one to the first.
    let first_replica = |token: i64| {
        let after = ring.iter().filter(|end| **end >= token).min();
        after.or_else(|| ring.iter().min()).unwrap()
    };
    rows.filter(|(_, token)| tokens.contains(first_replica(*token)))
        .map(|(key, _)| key)
        .collect()
}

/// Returns the statements that create the schema of the users, as `cqlsh -e 'DESCRIBE SCHEMA WITH INTERNALS'` prints
/// them.
pub(crate) fn schema(address: Ipv4Addr) -> Vec<String> {
    let rows = run(address, &["describe schema with internals"]).remove(0);
    // Each row is a keyspace, a type of object, its name and the statement.
    let statement = |row: serde_json::Value| row[3].as_str().unwrap().replace('\n', " ");
    rows.into_iter().map(statement).collect()
}
