//! The hop of the Service.

use std::collections::BTreeSet;

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};

use super::calls::Calls;
use super::fault::Fault;
use super::observation::{Lookup, Observation};
use super::report::State;
use super::webhook::Webhook;

/// The port of a webhook that names none.
const DEFAULT_PORT: i32 = 443;

pub(super) fn judge(observation: &Observation, webhooks: &[Webhook], calls: &Calls) -> State {
    let mut states = Vec::new();
    let mut judged = BTreeSet::new();
    for webhook in webhooks {
        let Some(service) = &webhook.client.service else {
            let url = webhook.client.url.as_deref().unwrap_or("nowhere");
            states.push(State::Ok(format!("{} is called by URL: {url}", webhook.name)));
            continue;
        };
        let port = service.port.unwrap_or(DEFAULT_PORT);
        if judged.insert((&service.namespace, &service.name, port)) {
            states.push(one(observation, &service.namespace, &service.name, port));
        }
    }
    if states.is_empty() {
        return State::Unknown("no webhook that calls a Service was found".to_owned());
    }
    let (good, problems): (Vec<State>, Vec<State>) = states
        .into_iter()
        .partition(|state| matches!(state, State::Ok(_)));
    if let Some(problem) = State::most_severe(problems) {
        return problem;
    }
    if let Some(failure) = calls.failure(&[Fault::Service]) {
        return State::broken(
            format!("the API server says: {}", failure.message),
            "check the Service and its port",
        );
    }
    State::most_severe(good).unwrap_or_else(|| State::Unknown("no Service was read".to_owned()))
}

fn one(observation: &Observation, namespace: &str, name: &str, port: i32) -> State {
    let Some(observed) = observation.services.get(&(namespace.to_owned(), name.to_owned())) else {
        return State::Unknown(format!("Service {namespace}/{name} was not read"));
    };
    let service = match &observed.service {
        Lookup::Found(service) => service,
        Lookup::Absent => {
            return State::broken(
                format!("there is no Service {name} in namespace {namespace}"),
                "apply the manifests again, or correct clientConfig.service of the webhooks",
            );
        }
        Lookup::Unknown(why) => {
            return State::Unknown(format!("Service {namespace}/{name} could not be read: {why}"));
        }
    };
    let ports = ports(service);
    if !ports.contains(&port) {
        let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
        return State::broken(
            format!(
                "the webhooks call port {port} of Service {namespace}/{name}, which has {}",
                ports.join(", ")
            ),
            "use the same port in both",
        );
    }
    if let Some(host) = external_name(service) {
        return State::Ok(format!(
            "Service {namespace}/{name}, port {port}, is an alias of {host}"
        ));
    }
    endpoints(namespace, name, port, service, &observed.slices)
}

fn ports(service: &Service) -> Vec<i32> {
    let spec = service.spec.as_ref();
    let ports = spec.and_then(|spec| spec.ports.as_ref()).into_iter().flatten();
    ports.map(|port| port.port).collect()
}

/// Returns the host of a Service that is an alias and has no endpoints of its own.
fn external_name(service: &Service) -> Option<&str> {
    service.spec.as_ref()?.external_name.as_deref()
}

fn endpoints(
    namespace: &str,
    name: &str,
    port: i32,
    service: &Service,
    slices: &Lookup<Vec<EndpointSlice>>,
) -> State {
    let slices = match slices {
        Lookup::Found(slices) => slices.as_slice(),
        Lookup::Absent => &[],
        Lookup::Unknown(why) => {
            return State::Unknown(format!(
                "the endpoints of Service {namespace}/{name} could not be read: {why}"
            ));
        }
    };
    let all = slices.iter().flat_map(|slice| &slice.endpoints);
    let (ready, unready): (Vec<_>, Vec<_>) = all.partition(|endpoint| {
        let conditions = endpoint.conditions.as_ref();
        // A missing condition counts as ready, as the API reference says.
        conditions.and_then(|conditions| conditions.ready).unwrap_or(true)
    });
    if ready.is_empty() {
        let selector = selector(service);
        return State::broken(
            format!(
                "Service {namespace}/{name} has no ready endpoint (not ready: {})",
                unready.len()
            ),
            format!(
                "kubectl --namespace {namespace} get pods{selector}; /readyz on the admin port says why one is not ready"
            ),
        );
    }
    State::Ok(format!(
        "Service {namespace}/{name}, port {port}: {} ready, {} not ready",
        ready.len(),
        unready.len()
    ))
}

fn selector(service: &Service) -> String {
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    let labels: Vec<String> = selector
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    if labels.is_empty() {
        String::new()
    } else {
        format!(" --selector {}", labels.join(","))
    }
}
