//! `cassgate check` on kustomizations as they are written, compared with kubectl's rendering of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::support::{gate::fresh_directory, repository, servers::Crds, stage::Stage};

/// Returns the verdicts on a folder's files, or on a text.
fn check(folder: &Path, path: &str, input: &str) -> Value {
    let file = folder.join("rendered");
    fs::write(&file, input).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_cassgate"))
        .args(["check", path, "--format", "json"])
        .current_dir(folder)
        .stdin(Stdio::from(fs::File::open(&file).unwrap()))
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns the findings of each object: rule, severity and field.
fn verdicts(report: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let one = |object: &Value| {
        let findings = object["findings"].as_array().unwrap();
        let reported = findings.iter().map(|finding| {
            ["severity", "rule", "path"]
                .map(|field| text(&finding[field]))
                .join(" ")
        });
        let name = ["kind", "namespace", "name"]
            .map(|field| text(&object[field]))
            .join(" ");
        (name, reported.collect())
    };
    report["objects"].as_array().unwrap().iter().map(one).collect()
}

const OBJECTS: &str = "\
apiVersion: db.orange.com/v2
kind: CassandraCluster
metadata: {name: c1}
spec: {backRestSidecar: {image: 'icarus:1.1.3'}}
---
apiVersion: db.orange.com/v2
kind: CassandraBackup
metadata: {name: b1}
spec: {cassandraCluster: c1, storageLocation: 's3://bk', snapshotTag: t1, secret: s3, entities: k1.t1}
---
apiVersion: db.orange.com/v2
kind: CassandraRestore
metadata: {name: r1}
spec: {cassandraCluster: c1, cassandraBackup: b1, entities: k1.t2}
";

/// Pairs of a base and an overlay, with the number of objects that are judged as written.
const TREES: [(&str, &str, usize); 6] = [
    (
        "secretGenerator: [{name: s3, literals: [awsaccesskeyid=a, awssecretaccesskey=b]}]",
        "namespace: prod\ngeneratorOptions: {disableNameSuffixHash: true}\nsecretGenerator: [{name: s3, behavior: merge, \
         literals: [awsregion=eu-west-1]}]",
        2,
    ),
    (
        "secretGenerator: [{name: s3, literals: [awsaccesskeyid=a, awssecretaccesskey=b]}]",
        "generatorOptions: {disableNameSuffixHash: true}\nsecretGenerator: [{name: s3, behavior: replace, literals: \
         [awsregion=eu-west-1]}]",
        2,
    ),
    (
        "namespace: dev\nsecretGenerator: [{name: s3, envs: [s3.env], options: {disableNameSuffixHash: true}}]",
        "namespace: prod",
        2,
    ),
    (
        "secretGenerator: [{name: s3, envs: [s3.env], options: {disableNameSuffixHash: true}}]",
        "components: [../component]",
        2,
    ),
    (
        "secretGenerator: [{name: s3, envs: [s3.env], options: {disableNameSuffixHash: true}}]",
        "namePrefix: p-",
        0,
    ),
    (
        "secretGenerator: [{name: s3, envs: [s3.env], options: {disableNameSuffixHash: true}}]",
        "patches:\n- target: {kind: CassandraRestore}\n  patch: |-\n    - op: replace\n      path: /spec/entities\n      \
         value: k1.t1",
        1,
    ),
];

const COMPONENT: &str = "\
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
namespace: prod
secretGenerator: [{name: s3, behavior: merge, options: {disableNameSuffixHash: true}, literals: [awsregion=eu-west-1]}]
";

pub(crate) fn unrendered_kustomizations_get_the_verdict_of_their_rendering() {
    let stage = Stage::new(Crds::Ours);
    let rendered_verdicts = |folder: &Path| {
        let rendered = stage
            .kubectl
            .run(&["kustomize", &folder.join("overlay").display().to_string()])
            .succeeds();
        verdicts(&check(folder, "-", &rendered.stdout))
    };
    for (base, overlay, judged) in TREES {
        let folder = fresh_directory("rendered");
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("base/objects.yaml", OBJECTS);
        write("base/s3.env", "# keys\nawsaccesskeyid=a\nawssecretaccesskey=b\n");
        write(
            "base/kustomization.yaml",
            &format!("resources: [objects.yaml]\n{base}\n"),
        );
        write("component/kustomization.yaml", COMPONENT);
        write(
            "overlay/kustomization.yaml",
            &format!("resources: [../base]\n{overlay}\n"),
        );
        let written = verdicts(&check(&folder, ".", ""));
        assert_eq!(written.len(), judged, "{overlay}: {written:?}");
        let rendered = rendered_verdicts(&folder);
        assert_eq!(rendered.len(), 2, "{rendered:?}");
        for (object, reported) in &written {
            assert_eq!(rendered.get(object), Some(reported), "{overlay}: {object}");
        }
    }
    let folder = repository().join("tests/gitops/clusters/overlays/prod");
    let rendered = stage
        .kubectl
        .run(&["kustomize", &folder.display().to_string()])
        .succeeds();
    let rendered = verdicts(&check(&fresh_directory("rendered"), "-", &rendered.stdout));
    assert_eq!(rendered.len(), 3);
    assert!(rendered.values().all(BTreeSet::is_empty), "{rendered:?}");
}
