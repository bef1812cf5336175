//! Manifests as users write them.

use super::gate::SECRET_VALUE;

/// Returns a cluster `c1` with datacenters dc1 and dc2 and CassKop's default sidecar.
pub(crate) fn cluster() -> String {
    cluster_with("c1", &["dc1", "dc2"])
}

/// Returns a cluster with these datacenters.
pub(crate) fn cluster_with(name: &str, datacenters: &[&str]) -> String {
    let datacenters: Vec<String> = datacenters
        .iter()
        .map(|name| format!("    - name: {name}\n      rack: [{{name: rack1}}]\n"))
        .collect();
    let datacenters = datacenters.concat();
    format!(
        "apiVersion: db.orange.com/v2
kind: CassandraCluster
metadata:
  name: {name}
spec:
  nodesPerRacks: 1
  dataCapacity: 1Gi
  topology:
    dc:
{datacenters}  backRestSidecar:
    image: ghcr.io/cscetbon/instaclustr-icarus:1.1.3
"
    )
}

/// Returns a Secret `s3` with every key that S3 needs.
pub(crate) fn secret() -> String {
    secret_with("s3", &["awsaccesskeyid", "awssecretaccesskey", "awsregion"])
}

/// Returns a Secret with these keys, all with the same value.
pub(crate) fn secret_with(name: &str, keys: &[&str]) -> String {
    let data: Vec<String> = keys
        .iter()
        .map(|key| match *key {
            "awsregion" => format!("  {key}: eu-west-1\n"),
            _ => format!("  {key}: {SECRET_VALUE}\n"),
        })
        .collect();
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\nstringData:\n{}",
        data.concat()
    )
}

/// Returns a valid backup of all entities of `c1` to S3, with extra lines in its spec (a later line with the same
/// name wins).
pub(crate) fn backup(name: &str, more: &str) -> String {
    object(
        "CassandraBackup",
        name,
        &[
            "cassandraCluster: c1",
            "storageLocation: s3://bucket",
            "snapshotTag: tag",
            "secret: s3",
        ],
        more,
    )
}

/// Returns a restore of all entities of backup `b1` into `c1`, with extra lines in its spec.
pub(crate) fn restore(name: &str, more: &str) -> String {
    object(
        "CassandraRestore",
        name,
        &["cassandraCluster: c1", "cassandraBackup: b1"],
        more,
    )
}

/// Joins objects into one YAML stream.
pub(crate) fn documents(objects: &[String]) -> String {
    objects.join("---\n")
}

fn object(kind: &str, name: &str, spec: &[&str], more: &str) -> String {
    let field = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
    let replaced: Vec<String> = more.lines().map(field).collect();
    let kept = spec
        .iter()
        .filter(|line| !replaced.contains(&field(line)))
        .copied();
    // `field: -` removes the field.
    let lines: Vec<String> = kept
        .chain(more.lines())
        .filter(|line| !line.ends_with(": -"))
        .map(|line| format!("  {line}\n"))
        .collect();
    format!(
        "apiVersion: db.orange.com/v2\nkind: {kind}\nmetadata:\n  name: {name}\nspec:\n{}",
        lines.concat()
    )
}
