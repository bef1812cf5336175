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
    let object = manifest.object();
    let node = &*object.node;
    let own = |credentials| vec![(name.to_owned(), credentials)];
    match manifest.kind {
        ManifestKind::Secret => {
            own(secret_sources::filled(node).map_or_else(|| plain(node, placeholders), Reference::Unknown))
        }
        ManifestKind::SealedSecret => own(sealed(node, placeholders)),
        ManifestKind::ExternalSecret => {
            let target = node.text_at(&["spec", "target", "name"]).unwrap_or(name);
            vec![(target.to_owned(), external(node.get("spec"), placeholders))]
        }
        ManifestKind::ClusterExternalSecret => {
            let spec = node.at(&["spec", "externalSecretSpec"]);
            let target = spec
                .and_then(|spec| spec.text_at(&["target", "name"]))
                .or_else(|| node.text_at(&["spec", "externalSecretName"]))
                .unwrap_or(name);
            vec![(target.to_owned(), external(spec, placeholders))]
        }
        ManifestKind::SecretProviderClass => secret_objects(node, placeholders),
        ManifestKind::SecretSource => secret_sources::created_by(manifest, name, placeholders),
        _ => Vec::new(),
    }
}

/// The alphabet of a Secret's `data`. As in Go, the last character may have bits that do not count.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Reads a Secret. A value that SOPS has encrypted or that contains a placeholder is unknown, so only its key counts.
fn plain(node: &Node, placeholders: &Placeholders) -> Reference<Credentials> {
    let encrypted = node.get("sops").is_some();
    let known = |text: &str| !encrypted && !placeholders.is_in(text) && !text.starts_with("ENC[");
    let mut read = PlainSecret::default();
    for field in ["data", "stringData"] {
        match node.get(field).map(|node| &node.kind) {
            Some(NodeKind::Map(entries)) => {
                for entry in entries {
                    if placeholders.is_in(&entry.key) {
                        return unknown_keys();
                    }
                    read.add(field, entry, known, placeholders);
                }
            }
            None | Some(NodeKind::Null) => {}
            Some(NodeKind::Text(text)) if !known(text) => return unknown_keys(),
            Some(_) => read.rejected.push(format!("{field} is not a map")),
        }
    }
    Reference::Found(read.credentials())
}

/// Returns an unknown Secret: a placeholder stands for its keys or one of them.
fn unknown_keys() -> Reference<Credentials> {
    Reference::Unknown("its keys in the given files contain placeholders; render it first".to_owned())
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

/// Returns a Secret with these keys, whose values are unknown. If a key contains a placeholder, the keys are unknown.
pub(super) fn named<'a>(
    keys: impl IntoIterator<Item = &'a str>,
    placeholders: &Placeholders,
) -> Reference<Credentials> {
    let keys: Vec<&str> = keys.into_iter().collect();
    if keys.iter().any(|key| placeholders.is_in(key)) {
        return unknown_keys();
    }
    Reference::Found(Credentials::default().and_named(keys))
}

/// Returns true if a placeholder stands for the map itself.
pub(super) fn is_open(map: &Node, placeholders: &Placeholders) -> bool {
    map.text().is_some_and(|text| placeholders.is_in(text))
}

/// Reads the keys of a `SealedSecret`.
fn sealed(node: &Node, placeholders: &Placeholders) -> Reference<Credentials> {
    let Some(data) = node.at(&["spec", "encryptedData"]) else {
        return Reference::Unknown(
            "the SealedSecret has no spec.encryptedData, so its keys are unknown".to_owned(),
        );
    };
    let template = |field: &'static str| node.at(&["spec", "template", field]);
    let maps = [Some(data), template("data"), template("stringData")];
    named_by(maps.into_iter().flatten(), placeholders)
}

/// Returns a Secret with the keys of these maps.
pub(super) fn named_by<'a>(
    maps: impl IntoIterator<Item = &'a Node>,
    placeholders: &Placeholders,
) -> Reference<Credentials> {
    let maps: Vec<&Node> = maps.into_iter().collect();
    if maps.iter().any(|map| is_open(map, placeholders)) {
        return unknown_keys();
    }
    named(maps.into_iter().flat_map(Node::keys), placeholders)
}

/// Returns the namespaces that a `ClusterExternalSecret` names, and true if it also selects namespaces by labels.
pub(super) fn namespaces(object: &Node) -> (Vec<&str>, bool) {
    let field = |name: &'static str| object.at(&["spec", name]);
    let named = field("namespaces").map(Node::items).unwrap_or_default();
    let selects = field("namespaceSelector").is_some() || field("namespaceSelectors").is_some();
    (
        named.iter().filter_map(|name| name.node.text()).collect(),
        selects,
    )
}

/// Reads the keys of an `ExternalSecret`.
///
/// A template with `data` replaces the keys of `data`, except with `mergePolicy: Merge`. With `creationPolicy: Merge` or `None` the
/// Secret is created by another owner, so its keys are unknown.
fn external(spec: Option<&Node>, placeholders: &Placeholders) -> Reference<Credentials> {
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
    let lists = [
        spec.get("data"),
        spec.get("dataFrom"),
        spec.at(&["target", "template"]),
        spec.at(&["target", "template", "data"]),
        spec.at(&["target", "template", "templateFrom"]),
    ];
    if lists
        .into_iter()
        .flatten()
        .any(|list| is_open(list, placeholders))
    {
        return unknown_keys();
    }
    let data = spec.get("data").map(Node::items).unwrap_or_default();
    let own = data.iter().filter_map(|item| item.node.text_at(&["secretKey"]));
    // Without an entry, the operator takes no template for one (`noTemplate` in its source).
    let template = spec
        .at(&["target", "template", "data"])
        .filter(|template| !template.entries().is_empty());
    match template {
        None => named(own, placeholders),
        Some(template) if spec.text_at(&["target", "template", "mergePolicy"]) == Some("Merge") => {
            named(template.keys().chain(own), placeholders)
        }
        Some(template) => named(template.keys(), placeholders),
    }
}

/// Reads the Secrets of a `SecretProviderClass`.
fn secret_objects(node: &Node, placeholders: &Placeholders) -> Vec<(String, Reference<Credentials>)> {
    let objects = node
        .at(&["spec", "secretObjects"])
        .map(Node::items)
        .unwrap_or_default();
    let one = |object: &Node| {
        let data = object.get("data").map(Node::items).unwrap_or_default();
        let keys = data.iter().filter_map(|item| item.node.text_at(&["key"]));
        let name = object.text_at(&["secretName"])?.to_owned();
        let open = object.get("data").is_some_and(|data| is_open(data, placeholders));
        Some((
            name,
            if open {
                unknown_keys()
            } else {
                named(keys, placeholders)
            },
        ))
    };
    objects.iter().filter_map(|object| one(&object.node)).collect()
}

#[cfg(test)]
mod tests;
