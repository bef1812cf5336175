//! `/loglevel` of the admin port: what is logged, and a way to change it without a restart.
//!
//! The admin port has no accounts, and whoever reaches it could hide refusals or fill a disk. So a change is taken
//! only from this machine: `kubectl port-forward` comes from the loopback interface of the pod, and asks the API server
//! for a right on that pod first. A proxy beside us (a mesh) comes from there too, for anybody; it says so in headers,
//! and is refused. So is a name of the host that is none of this machine: a page in an administrator's browser
//! would have one.

use std::net::IpAddr;

use axum::{
    Extension,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};

use super::connection::Origin;
use crate::telemetry::log::{LogControl, LogFilter};

/// The longest text that is read as a level.
const LONGEST: usize = 4096;

/// What proxies add to what they pass on.
const FORWARDED: [&str; 5] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-proto",
    "l5d-client-id",
];

/// Why a change was refused.
const FOREIGN: &str = "the log level is changed only from this machine; in a pod: kubectl --namespace NAMESPACE \
                       port-forward POD 8080, then PUT it to http://127.0.0.1:8080/loglevel\n";

/// `GET`: the level as text. `PUT`: the body is the new one, in the words of `--log-level`; 400 for one that is none,
/// 403 for a client elsewhere.
pub(super) fn route(log: LogControl) -> MethodRouter {
    get(show).put(change).with_state(log)
}

async fn show(State(log): State<LogControl>) -> String {
    format!("{}\n", log.current())
}

async fn change(
    State(log): State<LogControl>,
    origin: Option<Extension<Origin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !origin.is_some_and(|Extension(Origin(address))| is_local(address.ip())) || !is_direct(&headers) {
        return (StatusCode::FORBIDDEN, FOREIGN).into_response();
    }
    let Some(text) = std::str::from_utf8(&body)
        .ok()
        .filter(|text| text.len() <= LONGEST)
    else {
        return (
            StatusCode::BAD_REQUEST,
            "that is no level; write for example debug\n",
        )
            .into_response();
    };
    let filter = match text.trim().parse::<LogFilter>() {
        Ok(filter) => filter,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let before = log.current();
    if let Err(error) = log.set(filter) {
        return (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response();
    }
    let after = log.current();
    // At a level that is seldom left out: it explains what the log says and does not say from here on.
    tracing::warn!(before, after, "the log level was changed");
    format!("{after}\n").into_response()
}

fn is_local(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Whether the client itself asks, by a name of this machine.
fn is_direct(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.is_none_or(names_this_machine) && !FORWARDED.iter().any(|name| headers.contains_key(*name))
}

fn names_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_local)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::{Router, body::Body, http::Request};
    use tower::ServiceExt;

    use super::*;

    #[test]
    fn a_host_of_this_machine_is_told_from_any_other() {
        for host in [
            "localhost",
            "LocalHost:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
            "127.1.2.3",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(names_this_machine(host), "{host}");
        }
        for host in [
            "10.0.0.1:8080",
            "evil.example",
            "localhost.evil.example:80",
            "",
            ":8080",
            "[fe80::1]",
        ] {
            assert!(!names_this_machine(host), "{host}");
        }
    }

    #[test]
    fn what_a_proxy_passes_on_is_not_direct() {
        for name in FORWARDED {
            let mut headers = HeaderMap::new();
            assert!(is_direct(&headers));
            headers.insert(name, "x".parse().unwrap());
            assert!(!is_direct(&headers), "{name}");
        }
    }

    /// What a client at this address is answered, and the level after it.
    async fn put(address: &str, header: Option<(&str, &str)>, body: &str) -> (u16, String) {
        let (_layer, log) = LogControl::new("info".parse().unwrap());
        let router = Router::new().route("/loglevel", route(log.clone()));
        let mut request = Request::put("/loglevel").header("host", "127.0.0.1:8080");
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        request.extensions_mut().insert(Origin(address.parse().unwrap()));
        let answer = router.oneshot(request).await.unwrap();
        (answer.status().as_u16(), log.current())
    }

    #[tokio::test]
    async fn the_level_is_changed_from_this_machine_only() {
        let (here, elsewhere) = ("127.0.0.1:4000", "10.0.0.1:4000");
        assert_eq!(put(here, None, "debug\n").await, (200, "debug".to_owned()));
        assert_eq!(
            put("[::ffff:127.0.0.1]:1", None, "off").await,
            (200, "off".to_owned())
        );
        assert_eq!(put(elsewhere, None, "debug").await, (403, "info".to_owned()));
        let forwarded = Some(("x-forwarded-for", "10.0.0.1"));
        assert_eq!(put(here, forwarded, "debug").await, (403, "info".to_owned()));
        assert_eq!(put(here, None, "loud").await, (400, "info".to_owned()));
        assert_eq!(
            put(here, None, &"x".repeat(LONGEST + 1)).await,
            (400, "info".to_owned())
        );
    }

    #[test]
    fn only_the_loopback_interface_is_local() {
        assert!(is_local(Ipv4Addr::LOCALHOST.into()));
        assert!(is_local(Ipv4Addr::LOCALHOST.to_ipv6_mapped().into()));
        assert!(!is_local(Ipv4Addr::new(10, 0, 0, 1).into()));
    }
}
