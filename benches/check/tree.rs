//! A generated tree of manifests, and the schemas of its kinds for kubeconform.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Result;

/// The number of files in the large tree.
pub(crate) const FILES: usize = 1_000;

/// The number of objects in the large tree, ten per file.
pub(crate) const OBJECTS: usize = 10 * FILES;

/// Writes a tree of valid objects: in each file a cluster, a Secret, five backups and three restores.
///
/// # Errors
/// Returns an error if a file cannot be written.
pub(crate) fn write(folder: &Path, files: usize) -> Result<()> {
    for file in 0..files {
        let group = folder.join(format!("team-{:02}", file % 20));
        fs::create_dir_all(&group)?;
        fs::write(group.join(format!("app-{file:04}.yaml")), documents(file)?)?;
    }
    Ok(())
}

fn documents(file: usize) -> Result<String> {
    let mut text = format!(
        "# The backups of app {file}.
apiVersion: db.orange.com/v2
kind: CassandraCluster
metadata:
  name: app-{file}
  namespace: prod
  labels: {{app: app-{file}, team: team-{team}}}
spec:
  nodesPerRacks: 3
  cassandraImage: cassandra:3.11.19
  dataCapacity: 20Gi
  deletePVC: true
  topology:
    dc:
    - name: dc1
      rack: [{{name: rack1}}, {{name: rack2}}]
  backRestSidecar:
    image: ghcr.io/cscetbon/instaclustr-icarus:1.1.3
---
apiVersion: v1
kind: Secret
metadata:
  name: app-{file}-s3
  namespace: prod
stringData:
  awsaccesskeyid: AKIAEXAMPLE
  awssecretaccesskey: not-a-real-key
  awsregion: eu-west-1
",
        team = file % 20
    );
    for backup in 0..5 {
        write!(
            text,
            "---
apiVersion: db.orange.com/v2
kind: CassandraBackup
metadata:
  name: app-{file}-{backup}
  namespace: prod
  labels:
    app: app-{file}
spec:
  cassandraCluster: app-{file}
  datacenter: dc1
  storageLocation: s3://backups-{file}-{backup}
  snapshotTag: nightly
  schedule: \"{minute} {hour} * * *\"
  entities: shop{backup}.orders,shop{backup}.carts
  secret: app-{file}-s3
  bandwidth: 50M
  concurrentConnections: 15
",
            minute = file % 60,
            hour = backup + 1
        )?;
    }
    for restore in 0..3 {
        write!(
            text,
            "---
apiVersion: db.orange.com/v2
kind: CassandraRestore
metadata:
  name: app-{file}-{restore}
  namespace: prod
spec:
  cassandraCluster: app-{file}
  cassandraBackup: app-{file}-{restore}
  entities: shop{restore}.orders
  concurrentConnection: 15
"
        )?;
    }
    Ok(text)
}

/// Writes the schemas of the three kinds from the CRDs in the form of kubeconform: backup and restore from cassgate's
/// CRDs, the cluster from `CassKop`'s.
///
/// # Errors
/// Returns an error if a CRD has no schema, or a file cannot be written.
pub(crate) fn schemas(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let clusters = include_str!("../../tests/casskop/crds/cassandraclusters.yaml");
    let mut definitions: Vec<Value> = vec![serde_saphyr::from_str(clusters)?];
    for definition in cassgate::api::crds() {
        definitions.push(serde_json::to_value(definition)?);
    }
    for definition in definitions {
        let kind = definition
            .pointer("/spec/names/kind")
            .and_then(Value::as_str)
            .ok_or("no kind")?;
        let schema = definition
            .pointer("/spec/versions/0/schema/openAPIV3Schema")
            .ok_or_else(|| format!("{kind} has no schema"))?;
        let mut schema = schema.clone();
        remove_formats(&mut schema);
        fs::write(
            folder.join(format!("{}.json", kind.to_lowercase())),
            schema.to_string(),
        )?;
    }
    Ok(())
}

/// Removes the formats of `OpenAPI`, which JSON schema does not have.
fn remove_formats(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("format").is_some_and(Value::is_string) {
                fields.remove("format");
            }
            fields.values_mut().for_each(remove_formats);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_formats),
        _ => {}
    }
}
