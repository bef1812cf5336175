//! The target for the short values of a spec, images and Secrets.

use cassgate::domain::cassandra_directory::CassandraDirectory;
use cassgate::domain::credentials::{Credentials, Key};
use cassgate::domain::image::Version;
use cassgate::domain::object_name::is_object_name;
use cassgate::domain::schema_version::SchemaVersion;
use cassgate::domain::sidecar::Sidecar;
use cassgate::domain::snapshot_tag::{MAX_TAG_LENGTH, SnapshotTag};

/// Parses one text as each type of value.
pub fn values(data: &[u8]) {
    credentials(data);
    let Some(text) = super::text(data) else { return };
    tag(text);
    schema_version(text);
    directory(text);
    image(text);
    if is_object_name(text) {
        assert!((1..=253).contains(&text.len()) && !text.contains(['/', '?', '%', ' ']) && text != "..");
    }
}

fn tag(text: &str) {
    match SnapshotTag::parse(text) {
        Ok(tag) => {
            assert_eq!((tag.as_str(), tag.to_string().as_str()), (text, text));
            assert!((1..=MAX_TAG_LENGTH).contains(&text.len()) && !text.starts_with(['.', '-']));
            assert!(text.bytes().all(|b| b.is_ascii_graphic() && b != b'/'));
        }
        Err(error) => check_error(&error.to_string()),
    }
}

fn schema_version(text: &str) {
    match SchemaVersion::parse(text) {
        Ok(version) => {
            assert_eq!(
                (text.len(), version.as_str()),
                (36, text.to_ascii_lowercase().as_str())
            );
            assert_eq!(SchemaVersion::parse(version.as_str()), Ok(version));
        }
        Err(error) => check_error(&error.to_string()),
    }
}

fn directory(text: &str) {
    match CassandraDirectory::parse(text) {
        Ok(directory) => {
            assert_eq!(directory.as_str(), text);
            assert!(text.starts_with('/') && !text.contains(char::is_control));
            let parts: Vec<&str> = text
                .split('/')
                .filter(|part| !matches!(*part, "" | "."))
                .collect();
            assert!(!parts.contains(&".."));
            // The same directory in its shortest form.
            assert!(CassandraDirectory::parse(&format!("/{}", parts.join("/"))).is_ok());
        }
        Err(error) => check_error(&error.to_string()),
    }
}

fn image(text: &str) {
    let sidecar = Sidecar::from_image(text);
    assert_eq!(sidecar.version(), Version::of_image(text, "icarus"));
    if let Some(version) = sidecar.version() {
        let (name, tag) = text.rsplit_once(':').expect("an image with a tag");
        assert!(name.contains("icarus") && !tag.contains('@'));
        let short = Sidecar::from_image(&format!("icarus:{version}"));
        assert_eq!(
            (short.version(), short.accepts_casskop_requests()),
            (Some(version), sidecar.accepts_casskop_requests())
        );
    }
}

fn credentials(value: &[u8]) {
    for key in Key::ALL {
        let read = Credentials::read([(key.as_str(), value)]);
        assert!(read.has(key));
        assert!(read.defect(key).is_some() || !value.is_empty());
    }
    if let Some(name) = super::text(value) {
        let read = Credentials::read([(name, b"x".as_slice())]);
        assert_eq!(
            Key::ALL.into_iter().any(|key| read.has(key)),
            Key::ALL.iter().any(|key| key.as_str() == name)
        );
    }
}

fn check_error(text: &str) {
    assert!(
        !text.is_empty() && text.len() < 300 && !text.contains(char::is_control),
        "{text:?}"
    );
}
