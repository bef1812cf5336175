//! Errors of requests to the API server: their causes, and their text in the log.

use std::{error::Error as StdError, io};

use kube::core::Status;

/// Returns an error, or the response of the API server that caused it, in one line for the log.
///
/// `kube::Error` and the errors that wrap it display a response twice: its message, and the whole object in the notation
/// of `Debug`.
#[must_use]
pub fn log_text(error: &(dyn StdError + 'static)) -> String {
    match response(error) {
        Some(status) => format!("{} ({} {})", status.message, status.code, status.reason),
        None => error.to_string(),
    }
}

/// Returns true if the API server refused to create an object because its namespace is being deleted.
#[must_use]
pub fn is_namespace_terminating(error: &(dyn StdError + 'static)) -> bool {
    let details = response(error).and_then(|status| status.details.as_ref());
    // The cause of `k8s.io/api/core/v1.NamespaceTerminatingCause`.
    details.is_some_and(|details| {
        details
            .causes
            .iter()
            .any(|cause| cause.reason == "NamespaceTerminating")
    })
}

/// Returns true for a response that ends a watch in normal operation: the API server has compacted its history (410), or it
/// builds the storage of a resource anew after its CRD was changed (429).
#[must_use]
pub fn is_routine_end_of_watch(error: &(dyn StdError + 'static)) -> bool {
    response(error).is_some_and(|status| matches!(status.code, 410 | 429))
}

/// Returns the response of the API server that caused an error.
fn response<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Status> {
    causes(error).find_map(|cause| {
        let boxed = cause.downcast_ref::<Box<Status>>().map(AsRef::as_ref);
        boxed.or_else(|| cause.downcast_ref::<Status>())
    })
}

/// Returns an error and its causes.
///
/// An `io::Error` skips the error that it wraps: its `source` is the source of that error.
pub fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped
            .map(|inner| inner as &(dyn StdError + 'static))
            .or_else(|| error.source())
    })
    // A chain that is longer than this has a cycle.
    .take(32)
}

#[cfg(test)]
pub(crate) mod tests {
    use kube::Error;

    use super::*;

    fn service(error: &str) -> Error {
        Error::Service(error.into())
    }

    /// Returns an error response whose message contains a name and an address.
    pub(crate) fn api(code: u16) -> Error {
        Error::Api(
            Status::failure("secrets \"s3\" at https://10.0.0.1", "Whatever")
                .with_code(code)
                .boxed(),
        )
    }

    #[derive(Debug, thiserror::Error)]
    enum Wrapped {
        #[error(transparent)]
        Transparent(Error),
        #[error("the watch failed: {0}")]
        Named(#[source] Error),
    }

    #[test]
    fn the_log_has_the_message_of_a_response_once_whatever_wraps_the_error() {
        let expected = "secrets \"s3\" at https://10.0.0.1 (429 Whatever)";
        assert_eq!(log_text(&api(429)), expected);
        assert_eq!(log_text(&Wrapped::Transparent(api(429))), expected);
        assert_eq!(log_text(&Wrapped::Named(api(429))), expected);
        assert_eq!(log_text(&service("no route")), "ServiceError: no route");
        assert_eq!(
            log_text(&Wrapped::Named(service("no route"))),
            "the watch failed: ServiceError: no route"
        );
    }

    #[test]
    fn a_compacted_history_and_a_changed_crd_end_a_watch_in_normal_operation() {
        for code in [410, 429] {
            assert!(is_routine_end_of_watch(&Wrapped::Named(api(code))), "{code}");
        }
        for code in [401, 403, 500, 503] {
            assert!(!is_routine_end_of_watch(&Wrapped::Named(api(code))), "{code}");
        }
        assert!(!is_routine_end_of_watch(&service("no route")));
    }

    #[test]
    fn a_terminating_namespace_is_recognized_by_the_cause_of_the_response() {
        let response = |cause: &str| {
            let text = format!(
                r#"{{"code": 403, "reason": "Forbidden", "message": "forbidden", "details": {{"causes": [{{"reason": "{cause}"}}]}}}}"#
            );
            Error::Api(serde_json::from_str::<Status>(&text).unwrap().boxed())
        };
        assert!(is_namespace_terminating(&response("NamespaceTerminating")));
        assert!(is_namespace_terminating(&Wrapped::Transparent(response(
            "NamespaceTerminating"
        ))));
        assert!(!is_namespace_terminating(&response("FieldManagerConflict")));
        assert!(!is_namespace_terminating(&api(403)));
    }
}
