//! Objects of one file: objects written a moment before count.

use crate::support::{
    objects::{backup, cluster, cluster_with, documents, restore, secret, secret_with},
    servers::Crds,
    stage::Guarded,
};

pub(crate) fn a_cluster_of_the_same_file_is_never_missing() {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    here.kubectl().apply(&secret()).succeeds();
    for turn in 0..20 {
        let name = format!("c{turn}");
        let of_it = format!("cassandraCluster: {name}\ndatacenter: dc1");
        let file = documents(&[cluster_with(&name, &["dc1"]), backup(&format!("b{turn}"), &of_it)]);
        here.kubectl().apply(&file).says(&format!(
            "cassandracluster.db.orange.com/{name} created\ncassandrabackup.db.orange.com/b{turn} created"
        ));
    }
}

/// The cache may not hold the change yet; a denial rests on a live read.
pub(crate) fn a_backup_that_just_completed_can_be_restored() {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    here.kubectl()
        .apply(&documents(&[secret(), cluster()]))
        .succeeds();
    for turn in 0..10 {
        let (b, r) = (format!("b{turn}"), format!("r{turn}"));
        here.kubectl().apply(&backup(&b, "entities: k1.t1")).succeeds();
        let restore = restore(&r, &format!("cassandraBackup: {b}"));
        here.kubectl()
            .apply(&restore)
            .refused_with(&["[cassgate backup-not-restorable]"]);
        here.has_run(&b);
        here.kubectl().apply(&restore).succeeds();
        here.says("cassandrarestore", &r, "COMPLETED");
    }
}

pub(crate) fn a_datacenter_that_was_just_added_is_known() {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    here.kubectl()
        .apply(&documents(&[secret(), cluster_with("c1", &["dc1"])]))
        .succeeds();
    let mut datacenters = vec!["dc1".to_owned()];
    for turn in 2..22 {
        datacenters.push(format!("dc{turn}"));
        let names: Vec<&str> = datacenters.iter().map(String::as_str).collect();
        let file = documents(&[
            cluster_with("c1", &names),
            backup(&format!("b{turn}"), &format!("datacenter: dc{turn}")),
        ]);
        here.kubectl().apply(&file).says(&format!(
            "cassandracluster.db.orange.com/c1 configured\ncassandrabackup.db.orange.com/b{turn} created"
        ));
    }
}

pub(crate) fn a_secret_that_was_just_corrected_is_accepted() {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    here.kubectl().apply(&cluster()).succeeds();
    for turn in 0..10 {
        let (name, backup) = (
            format!("s{turn}"),
            backup(&format!("b{turn}"), &format!("secret: s{turn}")),
        );
        here.kubectl()
            .apply(&secret_with(&name, &["awsaccesskeyid"]))
            .succeeds();
        here.kubectl()
            .apply(&backup)
            .refused_with(&["[cassgate secret-key-missing]"]);
        let mended = secret_with(&name, &["awsaccesskeyid", "awssecretaccesskey", "awsregion"]);
        here.kubectl().apply(&documents(&[mended, backup])).says(&format!(
            "secret/{name} configured\ncassandrabackup.db.orange.com/b{turn} created"
        ));
    }
}

/// Returns the objects in the order of Flux and Helm: kinds that they know first, the others by name. A backup comes
/// before its cluster.
fn in_the_order_of_flux_and_helm() -> Vec<String> {
    vec![secret(), backup("b1", ""), cluster()]
}

pub(crate) fn a_folder_as_flux_and_helm_order_it_passes_where_missing_references_warn() {
    let here = Guarded::new(Crds::Ours, &["--executor=none", "--missing-references=warn"]);
    let answer = here.kubectl().apply(&documents(&in_the_order_of_flux_and_helm()));
    answer.says_with_warnings(
        "secret/s3 created\ncassandrabackup.db.orange.com/b1 created\ncassandracluster.db.orange.com/c1 created",
        &["spec.cassandraCluster: \"c1\": the backup needs this CassandraCluster, which is not in this namespace \
           yet [cassgate cluster-not-found]"],
    );
}

pub(crate) fn a_folder_as_flux_and_helm_order_it_is_denied_with_the_remedy_where_references_are_required() {
    let here = Guarded::new(Crds::Ours, &["--executor=none", "--missing-references=deny"]);
    // Flux and Helm apply one object after the other and stop at the first error.
    let mut objects = in_the_order_of_flux_and_helm().into_iter();
    here.kubectl().apply(&objects.next().unwrap()).succeeds();
    here.kubectl().apply(&objects.next().unwrap()).refused(
        "The CassandraBackup \"b1\" is invalid: spec.cassandraCluster: Not found: \"c1\": the backup needs this \
         CassandraCluster, which is not in this namespace; apply the cluster first (Flux dependsOn, an Argo CD \
         sync wave, a Helm hook or a separate release), or label the namespace \
         cassgate.db.orange.com/missing-references=warn [cassgate cluster-not-found]",
    );
    // The remedy that the message names.
    let (cluster, backup) = (cluster(), backup("b1", ""));
    here.kubectl().apply(&cluster).succeeds();
    here.kubectl()
        .apply(&backup)
        .says("cassandrabackup.db.orange.com/b1 created");
}

pub(crate) fn helm_installs_a_release_after_the_cluster() {
    let here = Guarded::new(Crds::Ours, &["--executor=casskop", "--missing-references=deny"]);
    here.kubectl()
        .apply(&documents(&[secret(), cluster()]))
        .succeeds();
    here.kubectl()
        .apply(&backup("b1", "storageLocation: s3://helm"))
        .says("cassandrabackup.db.orange.com/b1 created");
}
