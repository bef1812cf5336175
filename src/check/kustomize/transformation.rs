//! The combined effect of the kustomizations that include a file.

use crate::check::yaml::Node;

use super::generator::Behavior;
use super::kustomization::Kustomization;

/// The kind and the name in the target of a patch; `None` matches everything.
type Target = (Option<String>, Option<String>);

/// The combined effect of the kustomizations between a root and a file.
///
/// A file has one for each path of kustomizations that leads to it.
#[derive(Debug, Clone, Default)]
pub(in crate::check) struct Transformation {
    pub(in crate::check) namespace: Option<String>,
    /// The folder of the outermost kustomization.
    pub(super) root: String,
    /// The object that changes the files, for messages.
    owner: String,
    /// The command that renders the result.
    render: String,
    /// Name prefixes and suffixes, the outermost first.
    affixes: Vec<(String, String)>,
    patched: Vec<Target>,
    /// Names of Secrets that a generator merges into or replaces.
    covered: Vec<String>,
    changes_all: Option<&'static str>,
}

/// The namespace and the name that a transformation gives to a manifest.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::check) struct Placement {
    /// The namespace, if a kustomization sets it.
    pub(in crate::check) namespace: Option<String>,
    /// The name, if a kustomization adds a prefix or suffix.
    pub(in crate::check) name: Option<String>,
    /// The reason that the applied object may differ from the manifest.
    pub(in crate::check) opaque: Option<String>,
    /// The folder of the outermost kustomization, if there is one.
    pub(in crate::check) root: Option<String>,
}

impl From<&str> for Transformation {
    /// Creates the transformation of a root without any kustomization yet.
    fn from(root: &str) -> Self {
        let folder = if root.is_empty() { "." } else { root };
        Self {
            root: root.to_owned(),
            owner: format!("the kustomization of {folder}"),
            render: format!("kustomize build {folder}"),
            ..Self::default()
        }
    }
}

impl Transformation {
    /// Creates the transformation of an application, whose `fields` are those of a kustomization.
    ///
    /// `owner` names the application in messages, and `render` is the command that renders it. A component and a patch in a file may
    /// change any object.
    pub(in crate::check) fn of_application(owner: String, render: String, fields: Option<&Node>) -> Self {
        let mut own = fields.map_or_else(Kustomization::default, |fields| Kustomization::read(fields, ""));
        if !own.components.is_empty() {
            own.changes_all = own.changes_all.or(Some("components"));
        }
        if !own.strategic.is_empty() {
            own.patched.push((None, None));
        }
        let unchanged = Self {
            owner,
            render,
            ..Self::default()
        };
        unchanged.through(&[&own])
    }

    /// Marks every object as possibly changed by a field.
    pub(in crate::check) fn change_all(&mut self, field: &'static str) {
        self.changes_all = Some(field);
    }

    /// Returns true if it changes no object.
    pub(in crate::check) fn is_empty(&self) -> bool {
        self.namespace.is_none()
            && self.affixes.is_empty()
            && self.patched.is_empty()
            && self.changes_all.is_none()
    }

    /// Returns this transformation with a kustomization and its components inside of it.
    ///
    /// The outermost kustomization that sets a field takes precedence.
    pub(super) fn through(&self, parts: &[&Kustomization]) -> Self {
        let mut inner = self.clone();
        for part in parts {
            inner.namespace = inner.namespace.or_else(|| part.namespace.clone());
            inner.changes_all = inner.changes_all.or(part.changes_all);
            inner.patched.extend(part.patched.iter().cloned());
            if !part.prefix.is_empty() || !part.suffix.is_empty() {
                inner.affixes.push((part.prefix.clone(), part.suffix.clone()));
            }
            let changing = part
                .generators
                .iter()
                .filter(|generator| generator.behavior != Behavior::Create);
            inner
                .covered
                .extend(changing.map(|generator| generator.name.clone()));
        }
        inner
    }

    /// Returns the number of entries that it holds, which bounds the memory for nested overlays.
    pub(super) fn size(&self) -> usize {
        1 + self.patched.len() + self.covered.len()
    }

    /// Returns every name that an object has from the innermost kustomization outwards; the last one is applied.
    pub(super) fn names(&self, name: &str) -> Vec<String> {
        let mut names = vec![name.to_owned()];
        let mut last = name.to_owned();
        for (prefix, suffix) in self.affixes.iter().rev() {
            last = format!("{prefix}{last}{suffix}");
            names.push(last.clone());
        }
        names
    }

    /// Returns the namespace and the name under which an object is applied.
    pub(in crate::check) fn placement(&self, kind: &str, name: &str) -> Placement {
        // kustomize does not rename namespaces.
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
            root: Some(self.root.clone()),
        }
    }

    /// Returns why the applied object may differ from the manifest in more than its name.
    ///
    /// The kind and the name of a target are regular expressions. One that is not a plain word may match anything.
    pub(super) fn change(&self, kind: &str, name: &str) -> Option<String> {
        if let Some(field) = self.changes_all {
            return Some(self.may_change(field));
        }
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let matches = |wanted: &Option<String>, own: &str| {
            wanted
                .as_deref()
                .is_none_or(|wanted| wanted == own || !plain(wanted))
        };
        let is_patched = self
            .patched
            .iter()
            .any(|(kinds, names)| matches(kinds, kind) && matches(names, name));
        is_patched.then(|| self.may_change("a patch"))
    }

    fn may_change(&self, cause: &str) -> String {
        format!(
            "{cause} in {} may change it; render it: {} | cassgate check -",
            self.owner, self.render
        )
    }
}
