//! The version of Icarus that a cluster's pods run, read from the image.

use super::image::Version;
use super::storage::Provider;

/// The sidecar of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sidecar {
    /// An Icarus of this version.
    Icarus(Version),
    /// An image whose name or tag does not contain the version.
    #[default]
    Unknown,
}

/// The ability of a sidecar to remove snapshots from a storage backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It removes every snapshot.
    Supported,
    /// It removes snapshots of at most a thousand objects on a node: it names all of them in one request, and S3 accepts
    /// no more (read in the source of Esop 2.0.4).
    OneThousandObjects,
    /// It has neither of the operations `list` and `remove-backup`.
    Missing,
    /// Its removals may delete files that newer snapshots share: it counts references in the manifests that a listing
    /// downloads, and listings of S3 may miss some (read in the source of Esop 3.0.1).
    Unsafe,
    /// The version is unknown, and may be one whose removals are unsafe.
    Unknown,
}

impl Removal {
    /// Returns true if no removal may be sent.
    #[must_use]
    pub const fn is_refused(self) -> bool {
        matches!(self, Self::Missing | Self::Unsafe | Self::Unknown)
    }
}

impl Sidecar {
    /// Reads the version from an image reference.
    ///
    /// Returns [`Unknown`](Self::Unknown) for an image with another name, without a version as its tag, or pinned by a
    /// digest.
    #[must_use]
    pub fn from_image(image: &str) -> Self {
        Version::of_image(image, "icarus").map_or(Self::Unknown, Self::Icarus)
    }

    /// Returns the version, if it is known.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        match self {
            Self::Icarus(version) => Some(*version),
            Self::Unknown => None,
        }
    }

    /// Returns true if the sidecar accepts the requests that CassKop sends, or `None` if the version is unknown.
    ///
    /// CassKop sends no `dataDirs`, which every sidecar since 2.0.0 requires (observed on 2.0.4 and 3.0.0: backups and
    /// restores fail at once).
    #[must_use]
    pub fn accepts_casskop_requests(&self) -> Option<bool> {
        self.version().map(|version| version.major < 2)
    }

    /// Returns true if the sidecar has the operations `list` and `remove-backup`, or `None` if the version is unknown.
    ///
    /// They are new in 2.0.2 (read in its source; observed on 2.0.4 and 3.0.0, and rejected by 1.1.3).
    #[must_use]
    pub fn supports_list_and_remove(&self) -> Option<bool> {
        let version = self.version()?;
        Some((version.major, version.minor, version.patch) >= (2, 0, 2))
    }

    /// Returns the ability of the sidecar to remove snapshots from this backend.
    #[must_use]
    pub fn removal(&self, provider: Option<Provider>) -> Removal {
        let speaks_s3 = provider.is_some_and(Provider::speaks_s3);
        match (self.supports_list_and_remove(), self.version()) {
            (Some(false), _) => Removal::Missing,
            (_, Some(version)) if speaks_s3 && version.major >= 3 => Removal::Unsafe,
            (_, Some(_)) if speaks_s3 => Removal::OneThousandObjects,
            (_, None) if speaks_s3 => Removal::Unknown,
            _ => Removal::Supported,
        }
    }

    /// Returns true if a listing of this backend proves what the bucket contains, and ends.
    ///
    /// On S3, Icarus 3 never ends a listing of more than 1 000 objects, and one of fewer may miss manifests (read in the
    /// source of Esop 3.0.1).
    #[must_use]
    pub fn lists_reliably(&self, provider: Option<Provider>) -> bool {
        self.removal(provider) != Removal::Unsafe
    }

    /// Returns true if an IMPORT fails for ever on hard links that an earlier IMPORT left, so that only a refresh of each
    /// table gets past them, or `None` if the version is unknown.
    ///
    /// Icarus 1.1.3 does (observed). 2.0.4 and 3.0.0 skip links that exist and complete half an SSTable, which a refresh
    /// would corrupt (observed).
    #[must_use]
    pub fn needs_refresh(&self) -> Option<bool> {
        self.version().map(|version| version.major < 2)
    }

    /// Returns true if the sidecar ignores Kubernetes Secrets, or `None` if the version is unknown.
    ///
    /// Esop 3.0 no longer reads them.
    #[must_use]
    pub fn ignores_secrets(&self) -> Option<bool> {
        self.version().map(|version| version.major >= 3)
    }
}

#[cfg(test)]
mod tests {
    use super::{Provider, Removal, Sidecar, Version};

    #[test]
    fn the_ability_to_remove_depends_on_the_version_and_the_storage() {
        use Provider::{Azure, Ceph, File, Gcp, Minio, Oracle, S3};
        for (tag, on_s3, elsewhere) in [
            ("1.1.3", Removal::Missing, Removal::Missing),
            ("2.0.1", Removal::Missing, Removal::Missing),
            ("2.0.2", Removal::OneThousandObjects, Removal::Supported),
            ("2.0.4", Removal::OneThousandObjects, Removal::Supported),
            ("3.0.0", Removal::Unsafe, Removal::Supported),
            ("3.1", Removal::Unsafe, Removal::Supported),
            ("latest", Removal::Unknown, Removal::Supported),
        ] {
            let sidecar = Sidecar::from_image(&format!("icarus:{tag}"));
            for provider in [S3, Minio, Ceph, Oracle] {
                assert_eq!(sidecar.removal(Some(provider)), on_s3, "{tag} {provider}");
            }
            for provider in [Some(File), Some(Azure), Some(Gcp), None] {
                assert_eq!(sidecar.removal(provider), elsewhere, "{tag} {provider:?}");
            }
        }
    }

    #[test]
    fn the_tag_of_an_icarus_image_is_the_version() {
        for (image, expected) in [
            ("ghcr.io/cscetbon/instaclustr-icarus:1.1.3", (1, 1, 3)),
            ("instaclustr-icarus:v2.0.4", (2, 0, 4)),
            ("registry:5000/team/icarus:3.0", (3, 0, 0)),
            ("icarus:2.0.4-jdk11", (2, 0, 4)),
        ] {
            let (major, minor, patch) = expected;
            assert_eq!(
                Sidecar::from_image(image),
                Sidecar::Icarus(Version { major, minor, patch }),
                "{image}"
            );
        }
    }

    #[test]
    fn anything_else_is_unknown() {
        for image in [
            "icarus",
            "registry:5000/icarus",
            "icarus:latest",
            "icarus:1",
            "icarus:1.2.3.4",
            "own/backup:1.1.3",
            "icarus:1.1.3@sha256:00",
            "icarus@sha256:00",
            "",
        ] {
            assert_eq!(Sidecar::from_image(image), Sidecar::Unknown, "{image}");
        }
    }
}
