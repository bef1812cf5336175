//! The files of a report, and their texts as far as it may quote them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::files::read_regular_file;

/// A file that was read.
#[derive(Debug)]
pub struct Source {
    /// Its name.
    pub name: String,
    text: Text,
}

#[derive(Debug)]
enum Text {
    /// The report must not quote it.
    NotQuoted,
    Kept(String),
    OnDisk(Box<OnDisk>),
}

/// A text that is read again when the report quotes it.
#[derive(Debug)]
struct OnDisk {
    path: PathBuf,
    hash: u64,
    text: OnceLock<Option<String>>,
}

impl Source {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            text: Text::NotQuoted,
        }
    }

    /// Keeps the text for quotations.
    pub(super) fn keep(&mut self, text: String) {
        self.text = Text::Kept(text);
    }

    /// Drops the text of a regular file. Few files have findings, and only their texts are read again.
    pub(super) fn drop_text(&mut self, path: &Path) {
        if let Text::Kept(text) = &self.text {
            self.text = Text::OnDisk(Box::new(OnDisk {
                hash: hash(text),
                path: path.to_owned(),
                text: OnceLock::new(),
            }));
        }
    }

    /// Returns the text, if the report may quote it. A file that has changed since it was judged is not quoted.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.text {
            Text::NotQuoted => None,
            Text::Kept(text) => Some(text),
            Text::OnDisk(own) => {
                let read = || String::from_utf8(read_regular_file(&own.path).ok()?).ok();
                let unchanged = || read().filter(|text| hash(text) == own.hash);
                own.text.get_or_init(unchanged).as_deref()
            }
        }
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::Source;
    use std::fs;

    #[test]
    fn a_text_is_read_again_and_not_quoted_if_it_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        let source = || {
            let mut source = Source::new("a.yaml".to_owned());
            source.keep("a: 1\n".to_owned());
            source.drop_text(&path);
            source
        };
        fs::write(&path, "a: 1\n").unwrap();
        let same = source();
        assert_eq!(same.text(), Some("a: 1\n"));
        fs::write(&path, "a: 2\n").unwrap();
        assert_eq!(same.text(), Some("a: 1\n"));
        assert_eq!(source().text(), None);
        fs::remove_file(&path).unwrap();
        assert_eq!(source().text(), None);
        let mut other = Source::new("b.yaml".to_owned());
        other.drop_text(&path);
        assert_eq!(other.text(), None);
    }
}
