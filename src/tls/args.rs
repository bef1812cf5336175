//! Where the certificate comes from, as the user says it.

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, ValueEnum};
use rustls_pki_types::DnsName;

use super::{DevOptions, PairFiles, SelfArgs, SelfOptions, SelfOptionsError};
use crate::commands::duration::duration;

/// Below it the files would be read without a pause.
const SHORTEST_RELOAD: Duration = Duration::from_secs(1);

/// Where the certificate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TlsMode {
    /// Two files, for example a mounted Secret; read again when they change.
    Files,
    /// Signed by an authority that cassgate keeps in a Secret; it keeps the caBundle of its webhooks too
    #[value(name = "self")]
    SelfSigned,
    /// Made at start for this machine; the key stays in memory.
    Dev,
}

/// The certificate of the webhook.
#[derive(Debug, Clone, Args)]
pub struct TlsArgs {
    /// Where the webhook's certificate comes from
    #[arg(long, value_name = "MODE", env = "CASSGATE_TLS", default_value = "files")]
    pub tls: TlsMode,

    /// The certificate chain as PEM, the webhook's own first (files; with --tls-key)
    #[arg(long, value_name = "FILE", env = "CASSGATE_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,

    /// The private key of the first certificate as PEM (files; with --tls-cert)
    #[arg(long, value_name = "FILE", env = "CASSGATE_TLS_KEY")]
    pub tls_key: Option<PathBuf>,

    /// files: a directory with tls.crt and tls.key; dev: where to write ca.crt for the caBundle
    #[arg(long, value_name = "DIR", env = "CASSGATE_TLS_DIR")]
    pub tls_dir: Option<PathBuf>,

    /// files: how often the two files are read again; kubelet itself brings a changed Secret within about a minute
    #[arg(long, value_name = "DURATION", env = "CASSGATE_TLS_RELOAD_INTERVAL", default_value = "10s", value_parser = duration)]
    pub tls_reload_interval: Duration,

    /// dev: one more name or address in the certificate, beside localhost and the loopback addresses (repeatable)
    #[arg(
        long,
        value_name = "NAME",
        env = "CASSGATE_TLS_DEV_NAME",
        value_delimiter = ','
    )]
    pub tls_dev_name: Vec<DevName>,

    /// Mode `self`.
    #[command(flatten)]
    pub own: SelfArgs,
}

/// Who keeps the certificate: [`TlsArgs`], checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsChoice {
    /// This process alone.
    Pair(TlsSource),
    /// All replicas together.
    SelfSigned(SelfOptions),
}

/// Where a pair comes from that is there at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsSource {
    /// Two files.
    Files(PairFiles),
    /// Made at start.
    Dev(DevOptions),
}

/// A name or an address that a certificate can carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevName(String);

/// Options that do not fit together.
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
    /// Files that would be read without a pause.
    #[error("--tls-reload-interval {0:?} is too short; write {SHORTEST_RELOAD:?} or more")]
    ShortReload(Duration),
    /// Files in mode `dev`.
    #[error("--tls dev makes its own pair; leave out --tls-cert and --tls-key, or use --tls files")]
    FilesInDev,
    /// Files in mode `self`.
    #[error(
        "--tls self makes its own pair; leave out --tls-cert, --tls-key and --tls-dir, or use --tls files"
    )]
    FilesInSelf,
    /// Names of mode `dev` in mode `self`.
    #[error("--tls-dev-name {0} is for --tls dev; in --tls self write --tls-self-name {0}")]
    NameInSelf(DevName),
    /// Options of mode `self` in another one.
    #[error("{flag} is for --tls self and does nothing in --tls {mode}; leave it out, or write --tls self")]
    SelfElsewhere {
        /// The first of them.
        flag: &'static str,
        /// The mode.
        mode: &'static str,
    },
    /// Lifetimes in mode `self`.
    #[error(transparent)]
    Own(#[from] SelfOptionsError),
    /// Names in mode `files`.
    #[error("--tls-dev-name {0} is for --tls dev; in --tls files the names stand in the certificate")]
    NameInFiles(DevName),
}

/// A text that is no host name and no address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no host name and no IP address; write for example cassgate.local or 192.0.2.7")]
pub struct DevNameError;

impl TlsArgs {
    /// Where the certificate comes from.
    ///
    /// # Errors
    /// When the options do not fit together; nothing is read yet.
    pub fn choice(&self) -> Result<TlsChoice, TlsOptionsError> {
        let mode = match self.tls {
            TlsMode::Files => Some("files"),
            TlsMode::Dev => Some("dev"),
            TlsMode::SelfSigned => None,
        };
        if let (Some(mode), Some(flag)) = (mode, self.own.given()) {
            return Err(TlsOptionsError::SelfElsewhere { flag, mode });
        }
        match self.tls {
            TlsMode::Files => self.files().map(TlsSource::Files).map(TlsChoice::Pair),
            TlsMode::Dev => self.dev().map(TlsSource::Dev).map(TlsChoice::Pair),
            TlsMode::SelfSigned => self.own().map(TlsChoice::SelfSigned),
        }
    }

    fn own(&self) -> Result<SelfOptions, TlsOptionsError> {
        if self.tls_cert.is_some() || self.tls_key.is_some() || self.tls_dir.is_some() {
            return Err(TlsOptionsError::FilesInSelf);
        }
        if let Some(name) = self.tls_dev_name.first() {
            return Err(TlsOptionsError::NameInSelf(name.clone()));
        }
        Ok(self.own.options()?)
    }

    fn files(&self) -> Result<PairFiles, TlsOptionsError> {
        if let Some(name) = self.tls_dev_name.first() {
            return Err(TlsOptionsError::NameInFiles(name.clone()));
        }
        if self.tls_reload_interval < SHORTEST_RELOAD {
            return Err(TlsOptionsError::ShortReload(self.tls_reload_interval));
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

impl DevName {
    /// The name as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DevName {
    type Err = DevNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = text.parse::<IpAddr>().is_ok() || DnsName::try_from(text).is_ok();
        if known {
            Ok(Self(text.to_owned()))
        } else {
            Err(DevNameError)
        }
    }
}

impl fmt::Display for DevName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
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

    fn source(options: &[&str]) -> Result<TlsChoice, TlsOptionsError> {
        arguments(options).choice()
    }

    #[test]
    fn a_directory_is_short_for_its_two_files() {
        assert_eq!(
            source(&["--tls-dir", "/tls"]),
            source(&["--tls-cert=/tls/tls.crt", "--tls-key=/tls/tls.key"])
        );
        assert!(source(&["--tls-dir", "/tls"]).is_ok());
    }

    #[test]
    fn dev_takes_names_and_a_place_for_its_authority() {
        let expected = DevOptions {
            directory: Some("/tmp/tls".into()),
            names: vec![DevName("gate.local".to_owned()), DevName("10.0.0.1".to_owned())],
        };
        let arguments = [
            "--tls=dev",
            "--tls-dir=/tmp/tls",
            "--tls-dev-name=gate.local,10.0.0.1",
        ];
        assert_eq!(source(&arguments), Ok(TlsChoice::Pair(TlsSource::Dev(expected))));
    }

    #[test]
    fn options_that_do_not_fit_are_refused_by_name() {
        let says = |options: &[&str]| source(options).unwrap_err().to_string();
        assert_eq!(
            says(&[]),
            "--tls files needs a pair: --tls-dir DIR (with tls.crt and tls.key), or --tls-cert FILE and --tls-key FILE"
        );
        assert_eq!(
            says(&["--tls-dir=/a", "--tls-key=/b"]),
            "--tls-dir \"/a\" and --tls-cert or --tls-key name two pairs; keep one of them"
        );
        assert_eq!(
            says(&["--tls-cert=/a"]),
            "--tls-cert \"/a\" needs --tls-key FILE, the private key of that certificate"
        );
        assert_eq!(
            says(&["--tls-key=/a"]),
            "--tls-key \"/a\" needs --tls-cert FILE, the certificate of that key"
        );
        assert_eq!(
            says(&["--tls=dev", "--tls-key=/a"]),
            "--tls dev makes its own pair; leave out --tls-cert and --tls-key, or use --tls files"
        );
        assert_eq!(
            says(&["--tls=self", "--tls-dir=/a"]),
            "--tls self makes its own pair; leave out --tls-cert, --tls-key and --tls-dir, or use --tls files"
        );
        assert_eq!(
            says(&["--tls=self", "--tls-dev-name=x"]),
            "--tls-dev-name x is for --tls dev; in --tls self write --tls-self-name x"
        );
        assert_eq!(
            says(&["--tls-dir=/a", "--tls-dev-name=x"]),
            "--tls-dev-name x is for --tls dev; in --tls files the names stand in the certificate"
        );
    }

    #[test]
    fn the_files_are_read_again_every_ten_seconds_or_as_often_as_is_said() {
        let ten = Duration::from_secs(10);
        assert_eq!(arguments(&["--tls-dir=/a"]).tls_reload_interval, ten);
        let often = ["--tls-dir=/a", "--tls-reload-interval=1s"];
        assert_eq!(arguments(&often).tls_reload_interval, SHORTEST_RELOAD);
        assert!(source(&often).is_ok());
        let refused = source(&["--tls-dir=/a", "--tls-reload-interval=999ms"]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "--tls-reload-interval 999ms is too short; write 1s or more"
        );
    }

    #[test]
    fn an_option_of_mode_self_is_refused_in_every_other_one() {
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

    #[test]
    fn a_name_that_no_certificate_can_carry_is_refused() {
        for name in ["", "a b", "https://x", "-"] {
            assert_eq!(name.parse::<DevName>(), Err(DevNameError), "{name:?}");
        }
        for name in ["::1", "gate", "cassgate.cassgate-system.svc"] {
            assert!(name.parse::<DevName>().is_ok(), "{name}");
        }
    }
}
