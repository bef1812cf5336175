//! The hop of the server's certificate.

use super::calls::Calls;
use super::fault::Fault;
use super::report::State;

pub(super) fn judge(calls: &Calls) -> State {
    if let Some(failure) = calls.failure(&[Fault::Time, Fault::Name, Fault::Certificate]) {
        let saw = format!("the API server says: {}", failure.message);
        return State::broken(
            saw,
            match failure.fault {
                Fault::Time => {
                    "renew it: check the issuer and the log of cassgate (mode files), or the clocks of the nodes"
                }
                Fault::Name => {
                    "issue one for SERVICE.NAMESPACE.svc of the Service that the webhooks name, or for the host of their URL"
                }
                _ => "issue another certificate",
            },
        );
    }
    if calls.answered().is_empty() {
        return State::Unknown("no call reached the certificate".to_owned());
    }
    State::Ok("the API server accepts the certificate of the server".to_owned())
}
