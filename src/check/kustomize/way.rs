//! One way in which files are applied: through which kustomizations, and what those do.

use super::Placement;
use super::generator::Behavior;
use super::read::Kustomization;

/// A kind and a name, each only where a patch says it.
type Target = (Option<String>, Option<String>);

/// What all kustomizations do that a file goes through.
#[derive(Debug, Clone, Default)]
pub(super) struct Way {
    pub(super) namespace: Option<String>,
    /// The outermost folder.
    root: String,
    /// What is put before and behind a name, from the outside.
    affixes: Vec<(String, String)>,
    patched: Vec<Target>,
    /// Secrets that a generator changes.
    covered: Vec<String>,
    changes_all: Option<&'static str>,
}

impl From<&str> for Way {
    /// Begins at the outermost folder.
    fn from(root: &str) -> Self {
        Self {
            root: root.to_owned(),
            ..Self::default()
        }
    }
}

impl Way {
    /// Goes on into a kustomization with its components. The outermost has the last word.
    pub(super) fn through(&self, parts: &[&Kustomization]) -> Self {
        let mut way = self.clone();
        for part in parts {
            way.namespace = way.namespace.or_else(|| part.namespace.clone());
            way.changes_all = way.changes_all.or(part.changes_all);
            way.patched.extend(part.patched.iter().cloned());
            if !part.prefix.is_empty() || !part.suffix.is_empty() {
                way.affixes.push((part.prefix.clone(), part.suffix.clone()));
            }
            let changing = part
                .generators
                .iter()
                .filter(|own| own.behavior != Behavior::Create);
            way.covered.extend(changing.map(|own| own.name.clone()));
        }
        way
    }

    /// What it costs to remember.
    pub(super) fn cost(&self) -> usize {
        1 + self.patched.len() + self.covered.len()
    }

    /// Every name that something has on its way out, the last one last.
    pub(super) fn names(&self, name: &str) -> Vec<String> {
        let mut names = vec![name.to_owned()];
        let mut last = name.to_owned();
        for (before, behind) in self.affixes.iter().rev() {
            last = format!("{before}{last}{behind}");
            names.push(last.clone());
        }
        names
    }

    /// What becomes of an object.
    pub(super) fn placement(&self, kind: &str, name: &str) -> Placement {
        // kustomize does not rename these.
        let renamed = !self.affixes.is_empty() && kind != "Namespace";
        let why = || {
            if renamed {
                return Some(self.may_change("namePrefix or nameSuffix"));
            }
            let covered = kind == "Secret" && self.covered.iter().any(|own| own == name);
            covered.then(|| self.may_change("a secretGenerator"))
        };
        Placement {
            namespace: self.namespace.clone(),
            name: self.names(name).pop().filter(|_| renamed),
            opaque: self.change(kind, name).or_else(why),
        }
    }

    /// Why an object is not applied as it is written, its name aside. A name or a kind of a target is an expression;
    /// what is no plain word may match anything.
    pub(super) fn change(&self, kind: &str, name: &str) -> Option<String> {
        if let Some(field) = self.changes_all {
            return Some(self.may_change(field));
        }
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let fits = |wanted: &Option<String>, own: &str| {
            wanted
                .as_deref()
                .is_none_or(|wanted| wanted == own || !plain(wanted))
        };
        let hit = self
            .patched
            .iter()
            .any(|(kinds, names)| fits(kinds, kind) && fits(names, name));
        hit.then(|| self.may_change("a patch"))
    }

    fn may_change(&self, what: &str) -> String {
        let folder = if self.root.is_empty() { "." } else { &self.root };
        format!(
            "{what} in the kustomization of {folder} may change it; render it: kustomize build {folder} | cassgate \
             check -"
        )
    }
}
