//! Certificates, and the directories in which they lie.

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

/// An authority that signs what a test needs.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key as PEM.
#[derive(Clone)]
pub(crate) struct PemPair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// A directory as kubelet mounts a Secret: files are links through `..data`, which leads to a generation.
pub(crate) struct Volume {
    directory: TempDir,
    generations: usize,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    /// A pair for the loopback, valid for thousands of years.
    pub(crate) fn issue(&self) -> PemPair {
        self.sign(&Self::leaf())
    }

    /// A pair for the loopback, valid between two moments.
    pub(crate) fn issue_for(&self, from: Timestamp, to: Timestamp) -> PemPair {
        let moment = |time: Timestamp| {
            date_time_ymd(1970, 1, 1) + Duration::from_secs(time.as_second().try_into().unwrap())
        };
        let mut parameters = Self::leaf();
        parameters.not_before = moment(from);
        parameters.not_after = moment(to);
        self.sign(&parameters)
    }

    /// A pair for the loopback with this key.
    pub(crate) fn issue_with(&self, key: &KeyPair) -> PemPair {
        PemPair {
            certificate: Self::leaf().signed_by(key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// The certificate of an authority below this one, and a pair for the loopback that it signed.
    pub(crate) fn issue_through_an_intermediate(&self) -> (String, PemPair) {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.distinguished_name.push(DnType::CommonName, "between");
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.0).unwrap().pem();
        let between = Issuer::new(parameters, key);
        let key = KeyPair::generate().unwrap();
        let leaf = Self::leaf().signed_by(&key, &between).unwrap().pem();
        let pair = PemPair {
            certificate: leaf,
            key: key.serialize_pem(),
        };
        (certificate, pair)
    }

    /// What a client that trusts this authority holds.
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
    /// The first certificate, as a client sees it.
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }
}

impl Volume {
    pub(crate) fn new(pair: &PemPair) -> Self {
        let mut volume = Self {
            directory: tempfile::tempdir().unwrap(),
            generations: 0,
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

    /// What kubelet does when the Secret changed: a new generation, one rename, the old one is removed.
    pub(crate) fn replace(&mut self, pair: &PemPair) {
        let old = self.generation();
        self.generations += 1;
        let new = self.generation();
        fs::create_dir(&new).unwrap();
        write_pair(&new, pair);
        let link = self.path().join("..data_tmp");
        symlink(new.file_name().unwrap(), &link).unwrap();
        fs::rename(&link, self.path().join("..data")).unwrap();
        if old.exists() {
            fs::remove_dir_all(old).unwrap();
        }
    }

    fn generation(&self) -> PathBuf {
        self.path().join(format!("..generation-{}", self.generations))
    }
}

/// Writes `tls.crt` and `tls.key` as two plain files.
pub(crate) fn write_pair(directory: &Path, pair: &PemPair) {
    fs::write(directory.join("tls.crt"), &pair.certificate).unwrap();
    fs::write(directory.join("tls.key"), &pair.key).unwrap();
}

/// A store with one root.
pub(crate) fn roots(certificate: CertificateDer<'static>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    roots
}
