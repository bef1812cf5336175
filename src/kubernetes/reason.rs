//! Errors of the API server as one short line for people, without addresses, names or bodies.

use std::{error::Error as StdError, io};

use kube::{Error, core::Status};

use crate::telemetry::api_error::causes;

/// Returns the reason why a request failed, in one line without addresses, names or bodies.
#[must_use]
pub fn reason(error: &Error) -> String {
    match error {
        Error::Api(status) => status_reason(status),
        Error::Auth(_) => "cassgate has no usable credentials for the API server".to_owned(),
        Error::SerdeError(_) | Error::FromUtf8(_) => UNREADABLE.to_owned(),
        other => connection_reason(other).to_owned(),
    }
}

/// The reason for an answer that cannot be decoded or is about another object.
pub(super) const UNREADABLE: &str = "the API server's answer cannot be read";

/// Returns true if the same request may succeed a moment later.
pub(super) fn is_transient(error: &Error) -> bool {
    match error {
        // 500: etcd changes its leader; 429 and 503: the API server is overloaded or not ready.
        Error::Api(status) => matches!(status.code, 429 | 500 | 503 | 504),
        Error::HyperError(_) | Error::Service(_) => true,
        _ => false,
    }
}

/// Returns the reason for an error status.
pub(super) fn status_reason(status: &Status) -> String {
    match status.code {
        401 => "the API server does not accept cassgate's credentials (401)".to_owned(),
        403 => "cassgate lacks a right on the API server (403)".to_owned(),
        429 => "the API server is too busy (429)".to_owned(),
        410 => "the API server has dropped that part of its history (410)".to_owned(),
        code => format!("the API server answered with an error ({code})"),
    }
}

/// Returns the reason for a failed connection: the outermost cause that has one.
fn connection_reason(error: &(dyn StdError + 'static)) -> &'static str {
    causes(error)
        .find_map(cause_reason)
        .unwrap_or("the API server cannot be reached")
}

fn cause_reason(cause: &(dyn StdError + 'static)) -> Option<&'static str> {
    if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
        return Some(match tls {
            rustls::Error::InvalidCertificate(_) => "the API server's certificate is not trusted",
            _ => "the TLS handshake with the API server failed",
        });
    }
    if let Some(io) = cause.downcast_ref::<io::Error>() {
        return match io.kind() {
            io::ErrorKind::ConnectionRefused => Some("connection refused by the API server"),
            io::ErrorKind::TimedOut => Some("the API server does not answer in time"),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Some("the connection to the API server broke"),
            _ => None,
        };
    }
    // hyper-util's resolver error is a private type; its text begins like this.
    cause
        .to_string()
        .starts_with("dns error")
        .then_some("the API server's name does not resolve")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::api_error::tests::api;

    fn service(error: impl Into<tower::BoxError>) -> Error {
        Error::Service(error.into())
    }

    #[test]
    fn an_error_status_is_described_by_its_code() {
        assert_eq!(
            reason(&api(401)),
            "the API server does not accept cassgate's credentials (401)"
        );
        assert_eq!(
            reason(&api(403)),
            "cassgate lacks a right on the API server (403)"
        );
        assert_eq!(reason(&api(429)), "the API server is too busy (429)");
        assert_eq!(reason(&api(500)), "the API server answered with an error (500)");
    }

    #[test]
    fn a_failed_connection_is_described_by_its_cause() {
        let io = |kind| service(io::Error::other(io::Error::from(kind)));
        for (kind, expected) in [
            (
                io::ErrorKind::ConnectionRefused,
                "connection refused by the API server",
            ),
            (io::ErrorKind::TimedOut, "the API server does not answer in time"),
            (
                io::ErrorKind::ConnectionReset,
                "the connection to the API server broke",
            ),
            (
                io::ErrorKind::UnexpectedEof,
                "the connection to the API server broke",
            ),
            (io::ErrorKind::HostUnreachable, "the API server cannot be reached"),
        ] {
            assert_eq!(reason(&io(kind)), expected);
        }
        let untrusted = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        assert_eq!(
            reason(&service(io::Error::other(untrusted))),
            "the API server's certificate is not trusted"
        );
        assert_eq!(
            reason(&service("dns error: no such host")),
            "the API server's name does not resolve"
        );
    }

    #[test]
    fn only_transient_errors_are_retried() {
        for code in [429, 500, 503, 504] {
            assert!(is_transient(&api(code)), "{code}");
        }
        for code in [400, 401, 403, 404, 410, 422] {
            assert!(!is_transient(&api(code)), "{code}");
        }
        assert!(is_transient(&service("anything")));
    }
}
