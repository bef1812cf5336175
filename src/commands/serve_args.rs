//! The flags of `cassgate run` for its two ports and its shutdown.

use std::{net::SocketAddr, time::Duration};

use clap::Args;

use super::duration::duration;

/// The addresses of the two ports and the timing of the shutdown.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// The address of the webhook, over TLS (port 0: any free port)
    #[arg(
        long,
        value_name = "ADDR:PORT",
        env = "CASSGATE_LISTEN",
        default_value = "0.0.0.0:8443"
    )]
    pub listen: SocketAddr,

    /// The address of /livez, /readyz and /metrics, over plain HTTP (port 0: any free port)
    #[arg(
        long,
        value_name = "ADDR:PORT",
        env = "CASSGATE_ADMIN_LISTEN",
        default_value = "0.0.0.0:8080"
    )]
    pub admin_listen: SocketAddr,

    /// The time to go on serving after SIGTERM, so that every kube-apiserver learns of the shutdown
    #[arg(long, value_name = "DURATION", env = "CASSGATE_SHUTDOWN_DELAY", default_value = "5s", value_parser = duration)]
    pub shutdown_delay: Duration,

    /// The time that requests in flight then have to finish
    #[arg(long, value_name = "DURATION", env = "CASSGATE_DRAIN_TIMEOUT", default_value = "20s", value_parser = duration)]
    pub drain_timeout: Duration,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        serve: ServeArgs,
    }

    #[test]
    fn the_defaults_are_those_of_the_manual() {
        let ServeArgs {
            listen,
            admin_listen,
            shutdown_delay,
            drain_timeout,
        } = Cli::try_parse_from(["cassgate"]).unwrap().serve;
        assert_eq!(listen, "0.0.0.0:8443".parse().unwrap());
        assert_eq!(admin_listen, "0.0.0.0:8080".parse().unwrap());
        assert_eq!(shutdown_delay, Duration::from_secs(5));
        assert_eq!(drain_timeout, Duration::from_secs(20));
    }
}
