//! The target for `spec.storageLocation`.

use cassgate::domain::storage::{Provider, StorageLocation};

/// Checks that a valid location has every part from which Icarus builds a path.
pub fn location(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    let parsed = match StorageLocation::parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let words = error.to_string();
            assert!(
                !words.is_empty() && words.len() < 300 && !words.contains(char::is_control),
                "{words:?}"
            );
            return;
        }
    };
    assert_eq!(parsed.as_str(), text);
    let (provider, bucket) = (parsed.provider(), parsed.bucket());
    assert!(text.starts_with(&format!("{provider}://")));
    assert!(!bucket.is_empty() && text.contains(bucket));
    assert!(!bucket.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control()));
    match parsed.directory() {
        None => {
            assert_ne!(provider, Provider::File);
            let short = StorageLocation::parse(&format!("{provider}://{bucket}"));
            assert_eq!(
                short.expect("a location without its replaced parts").bucket(),
                bucket
            );
        }
        Some(directory) => {
            assert_eq!(provider, Provider::File);
            assert!(directory.starts_with('/') && !directory.ends_with('/') && directory.len() > 1);
            assert!(
                directory
                    .split('/')
                    .skip(1)
                    .all(|part| !matches!(part, "" | "." | ".."))
            );
            let same = StorageLocation::parse(&format!("file://{directory}/{bucket}/c/d/n/"));
            let same = same.expect("a location with other replaced parts");
            assert_eq!((same.directory(), same.bucket()), (Some(directory), bucket));
        }
    }
}
