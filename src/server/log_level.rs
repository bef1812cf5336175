//! `/loglevel` of the admin port: reads the log level and changes it without a restart.
//!
//! The admin port has no authentication, and a client that changes the level could hide denials or fill a disk. So a
//! change is accepted only from this machine. `kubectl port-forward` connects from the loopback interface of the pod,
//! and the API server checks the user's permission on that pod first. A proxy in the pod (a service mesh) also connects
//! from there, on behalf of any client; it is recognised by its headers and rejected. A `Host` header that does not name
//! this machine is rejected too, because a web page in an administrator's browser would send one (DNS rebinding).

use std::net::IpAddr;

use axum::{
    Extension,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};

use super::connection::ClientAddress;
use crate::telemetry::log::{LogControl, LogFilter};

/// The longest text that is parsed as a level, in bytes.
const MAX_LENGTH: usize = 4096;

/// The headers that proxies add to forwarded requests.
const PROXY_HEADERS: [&str; 5] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-proto",
    "l5d-client-id",
];

/// The response to a change from another machine.
const NOT_LOCAL: &str = "the log level can be changed only from this machine; in a pod: kubectl --namespace NAMESPACE \
                       port-forward POD 8080, then PUT it to http://127.0.0.1:8080/loglevel\n";

/// Returns the route. `GET` returns the level as text. `PUT` sets the level to the body, in the syntax of `--log-level`;
/// it returns 400 for a malformed level and 403 for a client on another machine.
pub(super) fn route(log: LogControl) -> MethodRouter {
    get(show).put(change).with_state(log)
}

async fn show(State(log): State<LogControl>) -> String {
    format!("{}\n", log.current())
}

async fn change(
    State(log): State<LogControl>,
    client: Option<Extension<ClientAddress>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !client.is_some_and(|Extension(ClientAddress(address))| is_local(address.ip())) || !is_direct(&headers)
    {
        return (StatusCode::FORBIDDEN, NOT_LOCAL).into_response();
    }
    let Some(text) = std::str::from_utf8(&body)
        .ok()
        .filter(|text| text.len() <= MAX_LENGTH)
    else {
        return (
            StatusCode::BAD_REQUEST,
            "not a log level; write for example debug\n",
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
    // A warning, so that most levels show it: it explains why the log has more or fewer lines from here on.
    tracing::warn!(before, after, "the log level was changed");
    format!("{after}\n").into_response()
}

fn is_local(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Returns true if no proxy has forwarded the request and `Host` names this machine.
fn is_direct(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.is_none_or(names_this_machine) && !PROXY_HEADERS.iter().any(|name| headers.contains_key(*name))
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
    fn only_a_host_name_of_this_machine_is_accepted() {
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
    fn a_forwarded_request_is_not_direct() {
        for name in PROXY_HEADERS {
            let mut headers = HeaderMap::new();
            assert!(is_direct(&headers));
            headers.insert(name, "x".parse().unwrap());
            assert!(!is_direct(&headers), "{name}");
        }
    }

    /// Sends a change from this address. Returns the status code, and the level afterwards.
    async fn put(address: &str, header: Option<(&str, &str)>, body: &str) -> (u16, String) {
        let (_layer, log) = LogControl::new("info".parse().unwrap());
        let router = Router::new().route("/loglevel", route(log.clone()));
        let mut request = Request::put("/loglevel").header("host", "127.0.0.1:8080");
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        request
            .extensions_mut()
            .insert(ClientAddress(address.parse().unwrap()));
        let answer = router.oneshot(request).await.unwrap();
        (answer.status().as_u16(), log.current())
    }

    #[tokio::test]
    async fn the_level_can_be_changed_from_this_machine_only() {
        let (local, remote) = ("127.0.0.1:4000", "10.0.0.1:4000");
        assert_eq!(put(local, None, "debug\n").await, (200, "debug".to_owned()));
        assert_eq!(
            put("[::ffff:127.0.0.1]:1", None, "off").await,
            (200, "off".to_owned())
        );
        assert_eq!(put(remote, None, "debug").await, (403, "info".to_owned()));
        let forwarded = Some(("x-forwarded-for", "10.0.0.1"));
        assert_eq!(put(local, forwarded, "debug").await, (403, "info".to_owned()));
        assert_eq!(put(local, None, "loud").await, (400, "info".to_owned()));
        assert_eq!(
            put(local, None, &"x".repeat(MAX_LENGTH + 1)).await,
            (400, "info".to_owned())
        );
    }

    #[test]
    fn only_loopback_addresses_are_local() {
        assert!(is_local(Ipv4Addr::LOCALHOST.into()));
        assert!(is_local(Ipv4Addr::LOCALHOST.to_ipv6_mapped().into()));
        assert!(!is_local(Ipv4Addr::new(10, 0, 0, 1).into()));
    }
}
