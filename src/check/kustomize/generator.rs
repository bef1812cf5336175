//! Secrets that kustomizations generate: their names and the names of their keys.

use std::collections::BTreeMap;

use crate::check::manifest::Appliers;
use crate::check::yaml::{Node, NodeKind};

use super::paths::join;

/// The keys in each env file by its name, or why it cannot be read.
pub(in crate::check) type EnvFiles = BTreeMap<String, Result<Vec<String>, String>>;

/// One item of a `secretGenerator`.
#[derive(Debug, Clone)]
pub(super) struct Generator {
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) behavior: Behavior,
    /// The keys of `literals` and `files`.
    keys: Vec<String>,
    /// Files with a key on each line.
    pub(super) env_files: Vec<String>,
    pub(super) hashed: bool,
}

/// The effect of a generator on a Secret of an inner kustomization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behavior {
    Create,
    Merge,
    Replace,
}

/// A Secret that kustomize generates.
#[derive(Debug, Clone)]
pub(in crate::check) struct GeneratedSecret {
    /// Its namespace, if a kustomization sets one.
    pub(in crate::check) namespace: Option<String>,
    /// Its name without the hash.
    pub(in crate::check) name: String,
    /// Its names in the inner kustomizations. An outer generator may refer to it by any of them.
    pub(super) names: Vec<String>,
    /// Its keys, or why they are unknown.
    pub(in crate::check) keys: Result<Vec<String>, String>,
    /// True if kustomize appends a hash to the name.
    pub(in crate::check) hashed: bool,
    /// The file of the kustomization.
    pub(in crate::check) file: String,
    /// The folder of the outermost kustomization.
    pub(in crate::check) root: String,
    /// The indexes of the applications that apply it in this way; `None` if no application changes it.
    pub(in crate::check) appliers: Appliers,
}

impl Generator {
    /// Reads all items of `secretGenerator`.
    ///
    /// With `configurations`, kustomize can write the hashed name into fields of our kinds, so the name counts as known
    /// without its hash.
    pub(super) fn read_all(node: &Node, folder: &str) -> Vec<Self> {
        let plain = |options: Option<&Node>| {
            let flag = options.and_then(|options| options.get("disableNameSuffixHash"));
            flag.is_some_and(|flag| matches!(flag.kind, NodeKind::Bool(true)))
        };
        let all_plain = plain(node.get("generatorOptions"))
            || node
                .get("configurations")
                .is_some_and(|list| !list.items().is_empty());
        let items = node.get("secretGenerator").map(Node::items).unwrap_or_default();
        let read = |item: &Node| {
            let files = texts(item, "envs").into_iter().chain(item.text_at(&["env"]));
            Some(Self {
                name: item.text_at(&["name"])?.to_owned(),
                namespace: item.text_at(&["namespace"]).map(ToOwned::to_owned),
                behavior: match item.text_at(&["behavior"]) {
                    Some("merge") => Behavior::Merge,
                    Some("replace") => Behavior::Replace,
                    _ => Behavior::Create,
                },
                keys: texts(item, "literals")
                    .into_iter()
                    .chain(texts(item, "files"))
                    .filter_map(key)
                    .collect(),
                env_files: files.map(|file| join(folder, file)).collect(),
                hashed: !plain(item.get("options")) && !all_plain,
            })
        };
        items.iter().filter_map(|item| read(&item.node)).collect()
    }

    /// Returns the keys of the Secret that it generates.
    ///
    /// # Errors
    /// Returns why the keys are unknown if an env file cannot be read.
    pub(super) fn keys(&self, env_files: &EnvFiles) -> Result<Vec<String>, String> {
        let mut keys = self.keys.clone();
        for file in &self.env_files {
            match env_files.get(file) {
                Some(Ok(named)) => keys.extend(named.iter().cloned()),
                Some(Err(why)) => return Err(format!("its keys are in {}, which {why}", shown(file))),
                None => return Err(format!("its keys are in {}, which is not read", shown(file))),
            }
        }
        Ok(keys)
    }
}

impl GeneratedSecret {
    /// Returns true if a generator of an outer kustomization refers to this Secret.
    pub(super) fn is_target_of(&self, generator: &Generator) -> bool {
        self.names.contains(&generator.name)
    }

    /// Merges the Secret of an outer generator into this one, or replaces it.
    ///
    /// As in kustomize, the hash is appended only if both generators ask for it.
    pub(super) fn cover(&mut self, outer: Self, behavior: Behavior) {
        self.keys = match (
            behavior,
            std::mem::replace(&mut self.keys, Ok(Vec::new())),
            outer.keys,
        ) {
            (Behavior::Merge, Ok(mut own), Ok(more)) => {
                own.extend(more);
                Ok(own)
            }
            (Behavior::Merge, Err(why), _) | (_, _, Err(why)) => Err(why),
            (_, _, Ok(keys)) => Ok(keys),
        };
        self.hashed &= outer.hashed;
        self.file = outer.file;
    }
}

/// Returns the name of an env file for messages. A literal in the place of a name contains a value.
fn shown(file: &str) -> &str {
    if file.contains('=') {
        "an item of envs with = in it"
    } else {
        file
    }
}

/// Returns the keys of an env file: each line is a key, with or without `=` and a value.
pub(in crate::check) fn keys_of_env_file(text: &str) -> Vec<String> {
    let lines = text.trim_start_matches('\u{feff}').lines();
    lines
        .map(str::trim_start)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once('=').map_or(line, |(key, _)| key).to_owned())
        .collect()
}

fn texts<'a>(item: &'a Node, field: &str) -> Vec<&'a str> {
    let items = item.get(field).map(Node::items).unwrap_or_default();
    items.iter().filter_map(|text| text.node.text()).collect()
}

/// Returns the key of `key=value`, `key=path` or `path`; the last one's key is the file name.
fn key(text: &str) -> Option<String> {
    let key = text.split_once('=').map_or(text, |(key, _)| key);
    key.rsplit('/').next().map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::keys_of_env_file;

    /// The expected keys, including `k2 ` with its space, are what `kubectl kustomize` produced.
    #[test]
    fn an_env_file_is_read_as_kustomize_reads_it() {
        let text = "\u{feff}# c\n  k1=v\n\nk2 = x\r\nHOME\n  #x\nk3=a=b\n";
        assert_eq!(keys_of_env_file(text), ["k1", "k2 ", "HOME", "k3"]);
    }
}
