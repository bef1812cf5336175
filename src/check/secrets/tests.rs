//! Tests of the keys of Secrets.

use super::{Key, Placeholders, created_by};
use crate::check::manifest::{Manifest, ManifestKind};
use crate::check::yaml::Reader;
use crate::domain::credentials::Defect;
use crate::rules::facts::Reference;

fn manifest(kind: ManifestKind, text: &str) -> Manifest {
    let object = Reader::new(text).next().unwrap().unwrap();
    Manifest::new(kind, None, 0, 1, object)
}

fn read(kind: ManifestKind, text: &str) -> Vec<(String, Vec<Key>)> {
    let manifest = manifest(kind, text);
    let secrets = created_by(&manifest, manifest.name(), &Placeholders::default()).into_iter();
    secrets
        .map(|(name, known)| match known {
            Reference::Found(known) => (name, Key::ALL.into_iter().filter(|key| known.has(*key)).collect()),
            Reference::Absent | Reference::Unknown(_) => (format!("{name}?"), Vec::new()),
        })
        .collect()
}

#[test]
fn a_sealed_secret_has_the_keys_that_it_encrypts_and_those_of_its_template() {
    let text = "metadata: {name: s3}\nspec:\n  encryptedData: {awsaccesskeyid: AgB}\n  template: {data: {awsregion: x}}\n";
    assert_eq!(
        read(ManifestKind::SealedSecret, text),
        [("s3".to_owned(), vec![Key::AwsAccessKeyId, Key::AwsRegion])]
    );
}

#[test]
fn the_keys_of_an_external_secret_that_adds_to_another_secret_are_unknown() {
    let why = "its ExternalSecret adds keys to a Secret that is made elsewhere";
    for (policy, unknown) in [
        ("Merge", true),
        ("None", true),
        ("Owner", false),
        ("Orphan", false),
    ] {
        let spec = format!("{{target: {{name: s3, creationPolicy: {policy}}}, data: [{{secretKey: gcp}}]}}");
        for (kind, text) in [
            (ManifestKind::ExternalSecret, format!("spec: {spec}")),
            (
                ManifestKind::ClusterExternalSecret,
                format!("spec: {{externalSecretSpec: {spec}}}"),
            ),
        ] {
            let (name, known) = created_by(&manifest(kind, &text), "own", &Placeholders::default()).remove(0);
            assert_eq!(name, "s3");
            match known {
                Reference::Unknown(reason) => {
                    assert_eq!((unknown, reason.as_str()), (true, why), "{policy}");
                }
                Reference::Found(known) => assert!(!unknown && known.has(Key::Gcp), "{policy}"),
                Reference::Absent => panic!("{policy}"),
            }
        }
    }
}

#[test]
fn an_external_secret_has_the_keys_of_its_data_or_of_its_template() {
    let data = "spec: {target: {name: s3}, data: [{secretKey: awsaccesskeyid}]}";
    assert_eq!(
        read(ManifestKind::ExternalSecret, data),
        [("s3".to_owned(), vec![Key::AwsAccessKeyId])]
    );
    let template = "metadata: {name: own}\nspec: {target: {template: {data: {gcp: '{{ .x }}'}}}, data: [{secretKey: x}]}";
    assert_eq!(
        read(ManifestKind::ExternalSecret, template),
        [("own".to_owned(), vec![Key::Gcp])]
    );
    let merged = template
        .replace("template: {", "template: {mergePolicy: Merge, ")
        .replace("secretKey: x", "secretKey: awsregion");
    assert_eq!(
        read(ManifestKind::ExternalSecret, &merged),
        [("own".to_owned(), vec![Key::AwsRegion, Key::Gcp])]
    );
    let unknown = "metadata: {name: own}\nspec: {dataFrom: [{extract: {key: x}}]}";
    assert_eq!(
        read(ManifestKind::ExternalSecret, unknown),
        [("own?".to_owned(), vec![])]
    );
}

#[test]
fn a_placeholder_among_the_keys_makes_all_keys_unknown() {
    use ManifestKind::{ExternalSecret, SealedSecret, Secret, SecretProviderClass};
    for (kind, text) in [
        (Secret, "stringData: {'${KEY}': x, awsregion: y}"),
        (Secret, "data: {'{{ .Values.key }}': eA==}"),
        (Secret, "data: '{{ .Values.data }}'"),
        (SealedSecret, "spec: {encryptedData: {'${KEY}': AgB}}"),
        (SealedSecret, "spec: {encryptedData: '${DATA}'}"),
        (
            SealedSecret,
            "spec: {encryptedData: {a: AgB}, template: {data: {'<path:kv/s#k>': x}}}",
        ),
        (
            ExternalSecret,
            "spec: {data: [{secretKey: '${A}'}, {secretKey: gcp}]}",
        ),
        (ExternalSecret, "spec: {data: '${DATA}'}"),
        (ExternalSecret, "spec: {target: {template: {data: {'${A}': x}}}}"),
        (
            SecretProviderClass,
            "spec: {secretObjects: [{secretName: s, data: [{key: '${A}'}]}]}",
        ),
    ] {
        let found = read(kind, &format!("metadata: {{name: s}}\n{text}\n"));
        assert_eq!(found, [("s?".to_owned(), vec![])], "{text}");
    }
}

#[test]
fn a_template_without_entries_leaves_the_keys_of_the_data() {
    for template in ["{data: {}}", "{data: null}", "{}", "{type: Opaque}"] {
        let text = format!(
            "metadata: {{name: s}}\nspec: {{target: {{template: {template}}}, data: [{{secretKey: gcp}}]}}\n"
        );
        assert_eq!(
            read(ManifestKind::ExternalSecret, &text),
            [("s".to_owned(), vec![Key::Gcp])],
            "{template}"
        );
    }
}

#[test]
fn a_cluster_external_secret_has_the_keys_of_its_spec_and_the_most_specific_name() {
    let text = "metadata: {name: all}\nspec:\n  externalSecretName: mine\n  externalSecretSpec:\n    target: {name: s3}\n    data: [{secretKey: gcp}]\n";
    let mine = text.replace("target: {name: s3}", "target: {}");
    let all = mine.replace("externalSecretName: mine", "x: y");
    for (text, name) in [(text, "s3"), (&mine, "mine"), (&all, "all")] {
        assert_eq!(
            read(ManifestKind::ClusterExternalSecret, text),
            [(name.to_owned(), vec![Key::Gcp])]
        );
    }
    let bare = "metadata: {name: all}\nspec: {}\n";
    assert_eq!(
        read(ManifestKind::ClusterExternalSecret, bare),
        [("all?".to_owned(), vec![])]
    );
}

#[test]
fn a_class_of_the_secrets_store_names_its_secrets() {
    let text = "spec: {secretObjects: [{secretName: az, data: [{key: azurestoragekey, objectName: x}]}]}";
    assert_eq!(
        read(ManifestKind::SecretProviderClass, text),
        [("az".to_owned(), vec![Key::AzureStorageKey])]
    );
}

#[test]
fn an_unknown_value_has_no_defect() {
    let text = "metadata: {name: s}\ndata: {awsregion: '', awsendpoint: '${X}', gcp: '%%'}\nstringData: {awsaccesskeyid: 'ENC[AES256_GCM,data:x]'}\n";
    let manifest = manifest(ManifestKind::Secret, text);
    let (_, known) = created_by(&manifest, manifest.name(), &Placeholders::default()).remove(0);
    let Reference::Found(known) = known else {
        panic!("{known:?}")
    };
    assert_eq!(known.defect(Key::AwsRegion), Some(Defect::Empty));
    for key in [Key::AwsEndpoint, Key::Gcp, Key::AwsAccessKeyId] {
        assert!(known.has(key) && known.defect(key).is_none(), "{key}");
    }
}

#[test]
fn a_secret_that_the_api_server_rejects_has_a_reason_without_a_value() {
    let rejected = |text: &str| {
        let manifest = manifest(ManifestKind::Secret, &format!("metadata: {{name: s}}\n{text}"));
        let (_, known) = created_by(&manifest, "s", &Placeholders::default()).remove(0);
        let Reference::Found(known) = known else {
            panic!("{known:?}")
        };
        known.rejected().map(ToOwned::to_owned)
    };
    for (text, expected) in [
        (
            "data: {gcp: 'plain text', awsregion: 'in the clear!'}",
            "the value of gcp, awsregion under data is not base64",
        ),
        (
            "data: {other: YQ}",
            "the value of another key under data is not base64",
        ),
        (
            "data: {a: 'Y Q=='}",
            "the value of another key under data is not base64",
        ),
        (
            "data: {a: 1}\nstringData: {b: true}",
            "the value of another key is not a string",
        ),
        ("stringData: [a]", "stringData is not a map"),
        (
            "data: {'k=topsecret': 'x'}",
            "the value of another key under data is not base64",
        ),
    ] {
        assert_eq!(rejected(text).as_deref(), Some(expected), "{text}");
    }
    for text in [
        "data: {a: YQ==, b: '', c: null, d: YR==}",
        "data: {a: \"YQ\\n==\\n\", b: '${B}', c: '<path:kv/data/store#key>', d: 'ENC[AES256_GCM,data:x]'}",
        "data: null\nstringData: {a: b}",
        "data: {a: 'plain text'}\nsops: {mac: x}",
    ] {
        assert_eq!(rejected(text), None, "{text}");
    }
}

#[test]
fn a_placeholder_inside_base64_is_an_unknown_value() {
    // Base64 of `<path:kv/data/store#region>`.
    let text = "metadata: {name: s}\ndata: {awsregion: PHBhdGg6a3YvZGF0YS9zdG9yZSNyZWdpb24+}\n";
    let manifest = manifest(ManifestKind::Secret, text);
    let (_, known) = created_by(&manifest, "s", &Placeholders::default()).remove(0);
    let Reference::Found(known) = known else {
        panic!("{known:?}")
    };
    assert!(known.has(Key::AwsRegion) && known.defect(Key::AwsRegion).is_none());
}
