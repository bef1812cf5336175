//! Objects of operators that make or copy Secrets, whose keys are not in the files.

use regex::Regex;

use crate::domain::credentials::Credentials;
use crate::rules::facts::Reference;

use super::manifest::Manifest;
use super::placeholder::Placeholders;
use super::secrets::named_by;
use super::yaml::Node;

/// The place of a Secret's name in an object.
#[derive(Debug, Clone, Copy)]
enum NameAt {
    /// The object's own name.
    Own,
    /// The text at these keys; without it, the object's own name.
    Field(&'static [&'static str]),
    /// The items of `spec.secretTemplates`, which have names and keys.
    Templates,
    /// The object's own name, in the namespaces that match `matchNamespace`.
    Everywhere,
}

/// The groups and kinds of objects from which an operator makes a Secret.
const SOURCES: [(&str, &str, NameAt); 22] = [
    ("isindir.github.com", "SopsSecret", NameAt::Templates),
    ("craftypath.github.io", "SopsSecret", NameAt::Own),
    (
        "secrets.hashicorp.com",
        "VaultStaticSecret",
        NameAt::Field(&["spec", "destination", "name"]),
    ),
    (
        "secrets.hashicorp.com",
        "VaultDynamicSecret",
        NameAt::Field(&["spec", "destination", "name"]),
    ),
    (
        "secrets.hashicorp.com",
        "VaultPKISecret",
        NameAt::Field(&["spec", "destination", "name"]),
    ),
    (
        "secrets.hashicorp.com",
        "HCPVaultSecretsApp",
        NameAt::Field(&["spec", "destination", "name"]),
    ),
    (
        "redhatcop.redhat.io",
        "VaultSecret",
        NameAt::Field(&["spec", "output", "name"]),
    ),
    ("ricoberger.de", "VaultSecret", NameAt::Own),
    ("kubernetes-client.io", "ExternalSecret", NameAt::Own),
    ("onepassword.com", "OnePasswordItem", NameAt::Own),
    (
        "secrets.infisical.com",
        "InfisicalSecret",
        NameAt::Field(&["spec", "managedSecretReference", "secretName"]),
    ),
    (
        "secrets.doppler.com",
        "DopplerSecret",
        NameAt::Field(&["spec", "managedSecret", "name"]),
    ),
    (
        "spv.no",
        "AzureKeyVaultSecret",
        NameAt::Field(&["spec", "output", "secret", "name"]),
    ),
    (
        "k8s.bitwarden.com",
        "BitwardenSecret",
        NameAt::Field(&["spec", "secretName"]),
    ),
    ("secretgen.carvel.dev", "SecretTemplate", NameAt::Own),
    ("secretgen.carvel.dev", "SecretImport", NameAt::Own),
    ("secretgen.k14s.io", "Password", NameAt::Own),
    ("secretgenerator.mittwald.de", "StringSecret", NameAt::Own),
    ("secretgenerator.mittwald.de", "BasicAuth", NameAt::Own),
    ("secretgenerator.mittwald.de", "SSHKeyPair", NameAt::Own),
    ("objectbucket.io", "ObjectBucketClaim", NameAt::Own),
    ("clustersecret.io", "ClusterSecret", NameAt::Everywhere),
];

/// The annotations with which a Secret is copied into other namespaces, each with the annotation that names them.
const COPIED: [(&str, &str); 3] = [
    (
        "reflector.v1.k8s.emberstack.com/reflection-auto-enabled",
        "reflector.v1.k8s.emberstack.com/reflection-auto-namespaces",
    ),
    (
        "replicator.v1.mittwald.de/replicate-to",
        "replicator.v1.mittwald.de/replicate-to",
    ),
    ("kubed.appscode.com/sync", ""),
];

/// The annotations of a Secret that an operator fills in, each with the reason that its keys are unknown.
const FILLED: [(&str, &str); 4] = [
    (
        "reflector.v1.k8s.emberstack.com/reflects",
        "an operator copies its keys from another Secret",
    ),
    (
        "replicator.v1.mittwald.de/replicate-from",
        "an operator copies its keys from another Secret",
    ),
    (
        "secret-generator.v1.mittwald.de/autogenerate",
        "an operator generates keys of it",
    ),
    (
        "secret-generator.v1.mittwald.de/type",
        "an operator generates keys of it",
    ),
];

/// A Secret that an operator makes in namespaces which are not named one by one, or whose name is not known.
#[derive(Debug)]
pub(super) struct SecretCopy {
    /// The name; `None` for any name.
    name: Option<String>,
    /// Expressions for the namespaces; `None` for any namespace.
    namespaces: Option<Vec<Regex>>,
    /// The reason that its keys are unknown.
    pub(super) reason: String,
}

impl SecretCopy {
    /// Creates the Secret of a `ClusterExternalSecret` with a selector.
    pub(super) fn selected_by_labels(name: String) -> Self {
        Self {
            name: Some(name),
            namespaces: None,
            reason:
                "a ClusterExternalSecret of this name selects namespaces by their labels, possibly this one"
                    .to_owned(),
        }
    }

    /// Creates a Secret whose name or namespace contains a placeholder; `None` if both are known.
    pub(super) fn unnamed(
        kind: &str,
        namespace: &str,
        name: &str,
        placeholders: &Placeholders,
    ) -> Option<Self> {
        let is_open = |text: &str| placeholders.is_in(text);
        if !is_open(name) && !is_open(namespace) {
            return None;
        }
        let known = |text: &str| Some(text.to_owned()).filter(|text| !is_open(text));
        let namespaces = known(namespace).map(|namespace| format!("^{}$", regex::escape(&namespace)));
        Some(Self {
            name: known(name),
            namespaces: namespaces.and_then(|own| Some(vec![Regex::new(&own).ok()?])),
            reason: format!(
                "the name or namespace of a Secret in the given files ({kind}) is a placeholder, so it may be this one; render it first"
            ),
        })
    }

    /// Returns true if the Secret may exist under this name in this namespace.
    pub(super) fn is_in(&self, namespace: &str, name: &str) -> bool {
        let matches = |all: &Vec<Regex>| all.iter().any(|one| one.is_match(namespace));
        self.name.as_deref().is_none_or(|own| own == name) && self.namespaces.as_ref().is_none_or(matches)
    }
}

/// Returns true if an operator makes Secrets from objects of this kind.
pub(super) fn is_source(group: &str, kind: &str) -> bool {
    name_at(group, kind).is_some()
}

fn name_at(group: &str, kind: &str) -> Option<NameAt> {
    let mut sources = SOURCES.into_iter();
    sources
        .find(|(own_group, own_kind, _)| *own_group == group && *own_kind == kind)
        .map(|(_, _, at)| at)
}

fn name_at_of(manifest: &Manifest) -> Option<NameAt> {
    let (group, _) = manifest.api_version().split_once('/')?;
    name_at(group, manifest.kind_name())
}

/// Returns the Secrets that an operator makes from an object, by name. `name` is the applied name of the object.
pub(super) fn created_by(
    manifest: &Manifest,
    name: &str,
    placeholders: &Placeholders,
) -> Vec<(String, Reference<Credentials>)> {
    let object = manifest.object();
    let node = &*object.node;
    let unknown = || {
        Reference::Unknown(format!(
            "{} {name} makes it, and its keys are not in the files",
            manifest.kind_name()
        ))
    };
    match name_at_of(manifest) {
        Some(NameAt::Own) => vec![(name.to_owned(), unknown())],
        Some(NameAt::Field(keys)) => vec![(node.text_at(keys).unwrap_or(name).to_owned(), unknown())],
        Some(NameAt::Templates) => {
            let templates = node.at(&["spec", "secretTemplates"]).map(Node::items);
            templates
                .unwrap_or_default()
                .iter()
                .filter_map(|template| {
                    let keys = ["data", "stringData"]
                        .into_iter()
                        .filter_map(|field| template.node.get(field));
                    let name = template.node.text_at(&["name"])?.to_owned();
                    Some((name, named_by(keys, placeholders)))
                })
                .collect()
        }
        Some(NameAt::Everywhere) | None => Vec::new(),
    }
}

/// Returns the Secrets that an operator copies from a Secret, or makes in many namespaces.
pub(super) fn copies(manifest: &Manifest, name: &str) -> Vec<SecretCopy> {
    let object = manifest.object();
    let node = &*object.node;
    if matches!(name_at_of(manifest), Some(NameAt::Everywhere)) {
        let patterns = node.get("matchNamespace").map(Node::items).unwrap_or_default();
        let patterns = patterns.iter().filter_map(|item| item.node.text());
        return vec![SecretCopy {
            name: Some(name.to_owned()),
            namespaces: expressions(patterns),
            reason: "a ClusterSecret makes it, and its keys are not looked up".to_owned(),
        }];
    }
    let annotation = |key: &str| node.text_at(&["metadata", "annotations", key]);
    let is_on = |(key, _): &(&str, &str)| annotation(key).is_some_and(|value| value != "false");
    COPIED
        .into_iter()
        .filter(is_on)
        .map(|(_, namespaces)| SecretCopy {
            name: Some(name.to_owned()),
            namespaces: expressions(annotation(namespaces).unwrap_or_default().split(',')),
            reason: "an operator copies it from another namespace, and its keys are not looked up".to_owned(),
        })
        .collect()
}

/// Returns expressions for whole names; `None`, which matches everything, if there is none or one is malformed.
fn expressions<'a>(patterns: impl Iterator<Item = &'a str>) -> Option<Vec<Regex>> {
    let trimmed = patterns.map(str::trim).filter(|pattern| !pattern.is_empty());
    let all: Option<Vec<Regex>> = trimmed
        .map(|pattern| {
            let plain = pattern.trim_end_matches('*');
            let wild = if plain.len() < pattern.len() && !plain.ends_with(['.', ']', ')']) {
                format!("{plain}.*")
            } else {
                pattern.to_owned()
            };
            Regex::new(&format!("^(?:{wild})$")).ok()
        })
        .collect();
    all.filter(|all| !all.is_empty())
}

/// Returns the reason that the keys of a Secret are unknown because an operator fills it in.
pub(super) fn filled(node: &Node) -> Option<String> {
    let is_set = |key: &str| {
        let value = node.text_at(&["metadata", "annotations", key]);
        value.is_some_and(|value| value != "false")
    };
    FILLED
        .iter()
        .find(|(key, _)| is_set(key))
        .map(|(_, reason)| (*reason).to_owned())
}
