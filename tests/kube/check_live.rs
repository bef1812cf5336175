//! `cassgate check --live`: references that are not in the files are read from a real API server.

use std::{fs, process::Command};

use crate::support::{
    gate::fresh_directory,
    objects::{backup, cluster, documents, restore, secret},
    servers::Crds,
    stage::{Guarded, Stage},
};

/// Returns the exit code and the output.
fn check(stage: &Stage, more: &[&str], manifests: &str) -> (i32, String) {
    let file = fresh_directory("check").join("objects.yaml");
    fs::write(&file, manifests).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_cassgate"))
        .arg("check")
        .arg(&file)
        .args(["--executor=none", "--namespace", &stage.namespace])
        .args(more)
        .env("KUBECONFIG", stage.servers.admin_kubeconfig())
        .output()
        .unwrap();
    let printed =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), printed)
}

/// A file that stands unchanged in Git is checked again and again after its restore has finished.
pub(crate) fn a_finished_restore_that_stands_unchanged_has_no_finding() {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    let b1 = backup("b1", "entities: k1.t1");
    let r1 = restore("r1", "entities: k1.t1");
    here.kubectl()
        .apply(&documents(&[cluster(), secret(), b1.clone()]))
        .succeeds();
    here.has_run("b1");
    here.kubectl().apply(&r1).succeeds();
    here.says("cassandrarestore", "r1", "COMPLETED");
    let all = documents(&[b1, r1.clone()]);
    let (code, printed) = check(&here.stage, &["--live", "--fail-on", "note"], &all);
    assert_eq!(code, 0, "{printed}");
    assert!(
        printed.contains("2 objects") && !printed.contains("[cassgate"),
        "{printed}"
    );
    // The version of an exported manifest is old: no conflict is told, as the file may be applied with any version.
    let exported = r1.replacen("metadata:\n", "metadata:\n  resourceVersion: \"1\"\n", 1);
    let (code, printed) = check(&here.stage, &["--live"], &exported);
    assert_eq!(code, 0, "{printed}");
    let changed = restore("r1", "entities: k1.t2");
    let (code, printed) = check(&here.stage, &["--live"], &changed);
    assert_eq!(code, 1, "{printed}");
    assert!(printed.contains("restore-started"), "{printed}");
    here.kubectl().apply(&changed).refused_with(&["restore-started"]);
}

/// The same file gets the same verdict before the merge and at the apply.
pub(crate) fn a_changed_spec_of_a_started_backup_is_denied_as_by_the_webhook() {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    here.kubectl()
        .apply(&documents(&[
            cluster(),
            secret(),
            backup("b2", "entities: k1.t1"),
        ]))
        .succeeds();
    let changed = backup("b2", "entities: k1.t2");
    let (code, printed) = check(&here.stage, &["--live"], &changed);
    assert_eq!(code, 0, "it has not started: {printed}");
    here.has_run("b2");
    let (code, printed) = check(&here.stage, &["--live"], &changed);
    assert_eq!(code, 1, "{printed}");
    assert!(printed.contains("backup-started"), "{printed}");
    here.kubectl().apply(&changed).refused_with(&["backup-started"]);
    let (code, printed) = check(&here.stage, &[], &changed);
    assert_eq!(code, 0, "offline, nothing says that it has run: {printed}");
}

/// A field that was patched in stays when the file is applied, and one that the file had is removed.
pub(crate) fn a_started_backup_is_compared_with_what_an_apply_makes_of_it() {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    let written = backup("b3", "");
    let server_side = backup("b4", "").replace("snapshotTag: tag", "snapshotTag: tag4");
    here.kubectl()
        .apply(&documents(&[cluster(), secret(), written.clone()]))
        .succeeds();
    here.kubectl().apply_server_side(&server_side).succeeds();
    for (name, manifest) in [("b3", &written), ("b4", &server_side)] {
        let patch = r#"{"spec":{"entities":"k1.t1"}}"#;
        here.kubectl()
            .run(&["patch", "cassandrabackup", name, "--type=merge", "-p", patch])
            .succeeds();
        here.has_run(name);
        let (code, printed) = check(&here.stage, &["--live", "--fail-on", "note"], manifest);
        assert_eq!(code, 0, "{printed}");
    }
    here.kubectl().apply(&written).succeeds();
    here.kubectl().apply_server_side(&server_side).succeeds();
    let secret = |manifest: &str| manifest.replace("  secret: s3\n", "");
    for manifest in [&written, &server_side] {
        let (code, printed) = check(&here.stage, &["--live"], &secret(manifest));
        assert_eq!(code, 1, "{printed}");
        assert!(printed.contains("backup-started"), "{printed}");
    }
    here.kubectl()
        .apply(&secret(&written))
        .refused_with(&["backup-started"]);
    here.kubectl()
        .apply_server_side(&secret(&server_side))
        .refused_with(&["backup-started"]);
}

pub(crate) fn references_outside_the_files_are_read_from_the_cluster() {
    let stage = Stage::new(Crds::Ours);
    stage.kubectl.apply(&documents(&[cluster(), secret()])).succeeds();
    let good = backup("b1", "");
    let (code, printed) = check(&stage, &[], &good);
    assert_eq!(code, 0, "{printed}");
    assert!(
        printed.contains("cluster-not-found"),
        "offline it is unknown: {printed}"
    );
    let (code, printed) = check(&stage, &["--live", "--deny-warnings"], &good);
    assert_eq!(code, 0, "{printed}");
    assert!(
        !printed.contains("cluster-not-found") && !printed.contains("secret-not-found"),
        "{printed}"
    );
    let (code, printed) = check(
        &stage,
        &["--live"],
        &backup("b1", "secret: nowhere\ndatacenter: dc9"),
    );
    assert_eq!(code, 1, "{printed}");
    for rule in ["secret-not-found", "datacenter-unknown"] {
        assert!(printed.contains(rule), "{rule}: {printed}");
    }
}

/// The same file gets the same verdict before the merge and at the apply.
pub(crate) fn a_restore_is_judged_by_the_backup_in_the_cluster_as_the_webhook_does() {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    here.kubectl()
        .apply(&documents(&[
            cluster(),
            secret(),
            backup("b1", "entities: k1.t1"),
        ]))
        .succeeds();
    let wider = restore("r1", "entities: k1");
    for (state, rule) in [
        (None, "backup-not-restorable"),
        (Some(()), "entities-wider-than-backup"),
    ] {
        if state.is_some() {
            here.has_run("b1");
        }
        let (code, printed) = check(&here.stage, &["--live"], &wider);
        assert_eq!(code, 1, "{printed}");
        assert!(printed.contains(rule), "{rule}: {printed}");
        here.kubectl()
            .apply(&wider)
            .refused_with(&[&format!("[cassgate {rule}]")]);
    }
    let (code, printed) = check(&here.stage, &["--live"], &restore("r1", "entities: k1.t1"));
    assert_eq!(code, 0, "{printed}");
}
