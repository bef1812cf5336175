//! A pair in two files, for example of a mounted Secret.
//!
//! kubelet writes each version of a Secret into a new directory and then switches the symbolic link `..data` to it by a
//! rename; `tls.crt` and `tls.key` are links through `..data`. Two reads through those links can see two versions. So
//! the link is resolved once, and both files are read from the directory that it points to.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};

use super::{Pair, PairError};

/// The largest file that is read, in bytes: 1 MiB, the size limit of a Secret.
const MAX_FILE_SIZE: u64 = 1024 * 1024;

/// The number of attempts to read a directory that kubelet removes meanwhile.
const MAX_ATTEMPTS: usize = 3;

/// The name of the link to the newest version of a mounted Secret.
const DATA_LINK: &str = "..data";

/// A certificate file and a key file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairFiles {
    certificate: PathBuf,
    key: PathBuf,
}

/// The contents of the two files. `Debug` shows nothing of them.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// The reason why two files are not a pair. The texts name the file, and none contains a part of the key.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The operating system returns an error.
    #[error("{}: cannot be read: {reason}", path.display())]
    Unreadable {
        /// The path, as the user gave it.
        path: PathBuf,
        /// The error of the operating system.
        reason: io::Error,
    },
    /// A directory, a device or a pipe.
    #[error("{}: not a file", path.display())]
    NoFile {
        /// The path, as the user gave it.
        path: PathBuf,
    },
    /// A file that is larger than a Secret can be.
    #[error("{}: larger than {MAX_FILE_SIZE} bytes, the most that a Secret can hold", path.display())]
    TooLarge {
        /// The path, as the user gave it.
        path: PathBuf,
    },
    /// A certificate file without a certificate.
    #[error("{}: no certificate in it; a PEM block that begins with -----BEGIN CERTIFICATE----- is needed", path.display())]
    NoCertificate {
        /// The path, as the user gave it.
        path: PathBuf,
    },
    /// A key file without a key.
    #[error(
        "{}: no private key in it; an unencrypted PEM block that begins with -----BEGIN PRIVATE KEY-----, \
         -----BEGIN EC PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY----- is needed",
        path.display()
    )]
    NoKey {
        /// The path, as the user gave it.
        path: PathBuf,
    },
    /// A key that is encrypted with a passphrase.
    #[error(
        "{}: the private key is encrypted, and cassgate has no passphrase; write it without one, for example with \
         openssl pkey -in tls.key -out plain.key",
        path.display()
    )]
    Encrypted {
        /// The path, as the user gave it.
        path: PathBuf,
    },
    /// A PEM block that is truncated or not base64.
    #[error("{}: the PEM in it is damaged: {damage}", path.display())]
    Damaged {
        /// The path, as the user gave it.
        path: PathBuf,
        /// The kind of damage, as a fixed text.
        damage: &'static str,
    },
    /// Both files can be read, but they are not a pair.
    #[error("{} and {}: {reason}", certificate.display(), key.display())]
    NoPair {
        /// The path of the certificate file, as the user gave it.
        certificate: PathBuf,
        /// The path of the key file, as the user gave it.
        key: PathBuf,
        /// The reason.
        reason: PairError,
    },
    /// A pair that is not valid at this time.
    #[error("{}: {reason}", path.display())]
    NotValidNow {
        /// The path of the certificate file, as the user gave it.
        path: PathBuf,
        /// The reason, with the start or the end of the validity.
        reason: String,
    },
}

impl PairFiles {
    /// Returns the pair of these two files.
    #[must_use]
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            certificate: certificate.into(),
            key: key.into(),
        }
    }

    /// Returns the pair of `tls.crt` and `tls.key` in a directory, as a Secret of type `kubernetes.io/tls` has them.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        Self::new(directory.join("tls.crt"), directory.join("tls.key"))
    }

    /// Reads the pair.
    ///
    /// # Errors
    /// Returns an error that names the unusable file and the reason.
    pub fn load(&self) -> Result<Pair, FilesError> {
        self.parse(&self.read()?)
    }

    /// Reads both files from the same version of the Secret.
    pub(super) fn read(&self) -> Result<Contents, FilesError> {
        let mut attempt = 1;
        loop {
            match self.read_once() {
                // kubelet replaced the directory between two reads; the new one is complete.
                Err(FilesError::Unreadable { reason, .. })
                    if reason.kind() == io::ErrorKind::NotFound && attempt < MAX_ATTEMPTS =>
                {
                    attempt += 1;
                }
                read => return read,
            }
        }
    }

    fn read_once(&self) -> Result<Contents, FilesError> {
        let certificate_directory = data_directory(&self.certificate);
        let key_directory = if directory(&self.key) == directory(&self.certificate) {
            certificate_directory.clone()
        } else {
            data_directory(&self.key)
        };
        Ok(Contents {
            certificate: read(&self.certificate, certificate_directory.as_deref())?,
            key: read(&self.key, key_directory.as_deref())?,
        })
    }

    /// Parses the contents as a pair.
    pub(super) fn parse(&self, contents: &Contents) -> Result<Pair, FilesError> {
        let chain = CertificateDer::pem_slice_iter(&contents.certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| damaged(&self.certificate, &error))?;
        if chain.is_empty() {
            return Err(FilesError::NoCertificate {
                path: self.certificate.clone(),
            });
        }
        let key = match PrivateKeyDer::from_pem_slice(&contents.key) {
            Ok(key) => key,
            Err(_) if is_encrypted(&contents.key) => {
                return Err(FilesError::Encrypted {
                    path: self.key.clone(),
                });
            }
            Err(pem::Error::NoItemsFound) => {
                return Err(FilesError::NoKey {
                    path: self.key.clone(),
                });
            }
            Err(error) => return Err(damaged(&self.key, &error)),
        };
        Pair::new(chain, key).map_err(|reason| FilesError::NoPair {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            reason,
        })
    }

    /// Parses the contents as a pair that is valid at `now`.
    pub(super) fn parse_valid(&self, contents: &Contents, now: Timestamp) -> Result<Pair, FilesError> {
        let pair = self.parse(contents)?;
        match pair.invalid_at(now) {
            None => Ok(pair),
            Some(reason) => Err(FilesError::NotValidNow {
                path: self.certificate.clone(),
                reason,
            }),
        }
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Contents").finish_non_exhaustive()
    }
}

/// Returns the directory that `..data` beside the file points to, and `None` in a directory that is not a mounted
/// Secret.
fn data_directory(file: &Path) -> Option<PathBuf> {
    fs::canonicalize(directory(file).join(DATA_LINK)).ok()
}

fn directory(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn read(path: &Path, data_directory: Option<&Path>) -> Result<Vec<u8>, FilesError> {
    let unreadable = |reason| FilesError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let real = match (data_directory, path.file_name()) {
        (Some(data_directory), Some(name)) => data_directory.join(name),
        _ => path.to_owned(),
    };
    // The type is checked before the file is opened, because opening a pipe blocks until it has a writer.
    if !fs::metadata(&real).map_err(unreadable)?.is_file() {
        return Err(FilesError::NoFile {
            path: path.to_owned(),
        });
    }
    let mut bytes = Vec::new();
    let file = File::open(&real).map_err(unreadable)?;
    file.take(MAX_FILE_SIZE + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_SIZE {
        return Err(FilesError::TooLarge {
            path: path.to_owned(),
        });
    }
    Ok(bytes)
}

/// Returns true if the key needs a passphrase, in PKCS #8 or in the traditional format of OpenSSL before 3.0.
fn is_encrypted(key: &[u8]) -> bool {
    let marks_encryption = |line: &[u8]| {
        line.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
            || line.starts_with(b"Proc-Type: 4,ENCRYPTED")
    };
    key.split(|byte| *byte == b'\n').any(marks_encryption)
}

/// Converts an error of the PEM parser to a fixed text, because the parser's own texts quote the input, which may be a
/// key.
fn damaged(path: &Path, error: &pem::Error) -> FilesError {
    let damage = match error {
        pem::Error::MissingSectionEnd { .. } => "a block has no -----END line",
        pem::Error::IllegalSectionStart { .. } => "a -----BEGIN line is malformed",
        pem::Error::Base64Decode(_) => "a block is not base64",
        _ => "a block cannot be read",
    };
    FilesError::Damaged {
        path: path.to_owned(),
        damage,
    }
}
