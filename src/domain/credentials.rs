//! The keys of a Secret and the defects of their values. The values themselves are never kept.

use std::fmt;
use std::sync::Arc;

/// A key of a Secret that Icarus 1.x and 2.x read. They ignore every other key, and so does cassgate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The access key of S3 and compatible stores.
    AwsAccessKeyId,
    /// The secret key of S3 and compatible stores.
    AwsSecretAccessKey,
    /// The region of S3 and compatible stores.
    AwsRegion,
    /// The endpoint of a store other than Amazon S3.
    AwsEndpoint,
    /// The storage account of Azure.
    AzureStorageAccount,
    /// The key of the Azure storage account.
    AzureStorageKey,
    /// The JSON document of a Google service account.
    Gcp,
}

impl Key {
    /// Every key.
    pub const ALL: [Self; 7] = [
        Self::AwsAccessKeyId,
        Self::AwsSecretAccessKey,
        Self::AwsRegion,
        Self::AwsEndpoint,
        Self::AzureStorageAccount,
        Self::AzureStorageKey,
        Self::Gcp,
    ];

    /// Returns the name of the key in a Secret.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwsAccessKeyId => "awsaccesskeyid",
            Self::AwsSecretAccessKey => "awssecretaccesskey",
            Self::AwsRegion => "awsregion",
            Self::AwsEndpoint => "awsendpoint",
            Self::AzureStorageAccount => "azurestorageaccount",
            Self::AzureStorageKey => "azurestoragekey",
            Self::Gcp => "gcp",
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The defect of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Defect {
    /// The value is empty.
    Empty,
    /// White space at the start or end of the value, which Icarus takes as part of the credential.
    Padded,
    /// The value of `gcp` is not a JSON object with a string `type`, which Google's library requires.
    NotServiceAccount,
    /// The value of `awsendpoint` is neither a host nor an http(s) URL.
    NotEndpoint,
    /// The value of `awsregion` does not have the form of an AWS region. Other stores accept any value.
    NotRegion,
    /// The value of `awsregion` is not one of [`SDK_REGIONS`].
    UnknownRegion,
}

/// The regions that the AWS SDK of Icarus 1.x and 2.x knows, in lower case.
///
/// Both contain aws-java-sdk 1.11.782 (Esop 1.1.4 and 2.0.4), whose `Regions.fromName` fails for every other name, also for
/// regions that AWS opened later. With an endpoint the name is not looked up. Icarus 3 reads no Secret. A test in
/// `tests/e2e` reads the list from the published archives.
pub const SDK_REGIONS: [&str; 23] = [
    "af-south-1",
    "ap-east-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "me-south-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// The keys of a Secret, each with the defect of its value. Values are checked once and never kept.
///
/// The type is small, because it is copied for every review of an object that refers to the Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// In the order of [`Key::ALL`].
    keys: [Entry; Key::ALL.len()],
    /// The reason that the API server rejects the Secret, without a value.
    rejected: Option<Arc<str>>,
}

/// The entry of a Secret for one key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Entry {
    #[default]
    Absent,
    Present(Option<Defect>),
}

impl Credentials {
    /// Checks the entries of a Secret, each a name with its decoded value.
    #[must_use]
    pub fn read<'a>(entries: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut seen = Self::default();
        for (name, value) in entries {
            seen.set(name, |key| defect(key, value));
        }
        seen
    }

    /// Adds keys whose values are unknown, because they are encrypted or generated elsewhere.
    ///
    /// Such a key has no defect, even if `self` has one for it.
    #[must_use]
    pub fn and_named<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        for name in names {
            self.set(name, |_| None);
        }
        self
    }

    /// Marks the Secret as one that the API server rejects, for `reason`.
    #[must_use]
    pub fn and_rejected(mut self, reason: Option<String>) -> Self {
        self.rejected = reason.map(Arc::from);
        self
    }

    /// Returns the reason that the API server rejects the Secret; `None` for a stored one and a valid manifest.
    #[must_use]
    pub fn rejected(&self) -> Option<&str> {
        self.rejected.as_deref()
    }

    fn set(&mut self, name: &str, defect: impl FnOnce(Key) -> Option<Defect>) {
        let mut keys = Key::ALL.into_iter().zip(&mut self.keys);
        if let Some((key, entry)) = keys.find(|(key, _)| key.as_str() == name) {
            *entry = Entry::Present(defect(key));
        }
    }

    /// Returns true if the Secret has the key.
    #[must_use]
    pub fn has(&self, key: Key) -> bool {
        self.entry(key) != Entry::Absent
    }

    /// Returns the defect of the key's value, or `None` if the value is valid or the key is absent.
    #[must_use]
    pub fn defect(&self, key: Key) -> Option<Defect> {
        match self.entry(key) {
            Entry::Present(defect) => defect,
            Entry::Absent => None,
        }
    }

    fn entry(&self, key: Key) -> Entry {
        self.keys.get(key as usize).copied().unwrap_or_default()
    }
}

fn defect(key: Key, value: &[u8]) -> Option<Defect> {
    if value.is_empty() {
        return Some(Defect::Empty);
    }
    match key {
        // JSON allows a line end after the document.
        Key::Gcp => (!is_service_account(value)).then_some(Defect::NotServiceAccount),
        Key::AwsEndpoint if !is_endpoint(value.trim_ascii()) => Some(Defect::NotEndpoint),
        Key::AwsRegion if !is_region(value.trim_ascii()) => Some(Defect::NotRegion),
        Key::AwsRegion if !is_sdk_region(value.trim_ascii()) => Some(Defect::UnknownRegion),
        _ => (value.trim_ascii().len() != value.len()).then_some(Defect::Padded),
    }
}

fn is_service_account(value: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(value)
        .is_ok_and(|document| document.get("type").is_some_and(serde_json::Value::is_string))
}

fn is_endpoint(value: &[u8]) -> bool {
    let Ok(uri) = parse_endpoint(value) else {
        return false;
    };
    let host = uri.host().is_some_and(|host| !host.is_empty());
    match uri.scheme_str() {
        None => host && uri.path_and_query().is_none(),
        Some(scheme) => host && matches!(scheme, "http" | "https"),
    }
}

/// Parses an address.
///
/// Without a scheme `http::Uri` accepts no path. The SDK joins one slash at the end with the path of each request
/// (observed: `PUT /bucket/key` with and without it).
fn parse_endpoint(value: &[u8]) -> Result<http::Uri, http::uri::InvalidUri> {
    let has_scheme = value.windows(3).any(|part| part == b"://");
    let bare = value.strip_suffix(b"/").filter(|_| !has_scheme);
    http::Uri::try_from(bare.unwrap_or(value))
}

/// Returns true for a region that the SDK of Icarus 1.x and 2.x knows. Esop converts the region to lower case.
fn is_sdk_region(value: &[u8]) -> bool {
    SDK_REGIONS
        .iter()
        .any(|region| value.eq_ignore_ascii_case(region.as_bytes()))
}

/// Returns true for words and a number, such as `eu-west-1`.
fn is_region(value: &[u8]) -> bool {
    let parts: Vec<&[u8]> = value.split(|byte| *byte == b'-').collect();
    let word = |part: &&[u8]| part.len() > 1 && part.iter().all(u8::is_ascii_alphabetic);
    match parts.as_slice() {
        [words @ .., number] if words.len() > 1 => {
            words.iter().all(word) && !number.is_empty() && number.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Credentials, Defect, Key};

    fn defect(key: Key, value: &str) -> Option<Defect> {
        Credentials::read([(key.as_str(), value.as_bytes())]).defect(key)
    }

    #[test]
    fn good_values_have_no_defect() {
        for (key, value) in [
            (Key::AwsAccessKeyId, "AKIA"),
            (Key::AwsRegion, "us-west-2"),
            (Key::AwsRegion, "US-Gov-East-1"),
            (Key::AwsEndpoint, "https://minio.example:9000"),
            (Key::AwsEndpoint, "http://127.0.0.1:9000/"),
            (Key::AwsEndpoint, "minio.storage.svc:9000"),
            (Key::AwsEndpoint, "minio"),
            (Key::AwsEndpoint, "minio:9000/"),
            (Key::AwsEndpoint, "s3.example.com/"),
            (Key::AwsEndpoint, "http://minio/path/"),
            (Key::Gcp, "{\"type\": \"service_account\"}\n"),
        ] {
            assert_eq!(defect(key, value), None, "{key} {value}");
        }
    }

    #[test]
    fn values_that_a_sidecar_cannot_use_have_a_defect() {
        for (key, value, expected) in [
            (Key::AwsAccessKeyId, "", Defect::Empty),
            (Key::Gcp, "", Defect::Empty),
            (Key::AwsAccessKeyId, "AKIA\n", Defect::Padded),
            (Key::AzureStorageKey, " k", Defect::Padded),
            (Key::AwsEndpoint, "minio:9000\n", Defect::Padded),
            (Key::AwsEndpoint, "ftp://minio", Defect::NotEndpoint),
            (Key::AwsEndpoint, "not a host", Defect::NotEndpoint),
            (Key::AwsEndpoint, "https://", Defect::NotEndpoint),
            (Key::AwsEndpoint, "/path", Defect::NotEndpoint),
            (Key::AwsEndpoint, "/", Defect::NotEndpoint),
            (Key::AwsEndpoint, "minio:9000//", Defect::NotEndpoint),
            (Key::AwsRegion, "eu-west-1\n", Defect::Padded),
            (Key::AwsRegion, "eu-west-1a", Defect::NotRegion),
            (Key::AwsRegion, "eu-west", Defect::NotRegion),
            (Key::AwsRegion, "west-1", Defect::NotRegion),
            (Key::AwsRegion, "Frankfurt", Defect::NotRegion),
            (Key::AwsRegion, "eu_west_1", Defect::NotRegion),
            (Key::AwsRegion, "eu--1", Defect::NotRegion),
            (Key::AwsRegion, "il-central-1", Defect::UnknownRegion),
            (Key::AwsRegion, "EU-SOUTH-1", Defect::UnknownRegion),
            (Key::AwsRegion, "me-central-1\n", Defect::UnknownRegion),
            (Key::AwsRegion, "ap-southeast-3", Defect::UnknownRegion),
            (Key::AwsRegion, "eu-central-2", Defect::UnknownRegion),
            (Key::AwsRegion, "mx-central-1", Defect::UnknownRegion),
            (Key::AwsRegion, "ap-northeast-3", Defect::UnknownRegion),
            (Key::AwsRegion, "eu-isoe-west-1", Defect::UnknownRegion),
            (Key::AwsRegion, "eusc-de-east-1", Defect::UnknownRegion),
            (Key::Gcp, "[]", Defect::NotServiceAccount),
            (Key::Gcp, "{\"type\": 1}", Defect::NotServiceAccount),
            (Key::Gcp, "key", Defect::NotServiceAccount),
        ] {
            assert_eq!(defect(key, value), Some(expected), "{key} {value:?}");
        }
    }

    #[test]
    fn no_value_is_kept() {
        let seen = Credentials::read([
            ("awsaccesskeyid", b"topsecret".as_slice()),
            ("other", b"topsecret"),
        ]);
        assert!(!format!("{seen:?}").contains("topsecret"));
        assert!(seen.has(Key::AwsAccessKeyId));
        assert!(!seen.has(Key::Gcp));
    }
}
