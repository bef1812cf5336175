//! The hop of the server: its answers.

use super::calls::{CallResult, Calls};
use super::fault::Fault;
use super::report::State;

pub(super) fn judge(calls: &Calls, is_configured: bool) -> State {
    if calls.bad_is_admitted() && !is_configured {
        return State::Unknown("the API server did not call it; see the configuration".to_owned());
    }
    if let Some(failure) = calls.failure(&[Fault::NoAnswer]) {
        return State::broken(
            format!("no answer: {}", failure.message),
            "check that cassgate runs, and that no NetworkPolicy or firewall blocks the API server from its port",
        );
    }
    if let Some(failure) = calls.failure(&[Fault::Answer]) {
        return State::broken(
            format!(
                "the answer is not that of a working cassgate: {}",
                failure.message
            ),
            "check the log of cassgate, and what listens behind the Service or the URL",
        );
    }
    let mut seen = Vec::new();
    for result in [&calls.validating, &calls.mutating] {
        match result {
            CallResult::Wrong(saw) => {
                return State::broken(
                    saw.clone(),
                    "fix the hops above first; otherwise check the logs of cassgate and the API server",
                );
            }
            CallResult::Failed(_) => return State::Unknown("no call reached the server".to_owned()),
            CallResult::Answered { saw, .. } => seen.push(saw.as_str()),
            CallResult::Unknown(_) => {}
        }
    }
    match &calls.validating {
        CallResult::Unknown(why) => State::Unknown(why.clone()),
        _ => State::Ok(seen.join("; ")),
    }
}
