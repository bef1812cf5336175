//! Secrets that kustomizations make: their names, and the names of their keys.

use std::collections::BTreeMap;

use crate::check::yaml::{Kind, Node};

use super::read::join;

/// The keys of files by the files' names; why there are none, where one cannot be read.
pub(in crate::check) type EnvFiles = BTreeMap<String, Result<Vec<String>, String>>;

/// One item of a `secretGenerator`.
#[derive(Debug, Clone)]
pub(super) struct Generator {
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) behavior: Behavior,
    /// The keys that are written there.
    keys: Vec<String>,
    /// Files that have a key in each line.
    pub(super) env_files: Vec<String>,
    pub(super) hashed: bool,
}

/// What a generator does with a Secret that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behavior {
    Create,
    Merge,
    Replace,
}

/// A Secret that kustomize makes.
#[derive(Debug, Clone)]
pub(in crate::check) struct Generated {
    /// Where it is; `None` where no kustomization says it.
    pub(in crate::check) namespace: Option<String>,
    /// Its name, without a hash.
    pub(in crate::check) name: String,
    /// Its names on the way: kustomizations farther out may use any of them.
    pub(super) names: Vec<String>,
    /// Its keys, or why they are not known.
    pub(in crate::check) keys: Result<Vec<String>, String>,
    /// Whether a hash is put behind the name.
    pub(in crate::check) hashed: bool,
    /// The kustomization's file.
    pub(in crate::check) file: String,
}

impl Generator {
    /// All of them. With a configuration kustomize can be told which fields name a Secret, and then the hash gets into
    /// them.
    pub(super) fn read_all(node: &Node, folder: &str) -> Vec<Self> {
        let plain = |options: Option<&Node>| {
            let flag = options.and_then(|options| options.get("disableNameSuffixHash"));
            flag.is_some_and(|flag| matches!(flag.kind, Kind::Bool(true)))
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

    /// Its own keys.
    pub(super) fn keys(&self, env_files: &EnvFiles) -> Result<Vec<String>, String> {
        let mut keys = self.keys.clone();
        for file in &self.env_files {
            match env_files.get(file) {
                Some(Ok(named)) => keys.extend(named.iter().cloned()),
                Some(Err(why)) => return Err(format!("its keys stand in {file}, which {why}")),
                None => return Err(format!("its keys stand in {file}, which is not looked into")),
            }
        }
        Ok(keys)
    }
}

impl Generated {
    /// Whether a generator farther out means this one.
    pub(super) fn is_meant_by(&self, generator: &Generator) -> bool {
        self.names.contains(&generator.name)
    }

    /// Puts the Secret of a generator farther out over this one, as kustomize does: both have to want the hash.
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

/// The keys of a file for `envs`, read as kustomize reads it: a key in each line, a value behind `=` or none.
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

/// `key=value`, `key=file`, or a file that gives its name.
fn key(text: &str) -> Option<String> {
    let key = text.split_once('=').map_or(text, |(key, _)| key);
    key.rsplit('/').next().map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::keys_of_env_file;

    /// `kubectl kustomize` made these of it, `k2 ` too.
    #[test]
    fn a_file_of_keys_is_read_as_kustomize_reads_it() {
        let text = "\u{feff}# c\n  k1=v\n\nk2 = x\r\nHOME\n  #x\nk3=a=b\n";
        assert_eq!(keys_of_env_file(text), ["k1", "k2 ", "HOME", "k3"]);
    }
}
