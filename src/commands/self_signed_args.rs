//! The flags of `cassgate run` for `--tls self`.

use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;

use super::duration::duration;
use crate::tls::self_signed::plan::Timing;
use crate::tls::{SelfOptions, SubjectAltName};

/// The shortest lifetime of a certificate. Below it, one reconciliation would follow another without a pause.
const MIN_LEAF_LIFETIME: SignedDuration = SignedDuration::from_secs(10);

/// The shortest lifetime of an authority, in lifetimes of its certificates. An authority that lives shorter ends before
/// the certificates that it signed are replaced.
const MIN_LEAVES_PER_AUTHORITY: i32 = 3;

/// The name of the Secret in the shipped manifests.
const DEFAULT_SECRET: &str = "cassgate-ca";

/// The name of the Service and the webhook configurations in the shipped manifests.
const DEFAULT_NAME: &str = "cassgate";

/// The default lifetime of an authority: a year.
const DEFAULT_AUTHORITY_LIFETIME: SignedDuration = SignedDuration::from_hours(365 * 24);

/// The default lifetime of a certificate: a day.
const DEFAULT_LEAF_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// The flags for the authority of mode `self` and the certificates that it signs.
#[derive(Debug, Clone, Args)]
pub struct SelfArgs {
    /// self: the Secret of the authority, in the namespace of the pod (or of the kubeconfig's context) [default:
    /// cassgate-ca]
    #[arg(long, value_name = "NAME", env = "CASSGATE_TLS_SELF_SECRET")]
    pub tls_self_secret: Option<String>,

    /// self: the namespace of that Secret and of the Service, if it is not the namespace of the pod
    #[arg(long, value_name = "NAMESPACE", env = "CASSGATE_TLS_SELF_NAMESPACE")]
    pub tls_self_namespace: Option<String>,

    /// self: the Service through which the API server calls; the certificate contains its names [default: cassgate]
    #[arg(long, value_name = "NAME", env = "CASSGATE_TLS_SELF_SERVICE")]
    pub tls_self_service: Option<String>,

    /// self: the name of the two webhook configurations whose caBundle cassgate keeps [default: cassgate]
    #[arg(long, value_name = "NAME", env = "CASSGATE_TLS_SELF_WEBHOOKS")]
    pub tls_self_webhooks: Option<String>,

    /// self: an additional name or address in the certificate, for webhooks that are called by URL (repeatable)
    #[arg(
        long,
        value_name = "NAME",
        env = "CASSGATE_TLS_SELF_NAME",
        value_delimiter = ','
    )]
    pub tls_self_name: Vec<SubjectAltName>,

    /// self: the lifetime of an authority; it is replaced after two thirds of it [default: 8760h]
    #[arg(long, value_name = "DURATION", env = "CASSGATE_TLS_SELF_CA_LIFETIME", value_parser = duration)]
    pub tls_self_ca_lifetime: Option<Duration>,

    /// self: the lifetime of a certificate, at most a third of --tls-self-ca-lifetime; it is renewed after two thirds of
    /// it [default: 24h]
    #[arg(long, value_name = "DURATION", env = "CASSGATE_TLS_SELF_LEAF_LIFETIME", value_parser = duration)]
    pub tls_self_leaf_lifetime: Option<Duration>,
}

/// Lifetimes that are too short.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LifetimeError {
    /// A certificate that lives shorter than ten seconds.
    #[error("--tls-self-leaf-lifetime {0:#} is too short; write 10s or more")]
    ShortLeaf(SignedDuration),
    /// An authority that cannot be replaced in time.
    #[error(
        "--tls-self-ca-lifetime {authority:#} is too short for --tls-self-leaf-lifetime {leaf:#}; write {minimum:#} or more"
    )]
    ShortAuthority {
        /// The lifetime of the authority.
        authority: SignedDuration,
        /// The lifetime of the certificate.
        leaf: SignedDuration,
        /// The shortest lifetime of an authority for such certificates.
        minimum: SignedDuration,
    },
}

impl SelfArgs {
    /// Returns the first of these flags that the user gave, by its name on the command line. Other modes reject it,
    /// because they would ignore it silently.
    #[must_use]
    pub fn first_given(&self) -> Option<&'static str> {
        let flags = [
            (self.tls_self_secret.is_some(), "--tls-self-secret"),
            (self.tls_self_namespace.is_some(), "--tls-self-namespace"),
            (self.tls_self_service.is_some(), "--tls-self-service"),
            (self.tls_self_webhooks.is_some(), "--tls-self-webhooks"),
            (!self.tls_self_name.is_empty(), "--tls-self-name"),
            (self.tls_self_ca_lifetime.is_some(), "--tls-self-ca-lifetime"),
            (self.tls_self_leaf_lifetime.is_some(), "--tls-self-leaf-lifetime"),
        ];
        flags.iter().find_map(|(given, flag)| given.then_some(*flag))
    }

    /// Returns the options of mode `self`.
    ///
    /// # Errors
    /// Returns an error if a lifetime is too short.
    pub fn options(&self) -> Result<SelfOptions, LifetimeError> {
        let longest = SignedDuration::MAX / MIN_LEAVES_PER_AUTHORITY;
        let signed = |duration: Duration| SignedDuration::try_from(duration).unwrap_or(longest);
        let authority = self
            .tls_self_ca_lifetime
            .map_or(DEFAULT_AUTHORITY_LIFETIME, signed);
        let leaf = self
            .tls_self_leaf_lifetime
            .map_or(DEFAULT_LEAF_LIFETIME, signed)
            .min(longest);
        if leaf < MIN_LEAF_LIFETIME {
            return Err(LifetimeError::ShortLeaf(leaf));
        }
        let minimum = leaf * MIN_LEAVES_PER_AUTHORITY;
        if authority < minimum {
            return Err(LifetimeError::ShortAuthority {
                authority,
                leaf,
                minimum,
            });
        }
        Ok(SelfOptions {
            secret: name_or(self.tls_self_secret.as_ref(), DEFAULT_SECRET),
            namespace: self.tls_self_namespace.clone(),
            service: name_or(self.tls_self_service.as_ref(), DEFAULT_NAME),
            webhooks: name_or(self.tls_self_webhooks.as_ref(), DEFAULT_NAME),
            names: self.tls_self_name.clone(),
            timing: Timing::new(authority, leaf),
        })
    }
}

fn name_or(name: Option<&String>, default: &str) -> String {
    name.map_or_else(|| default.to_owned(), Clone::clone)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        tls: SelfArgs,
    }

    fn arguments(flags: &[&str]) -> SelfArgs {
        Cli::try_parse_from(["cassgate"].iter().chain(flags)).unwrap().tls
    }

    fn options(flags: &[&str]) -> Result<SelfOptions, LifetimeError> {
        arguments(flags).options()
    }

    #[test]
    fn by_default_an_authority_lives_a_year_and_a_certificate_a_day() {
        let options = options(&[]).unwrap();
        assert_eq!(
            options.timing.authority_lifetime,
            SignedDuration::from_hours(365 * 24)
        );
        assert_eq!(options.timing.leaf_lifetime, SignedDuration::from_hours(24));
        assert_eq!(options.timing.propagation_delay, SignedDuration::from_secs(15));
        assert_eq!(options.interval(), Duration::from_secs(10));
    }

    #[test]
    fn short_lived_certificates_shorten_every_interval() {
        let options = options(&["--tls-self-leaf-lifetime=12s", "--tls-self-ca-lifetime=36s"]).unwrap();
        assert_eq!(options.timing.propagation_delay, SignedDuration::from_secs(2));
        assert_eq!(options.interval(), Duration::from_millis(600));
    }

    #[test]
    fn a_lifetime_that_is_too_short_is_rejected_with_the_shortest_that_is_accepted() {
        let error = |flags: &[&str]| options(flags).unwrap_err().to_string();
        assert_eq!(
            error(&["--tls-self-leaf-lifetime=9s"]),
            "--tls-self-leaf-lifetime 9s is too short; write 10s or more"
        );
        assert_eq!(
            error(&["--tls-self-ca-lifetime=71h"]),
            "--tls-self-ca-lifetime 71h is too short for --tls-self-leaf-lifetime 24h; write 72h or more"
        );
    }

    #[test]
    fn the_certificate_contains_every_name_of_the_service() {
        let options = options(&["--tls-self-name=127.0.0.1,gate.example"]).unwrap();
        assert_eq!(
            options.names_in("cassgate-system"),
            [
                "cassgate.cassgate-system.svc",
                "cassgate.cassgate-system.svc.cluster.local",
                "cassgate.cassgate-system",
                "cassgate",
                "127.0.0.1",
                "gate.example",
            ]
        );
    }
}
