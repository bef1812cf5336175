//! The keys of Secrets, also of those that other objects will create.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use crate::domain::credentials::{Credentials, Key};
use crate::rules::facts::Reference;

use super::manifest::{Manifest, ManifestKind};
use super::placeholder::Placeholders;
use super::secret_sources;
use super::yaml::{Entry, Node, NodeKind};

/// Returns the Secrets that a manifest creates, by name. `name` is the applied name of the manifest itself.
pub(super) fn created_by(
    manifest: &Manifest,
    name: &str,
    placeholders: &Placeholders,
) -> Vec<(String, Reference<Credentials>)> {
    let node = manifest.node();
    let own = |credentials| vec![(name.to_owned(), credentials)];
    match manifest.kind {
        ManifestKind::Secret => own(secret_sources::copied_into(node)
            .map_or_else(|| Reference::Found(plain(node, placeholders)), Reference::Unknown)),
        ManifestKind::SealedSecret => own(sealed(node)),
        ManifestKind::ExternalSecret => {
            let target = node.text_at(&["spec", "target", "name"]).unwrap_or(name);
            vec![(target.to_owned(), external(node.get("spec")))]
        }
        ManifestKind::ClusterExternalSecret => {
            let spec = node.at(&["spec", "externalSecretSpec"]);
            let target = spec
                .and_then(|spec| spec.text_at(&["target", "name"]))
                .or_else(|| node.text_at(&["spec", "externalSecretName"]))
                .unwrap_or(name);
            vec![(target.to_owned(), external(spec))]
        }
        ManifestKind::SecretProviderClass => secret_objects(node),
        ManifestKind::SecretSource => secret_sources::created_by(manifest, name),
        _ => Vec::new(),
    }
}

/// The alphabet of a Secret's `data`. As in Go, the last character may have bits that do not count.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Reads a Secret. A value that SOPS has encrypted or that contains a placeholder is unknown, so only its key counts.
fn plain(node: &Node, placeholders: &Placeholders) -> Credentials {
    let encrypted = node.get("sops").is_some();
    let known = |text: &str| !encrypted && !placeholders.is_in(text) && !text.starts_with("ENC[");
    let mut read = PlainSecret::default();
    for field in ["data", "stringData"] {
        match node.get(field).map(|node| &node.kind) {
            Some(NodeKind::Map(entries)) => {
                for entry in entries {
                    read.add(field, entry, known, placeholders);
                }
            }
            None | Some(NodeKind::Null) => {}
            Some(NodeKind::Text(text)) if !known(text) => {}
            Some(_) => read.rejected.push(format!("{field} is not a map")),
        }
    }
    read.credentials()
}

/// The entries of a Secret.
#[derive(Default)]
struct PlainSecret<'n> {
    with_value: Vec<(&'n str, Vec<u8>)>,
    without_value: Vec<&'n str>,
    /// The keys under `data` whose values are not base64.
    not_base64: Vec<&'n str>,
    /// The keys whose values are not strings.
    not_text: Vec<&'n str>,
    rejected: Vec<String>,
}

impl<'n> PlainSecret<'n> {
    fn add(
        &mut self,
        field: &str,
        entry: &'n Entry,
        known: impl Fn(&str) -> bool,
        placeholders: &Placeholders,
    ) {
        let key = &*entry.key;
        let value = match &entry.value.node.kind {
            NodeKind::Null => Some(Vec::new()),
            NodeKind::Text(text) if !known(text) => None,
            NodeKind::Text(text) if field == "data" => {
                let decoded = BASE64.decode(text.replace(['\r', '\n'], ""));
                if decoded.is_err() {
                    self.not_base64.push(key);
                }
                // argocd-vault-plugin renders inside base64, too.
                let is_final =
                    |value: &Vec<u8>| !std::str::from_utf8(value).is_ok_and(|text| placeholders.is_in(text));
                decoded.ok().filter(is_final)
            }
            NodeKind::Text(text) => Some(text.as_bytes().to_vec()),
            _ => {
                self.not_text.push(key);
                None
            }
        };
        match value {
            Some(value) => self.with_value.push((key, value)),
            None => self.without_value.push(key),
        }
    }

    fn credentials(mut self) -> Credentials {
        for (keys, problem) in [
            (&self.not_base64, "under data is not base64"),
            (&self.not_text, "is not a string"),
        ] {
            if !keys.is_empty() {
                self.rejected
                    .push(format!("the value of {} {problem}", listed(keys)));
            }
        }
        let entries = self
            .with_value
            .iter()
            .map(|(key, value)| (*key, value.as_slice()));
        let rejected = (!self.rejected.is_empty()).then(|| self.rejected.join(", and "));
        Credentials::read(entries)
            .and_named(self.without_value)
            .and_rejected(rejected)
    }
}

/// Returns keys for a message. A key that Icarus does not read is not repeated, because it may be a misplaced value.
fn listed(keys: &[&str]) -> String {
    let is_known = |key: &str| Key::ALL.iter().any(|known| known.as_str() == key);
    let mut shown: Vec<&str> = keys.iter().copied().filter(|key| is_known(key)).collect();
    if shown.len() < keys.len() {
        shown.push("another key");
    }
    shown.join(", ")
}

pub(super) fn named<'a>(keys: impl IntoIterator<Item = &'a str>) -> Reference<Credentials> {
    Reference::Found(Credentials::default().and_named(keys))
}

/// Reads the keys of a `SealedSecret`.
fn sealed(node: &Node) -> Reference<Credentials> {
    let Some(data) = node.at(&["spec", "encryptedData"]) else {
        return Reference::Unknown(
            "the SealedSecret has no spec.encryptedData, so its keys are unknown".to_owned(),
        );
    };
    let template = |field| {
        node.at(&["spec", "template", field])
            .map(Node::keys)
            .into_iter()
            .flatten()
    };
    named(data.keys().chain(template("data")).chain(template("stringData")))
}

/// Returns the namespaces that a `ClusterExternalSecret` names, and true if it also selects namespaces by labels.
pub(super) fn namespaces(manifest: &Manifest) -> (Vec<&str>, bool) {
    let field = |name: &'static str| manifest.node().at(&["spec", name]);
    let named = field("namespaces").map(Node::items).unwrap_or_default();
    let selects = field("namespaceSelector").is_some() || field("namespaceSelectors").is_some();
    (
        named.iter().filter_map(|name| name.node.text()).collect(),
        selects,
    )
}

/// Reads the keys of an `ExternalSecret`.
///
/// A template replaces the keys of `data`, except with `mergePolicy: Merge`. With `creationPolicy: Merge` or `None` the
/// Secret is created by another owner, so its keys are unknown.
fn external(spec: Option<&Node>) -> Reference<Credentials> {
    let Some(spec) = spec else {
        return Reference::Unknown("its ExternalSecret has no spec, so its keys are unknown".to_owned());
    };
    if matches!(
        spec.text_at(&["target", "creationPolicy"]),
        Some("Merge" | "None")
    ) {
        let why = "its ExternalSecret adds keys to a Secret that is made elsewhere";
        return Reference::Unknown(why.to_owned());
    }
    let many = |path: &[&str]| spec.at(path).is_some_and(|list| !list.items().is_empty());
    if many(&["dataFrom"]) {
        return Reference::Unknown("its ExternalSecret takes keys from dataFrom".to_owned());
    }
    if many(&["target", "template", "templateFrom"]) {
        return Reference::Unknown("its ExternalSecret takes keys from templateFrom".to_owned());
    }
    let data = spec.get("data").map(Node::items).unwrap_or_default();
    let own = data.iter().filter_map(|item| item.node.text_at(&["secretKey"]));
    match spec.at(&["target", "template", "data"]) {
        None => named(own),
        Some(template) if spec.text_at(&["target", "template", "mergePolicy"]) == Some("Merge") => {
            named(template.keys().chain(own))
        }
        Some(template) => named(template.keys()),
    }
}

/// Reads the Secrets of a `SecretProviderClass`.
fn secret_objects(node: &Node) -> Vec<(String, Reference<Credentials>)> {
    let objects = node
        .at(&["spec", "secretObjects"])
        .map(Node::items)
        .unwrap_or_default();
    let one = |object: &Node| {
        let data = object.get("data").map(Node::items).unwrap_or_default();
        let keys = data.iter().filter_map(|item| item.node.text_at(&["key"]));
        Some((object.text_at(&["secretName"])?.to_owned(), named(keys)))
    };
    objects.iter().filter_map(|object| one(&object.node)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Key, Placeholders, created_by};
    use crate::check::manifest::{Manifest, ManifestKind};
    use crate::check::yaml::Reader;
    use crate::domain::credentials::Defect;
    use crate::rules::facts::Reference;

    fn manifest(kind: ManifestKind, text: &str) -> Manifest {
        Manifest {
            kind,
            file: 0,
            document: 1,
            object: Reader::new(text).next().unwrap().unwrap(),
            inferred: None,
            opaque: None,
            glued: None,
        }
    }

    fn read(kind: ManifestKind, text: &str) -> Vec<(String, Vec<Key>)> {
        let manifest = manifest(kind, text);
        let secrets = created_by(&manifest, manifest.name(), &Placeholders::default()).into_iter();
        secrets
            .map(|(name, known)| match known {
                Reference::Found(known) => {
                    (name, Key::ALL.into_iter().filter(|key| known.has(*key)).collect())
                }
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
            let spec =
                format!("{{target: {{name: s3, creationPolicy: {policy}}}, data: [{{secretKey: gcp}}]}}");
            for (kind, text) in [
                (ManifestKind::ExternalSecret, format!("spec: {spec}")),
                (
                    ManifestKind::ClusterExternalSecret,
                    format!("spec: {{externalSecretSpec: {spec}}}"),
                ),
            ] {
                let (name, known) =
                    created_by(&manifest(kind, &text), "own", &Placeholders::default()).remove(0);
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
        let child = Reader::new(text).next().unwrap().unwrap();
        let manifest = Manifest {
            kind: ManifestKind::Secret,
            file: 0,
            document: 1,
            object: child,
            inferred: None,
            opaque: None,
            glued: None,
        };
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
            "data: '{{ .Values.data }}'",
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
}
