//! A document that means something to us.

use super::yaml::{Child, Node};

/// What a document is, as far as it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Backup,
    Restore,
    Cluster,
    Secret,
    SealedSecret,
    ExternalSecret,
    ClusterExternalSecret,
    SecretProviderClass,
    Namespace,
    Kustomization,
}

impl What {
    /// Reads `apiVersion` and `kind`.
    pub(super) fn read(api_version: &str, kind: &str) -> Option<Self> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        match (group, kind) {
            (crate::api::GROUP, _) if !matches!(version, "v2" | "v1alpha1") => None,
            (crate::api::GROUP, "CassandraBackup") => Some(Self::Backup),
            (crate::api::GROUP, "CassandraRestore") => Some(Self::Restore),
            (crate::api::GROUP, "CassandraCluster") => Some(Self::Cluster),
            ("", "Secret") => Some(Self::Secret),
            ("", "Namespace") => Some(Self::Namespace),
            ("bitnami.com", "SealedSecret") => Some(Self::SealedSecret),
            ("external-secrets.io", "ExternalSecret") => Some(Self::ExternalSecret),
            ("external-secrets.io", "ClusterExternalSecret") => Some(Self::ClusterExternalSecret),
            ("secrets-store.csi.x-k8s.io", "SecretProviderClass") => Some(Self::SecretProviderClass),
            ("kustomize.config.k8s.io", "Kustomization" | "Component") => Some(Self::Kustomization),
            _ => None,
        }
    }

    /// Whether we judge it.
    pub(super) fn is_judged(self) -> bool {
        matches!(self, Self::Backup | Self::Restore)
    }
}

/// A document, or an item of a list in one.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) what: What,
    /// The index of its file.
    pub(super) file: usize,
    /// Which document of the file, from 1.
    pub(super) document: usize,
    /// The object and where it begins.
    pub(super) child: Child,
}

impl Manifest {
    pub(super) fn node(&self) -> &Node {
        &self.child.node
    }

    /// `metadata.name`; the beginning of a name that is to be made; or nothing.
    pub(super) fn name(&self) -> &str {
        let name = |field| self.node().text_at(&["metadata", field]);
        name("name").or_else(|| name("generateName")).unwrap_or_default()
    }

    pub(super) fn namespace(&self) -> Option<&str> {
        self.node().text_at(&["metadata", "namespace"])
    }

    pub(super) fn kind(&self) -> &str {
        self.node().text_at(&["kind"]).unwrap_or_default()
    }
}

/// A manifest at the place where it is applied.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) manifest: Manifest,
    pub(super) namespace: String,
    /// Its name, where a kustomization puts something around it.
    pub(super) renamed: Option<String>,
    /// Why it is not what will be applied; `None` where it is.
    pub(super) opaque: Option<String>,
}

impl Placed {
    /// Its name where it is applied.
    pub(super) fn name(&self) -> &str {
        self.renamed.as_deref().unwrap_or_else(|| self.manifest.name())
    }
}

/// Everything at its place.
#[derive(Debug, Default)]
pub(super) struct PlacedAll {
    /// Backups and restores, in the order of the files.
    pub(super) judged: Vec<Placed>,
    /// Everything that is a fact to others; the judged ones stand here too.
    pub(super) facts: Vec<Placed>,
    /// Secrets that kustomize makes.
    pub(super) generated: Vec<super::kustomize::Generated>,
    /// The names of the files, for what is said of two documents.
    pub(super) names: Vec<String>,
}
