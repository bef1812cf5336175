//! What the reference of a container image tells of the program in it.

use std::fmt;

/// A version of three numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Counts what breaks.
    pub major: u32,
    /// Counts within a major version.
    pub minor: u32,
    /// Counts within a minor version.
    pub patch: u32,
}

impl Version {
    /// The version that the tag of `image` says, where the name of the image has `word` in it.
    ///
    /// An image of another name, without a version as its tag, or pinned by a digest says nothing that a rule could
    /// rest on: `None`.
    #[must_use]
    pub fn of_image(image: &str, word: &str) -> Option<Self> {
        let file = image.rsplit('/').next().unwrap_or(image);
        let (name, tag) = file.split_once(':')?;
        name.contains(word).then(|| Self::parse(tag)).flatten()
    }

    /// Reads `2.0.4`, also with a `v` before it, with something after a hyphen, or without the third number. `None`
    /// for anything else.
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
    fn a_tag_of_an_image_with_the_word_tells_the_version() {
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
