//! A server with a constant answer: cassgate's own TLS stack and limits, and a handler that reads the body and
//! discards it. The difference to cassgate is the cost of a review.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::routing::post;
use bytes::Bytes;
use cassgate::server::harden::harden;
use cassgate::server::https;
use cassgate::server::limits::Limits;
use cassgate::server::listen;
use cassgate::telemetry::log::{self, LogArgs, LogFormat};
use cassgate::telemetry::metrics::{Listener, Metrics};
use cassgate::tls::{self, PairFiles, PairSource, Reloader};
use jiff::Timestamp;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::Result;

/// The answer and the certificate.
#[derive(Debug, clap::Args)]
pub(crate) struct Constant {
    #[arg(long)]
    answer: String,
    #[arg(long)]
    tls_dir: PathBuf,
}

/// Serves until standard input closes. The first line on standard output is the address.
///
/// # Errors
/// An error if the certificate or the port cannot be used.
pub(crate) fn run(constant: &Constant) -> Result<()> {
    // As in `cassgate run`: without a log, the parts of h2 that would write to it cost more. It logs nothing at the
    // start, since the first line is the address.
    log::init(&LogArgs {
        log_level: "warn".parse()?,
        log_format: LogFormat::Json,
    })?;
    // The same runtime as `cassgate run`.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(constant))
}

async fn serve(constant: &Constant) -> Result<()> {
    let metrics = Metrics::new();
    let files = PairSource::Files(PairFiles::in_directory(&constant.tls_dir));
    let reloader = Reloader::start(files, metrics.clone(), Timestamp::now())?;
    let tls = tls::server_config(reloader.served())?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let port = listen::bind(Listener::Webhook, address).await?;
    println!("{}", port.address());

    let answer = Bytes::from(constant.answer.clone());
    let handler = move |_body: Bytes| {
        let answer = answer.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], answer) }
    };
    let router = harden(Router::new().route("/validate", post(handler)), metrics.clone());
    let server = https::server(port, tls, router, Limits::default(), metrics);
    let stop = CancellationToken::new();
    let closed = async {
        // The content is ignored; the end of the input is the signal.
        let read = spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink())).await;
        stop.cancel();
        read
    };
    let (_, read) = tokio::join!(server.run(stop.clone(), Duration::from_secs(1)), closed);
    read??;
    Ok(())
}
