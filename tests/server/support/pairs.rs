//! Certificates, and the directories that contain them.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tempfile::TempDir;

/// An authority that signs the certificates of a test.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key as PEM.
#[derive(Clone)]
pub(crate) struct PemPair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// A directory as kubelet mounts a Secret: the files are links through `..data`, which points to a version.
pub(crate) struct Volume {
    directory: TempDir,
    versions: usize,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    /// Returns a pair for the loopback interface that is valid for thousands of years.
    pub(crate) fn issue(&self) -> PemPair {
        self.sign(&Self::leaf())
    }

    /// Returns a pair for the loopback interface that is valid between two times.
    pub(crate) fn issue_for(&self, from: Timestamp, to: Timestamp) -> PemPair {
        let date_time = |time: Timestamp| {
            date_time_ymd(1970, 1, 1) + Duration::from_secs(time.as_second().try_into().unwrap())
        };
        let mut parameters = Self::leaf();
        parameters.not_before = date_time(from);
        parameters.not_after = date_time(to);
        self.sign(&parameters)
    }

    /// Returns a pair for the loopback interface with this key.
    pub(crate) fn issue_with(&self, key: &KeyPair) -> PemPair {
        PemPair {
            certificate: Self::leaf().signed_by(key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// Returns the certificate of an intermediate authority and a pair for the loopback interface that it signed.
    pub(crate) fn issue_through_an_intermediate(&self) -> (String, PemPair) {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters
            .distinguished_name
            .push(DnType::CommonName, "intermediate");
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.0).unwrap().pem();
        let intermediate = Issuer::new(parameters, key);
        let key = KeyPair::generate().unwrap();
        let leaf = Self::leaf().signed_by(&key, &intermediate).unwrap().pem();
        let pair = PemPair {
            certificate: leaf,
            key: key.serialize_pem(),
        };
        (certificate, pair)
    }

    /// Returns the trust store of a client that trusts this authority.
    pub(crate) fn roots(&self) -> RootCertStore {
        roots(self.0.der().clone())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    fn leaf() -> CertificateParams {
        CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap()
    }

    fn sign(&self, parameters: &CertificateParams) -> PemPair {
        let key = KeyPair::generate().unwrap();
        PemPair {
            certificate: parameters.signed_by(&key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

impl PemPair {
    /// Returns the first certificate in the form that a client receives.
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }
}

impl Volume {
    pub(crate) fn new(pair: &PemPair) -> Self {
        let mut volume = Self {
            directory: tempfile::tempdir().unwrap(),
            versions: 0,
        };
        volume.replace(pair);
        for name in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(name), volume.path().join(name)).unwrap();
        }
        volume
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Replaces the Secret as kubelet does: writes a new version, renames the link, removes the old version.
    pub(crate) fn replace(&mut self, pair: &PemPair) {
        let old = self.version_directory();
        self.versions += 1;
        let new = self.version_directory();
        fs::create_dir(&new).unwrap();
        write_pair(&new, pair);
        let link = self.path().join("..data_tmp");
        symlink(new.file_name().unwrap(), &link).unwrap();
        fs::rename(&link, self.path().join("..data")).unwrap();
        if old.exists() {
            fs::remove_dir_all(old).unwrap();
        }
    }

    fn version_directory(&self) -> PathBuf {
        self.path().join(format!("..version-{}", self.versions))
    }
}

/// Writes `tls.crt` and `tls.key` as two plain files.
pub(crate) fn write_pair(directory: &Path, pair: &PemPair) {
    fs::write(directory.join("tls.crt"), &pair.certificate).unwrap();
    fs::write(directory.join("tls.key"), &pair.key).unwrap();
}

/// Returns a trust store with one root.
pub(crate) fn roots(certificate: CertificateDer<'static>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    roots
}
