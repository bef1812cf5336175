//! The version of a program, read from the reference of its container image.

use std::fmt;

/// A version with three numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The major version.
    pub major: u32,
    /// The minor version.
    pub minor: u32,
    /// The patch version.
    pub patch: u32,
}

impl Version {
    /// Returns the version in the tag of `image` if the name of the image contains `word`.
    ///
    /// Returns `None` for an image with another name, without a version as its tag, or pinned by a digest.
    #[must_use]
    pub fn of_image(image: &str, word: &str) -> Option<Self> {
        let file = image.rsplit('/').next().unwrap_or(image);
        let (name, tag) = file.split_once(':')?;
        name.contains(word).then(|| Self::parse(tag)).flatten()
    }

    /// Parses `2.0.4`, `v2.0.4`, `2.0.4-jdk11` and `2.0`. Returns `None` for any other form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse_tag(text)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
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
    use super::Version;

    #[test]
    fn the_tag_of_an_image_with_the_word_is_the_version() {
        for (image, word, expected) in [
            ("cassandra:4.1.9", "cassandra", Some("4.1.9")),
            (
                "registry:5000/team/cassandra-image:v3.11",
                "cassandra",
                Some("3.11.0"),
            ),
            ("cassandra:4.1.9", "icarus", None),
            ("cassandra:latest", "cassandra", None),
            ("cassandra", "cassandra", None),
        ] {
            let version = Version::of_image(image, word).map(|version| version.to_string());
            assert_eq!(version.as_deref(), expected, "{image}");
        }
    }
}
