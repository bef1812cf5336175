//! The hop of the Service.

use std::collections::BTreeSet;

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};

use super::{Entry, Read, Seen, call::Path, first, report::State};

/// The port of a webhook that names none.
const PORT: i32 = 443;

pub(super) fn judge(seen: &Seen, entries: &[Entry], path: &Path) -> State {
    let mut states = Vec::new();
    let mut looked_at = BTreeSet::new();
    for entry in entries {
        let Some(service) = &entry.client.service else {
            let url = entry.client.url.as_deref().unwrap_or("nowhere");
            states.push(State::Ok(format!("{} is called by URL: {url}", entry.name)));
            continue;
        };
        let port = service.port.unwrap_or(PORT);
        if looked_at.insert((&service.namespace, &service.name, port)) {
            states.push(one(seen, &service.namespace, &service.name, port));
        }
    }
    if states.is_empty() {
        return State::Unknown("no webhook was seen that names a Service".to_owned());
    }
    let (well, troubles): (Vec<State>, Vec<State>) = states
        .into_iter()
        .partition(|state| matches!(state, State::Ok(_)));
    if let Some(trouble) = first(troubles) {
        return trouble;
    }
    if let Some(words) = path.service_fault() {
        return State::broken(
            format!("the API server says: {words}"),
            "look at the Service and its port",
        );
    }
    first(well).unwrap_or_else(|| State::Unknown("nothing was seen".to_owned()))
}

fn one(seen: &Seen, namespace: &str, name: &str, port: i32) -> State {
    let Some(behind) = seen.services.get(&(namespace.to_owned(), name.to_owned())) else {
        return State::Unknown(format!("Service {namespace}/{name} was not looked at"));
    };
    let service = match &behind.service {
        Read::Found(service) => service,
        Read::Absent => {
            return State::broken(
                format!("there is no Service {name} in namespace {namespace}"),
                "apply the manifests again, or mend clientConfig.service of the webhooks",
            );
        }
        Read::Unknown(why) => {
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
            "write the same port in both",
        );
    }
    if let Some(elsewhere) = external(service) {
        return State::Ok(format!(
            "Service {namespace}/{name}, port {port}, leads to {elsewhere}"
        ));
    }
    endpoints(namespace, name, port, service, &behind.slices)
}

fn ports(service: &Service) -> Vec<i32> {
    let spec = service.spec.as_ref();
    let ports = spec.and_then(|spec| spec.ports.as_ref()).into_iter().flatten();
    ports.map(|port| port.port).collect()
}

/// Where a Service leads that has no endpoints of its own.
fn external(service: &Service) -> Option<&str> {
    service.spec.as_ref()?.external_name.as_deref()
}

fn endpoints(
    namespace: &str,
    name: &str,
    port: i32,
    service: &Service,
    slices: &Read<Vec<EndpointSlice>>,
) -> State {
    let slices = match slices {
        Read::Found(slices) => slices.as_slice(),
        Read::Absent => &[],
        Read::Unknown(why) => {
            return State::Unknown(format!(
                "the endpoints of Service {namespace}/{name} could not be read: {why}"
            ));
        }
    };
    let all = slices.iter().flat_map(|slice| &slice.endpoints);
    let (ready, unready): (Vec<_>, Vec<_>) = all.partition(|endpoint| {
        let conditions = endpoint.conditions.as_ref();
        // Nothing said counts as ready (of the API's own words).
        conditions.and_then(|conditions| conditions.ready).unwrap_or(true)
    });
    if ready.is_empty() {
        let selector = selector(service);
        return State::broken(
            format!(
                "Service {namespace}/{name} has no ready endpoint, and {} that are not ready",
                unready.len()
            ),
            format!(
                "kubectl --namespace {namespace} get pods{selector}; /readyz on the admin port says why one is not ready"
            ),
        );
    }
    State::Ok(format!(
        "Service {namespace}/{name}, port {port}: {} ready, {} not",
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
