//! Backups whose upload is lost with the sidecar.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use walkdir::WalkDir;

use crate::kube::until;
use crate::lab::{Lab, Site, node_of};
use crate::support::ring::Pace;
use crate::support::s3::{Fault, S3};

/// Returns the outcomes of a backup's runs, the newest first.
fn outcomes(backup: &Value) -> Vec<&str> {
    let history = backup["status"]["history"].as_array().unwrap();
    history
        .iter()
        .map(|run| run["outcome"].as_str().unwrap())
        .collect()
}

#[test]
fn a_backup_whose_sidecar_died_with_files_on_their_way_begins_again_under_a_new_tag() {
    let mut lab = Lab::new(Pace::Quick);
    let s3 = S3::start();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s3" }, "stringData": s3.secret,
    });
    lab.stage.kubectl.apply(&secret.to_string()).succeeds();
    let host = lab.host_id(1);
    s3.inject(&[&host, "Data.db"], Fault::Hold);
    let location = S3::LOCATION;
    lab.apply(
        "CassandraBackup",
        "nightly",
        &format!("  storageLocation: {location}\n  snapshotTag: nightly\n  entities: k1,k2\n  secret: s3\n"),
    );
    let manifest = format!("{host}/manifests");
    until("the manifest is there before the rows", || {
        s3.stored(&manifest) == 1
    });
    let first = lab.get("cassandrabackup", "nightly")["status"]["snapshotTag"].clone();
    lab.kill_sidecar(1);
    s3.inject(&[&host, "Data.db"], Fault::Fail);
    lab.ring.node(1).wait_for_sidecar();
    s3.heal();

    let done = lab.is("cassandrabackup", "nightly", "COMPLETED");
    assert_eq!(outcomes(&done), ["COMPLETED", "FAILED"], "{done:#}");
    assert_ne!(done["status"]["snapshotTag"], first);
    assert_eq!(done["status"]["history"][1]["snapshot"], first);
    lab.insert(100..150);
    lab.restore("whole", "nightly", "");
    lab.is("cassandrarestore", "whole", "COMPLETED");
    lab.holds(0..100);
}

#[test]
#[ignore = "takes long: .ci/run leaves it out"]
fn a_cut_file_in_a_directory_is_found_after_the_loss_of_the_sidecar() {
    let mut lab = Lab::new(Pace::AsIcarus);
    let host = lab.host_id(1);
    lab.backup("nightly", "  entities: k1,k2\n");
    lab.waits("cassandrabackup", "nightly", "under way", |status| {
        !node_of(status, 1)["operation"].is_null()
    });
    until("a file with rows is there", || {
        data_files(&lab, &host).next().is_some()
    });
    lab.ring.node(1).kill_sidecar();
    let cut = data_files(&lab, &host).next().unwrap();
    fs::File::options()
        .write(true)
        .open(&cut)
        .unwrap()
        .set_len(1)
        .unwrap();
    lab.restart_sidecar(1);

    let (reason, message) = lab.fails("cassandrabackup", "nightly");
    assert_eq!(reason, "PartUnproven", "{message}");
    let name = cut.file_name().unwrap().to_str().unwrap();
    assert!(message.contains(name), "{message}");
    fs::remove_file(cut).unwrap();
    lab.backup("again", "  entities: k1,k2\n");
    lab.is("cassandrabackup", "again", "COMPLETED");
    lab.insert(100..150);
    lab.restore("whole", "again", "");
    lab.is("cassandrarestore", "whole", "COMPLETED");
    lab.holds(0..100);
}

/// Returns the files with rows in the share of a node.
fn data_files(site: &Site, host: &str) -> impl Iterator<Item = PathBuf> {
    let files = WalkDir::new(site.ring.store_folder()).into_iter().flatten();
    let host = host.to_owned();
    files.map(walkdir::DirEntry::into_path).filter(move |file| {
        let path = file.to_string_lossy();
        path.contains(&host) && path.ends_with("Data.db")
    })
}
