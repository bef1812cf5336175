//! A pair in two files, as a mounted Secret has it.
//!
//! kubelet writes a new generation of a Secret into a directory of its own and then renames the link `..data` to
//! it; `tls.crt` and `tls.key` are links through `..data`. Two reads through those links can meet two
//! generations, so the link is resolved once and both files are read from where it led.

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

/// The largest file that is read, in bytes: 1 MiB, as large as a Secret can be.
const FILE_LIMIT: u64 = 1024 * 1024;

/// How often a generation that went away while it was read is looked up again.
const ATTEMPTS: usize = 3;

/// Where kubelet links the newest generation.
const GENERATION: &str = "..data";

/// A certificate file and a key file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairFiles {
    certificate: PathBuf,
    key: PathBuf,
}

/// What stood in the two files. It knows whether they changed, and shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// Why two files give no pair. The texts name the file; none of them holds anything of the key.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The system does not let us.
    #[error("{}: cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file, as it was named.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// A directory, a device, a pipe.
    #[error("{}: not a file", path.display())]
    NoFile {
        /// The path, as it was named.
        path: PathBuf,
    },
    /// Larger than any Secret.
    #[error("{}: larger than {FILE_LIMIT} bytes, the most that a Secret can hold", path.display())]
    TooLarge {
        /// The file, as it was named.
        path: PathBuf,
    },
    /// No certificate in the certificate file.
    #[error("{}: no certificate in it; a PEM block that begins with -----BEGIN CERTIFICATE----- is needed", path.display())]
    NoCertificate {
        /// The file, as it was named.
        path: PathBuf,
    },
    /// No key in the key file.
    #[error(
        "{}: no private key in it; an unencrypted PEM block that begins with -----BEGIN PRIVATE KEY-----, \
         -----BEGIN EC PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY----- is needed",
        path.display()
    )]
    NoKey {
        /// The file, as it was named.
        path: PathBuf,
    },
    /// A key behind a passphrase.
    #[error(
        "{}: the private key is encrypted, and cassgate has no passphrase; write it without one, for example with \
         openssl pkey -in tls.key -out plain.key",
        path.display()
    )]
    Encrypted {
        /// The file, as it was named.
        path: PathBuf,
    },
    /// A PEM block that is cut off or no base64.
    #[error("{}: the PEM in it is damaged: {damage}", path.display())]
    Damaged {
        /// The file, as it was named.
        path: PathBuf,
        /// What is wrong, in words that quote nothing.
        damage: &'static str,
    },
    /// Both files can be read, but they are no pair.
    #[error("{} and {}: {reason}", certificate.display(), key.display())]
    NoPair {
        /// The certificate file, as it was named.
        certificate: PathBuf,
        /// The key file, as it was named.
        key: PathBuf,
        /// What is wrong.
        reason: PairError,
    },
    /// A pair that no client would take now.
    #[error("{}: {reason}", path.display())]
    OutOfTime {
        /// The certificate file, as it was named.
        path: PathBuf,
        /// Since when or until when.
        reason: String,
    },
}

impl PairFiles {
    /// Two files by name.
    #[must_use]
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            certificate: certificate.into(),
            key: key.into(),
        }
    }

    /// `tls.crt` and `tls.key` in a directory: the keys of a Secret of type `kubernetes.io/tls`.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        Self::new(directory.join("tls.crt"), directory.join("tls.key"))
    }

    /// Reads the pair.
    ///
    /// # Errors
    /// Which file is not usable and why.
    pub fn load(&self) -> Result<Pair, FilesError> {
        self.parse(&self.read()?)
    }

    /// Reads both files out of one generation.
    pub(super) fn read(&self) -> Result<Contents, FilesError> {
        let mut attempt = 1;
        loop {
            match self.read_once() {
                // The generation was replaced between the two looks; the next one is complete.
                Err(FilesError::Unreadable { reason, .. })
                    if reason.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS =>
                {
                    attempt += 1;
                }
                read => return read,
            }
        }
    }

    fn read_once(&self) -> Result<Contents, FilesError> {
        let of_certificate = generation(&self.certificate);
        let of_key = if directory(&self.key) == directory(&self.certificate) {
            of_certificate.clone()
        } else {
            generation(&self.key)
        };
        Ok(Contents {
            certificate: read(&self.certificate, of_certificate.as_deref())?,
            key: read(&self.key, of_key.as_deref())?,
        })
    }

    /// Makes a pair of what was read.
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

    /// Makes a pair of what was read, one that clients take at `now`.
    pub(super) fn parse_valid(&self, contents: &Contents, now: Timestamp) -> Result<Pair, FilesError> {
        let pair = self.parse(contents)?;
        match pair.invalid_at(now) {
            None => Ok(pair),
            Some(reason) => Err(FilesError::OutOfTime {
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

/// Where `..data` beside the file leads now; nothing in a directory that is no volume.
fn generation(file: &Path) -> Option<PathBuf> {
    fs::canonicalize(directory(file).join(GENERATION)).ok()
}

fn directory(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn read(path: &Path, generation: Option<&Path>) -> Result<Vec<u8>, FilesError> {
    let unreadable = |reason| FilesError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let real = match (generation, path.file_name()) {
        (Some(generation), Some(name)) => generation.join(name),
        _ => path.to_owned(),
    };
    // Asked before it is opened: opening a pipe waits for its writer.
    if !fs::metadata(&real).map_err(unreadable)?.is_file() {
        return Err(FilesError::NoFile {
            path: path.to_owned(),
        });
    }
    let mut bytes = Vec::new();
    let file = File::open(&real).map_err(unreadable)?;
    file.take(FILE_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(FilesError::TooLarge {
            path: path.to_owned(),
        });
    }
    Ok(bytes)
}

/// A key of PKCS #8, or one as OpenSSL wrote it before 3.0, that needs a passphrase.
fn is_encrypted(key: &[u8]) -> bool {
    let says = |line: &[u8]| {
        line.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
            || line.starts_with(b"Proc-Type: 4,ENCRYPTED")
    };
    key.split(|byte| *byte == b'\n').any(says)
}

/// The library's own texts quote what they read, and that may be a key.
fn damaged(path: &Path, error: &pem::Error) -> FilesError {
    let damage = match error {
        pem::Error::MissingSectionEnd { .. } => "a block has no -----END line",
        pem::Error::IllegalSectionStart { .. } => "a -----BEGIN line is malformed",
        pem::Error::Base64Decode(_) => "a block is no base64",
        _ => "a block cannot be read",
    };
    FilesError::Damaged {
        path: path.to_owned(),
        damage,
    }
}
