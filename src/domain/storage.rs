//! Where a backup is stored.

use std::fmt;

/// A storage backend of Esop, by the scheme of its location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// Amazon S3 and what speaks like it.
    S3,
    /// Azure Blob Storage.
    Azure,
    /// Google Cloud Storage.
    Gcp,
    /// Oracle Object Storage, by its S3 form.
    Oracle,
    /// `MinIO`: S3 with the bucket in the path.
    Minio,
    /// Ceph's RADOS gateway.
    Ceph,
    /// A directory of the sidecar's own file system.
    File,
}

impl Provider {
    /// All backends that Icarus 1.x and 2.x have. 3.x has lost `oracle`, `minio` and `ceph`.
    pub const ALL: [Self; 7] = [
        Self::S3,
        Self::Azure,
        Self::Gcp,
        Self::Oracle,
        Self::Minio,
        Self::Ceph,
        Self::File,
    ];

    /// The scheme as it is written in a location; matched with its letter case.
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

    /// Whether a sidecar of version 3 or later still has it.
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

/// A storage location that every Icarus takes for a whole cluster.
///
/// Cloud: `scheme://bucket`, or `scheme://bucket/x/y/z`, whose three segments are replaced by cluster, datacenter and
/// node. File: `file:///dir/bucket/x/y/z`. One trailing slash is tolerated. Source: `StorageLocation` of Esop, the
/// same in 1.1.4, 2.0.4 and 3.0.1; narrowed to what also works behind it (no empty bucket, no bucket with slashes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageLocation {
    text: String,
    provider: Provider,
    directory: Option<String>,
    bucket: String,
}

/// Why a text is no storage location.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageLocationError {
    /// The scheme is none of [`Provider::ALL`]; `nearest` is the one that was probably meant.
    #[error("{}", unknown_scheme(.nearest.as_ref()))]
    UnknownProvider {
        /// What stands before `://`.
        scheme: String,
        /// The provider that was probably meant.
        nearest: Option<Provider>,
    },
    /// There is no `://`.
    #[error("has no scheme; write scheme://bucket, for example s3://my-bucket")]
    NoScheme,
    /// Nothing is empty.
    #[error("is empty; write scheme://bucket, for example s3://my-bucket")]
    Empty,
    /// A blank or a control character.
    #[error("has {0:?}, which would become part of a name; write scheme://bucket without it")]
    Character(char),
    /// A cloud location of another form.
    #[error(
        "is not {0}://bucket: a prefix below the bucket is not supported, the sidecar itself writes \
         cluster/datacenter/node there; write {0}://bucket"
    )]
    CloudForm(Provider),
    /// No bucket.
    #[error("has no bucket; write {0}://bucket")]
    NoBucket(Provider),
    /// A file location of another form.
    #[error(
        "is not file:///directory/bucket/cluster/datacenter/node; the last three are replaced for each node but \
         must be there, for example file:///backups/bucket/c/d/n"
    )]
    FileForm,
}

fn unknown_scheme(nearest: Option<&Provider>) -> String {
    nearest.map_or_else(
        || "no sidecar has this storage".to_owned(),
        |provider| format!("no sidecar has this storage; write {provider}://"),
    )
}

impl StorageLocation {
    /// Parses `spec.storageLocation`.
    ///
    /// # Errors
    /// The first thing that keeps Icarus from using it, with the form to write.
    pub fn parse(text: &str) -> Result<Self, StorageLocationError> {
        if text.is_empty() {
            return Err(StorageLocationError::Empty);
        }
        let odd = |c: &char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#' | '@');
        if let Some(character) = text.chars().find(odd) {
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

    /// The location as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The backend.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// The directory above the bucket of a file location, absolute, without a trailing slash.
    #[must_use]
    pub fn directory(&self) -> Option<&str> {
        self.directory.as_deref()
    }

    /// Where the sidecar writes to: backend, directory and bucket. Two texts that differ only in the segments that it
    /// replaces, or in a slash at the end, are one place.
    #[must_use]
    pub fn place(&self) -> String {
        let directory = self.directory.as_deref().unwrap_or_default();
        format!("{}://{directory}/{}", self.provider, self.bucket)
    }

    /// The bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }
}

/// At the first `://`, which is mostly at the first colon.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, behind) = text.split_once(':')?;
    match behind.strip_prefix("//") {
        Some(rest) => Some((scheme, rest)),
        None => text.split_once("://"),
    }
}

fn cloud_bucket(provider: Provider, rest: &str) -> Result<String, StorageLocationError> {
    let (bucket, behind) = rest
        .split_once('/')
        .map_or((rest, None), |(bucket, behind)| (bucket, Some(behind)));
    let three_folders = |behind: &str| {
        let mut folders = behind.split('/');
        folders.clone().count() == 3 && folders.all(|folder| !folder.is_empty())
    };
    if bucket.is_empty() {
        Err(StorageLocationError::NoBucket(provider))
    } else if behind.is_none_or(three_folders) {
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
    fn the_forms_that_icarus_takes_are_taken() {
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
    fn what_fails_or_goes_astray_in_the_sidecar_is_refused() {
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
    fn an_unknown_scheme_names_the_one_that_was_meant() {
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
            "no sidecar has this storage; write gcp://"
        );
    }
}
