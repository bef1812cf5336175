//! Which Icarus a cluster's pods run, as far as the image tells.

use std::fmt;

/// A version of Icarus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 1, 2 or 3 so far.
    pub major: u32,
    /// Counts within a major version.
    pub minor: u32,
    /// Counts within a minor version.
    pub patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The sidecar of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sidecar {
    /// An Icarus of this version.
    Icarus(Version),
    /// An image whose name or tag does not tell.
    Unknown,
}

impl Sidecar {
    /// Reads an image reference. An image of another name, without a version as its tag, or pinned by a digest
    /// says nothing that a rule could rest on.
    #[must_use]
    pub fn from_image(image: &str) -> Self {
        let file = image.rsplit('/').next().unwrap_or(image);
        match file.split_once(':') {
            Some((name, tag)) if name.contains("icarus") => {
                parse_tag(tag).map_or(Self::Unknown, Self::Icarus)
            }
            _ => Self::Unknown,
        }
    }

    /// Whether it ignores Kubernetes Secrets: Esop lost them in 3.0. `None` when the version is unknown.
    #[must_use]
    pub fn ignores_secrets(&self) -> Option<bool> {
        match self {
            Self::Icarus(version) => Some(version.major >= 3),
            Self::Unknown => None,
        }
    }
}

fn parse_tag(tag: &str) -> Option<Version> {
    if tag.contains('@') {
        return None;
    }
    let numbers = tag.strip_prefix('v').unwrap_or(tag).split('-').next()?;
    let mut parts = numbers.split('.').map(|part| part.parse::<u32>().ok());
    let version = Version {
        major: parts.next()??,
        minor: parts.next()??,
        patch: parts.next().unwrap_or(Some(0))?,
    };
    parts.next().is_none().then_some(version)
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
