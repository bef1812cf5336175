//! A document of a kind that the check reads, and the object that it becomes when it is applied.

use std::collections::HashSet;
use std::sync::Arc;

use crate::api::{GROUP, Kind};

use super::secret_sources;
use super::yaml::{Entry, Node, SpannedNode};

/// The kinds of documents that the check reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ManifestKind {
    Backup,
    Restore,
    Cluster,
    Secret,
    SealedSecret,
    ExternalSecret,
    ClusterExternalSecret,
    SecretProviderClass,
    /// Another object from which an operator makes Secrets.
    SecretSource,
    MultiCasskop,
    Namespace,
    Kustomization,
}

impl ManifestKind {
    /// Parses `apiVersion` and `kind`. Returns `None` for a kind that the check does not read.
    pub(super) fn parse(api_version: &str, kind: &str) -> Option<Self> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        match (group, kind) {
            (GROUP, _) if !matches!(version, "v2" | "v1alpha1") => None,
            (GROUP, "CassandraBackup") => Some(Self::Backup),
            (GROUP, "CassandraRestore") => Some(Self::Restore),
            (GROUP, "CassandraCluster") => Some(Self::Cluster),
            (GROUP, "MultiCasskop") => Some(Self::MultiCasskop),
            ("", "Secret") => Some(Self::Secret),
            ("", "Namespace") => Some(Self::Namespace),
            ("bitnami.com", "SealedSecret") => Some(Self::SealedSecret),
            ("external-secrets.io", "ExternalSecret") => Some(Self::ExternalSecret),
            ("external-secrets.io", "ClusterExternalSecret") => Some(Self::ClusterExternalSecret),
            ("secrets-store.csi.x-k8s.io", "SecretProviderClass") => Some(Self::SecretProviderClass),
            ("kustomize.config.k8s.io", "Kustomization" | "Component") => Some(Self::Kustomization),
            _ => secret_sources::is_source(group, kind).then_some(Self::SecretSource),
        }
    }

    /// Returns the kind in the words of the rules, if they judge it. The other kinds only provide facts.
    pub(super) fn judged(self) -> Option<Kind> {
        match self {
            Self::Backup => Some(Kind::Backup),
            Self::Restore => Some(Kind::Restore),
            _ => None,
        }
    }

    /// Returns true for a Secret, and for an object from which a Secret is made.
    pub(super) fn holds_values(self) -> bool {
        match self {
            Self::Secret
            | Self::SealedSecret
            | Self::ExternalSecret
            | Self::ClusterExternalSecret
            | Self::SecretProviderClass
            | Self::SecretSource
            | Self::Kustomization => true,
            Self::Backup | Self::Restore | Self::Cluster | Self::MultiCasskop | Self::Namespace => false,
        }
    }
}

/// The fields `apiVersion` and `kind`.
#[derive(Debug, Clone)]
pub(super) struct TypeMeta {
    pub(super) api_version: Box<str>,
    pub(super) kind: Box<str>,
}

impl TypeMeta {
    pub(super) fn new(api_version: &str, kind: &str) -> Self {
        Self {
            api_version: api_version.into(),
            kind: kind.into(),
        }
    }
}

/// A document, or an item of a list in a document, as it is written.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) kind: ManifestKind,
    /// The type that a list gives to an item that is written without one.
    pub(super) inferred: Option<TypeMeta>,
    /// The index of the file.
    pub(super) file: usize,
    /// The number of the document in the file, from 1.
    pub(super) document: usize,
    /// The object and its position.
    pub(super) object: SpannedNode,
    /// The reason that it is not judged; `None` if nothing in its document prevents it.
    pub(super) opaque: Option<&'static str>,
    /// The line in its document that ends with a separator, which separates nothing there.
    pub(super) glued: Option<u32>,
}

impl Manifest {
    pub(super) fn node(&self) -> &Node {
        &self.object.node
    }

    /// Returns `metadata.name`, else `metadata.generateName`, else an empty text.
    pub(super) fn name(&self) -> &str {
        let name = |field| self.node().text_at(&["metadata", field]);
        name("name").or_else(|| name("generateName")).unwrap_or_default()
    }

    pub(super) fn namespace(&self) -> Option<&str> {
        self.node().text_at(&["metadata", "namespace"])
    }

    /// Adds the nodes below every field except `apiVersion`, `kind` and `metadata`, by their addresses.
    pub(super) fn collect_values(&self, values: &mut HashSet<*const Node>) {
        let is_value = |entry: &&Entry| !matches!(&*entry.key, "apiVersion" | "kind" | "metadata");
        for entry in self.node().entries().iter().filter(is_value) {
            entry.value.walk(&mut |node| values.extend(node.node.address()));
        }
    }

    /// Returns true if a node of the object is one of `values`.
    pub(super) fn shares(&self, values: &HashSet<*const Node>) -> bool {
        let mut shares = false;
        self.object.walk(&mut |node| {
            shares |= node
                .node
                .address()
                .is_some_and(|address| values.contains(&address));
        });
        shares
    }

    /// Returns the field `kind`, as it is written or as its list gives it.
    pub(super) fn kind_name(&self) -> &str {
        match &self.inferred {
            Some(inferred) => &inferred.kind,
            None => self.node().text_at(&["kind"]).unwrap_or_default(),
        }
    }

    /// Returns the field `apiVersion`, as it is written or as its list gives it.
    pub(super) fn api_version(&self) -> &str {
        match &self.inferred {
            Some(inferred) => &inferred.api_version,
            None => self.node().text_at(&["apiVersion"]).unwrap_or_default(),
        }
    }
}

/// The applications that apply an object in the same way, by index; `None` if no application changes the objects of its folder.
pub(super) type Appliers = Option<Arc<[usize]>>;

/// A manifest with the namespace and the name under which it is applied.
///
/// Several overlays can apply the same manifest, each under its own namespace or name.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    pub(super) manifest: Manifest,
    pub(super) namespace: String,
    /// The name that a `namePrefix` or `nameSuffix` gives it.
    pub(super) renamed: Option<String>,
    /// The reason that the applied object may differ from the manifest; `None` if it is applied as it is written.
    pub(super) opaque: Option<String>,
    /// The folder of the outermost kustomization that applies it, or else of its file.
    pub(super) folder: String,
    /// The applications that apply it in this way.
    pub(super) appliers: Appliers,
}

impl Resource {
    /// Returns the name under which it is applied.
    pub(super) fn name(&self) -> &str {
        self.renamed.as_deref().unwrap_or_else(|| self.manifest.name())
    }
}
