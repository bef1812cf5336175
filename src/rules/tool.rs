//! The tools that create objects from a repository or a backup, recognized by what they write into the metadata.

/// A tool that applies manifests again, on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Argo CD.
    ArgoCd,
    /// The kustomize-controller or the helm-controller of Flux.
    Flux,
    /// Helm, without Flux.
    Helm,
    /// kapp or the kapp-controller.
    Kapp,
    /// Fleet of Rancher.
    Fleet,
    /// Config Sync.
    ConfigSync,
    /// Terraform or `OpenTofu`.
    Terraform,
    /// Pulumi.
    Pulumi,
    /// kluctl.
    Kluctl,
}

/// The annotations that make a tool create an object again.
pub const RECREATING_ANNOTATIONS: [&str; 14] = [
    "helm.sh/hook",
    "helm.sh/hook-delete-policy",
    "argocd.argoproj.io/hook",
    "argocd.argoproj.io/hook-delete-policy",
    "argocd.argoproj.io/sync-options",
    "kustomize.toolkit.fluxcd.io/force",
    "kapp.k14s.io/update-strategy",
    "kapp.k14s.io/versioned",
    "kluctl.io/hook",
    "kluctl.io/hook-delete-policy",
    "strategy.spinnaker.io/recreate",
    "strategy.spinnaker.io/replace",
    "strategy.spinnaker.io/versioned",
    "werf.io/delete-policy",
];

/// The labels that make a tool create an object again.
pub const RECREATING_LABELS: [&str; 1] = ["kustomize.toolkit.fluxcd.io/force"];

/// The annotations by which a tool finds its objects again.
pub const TRACKING_ANNOTATIONS: [(&str, Tool); 5] = [
    ("argocd.argoproj.io/tracking-id", Tool::ArgoCd),
    ("meta.helm.sh/release-name", Tool::Helm),
    ("kapp.k14s.io/identity", Tool::Kapp),
    ("objectset.rio.cattle.io/id", Tool::Fleet),
    ("configsync.gke.io/resource-id", Tool::ConfigSync),
];

/// The labels by which a tool finds its objects again.
pub const TRACKING_LABELS: [(&str, Tool); 5] = [
    ("kustomize.toolkit.fluxcd.io/name", Tool::Flux),
    ("helm.toolkit.fluxcd.io/name", Tool::Flux),
    ("argocd.argoproj.io/instance", Tool::ArgoCd),
    ("kapp.k14s.io/app", Tool::Kapp),
    ("objectset.rio.cattle.io/hash", Tool::Fleet),
];

/// The names of field managers, or their beginnings.
const MANAGERS: [(&str, Tool); 10] = [
    ("argocd", Tool::ArgoCd),
    ("kustomize-controller", Tool::Flux),
    ("helm-controller", Tool::Flux),
    ("helm", Tool::Helm),
    ("kapp", Tool::Kapp),
    ("fleetagent", Tool::Fleet),
    ("configsync", Tool::ConfigSync),
    ("terraform", Tool::Terraform),
    ("pulumi", Tool::Pulumi),
    ("kluctl", Tool::Kluctl),
];

impl Tool {
    /// Returns the tool of a field manager.
    #[must_use]
    pub fn of_manager(name: &str) -> Option<Self> {
        let begins = |(start, _): &&(&str, Self)| {
            let head = name.get(..start.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(start))
        };
        MANAGERS.iter().find(begins).map(|(_, tool)| *tool)
    }

    /// Returns its name for messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ArgoCd => "Argo CD",
            Self::Flux => "Flux",
            Self::Helm => "Helm",
            Self::Kapp => "kapp",
            Self::Fleet => "Fleet",
            Self::ConfigSync => "Config Sync",
            Self::Terraform => "Terraform",
            Self::Pulumi => "Pulumi",
            Self::Kluctl => "kluctl",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tool;

    #[test]
    fn a_tool_is_recognized_by_its_field_manager() {
        for (manager, tool) in [
            ("argocd-controller", Some(Tool::ArgoCd)),
            ("argocd-application-controller", Some(Tool::ArgoCd)),
            ("kustomize-controller", Some(Tool::Flux)),
            ("helm-controller", Some(Tool::Flux)),
            ("helm", Some(Tool::Helm)),
            ("Terraform", Some(Tool::Terraform)),
            ("kluctl", Some(Tool::Kluctl)),
            ("kubectl-client-side-apply", None),
            ("kubectl-create", None),
            ("cassgate", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(Tool::of_manager(manager), tool, "{manager}");
        }
    }
}
