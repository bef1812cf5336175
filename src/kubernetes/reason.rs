//! Why the API server gave no answer: one short line for people, without addresses, names or bodies.

use std::{error::Error as StdError, io};

use kube::{Error, core::Status};

/// Why a request failed, in one line without addresses, names or bodies.
#[must_use]
pub fn reason(error: &Error) -> String {
    match error {
        Error::Api(status) => refused(status),
        Error::Auth(_) => "cassgate has no usable credentials for the API server".to_owned(),
        Error::SerdeError(_) | Error::FromUtf8(_) => UNREADABLE.to_owned(),
        other => broken(other).to_owned(),
    }
}

/// What is said of an answer that is not what was asked for.
pub(super) const UNREADABLE: &str = "the API server's answer cannot be read";

/// Whether the same request may well succeed a moment later.
pub(super) fn is_transient(error: &Error) -> bool {
    match error {
        // 500: etcd changes its leader; 429 and 503: too much to do, or not ready yet.
        Error::Api(status) => matches!(status.code, 429 | 500 | 503 | 504),
        Error::HyperError(_) | Error::Service(_) => true,
        _ => false,
    }
}

/// The words for an answer that refuses.
pub(super) fn refused(status: &Status) -> String {
    match status.code {
        401 => "the API server does not accept cassgate's credentials (401)".to_owned(),
        403 => "cassgate lacks a right on the API server (403)".to_owned(),
        429 => "the API server is too busy (429)".to_owned(),
        410 => "the API server has dropped that part of its history (410)".to_owned(),
        code => format!("the API server answered with an error ({code})"),
    }
}

/// The words for a connection that could not be made or broke, by the innermost cause that says something.
fn broken(error: &(dyn StdError + 'static)) -> &'static str {
    causes(error)
        .find_map(words)
        .unwrap_or("the API server cannot be reached")
}

fn words(cause: &(dyn StdError + 'static)) -> Option<&'static str> {
    if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
        return Some(match tls {
            rustls::Error::InvalidCertificate(_) => "the API server's certificate is not trusted",
            _ => "no TLS connection to the API server comes about",
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
    // hyper-util's resolver errors are private; this is how they begin.
    cause
        .to_string()
        .starts_with("dns error")
        .then_some("the API server's name does not resolve")
}

/// An error and what is below it. An `io::Error` hides the error that it wraps: its `source` is that one's source.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped
            .map(|inner| inner as &(dyn StdError + 'static))
            .or_else(|| error.source())
    })
    // No error chain is that long, unless it runs in a circle.
    .take(32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(error: impl Into<tower::BoxError>) -> Error {
        Error::Service(error.into())
    }

    fn api(code: u16) -> Error {
        Error::Api(
            Status::failure("secrets \"s3\" at https://10.0.0.1", "Whatever")
                .with_code(code)
                .boxed(),
        )
    }

    #[test]
    fn an_answer_that_refuses_is_told_by_its_code() {
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
    fn a_connection_is_told_by_its_innermost_cause() {
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
    fn what_may_pass_is_told_from_what_will_not() {
        for code in [429, 500, 503, 504] {
            assert!(is_transient(&api(code)), "{code}");
        }
        for code in [400, 401, 403, 404, 410, 422] {
            assert!(!is_transient(&api(code)), "{code}");
        }
        assert!(is_transient(&service("anything")));
    }
}
