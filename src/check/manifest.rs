//! A document of a kind that the check reads, and the object that it becomes when it is applied.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use smol_str::SmolStr;

use crate::api::{GROUP, Kind};

use super::secret_sources;
use super::yaml::{Entry, Node, NodeRef, Packed, Span, SpannedNode};

/// The kinds of documents that the check reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    pub(super) api_version: SmolStr,
    pub(super) kind: SmolStr,
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
    /// The type as it is written, or as a list gives it to an item that is written without one.
    type_meta: TypeMeta,
    name: SmolStr,
    namespace: Option<SmolStr>,
    /// The index of the file.
    pub(super) file: usize,
    /// The number of the document in the file, from 1.
    pub(super) document: usize,
    /// Its position.
    pub(super) span: Span,
    content: Content,
    /// The reason that it is not judged; `None` if nothing in its document prevents it.
    pub(super) opaque: Option<&'static str>,
    /// The line in its document that ends with a separator, which separates nothing there.
    pub(super) glued: Option<u32>,
}

/// The object of a manifest.
#[derive(Debug, Clone)]
enum Content {
    /// The object while other objects of its file are compared with it.
    Read(NodeRef),
    Packed(Packed),
}

impl Manifest {
    /// Creates a manifest of an object. `inferred` is the type that a list gives to an item that is written without one.
    pub(super) fn new(
        kind: ManifestKind,
        inferred: Option<TypeMeta>,
        file: usize,
        document: usize,
        object: SpannedNode,
    ) -> Self {
        let text = |keys: &[&str]| object.node.text_at(keys);
        let written = || {
            TypeMeta::new(
                text(&["apiVersion"]).unwrap_or_default(),
                text(&["kind"]).unwrap_or_default(),
            )
        };
        let name = text(&["metadata", "name"]).or_else(|| text(&["metadata", "generateName"]));
        Self {
            kind,
            type_meta: inferred.unwrap_or_else(written),
            name: name.unwrap_or_default().into(),
            namespace: text(&["metadata", "namespace"]).map(SmolStr::from),
            file,
            document,
            span: object.span,
            content: Content::Read(object.node),
            opaque: None,
            glued: None,
        }
    }

    /// Returns the object and its position. It is unpacked on each call.
    pub(super) fn object(&self) -> SpannedNode {
        let node = match &self.content {
            Content::Read(node) => node.clone(),
            Content::Packed(packed) => packed.unpack(),
        };
        SpannedNode {
            span: self.span,
            node,
        }
    }

    /// Packs the object, when the objects of its file are no longer compared. `known` are the packed ones by their addresses, because
    /// aliases may make several objects of one node.
    pub(super) fn pack(&mut self, known: &mut HashMap<*const Node, Packed>) {
        if let Content::Read(node) = &self.content {
            let packed = match node.address() {
                Some(address) => known.entry(address).or_insert_with(|| Packed::new(node)).clone(),
                None => Packed::new(node),
            };
            self.content = Content::Packed(packed);
        }
    }

    /// Returns `metadata.name`, else `metadata.generateName`, else an empty text.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Adds the nodes below every field except `apiVersion`, `kind` and `metadata`, by their addresses.
    pub(super) fn collect_values(&self, values: &mut HashSet<*const Node>) {
        let is_value = |entry: &&Entry| !matches!(&*entry.key, "apiVersion" | "kind" | "metadata");
        for entry in self.object().node.entries().iter().filter(is_value) {
            entry.value.walk(&mut |node| values.extend(node.node.address()));
        }
    }

    /// Returns true if a node of the object is one of `values`.
    pub(super) fn shares(&self, values: &HashSet<*const Node>) -> bool {
        let mut shares = false;
        self.object().walk(&mut |node| {
            shares |= node
                .node
                .address()
                .is_some_and(|address| values.contains(&address));
        });
        shares
    }

    /// Returns the field `kind`, as it is written or as its list gives it.
    pub(super) fn kind_name(&self) -> &str {
        &self.type_meta.kind
    }

    /// Returns the field `apiVersion`, as it is written or as its list gives it.
    pub(super) fn api_version(&self) -> &str {
        &self.type_meta.api_version
    }
}

/// The applications that apply an object in the same way, by index; `None` if no application changes the objects of its folder.
pub(super) type Appliers = Option<Arc<[usize]>>;

/// A manifest with the namespace and the name under which it is applied.
///
/// Several overlays can apply the same manifest, each under its own namespace or name.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    pub(super) manifest: Arc<Manifest>,
    pub(super) namespace: SmolStr,
    /// The name that a `namePrefix` or `nameSuffix` gives it.
    pub(super) renamed: Option<SmolStr>,
    /// The reason that the applied object may differ from the manifest; `None` if it is applied as it is written.
    pub(super) opaque: Option<Box<str>>,
    /// The folder of the outermost kustomization that applies it, or else of its file.
    pub(super) folder: Arc<str>,
    /// The applications that apply it in this way.
    pub(super) appliers: Appliers,
}

impl Resource {
    /// Returns the name under which it is applied.
    pub(super) fn name(&self) -> &str {
        self.renamed.as_deref().unwrap_or_else(|| self.manifest.name())
    }
}
