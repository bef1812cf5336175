//! Which Icarus a cluster's pods run, as far as the image tells.

use super::image::Version;

/// The sidecar of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sidecar {
    /// An Icarus of this version.
    Icarus(Version),
    /// An image whose name or tag does not tell.
    #[default]
    Unknown,
}

impl Sidecar {
    /// Reads an image reference. An image of another name, without a version as its tag, or pinned by a digest
    /// says nothing that a rule could rest on.
    #[must_use]
    pub fn from_image(image: &str) -> Self {
        Version::of_image(image, "icarus").map_or(Self::Unknown, Self::Icarus)
    }

    /// Its version, where it shows.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        match self {
            Self::Icarus(version) => Some(*version),
            Self::Unknown => None,
        }
    }

    /// Whether it takes the request that CassKop sends: without `dataDirs`, which every sidecar since 2.0.0 demands
    /// (seen on 2.0.4 and 3.0.0: backups and restores fail at once). `None` when the version is unknown.
    #[must_use]
    pub fn takes_casskops_requests(&self) -> Option<bool> {
        self.version().map(|version| version.major < 2)
    }

    /// Whether it has the operations `list` and `remove-backup`: they came with 2.0.2 (read; seen in 2.0.4 and 3.0.0,
    /// and refused by 1.1.3). `None` when the version is unknown.
    #[must_use]
    pub fn lists_and_removes(&self) -> Option<bool> {
        let version = self.version()?;
        Some((version.major, version.minor, version.patch) >= (2, 0, 2))
    }

    /// Whether it ignores Kubernetes Secrets: Esop lost them in 3.0. `None` when the version is unknown.
    #[must_use]
    pub fn ignores_secrets(&self) -> Option<bool> {
        self.version().map(|version| version.major >= 3)
    }
}

#[cfg(test)]
mod tests {
    use super::{Sidecar, Version};

    #[test]
    fn a_tag_of_an_icarus_image_tells_the_version() {
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
