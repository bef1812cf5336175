//! The flags of `cassgate run` for the webhook's certificate.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::duration::duration;
use super::self_signed_args::{LifetimeError, SelfArgs};
use crate::tls::{CertificateSource, DevOptions, PairFiles, PairSource, SelfOptions, SubjectAltName};

/// The shortest interval at which certificate files are read, so that they are not read in a busy loop.
const MIN_RELOAD_INTERVAL: Duration = Duration::from_secs(1);

/// The source of the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TlsMode {
    /// Two files, for example of a mounted Secret; read again when they change
    Files,
    /// Signed by an authority that cassgate keeps in a Secret; cassgate also keeps the caBundle of its webhooks
    #[value(name = "self")]
    SelfSigned,
    /// Generated at start for this machine; the key stays in memory
    Dev,
}

/// The flags for the certificate of the webhook.
#[derive(Debug, Clone, Args)]
pub struct TlsArgs {
    /// The source of the webhook's certificate
    #[arg(long, value_name = "MODE", env = "CASSGATE_TLS", default_value = "files")]
    pub tls: TlsMode,

    /// The certificate chain as PEM, the webhook's own first (files; with --tls-key)
    #[arg(long, value_name = "FILE", env = "CASSGATE_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,

    /// The private key of the first certificate as PEM (files; with --tls-cert)
    #[arg(long, value_name = "FILE", env = "CASSGATE_TLS_KEY")]
    pub tls_key: Option<PathBuf>,

    /// files: the directory with tls.crt and tls.key; dev: the directory to write ca.crt to, for the caBundle
    #[arg(long, value_name = "DIR", env = "CASSGATE_TLS_DIR")]
    pub tls_dir: Option<PathBuf>,

    /// files: the interval at which the two files are read again; kubelet updates a mounted Secret within about a minute
    #[arg(long, value_name = "DURATION", env = "CASSGATE_TLS_RELOAD_INTERVAL", default_value = "10s", value_parser = duration)]
    pub tls_reload_interval: Duration,

    /// dev: an additional name or address in the certificate, beside localhost and the loopback addresses (repeatable)
    #[arg(
        long,
        value_name = "NAME",
        env = "CASSGATE_TLS_DEV_NAME",
        value_delimiter = ','
    )]
    pub tls_dev_name: Vec<SubjectAltName>,

    /// The flags of mode `self`.
    #[command(flatten)]
    pub self_signed: SelfArgs,
}

/// Flags that contradict each other.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TlsOptionsError {
    /// Mode `files` without files.
    #[error(
        "--tls files needs a pair: --tls-dir DIR (with tls.crt and tls.key), or --tls-cert FILE and --tls-key FILE"
    )]
    NoFiles,
    /// Both forms of mode `files`.
    #[error("--tls-dir {0:?} and --tls-cert or --tls-key name two pairs; keep one of them")]
    TwoPairs(PathBuf),
    /// A certificate without its key.
    #[error("--tls-cert {0:?} needs --tls-key FILE, the private key of that certificate")]
    NoKey(PathBuf),
    /// A key without its certificate.
    #[error("--tls-key {0:?} needs --tls-cert FILE, the certificate of that key")]
    NoCertificate(PathBuf),
    /// An interval below one second.
    #[error("--tls-reload-interval {0:?} is too short; write {MIN_RELOAD_INTERVAL:?} or more")]
    ShortReloadInterval(Duration),
    /// Files in mode `dev`.
    #[error("--tls dev makes its own pair; leave out --tls-cert and --tls-key, or use --tls files")]
    FilesInDev,
    /// Files in mode `self`.
    #[error(
        "--tls self makes its own pair; leave out --tls-cert, --tls-key and --tls-dir, or use --tls files"
    )]
    FilesInSelf,
    /// A name of mode `dev` in mode `self`.
    #[error("--tls-dev-name {0} is for --tls dev; in --tls self write --tls-self-name {0}")]
    DevNameInSelf(SubjectAltName),
    /// A flag of mode `self` in another mode.
    #[error("{flag} is for --tls self and does nothing in --tls {mode}; leave it out, or write --tls self")]
    SelfFlagInOtherMode {
        /// The first such flag.
        flag: &'static str,
        /// The mode.
        mode: &'static str,
    },
    /// The lifetimes of mode `self`.
    #[error(transparent)]
    Lifetime(#[from] LifetimeError),
    /// A name of mode `dev` in mode `files`.
    #[error("--tls-dev-name {0} is for --tls dev; in --tls files the names are those of the certificate")]
    DevNameInFiles(SubjectAltName),
}

impl TlsArgs {
    /// Returns the source of the certificate. Reads no file.
    ///
    /// # Errors
    /// Returns an error if the flags contradict each other.
    pub fn source(&self) -> Result<CertificateSource, TlsOptionsError> {
        let mode = match self.tls {
            TlsMode::Files => Some("files"),
            TlsMode::Dev => Some("dev"),
            TlsMode::SelfSigned => None,
        };
        if let (Some(mode), Some(flag)) = (mode, self.self_signed.first_given()) {
            return Err(TlsOptionsError::SelfFlagInOtherMode { flag, mode });
        }
        match self.tls {
            TlsMode::Files => self.files().map(PairSource::Files).map(CertificateSource::Pair),
            TlsMode::Dev => self.dev().map(PairSource::Dev).map(CertificateSource::Pair),
            TlsMode::SelfSigned => self.self_signed().map(CertificateSource::SelfSigned),
        }
    }

    fn self_signed(&self) -> Result<SelfOptions, TlsOptionsError> {
        if self.tls_cert.is_some() || self.tls_key.is_some() || self.tls_dir.is_some() {
            return Err(TlsOptionsError::FilesInSelf);
        }
        if let Some(name) = self.tls_dev_name.first() {
            return Err(TlsOptionsError::DevNameInSelf(name.clone()));
        }
        Ok(self.self_signed.options()?)
    }

    fn files(&self) -> Result<PairFiles, TlsOptionsError> {
        if let Some(name) = self.tls_dev_name.first() {
            return Err(TlsOptionsError::DevNameInFiles(name.clone()));
        }
        if self.tls_reload_interval < MIN_RELOAD_INTERVAL {
            return Err(TlsOptionsError::ShortReloadInterval(self.tls_reload_interval));
        }
        match (&self.tls_dir, &self.tls_cert, &self.tls_key) {
            (Some(dir), None, None) => Ok(PairFiles::in_directory(dir)),
            (Some(dir), ..) => Err(TlsOptionsError::TwoPairs(dir.clone())),
            (None, Some(certificate), Some(key)) => Ok(PairFiles::new(certificate, key)),
            (None, Some(certificate), None) => Err(TlsOptionsError::NoKey(certificate.clone())),
            (None, None, Some(key)) => Err(TlsOptionsError::NoCertificate(key.clone())),
            (None, None, None) => Err(TlsOptionsError::NoFiles),
        }
    }

    fn dev(&self) -> Result<DevOptions, TlsOptionsError> {
        if self.tls_cert.is_some() || self.tls_key.is_some() {
            return Err(TlsOptionsError::FilesInDev);
        }
        Ok(DevOptions {
            directory: self.tls_dir.clone(),
            names: self.tls_dev_name.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        tls: TlsArgs,
    }

    fn arguments(arguments: &[&str]) -> TlsArgs {
        Cli::try_parse_from(["cassgate"].iter().chain(arguments))
            .unwrap()
            .tls
    }

    fn source(options: &[&str]) -> Result<CertificateSource, TlsOptionsError> {
        arguments(options).source()
    }

    #[test]
    fn a_directory_stands_for_its_two_files() {
        assert_eq!(
            source(&["--tls-dir", "/tls"]),
            source(&["--tls-cert=/tls/tls.crt", "--tls-key=/tls/tls.key"])
        );
        assert!(source(&["--tls-dir", "/tls"]).is_ok());
    }

    #[test]
    fn dev_accepts_names_and_a_directory_for_its_authority() {
        let expected = DevOptions {
            directory: Some("/tmp/tls".into()),
            names: vec!["gate.local".parse().unwrap(), "10.0.0.1".parse().unwrap()],
        };
        let arguments = [
            "--tls=dev",
            "--tls-dir=/tmp/tls",
            "--tls-dev-name=gate.local,10.0.0.1",
        ];
        assert_eq!(
            source(&arguments),
            Ok(CertificateSource::Pair(PairSource::Dev(expected)))
        );
    }

    #[test]
    fn contradicting_flags_are_rejected_by_name() {
        let error = |options: &[&str]| source(options).unwrap_err().to_string();
        assert_eq!(
            error(&[]),
            "--tls files needs a pair: --tls-dir DIR (with tls.crt and tls.key), or --tls-cert FILE and --tls-key FILE"
        );
        assert_eq!(
            error(&["--tls-dir=/a", "--tls-key=/b"]),
            "--tls-dir \"/a\" and --tls-cert or --tls-key name two pairs; keep one of them"
        );
        assert_eq!(
            error(&["--tls-cert=/a"]),
            "--tls-cert \"/a\" needs --tls-key FILE, the private key of that certificate"
        );
        assert_eq!(
            error(&["--tls-key=/a"]),
            "--tls-key \"/a\" needs --tls-cert FILE, the certificate of that key"
        );
        assert_eq!(
            error(&["--tls=dev", "--tls-key=/a"]),
            "--tls dev makes its own pair; leave out --tls-cert and --tls-key, or use --tls files"
        );
        assert_eq!(
            error(&["--tls=self", "--tls-dir=/a"]),
            "--tls self makes its own pair; leave out --tls-cert, --tls-key and --tls-dir, or use --tls files"
        );
        assert_eq!(
            error(&["--tls=self", "--tls-dev-name=x"]),
            "--tls-dev-name x is for --tls dev; in --tls self write --tls-self-name x"
        );
        assert_eq!(
            error(&["--tls-dir=/a", "--tls-dev-name=x"]),
            "--tls-dev-name x is for --tls dev; in --tls files the names are those of the certificate"
        );
    }

    #[test]
    fn the_reload_interval_is_ten_seconds_by_default_and_at_least_one_second() {
        let ten = Duration::from_secs(10);
        assert_eq!(arguments(&["--tls-dir=/a"]).tls_reload_interval, ten);
        let shortest = ["--tls-dir=/a", "--tls-reload-interval=1s"];
        assert_eq!(arguments(&shortest).tls_reload_interval, MIN_RELOAD_INTERVAL);
        assert!(source(&shortest).is_ok());
        let rejected = source(&["--tls-dir=/a", "--tls-reload-interval=999ms"]).unwrap_err();
        assert_eq!(
            rejected.to_string(),
            "--tls-reload-interval 999ms is too short; write 1s or more"
        );
    }

    #[test]
    fn a_flag_of_mode_self_is_rejected_in_every_other_mode() {
        for (option, mode) in [
            ("--tls-self-secret=x", "files"),
            ("--tls-self-namespace=x", "dev"),
            ("--tls-self-service=x", "files"),
            ("--tls-self-webhooks=x", "dev"),
            ("--tls-self-name=x", "dev"),
            ("--tls-self-ca-lifetime=100h", "files"),
            ("--tls-self-leaf-lifetime=1h", "dev"),
        ] {
            let flag = option.split('=').next().unwrap();
            let error = source(&[&format!("--tls={mode}"), "--tls-dir=/a", option]).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "{flag} is for --tls self and does nothing in --tls {mode}; leave it out, or write --tls self"
                )
            );
            assert!(source(&["--tls=self", option]).is_ok(), "{option}");
        }
    }
}
