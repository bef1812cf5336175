//! No report contains the value of a Secret: generated files with marked values, damaged in every way.

use cassgate::check::files::Input;
use cassgate::check::load::Loaded;
use cassgate::check::render::{Format, Style};
use cassgate::check::report::Report;
use cassgate::check::{Settings, check};
use proptest::prelude::*;

/// Values of Secrets. No key, name or message contains any five characters of one.
///
/// The second and the third have characters that no key of a Secret has, and that messages and formats escape.
const MARKERS: [&str; 3] = ["Zx7QqV3wJ8pK", "Zx7!QqV3", r"Zx7\Q4q%V3<w"];

/// A backup with mistakes, so that reports quote its lines.
const BACKUP: &str = "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata: {name: b1}\nspec:\n  cassandraCluster: c1\n  \
                      storageLocation: s3://bk\n  secret: s3\n  entities: k1,k2.t\n  bandwidth: fast\n";

/// Documents that hold the marker as a value.
const HOLDERS: [&str; 26] = [
    "apiVersion: v1\nkind: Secret\nmetadata: {name: s3}\nstringData:\n  awssecretaccesskey: VALUE\n  awsregion: VALUE\n  gcp: VALUE\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: s3}\ndata: {awsaccesskeyid: VALUE, awsendpoint: VALUE}\n",
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s3\nstringData: {awssecretaccesskey: 'VALUE', awsregion: \"VALUE\"}\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: s3}\nstringData:\n  gcp: |\n    {\"key\": \"VALUE\"}\n  azurestoragekey: >-\n    VALUE\n    VALUE\n",
    "{\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {\"name\": \"s3\"}, \"stringData\": {\"awssecretaccesskey\": \"VALUE\"}}\n",
    "{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"Secret\",\n  \"metadata\": {\"name\": \"s3\"},\n  \"data\": {\n    \"gcp\": \"VALUE\"\n  }\n}\n",
    "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: s3}\nspec:\n  encryptedData: {awsaccesskeyid: VALUE}\n  template:\n    stringData: {awsregion: VALUE}\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: s3}\nstringData: {awssecretaccesskey: \"ENC[AES256_GCM,data:VALUE,type:str]\"}\nsops: {mac: VALUE}\n",
    "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nsecretGenerator:\n- name: s3\n  literals: [awssecretaccesskey=VALUE, \"awsregion=VALUE\"]\n",
    "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nsecretGenerator:\n- name: s3\n  envs: [awssecretaccesskey=VALUE]\n  options: {disableNameSuffixHash: true}\n",
    "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\npatches:\n- patch: |-\n    kind: Secret\n    metadata: {name: s3}\n    stringData: {awsregion: VALUE}\n",
    "apiVersion: isindir.github.com/v1alpha3\nkind: SopsSecret\nmetadata: {name: s3}\nspec:\n  secretTemplates: [{name: s3, stringData: {awsregion: VALUE}}]\n",
    "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: s3}\nspec:\n  target: {template: {data: {awsregion: VALUE}}}\n",
    "stringData:\n  awssecretaccesskey: VALUE\n",
    "backup:\n  credentials: {secretKey: VALUE}\n",
    "awssecretaccesskey=VALUE\n",
    "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: s3}\n  stringData: {awsregion: VALUE}\n- apiVersion: db.orange.com/v2\n  kind: CassandraBackup\n  metadata: {name: b2}\n  spec: {cassandraCluster: c1, storageLocation: s3://bk, secret: s3, bandwidth: fast}\n",
    "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Secret, metadata: {name: s3}, stringData: {gcp: VALUE}}, {apiVersion: db.orange.com/v2, kind: CassandraBackup, metadata: {name: b2}, spec: {cassandraCluster: c1, bandwidth: fast}}]}\n",
    "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: s3}, stringData: {gcp: &v VALUE, awsregion: &m {a: VALUE}}}\n- {apiVersion: db.orange.com/v2, kind: CassandraBackup, metadata: {name: b2}, spec: {cassandraCluster: c1, bandwidth: *v, secret: *v, entities: *m}}\n- {apiVersion: db.orange.com/v2, kind: CassandraCluster, metadata: {name: c1}, spec: {nodesPerRacks: *v}}\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: s3}\nstringData:\n  awssecretaccesskey: VALUE---\napiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata: {name: b3}\nspec: {cassandraCluster: c1, bandwidth: fast}\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: s3}\nstringData:\n  VALUE: x\n  VALUE: [1]\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: s3}\ndata: {VALUE: '!', awsregion: '!'}\nVALUE: x\n",
    "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: s3}\nspec: {encryptedData: {VALUE: x}}\n",
    "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: s3}\nspec: {data: [{secretKey: VALUE}]}\n",
    "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nsecretGenerator:\n- name: s3\n  literals: [VALUE=x, VALUE]\n  files: [VALUE]\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: s3}\nstringData: {? VALUE : x, ? [VALUE] : y}\n",
];

/// Backups, restores and other objects that contain the marker as a credential in a wrong place.
const MISPLACED: [&str; 19] = [
    "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata: {name: b4}\nspec:\n  cassandraCluster: c1\n  storageLocation: s3://user:VALUE@bk\n  secret: s3\n  bandwidth: fast\n",
    "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata: {name: b5}\nspec:\n  cassandraCluster: c1\n  storageLocation: s3://bk\n  awssecretaccesskey: VALUE\n  secret: s3\n",
    "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata: {name: b6}\nspec: {cassandraCluster: c1, bandwidth: fast, password: VALUE, secret: s3}\n",
    "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata:\n  name: b7\n  annotations:\n    aws-secret-access-key: [VALUE]\n  labels: {password: 'VALUE!', token-password: \"VALUE \"}\nspec: {cassandraCluster: c1}\n",
    "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata:\n  name: b8\n  labels: {password: VALUE/VALUE}\nspec:\n  cassandraCluster: c1\n  stringData: {awssecretaccesskey: VALUE}\n  data:\n    gcp: VALUE\n",
    "apiVersion: db.orange.com/v2\nkind: CassandraRestore\nmetadata: {name: r1}\nspec:\n  cassandraCluster: c1\n  cassandraBackup: b1\n  entities: 'https://user:VALUE@host/x'\n  secret: AKID/VALUE\n",
    "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata: {name: b9}\nspec:\n  cassandraCluster: c1\n  storageLocation: \"azure://VALUE:VALUE@container\"\n  bandwidth: fast # password VALUE\n  entities: k1 # s3://u:VALUE@bk\n",
    "{\"apiVersion\": \"db.orange.com/v2\", \"kind\": \"CassandraBackup\", \"metadata\": {\"name\": \"b10\"}, \"spec\": {\"cassandraCluster\": \"c1\", \"awsSecretAccessKey\": \"VALUE\", \"bandwidth\": \"fast\"}}\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: s3}\nstringData: {awsaccesskeyid: a, awssecretaccesskey: b, awsregion: c, awsendpoint: 'https://user:VALUE@host'}\n",
    "apiVersion: db.orange.com/v2\nkind: CassandraCluster\nmetadata: {name: c1}\nspec: {nodesPerRacks: 's3://user:VALUE@bk', topology: {dc: [{name: dc1, password: VALUE}]}}\n",
    "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata: {name: b11}\nspec:\n  cassandraCluster: c1\n  storageLocation: s3://AKID:VALUE/VALUE+x@bk\n  token: VALUE\n",
    "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata: {name: b12}\nspec:\n  cassandraCluster: c1\n  storageLocation: 'https://host/x?sv=1&sig=VALUE&se=2'\n  aws_secret: VALUE\n",
    "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata: {name: b13}\nspec:\n  cassandraCluster: c1\n  storageLocation: DefaultEndpointsProtocol=https;AccountKey=VALUE\n  pwd: VALUE\n  auth: {user: a, pass: VALUE}\n",
    "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata: {name: b14}\nspec:\n  cassandraCluster: c1\n  VALUE: x\n  secret: {VALUE: x}\n",
    "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata:\n  name: b15\n  VALUE: x\n  labels: {VALUE: '!'}\n  annotations:\n    VALUE: 1\nVALUE: {}\n",
    "apiVersion: db.orange.com/v2\nkind: CassandraRestore\nmetadata: {name: r2}\nspec:\n  cassandraCluster: c1\n  cassandraBackup: b1\n  entities: k1.t1\n  rename: {VALUE: k1}\n  nodes: [{VALUE: x}]\n",
    "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata: {name: b16}\nspec:\n  VALUE: 1\n  VALUE: 2\n  retention: {VALUE: '${X}', keepLast: '${VALUE}'}\n  VALUE+VALUE/x: '{{ .x }}'\n",
    "{\"apiVersion\": \"db.orange.com/v2\", \"kind\": \"CassandraBackup\", \"metadata\": {\"name\": \"b17\"}, \"VALUE\": 1, \"spec\": {\"VALUE\": {\"VALUE\": 1}, \"stringData\": {\"VALUE\": \"x\"}}}\n",
    "apiVersion: db.orange.com/v2\nkind: CassandraCluster\nmetadata: {name: c1}\nspec: {VALUE: x, topology: {VALUE: 1, dc: {VALUE: 2}}}\n",
];

/// Texts whose insertion makes a document unreadable, or another one.
const DAMAGES: [&str; 24] = [
    ": ",
    ":",
    "\"",
    "'",
    "\t",
    "\n",
    " ",
    "  ",
    "- ",
    "---\n",
    "\n---\n",
    "[",
    "]",
    "{",
    "}",
    "*v ",
    "&v ",
    "!!binary ",
    "<<: ",
    "# ",
    "|\n",
    "%",
    "{{ .x }}",
    "\u{1}",
];

#[derive(Debug, Clone)]
enum Damage {
    None,
    Insert(usize, &'static str),
    Remove(usize),
    Truncate(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = 0..10_000_usize;
    prop_oneof![
        1 => Just(Damage::None),
        6 => (at.clone(), prop::sample::select(DAMAGES.to_vec())).prop_map(|(at, text)| Damage::Insert(at, text)),
        2 => at.clone().prop_map(Damage::Remove),
        1 => at.prop_map(Damage::Truncate),
    ]
}

/// Applies the damage. Every position is valid, because the text is ASCII.
fn damaged(mut text: String, damage: &Damage) -> String {
    let length = text.len();
    match *damage {
        Damage::None => {}
        Damage::Insert(at, more) => text.insert_str(at % (length + 1), more),
        Damage::Remove(at) => drop(text.remove(at % length)),
        Damage::Truncate(at) => text.truncate(at % length),
    }
    text
}

/// Reads and judges a file and another one. `marker` is also in the env files that it names.
fn judged(name: &str, text: &str, marker: &str) -> Report {
    let mut loaded = Loaded::default();
    let input = |name: &str, text: &str| Input {
        name: name.to_owned(),
        bytes: Ok(text.as_bytes().to_vec()),
    };
    loaded.add(input(name, text));
    loaded.add(input("other.yaml", BACKUP));
    for file in loaded.env_files() {
        loaded.add_env_file(input(&file, &format!("awsregion={marker}\n{marker}\n")));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(check(loaded, &Settings::default(), None, |_, _| ()))
}

fn rendered(report: &Report, format: Format, colour: bool) -> String {
    let style = Style {
        colour,
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    let mut written = Vec::new();
    format.write(report, style, &mut written).unwrap();
    String::from_utf8(written).unwrap()
}

/// Judges a file, and asserts that no format of the report contains five characters of the marker, as they are or escaped.
fn assert_hidden(name: &str, text: &str, marker: &str) {
    let report = judged(name, text, marker);
    let formats = [
        (Format::Text, true),
        (Format::Text, false),
        (Format::Json, false),
        (Format::Sarif, false),
        (Format::Junit, false),
        (Format::Github, false),
        (Format::Markdown, false),
    ];
    for (format, colour) in formats {
        let output = rendered(&report, format, colour);
        for at in 0..=marker.len() - 5 {
            for piece in escaped(&marker[at..at + 5]) {
                assert!(
                    !output.contains(&piece),
                    "{format:?} shows {piece}:\n{output}\nof:\n{text}"
                );
            }
        }
    }
}

/// Returns a text as messages and formats may write it.
fn escaped(text: &str) -> [String; 5] {
    [
        text.to_owned(),
        text.replace('<', "&lt;"),
        text.replace('%', "%25"),
        text.replace('\\', r"\\"),
        text.replace('\\', r"\\\\"),
    ]
}

#[test]
fn insertions_all_over_a_document_keep_the_value_hidden() {
    for (holder, marker) in HOLDERS.iter().zip(MARKERS.iter().cycle()) {
        let text = holder.replace("VALUE", marker);
        for more in [": ", "\"", "---\n"] {
            for at in (0..=text.len()).step_by(7) {
                let text = damaged(text.clone(), &Damage::Insert(at, more));
                assert_hidden("file.yaml", &text, marker);
            }
        }
    }
}

#[test]
fn every_insertion_into_a_text_of_variables_keeps_the_value_hidden() {
    for (more, marker) in DAMAGES.iter().zip(MARKERS.iter().cycle()) {
        let variables = format!("awssecretaccesskey={marker}\n");
        for parts in [[BACKUP, &variables], [&variables, BACKUP]] {
            let text = parts.join("---\n");
            let begin = text.find(&variables).unwrap();
            for at in begin.saturating_sub(5)..=begin + variables.len() {
                let text = damaged(text.clone(), &Damage::Insert(at.min(text.len()), more));
                assert_hidden("file.yaml", &text, marker);
            }
        }
    }
}

#[test]
fn credentials_in_a_wrong_place_stay_hidden() {
    for (text, marker) in with_markers(&MISPLACED) {
        assert_hidden("file.yaml", &text, marker);
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        for at in [0].into_iter().chain(starts) {
            for more in ["\"", "- ", "---\n", "x: [\n", "  ", "!!binary ", "{{ .x }}\n"] {
                let text = damaged(text.clone(), &Damage::Insert(at, more));
                assert_hidden("file.yaml", &text, marker);
            }
        }
    }
}

#[test]
fn values_without_damage_stay_hidden() {
    for (text, marker) in with_markers(&HOLDERS) {
        assert_hidden("file.yaml", &text, marker);
    }
}

/// Returns each document with each marker as its value.
fn with_markers(documents: &[&str]) -> impl Iterator<Item = (String, &'static str)> {
    let filled = |document: &str| MARKERS.map(|marker| (document.replace("VALUE", marker), marker));
    documents.iter().flat_map(move |document| filled(document))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_report_shows_a_value_of_a_secret(
        name in prop::sample::select(vec!["file.yaml", "kustomization.yaml", "secrets.env", "<stdin>"]),
        marker in prop::sample::select(MARKERS.to_vec()),
        parts in prop::collection::vec(prop::sample::select(HOLDERS.to_vec()), 1..3),
        misplaced in prop::sample::select(MISPLACED.to_vec()),
        backup_at in 0..3_usize,
        damages in prop::collection::vec(damage(), 1..3),
    ) {
        let mut parts: Vec<String> = parts.iter().map(|part| part.replace("VALUE", marker)).collect();
        parts.insert(backup_at.min(parts.len()), BACKUP.to_owned());
        let mut text = parts.join("---\n");
        for damage in &damages {
            if !text.is_empty() {
                text = damaged(text, damage);
            }
        }
        let misplaced = misplaced.replace("VALUE", marker);
        assert_hidden(name, &format!("{misplaced}---\n{text}"), marker);
    }
}
