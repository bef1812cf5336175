//! Mode `self`, as the user says it.

use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;

use super::plan::Timing;
use crate::commands::duration::duration;
use crate::tls::DevName;

/// The shortest life of a certificate: below it, looks would follow each other at once.
const SHORTEST_LEAF: SignedDuration = SignedDuration::from_secs(10);

/// How many lives of a certificate an authority lasts at least: else it would end before what it signed is replaced.
const LEAVES_PER_AUTHORITY: i32 = 3;

/// The longest pause between two looks.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(10);

/// The longest time that a `caBundle` is given to reach every API server. They watch; it takes them moments.
const LONGEST_SETTLE: SignedDuration = SignedDuration::from_secs(15);

/// The Secret of the manifests.
const SECRET: &str = "cassgate-ca";

/// The Service and the webhook configurations of the manifests.
const NAME: &str = "cassgate";

/// How long an authority is valid: a year.
const AUTHORITY: SignedDuration = SignedDuration::from_hours(365 * 24);

/// How long a certificate is valid: a day.
const LEAF: SignedDuration = SignedDuration::from_hours(24);

/// The authority of mode `self`, and what is signed by it.
#[derive(Debug, Clone, Args)]
pub struct SelfArgs {
    /// self: the Secret of the authority, in the namespace of the pod (or of the kubeconfig's context) [default:
    /// cassgate-ca]
    #[arg(long, value_name = "NAME", env = "CASSGATE_TLS_SELF_SECRET")]
    pub tls_self_secret: Option<String>,

    /// self: the namespace of that Secret and of the Service, when it is not that of the pod
    #[arg(long, value_name = "NAMESPACE", env = "CASSGATE_TLS_SELF_NAMESPACE")]
    pub tls_self_namespace: Option<String>,

    /// self: the Service by which the API server calls; its names stand in the certificate [default: cassgate]
    #[arg(long, value_name = "NAME", env = "CASSGATE_TLS_SELF_SERVICE")]
    pub tls_self_service: Option<String>,

    /// self: the name of the two webhook configurations whose caBundle is kept [default: cassgate]
    #[arg(long, value_name = "NAME", env = "CASSGATE_TLS_SELF_WEBHOOKS")]
    pub tls_self_webhooks: Option<String>,

    /// self: one more name or address in the certificate, for webhooks that are called by URL (repeatable)
    #[arg(
        long,
        value_name = "NAME",
        env = "CASSGATE_TLS_SELF_NAME",
        value_delimiter = ','
    )]
    pub tls_self_name: Vec<DevName>,

    /// self: how long an authority is valid; the next one comes after two thirds of it [default: 8760h]
    #[arg(long, value_name = "DURATION", env = "CASSGATE_TLS_SELF_CA_LIFETIME", value_parser = duration)]
    pub tls_self_ca_lifetime: Option<Duration>,

    /// self: how long a certificate is valid, at most a third of --tls-self-ca-lifetime; it is renewed after two thirds
    /// [default: 24h]
    #[arg(long, value_name = "DURATION", env = "CASSGATE_TLS_SELF_LEAF_LIFETIME", value_parser = duration)]
    pub tls_self_leaf_lifetime: Option<Duration>,
}

/// Mode `self`: [`SelfArgs`], checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfOptions {
    /// The Secret.
    pub secret: String,
    /// Its namespace; nothing: that of the client.
    pub namespace: Option<String>,
    /// The Service.
    pub service: String,
    /// The two webhook configurations.
    pub webhooks: String,
    /// Names beside those of the Service.
    pub names: Vec<DevName>,
    /// How long things last.
    pub timing: Timing,
}

/// Options of mode `self` that do not fit together.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SelfOptionsError {
    /// Shorter than a look takes.
    #[error("--tls-self-leaf-lifetime {0:#} is too short; write 10s or more")]
    ShortLeaf(SignedDuration),
    /// An authority that could not be replaced in time.
    #[error(
        "--tls-self-ca-lifetime {authority:#} is too short for --tls-self-leaf-lifetime {leaf:#}; write {least:#} or more"
    )]
    ShortAuthority {
        /// The authority's.
        authority: SignedDuration,
        /// The certificate's.
        leaf: SignedDuration,
        /// The shortest that goes with it.
        least: SignedDuration,
    },
}

impl SelfArgs {
    /// The first of these flags that was given, by its name on the command line: in another mode it would be
    /// ignored in silence.
    #[must_use]
    pub fn given(&self) -> Option<&'static str> {
        let given = [
            (self.tls_self_secret.is_some(), "--tls-self-secret"),
            (self.tls_self_namespace.is_some(), "--tls-self-namespace"),
            (self.tls_self_service.is_some(), "--tls-self-service"),
            (self.tls_self_webhooks.is_some(), "--tls-self-webhooks"),
            (!self.tls_self_name.is_empty(), "--tls-self-name"),
            (self.tls_self_ca_lifetime.is_some(), "--tls-self-ca-lifetime"),
            (self.tls_self_leaf_lifetime.is_some(), "--tls-self-leaf-lifetime"),
        ];
        given.iter().find_map(|(given, flag)| given.then_some(*flag))
    }

    /// The options of mode `self`.
    ///
    /// # Errors
    /// Lifetimes that do not go together.
    pub fn options(&self) -> Result<SelfOptions, SelfOptionsError> {
        let longest = SignedDuration::MAX / LEAVES_PER_AUTHORITY;
        let signed = |duration: Duration| SignedDuration::try_from(duration).unwrap_or(longest);
        let authority = self.tls_self_ca_lifetime.map_or(AUTHORITY, signed);
        let leaf = self.tls_self_leaf_lifetime.map_or(LEAF, signed).min(longest);
        if leaf < SHORTEST_LEAF {
            return Err(SelfOptionsError::ShortLeaf(leaf));
        }
        let least = leaf * LEAVES_PER_AUTHORITY;
        if authority < least {
            return Err(SelfOptionsError::ShortAuthority {
                authority,
                leaf,
                least,
            });
        }
        Ok(SelfOptions {
            secret: or(self.tls_self_secret.as_ref(), SECRET),
            namespace: self.tls_self_namespace.clone(),
            service: or(self.tls_self_service.as_ref(), NAME),
            webhooks: or(self.tls_self_webhooks.as_ref(), NAME),
            names: self.tls_self_name.clone(),
            timing: Timing {
                authority,
                leaf,
                settle: LONGEST_SETTLE.min(leaf / 6),
            },
        })
    }
}

impl SelfOptions {
    /// Every name that the certificate carries: those of the Service as clients in the cluster write them, and the
    /// others.
    #[must_use]
    pub fn names_in(&self, namespace: &str) -> Vec<String> {
        let service = &self.service;
        let own = [
            format!("{service}.{namespace}.svc"),
            format!("{service}.{namespace}.svc.cluster.local"),
            format!("{service}.{namespace}"),
            service.clone(),
        ];
        let more = self.names.iter().map(|name| name.as_str().to_owned());
        own.into_iter().chain(more).collect()
    }

    /// The pause between two looks: ten seconds, or less where certificates live shortly.
    #[must_use]
    pub fn pause(&self) -> Duration {
        let pause = LONGEST_PAUSE.min(self.timing.leaf / 20);
        Duration::try_from(pause).unwrap_or(Duration::from_secs(10))
    }
}

fn or(given: Option<&String>, default: &str) -> String {
    given.map_or_else(|| default.to_owned(), Clone::clone)
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

    fn options(flags: &[&str]) -> Result<SelfOptions, SelfOptionsError> {
        arguments(flags).options()
    }

    #[test]
    fn an_authority_lives_a_year_and_a_certificate_a_day() {
        let options = options(&[]).unwrap();
        assert_eq!(options.timing.authority, SignedDuration::from_hours(365 * 24));
        assert_eq!(options.timing.leaf, SignedDuration::from_hours(24));
        assert_eq!(options.timing.settle, SignedDuration::from_secs(15));
        assert_eq!(options.pause(), Duration::from_secs(10));
    }

    #[test]
    fn everything_is_quicker_where_certificates_live_shortly() {
        let options = options(&["--tls-self-leaf-lifetime=12s", "--tls-self-ca-lifetime=36s"]).unwrap();
        assert_eq!(options.timing.settle, SignedDuration::from_secs(2));
        assert_eq!(options.pause(), Duration::from_millis(600));
    }

    #[test]
    fn lifetimes_that_do_not_go_together_are_refused_with_the_one_that_does() {
        let says = |flags: &[&str]| options(flags).unwrap_err().to_string();
        assert_eq!(
            says(&["--tls-self-leaf-lifetime=9s"]),
            "--tls-self-leaf-lifetime 9s is too short; write 10s or more"
        );
        assert_eq!(
            says(&["--tls-self-ca-lifetime=71h"]),
            "--tls-self-ca-lifetime 71h is too short for --tls-self-leaf-lifetime 24h; write 72h or more"
        );
    }

    #[test]
    fn the_certificate_carries_every_name_of_the_service() {
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
