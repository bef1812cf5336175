//! The storage location of a backup.

use std::fmt;

/// A storage backend of Esop, identified by the scheme of a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// Amazon S3 and compatible stores.
    S3,
    /// Azure Blob Storage.
    Azure,
    /// Google Cloud Storage.
    Gcp,
    /// Oracle Object Storage, with its S3 interface.
    Oracle,
    /// `MinIO`: S3 with the bucket in the path.
    Minio,
    /// Ceph's RADOS gateway.
    Ceph,
    /// A directory in the file system of the sidecar.
    File,
}

impl Provider {
    /// Every backend of Icarus 1.x and 2.x. Icarus 3.x no longer has `oracle`, `minio` and `ceph`.
    pub const ALL: [Self; 7] = [
        Self::S3,
        Self::Azure,
        Self::Gcp,
        Self::Oracle,
        Self::Minio,
        Self::Ceph,
        Self::File,
    ];

    /// Returns the scheme of a location. Schemes are case-sensitive.
    #[must_use]
    pub fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
            Self::Oracle => "oracle",
            Self::Minio => "minio",
            Self::Ceph => "ceph",
            Self::File => "file",
        }
    }

    /// Returns true if sidecars speak the protocol of S3 to it.
    #[must_use]
    pub fn speaks_s3(self) -> bool {
        matches!(self, Self::S3 | Self::Oracle | Self::Minio | Self::Ceph)
    }

    /// Returns true if sidecars from version 3.0 on support it.
    ///
    /// Source: the storage modules that Esop 3.0.1 installs.
    #[must_use]
    pub fn in_icarus_3(self) -> bool {
        matches!(self, Self::S3 | Self::Azure | Self::Gcp | Self::File)
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme())
    }
}

/// A storage location for the backups of a cluster, valid for every version of Icarus.
///
/// A cloud location is `scheme://bucket`, or `scheme://bucket/x/y/z`, whose last three segments the sidecar replaces by
/// cluster, datacenter and node. A file location is `file:///dir/bucket/x/y/z`. One trailing slash is accepted.
/// Source: `StorageLocation` of Esop (the same in 1.1.4, 2.0.4 and 3.0.1), without the forms that fail later (an empty
/// bucket, a bucket with slashes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageLocation {
    text: String,
    provider: Provider,
    directory: Option<String>,
    bucket: String,
}

/// The error for an invalid storage location.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageLocationError {
    /// The scheme is not one of [`Provider::ALL`].
    #[error("{}", unknown_scheme(.nearest.as_ref()))]
    UnknownProvider {
        /// The text before `://`.
        scheme: String,
        /// The provider that the user probably meant.
        nearest: Option<Provider>,
    },
    /// There is no `://`.
    #[error("has no scheme; write scheme://bucket, for example s3://my-bucket")]
    NoScheme,
    /// The text is empty.
    #[error("is empty; write scheme://bucket, for example s3://my-bucket")]
    Empty,
    /// White space, a control character, or one of `?#@`.
    #[error("has {0:?}, which would become part of a name; write scheme://bucket without it")]
    Character(char),
    /// A cloud location that is neither `scheme://bucket` nor has three segments after it.
    #[error(
        "is not {0}://bucket: a prefix below the bucket is not supported, the sidecar itself writes \
         cluster/datacenter/node there; write {0}://bucket"
    )]
    CloudForm(Provider),
    /// There is no bucket.
    #[error("has no bucket; write {0}://bucket")]
    NoBucket(Provider),
    /// A malformed file location.
    #[error(
        "is not file:///directory/bucket/cluster/datacenter/node; the last three are replaced for each node but \
         must be there, for example file:///backups/bucket/c/d/n"
    )]
    FileForm,
}

fn unknown_scheme(nearest: Option<&Provider>) -> String {
    nearest.map_or_else(
        || "no sidecar supports this scheme".to_owned(),
        |provider| format!("no sidecar supports this scheme; write {provider}://"),
    )
}

impl StorageLocation {
    /// Parses `spec.storageLocation`.
    ///
    /// # Errors
    /// Returns the first reason why Icarus cannot use it, with the form to write.
    pub fn parse(text: &str) -> Result<Self, StorageLocationError> {
        if text.is_empty() {
            return Err(StorageLocationError::Empty);
        }
        let is_invalid = |c: &char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#' | '@');
        if let Some(character) = text.chars().find(is_invalid) {
            return Err(StorageLocationError::Character(character));
        }
        let (scheme, rest) = split_scheme(text).ok_or(StorageLocationError::NoScheme)?;
        let provider = Provider::ALL
            .into_iter()
            .find(|p| p.scheme() == scheme)
            .ok_or_else(|| StorageLocationError::UnknownProvider {
                scheme: scheme.to_owned(),
                nearest: nearest(scheme),
            })?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (directory, bucket) = match provider {
            Provider::File => file_parts(rest)?,
            _ => (None, cloud_bucket(provider, rest)?),
        };
        Ok(Self {
            text: text.to_owned(),
            provider,
            directory,
            bucket,
        })
    }

    /// Returns the location as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the backend.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Returns the absolute directory that holds the bucket of a file location, without a trailing slash.
    #[must_use]
    pub fn directory(&self) -> Option<&str> {
        self.directory.as_deref()
    }

    /// Returns the backend, the directory and the bucket that the sidecar writes to.
    ///
    /// Locations that differ only in the segments that the sidecar replaces, or in a trailing slash, have the same
    /// place.
    #[must_use]
    pub fn place(&self) -> String {
        let directory = self.directory.as_deref().unwrap_or_default();
        format!("{}://{directory}/{}", self.provider, self.bucket)
    }

    /// Returns the bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }
}

/// Splits the text at the first `://`.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, after) = text.split_once(':')?;
    match after.strip_prefix("//") {
        Some(rest) => Some((scheme, rest)),
        None => text.split_once("://"),
    }
}

fn cloud_bucket(provider: Provider, rest: &str) -> Result<String, StorageLocationError> {
    let (bucket, after) = rest
        .split_once('/')
        .map_or((rest, None), |(bucket, after)| (bucket, Some(after)));
    let three_folders = |after: &str| {
        let mut folders = after.split('/');
        folders.clone().count() == 3 && folders.all(|folder| !folder.is_empty())
    };
    if bucket.is_empty() {
        Err(StorageLocationError::NoBucket(provider))
    } else if after.is_none_or(three_folders) {
        Ok(bucket.to_owned())
    } else {
        Err(StorageLocationError::CloudForm(provider))
    }
}

fn file_parts(rest: &str) -> Result<(Option<String>, String), StorageLocationError> {
    let path = rest.strip_prefix('/').ok_or(StorageLocationError::FileForm)?;
    match path.split('/').collect::<Vec<_>>().as_slice() {
        parts if parts.iter().any(|part| matches!(*part, "" | "." | "..")) => {
            Err(StorageLocationError::FileForm)
        }
        [directory @ .., bucket, _, _, _] if !directory.is_empty() => {
            Ok((Some(format!("/{}", directory.join("/"))), (*bucket).to_owned()))
        }
        _ => Err(StorageLocationError::FileForm),
    }
}

fn nearest(scheme: &str) -> Option<Provider> {
    let lower = scheme.to_ascii_lowercase();
    Provider::ALL
        .into_iter()
        .find(|p| p.scheme() == lower)
        .or(match lower.as_str() {
            "gs" | "gcs" | "google" => Some(Provider::Gcp),
            "s3a" | "s3n" | "aws" => Some(Provider::S3),
            "az" | "abfs" | "wasb" | "wasbs" => Some(Provider::Azure),
            "oci" => Some(Provider::Oracle),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::{Provider, StorageLocation, StorageLocationError as E};

    #[test]
    fn the_forms_that_icarus_accepts_are_valid() {
        for (text, provider, bucket, directory) in [
            ("s3://bucket", Provider::S3, "bucket", None),
            ("s3://bucket/", Provider::S3, "bucket", None),
            ("s3://bucket/a/b/c", Provider::S3, "bucket", None),
            ("s3://bucket/a/b/c/", Provider::S3, "bucket", None),
            ("azure://container", Provider::Azure, "container", None),
            ("gcp://b", Provider::Gcp, "b", None),
            ("oracle://b", Provider::Oracle, "b", None),
            ("minio://b", Provider::Minio, "b", None),
            ("ceph://tenant:b", Provider::Ceph, "tenant:b", None),
            (
                "file:///data/backups/bk/c1/dc1/n1",
                Provider::File,
                "bk",
                Some("/data/backups"),
            ),
            ("file:///a/bk/c/d/n/", Provider::File, "bk", Some("/a")),
        ] {
            let location = StorageLocation::parse(text).unwrap();
            assert_eq!(
                (location.provider(), location.bucket()),
                (provider, bucket),
                "{text}"
            );
            assert_eq!((location.directory(), location.as_str()), (directory, text));
        }
    }

    #[test]
    fn locations_that_fail_in_the_sidecar_are_invalid() {
        for (text, error) in [
            ("", E::Empty),
            ("bucket", E::NoScheme),
            ("s3:bucket", E::NoScheme),
            ("s3://", E::NoBucket(Provider::S3)),
            ("s3:///", E::NoBucket(Provider::S3)),
            ("s3:///x", E::NoBucket(Provider::S3)),
            ("s3://bk/prefix", E::CloudForm(Provider::S3)),
            ("s3://bk/prod/daily", E::CloudForm(Provider::S3)),
            ("s3://bk/a/b/c/d", E::CloudForm(Provider::S3)),
            ("s3://bk/a//c", E::CloudForm(Provider::S3)),
            ("s3://bk//", E::CloudForm(Provider::S3)),
            ("s3://bk/a/b/c//", E::CloudForm(Provider::S3)),
            ("s3://bk ", E::Character(' ')),
            (" s3://bk", E::Character(' ')),
            ("s3://b?x=1", E::Character('?')),
            ("s3://user@b", E::Character('@')),
            ("file:///data/test", E::FileForm),
            ("file://bucket", E::FileForm),
            ("file:///a/b/c/d", E::FileForm),
            ("file://relative/bk/c/d/n", E::FileForm),
            ("file:///data/../bk/c/d/n", E::FileForm),
        ] {
            assert_eq!(StorageLocation::parse(text).unwrap_err(), error, "{text:?}");
        }
    }

    #[test]
    fn the_error_for_an_unknown_scheme_suggests_the_nearest() {
        for (text, nearest) in [
            ("S3://bk", Some(Provider::S3)),
            ("gs://bk", Some(Provider::Gcp)),
            ("wasbs://bk", Some(Provider::Azure)),
            ("https://bk", None),
            ("://bk", None),
        ] {
            let error = StorageLocation::parse(text).unwrap_err();
            let E::UnknownProvider { nearest: found, .. } = error else {
                panic!("{error:?}")
            };
            assert_eq!(found, nearest, "{text}");
        }
        assert_eq!(
            StorageLocation::parse("gs://bk").unwrap_err().to_string(),
            "no sidecar supports this scheme; write gcp://"
        );
    }
}
