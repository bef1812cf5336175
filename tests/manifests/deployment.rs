//! The Deployment matches the flags, ports and shutdown times of the code.

use std::{collections::BTreeMap, fs, sync::LazyLock};

use cassgate::{
    commands::{BLOCKED_GRACE, RunArgs},
    server::{accept::CUT_TIMEOUT, admin},
    supervisor::ADMIN_DRAIN,
    tls::CertificateSource,
};
use clap::{Args, Command, Parser};
use serde_json::{Value, json};

use crate::{OVERLAYS, find, kustomize, repository, strings};

/// `cassgate run`, as clap reads it.
#[derive(Debug, Parser)]
struct Run {
    #[command(flatten)]
    args: RunArgs,
}

/// Returns the default arguments of `cassgate run`.
pub(crate) fn defaults() -> &'static RunArgs {
    static DEFAULTS: LazyLock<RunArgs> = LazyLock::new(|| Run::parse_from(["run"]).args);
    &DEFAULTS
}

/// Returns each environment variable of `cassgate run`, with its flag, and true if the flag takes a value.
fn flags() -> BTreeMap<String, (String, bool)> {
    let command = RunArgs::augment_args(Command::new("run"));
    let arguments = command.get_arguments();
    let named = arguments.filter_map(|argument| {
        let variable = argument.get_env()?.to_str()?.to_owned();
        let flag = argument.get_long()?.to_owned();
        Some((variable, (flag, argument.get_action().takes_values())))
    });
    named.collect()
}

/// Returns the arguments of `cassgate run` in the container of this Deployment.
pub(crate) fn run(deployment: &Value) -> RunArgs {
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let flags = flags();
    let variables = container["env"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|variable| {
            let name = variable["name"].as_str().unwrap();
            let (flag, takes_value) = flags
                .get(name)
                .unwrap_or_else(|| panic!("cassgate reads no {name}"));
            match (variable["value"].as_str().unwrap(), takes_value) {
                (value, true) => Some(format!("--{flag}={value}")),
                ("true", false) => Some(format!("--{flag}")),
                ("false", false) => None,
                (value, false) => panic!("{name}={value} is neither true nor false"),
            }
        });
    let arguments = strings(&container["args"]).into_iter().map(str::to_owned);
    Run::try_parse_from(arguments.chain(variables)).unwrap().args
}

fn deployment(folder: &str) -> Value {
    find(&kustomize(folder), "Deployment", "cassgate").clone()
}

#[test]
fn every_overlay_sets_valid_and_consistent_flags() {
    for (overlay, own) in OVERLAYS.map(|overlay| (overlay, overlay == "self-managed")) {
        let deployment = deployment(&format!("overlays/{overlay}"));
        let run = run(&deployment);
        let choice = run.tls.source().unwrap();
        assert_eq!(
            matches!(choice, CertificateSource::SelfSigned(_)),
            own,
            "{overlay}"
        );
        let pod = &deployment["spec"]["template"]["spec"];
        let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
        assert_eq!(mounts.is_empty(), own, "{overlay}");
        assert_eq!(pod["volumes"].as_array().unwrap().is_empty(), own, "{overlay}");
        if let Some(folder) = run.tls.tls_dir {
            assert_eq!(mounts[0]["mountPath"], folder.to_str().unwrap(), "{overlay}");
            assert_eq!(mounts[0]["readOnly"], true, "{overlay}");
        }
    }
}

#[test]
fn ports_and_probes_match_the_listeners_of_the_code() {
    let base = kustomize("base");
    let deployment = find(&base, "Deployment", "cassgate");
    let run = run(deployment);
    assert_eq!(run.serve.listen, defaults().serve.listen);
    assert_eq!(run.serve.admin_listen, defaults().serve.admin_listen);
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let ports = json!([
        {"name": "webhook", "containerPort": run.serve.listen.port()},
        {"name": "admin", "containerPort": run.serve.admin_listen.port()},
    ]);
    assert_eq!(container["ports"], ports);
    for (probe, path) in [("livenessProbe", admin::LIVEZ), ("readinessProbe", admin::READYZ)] {
        let asked = json!({"path": path, "port": "admin"});
        assert_eq!(container[probe]["httpGet"], asked);
    }
    let service = find(&base, "Service", "cassgate");
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "webhook");
    assert_eq!(
        service["spec"]["selector"],
        deployment["spec"]["selector"]["matchLabels"]
    );
}

#[test]
fn the_grace_period_is_longer_than_the_shutdown() {
    let deployment = deployment("base");
    let serve = run(&deployment).serve;
    let longest =
        serve.shutdown_delay + serve.drain_timeout + CUT_TIMEOUT + ADMIN_DRAIN + CUT_TIMEOUT + BLOCKED_GRACE;
    let pod = &deployment["spec"]["template"]["spec"];
    let given = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(longest.as_secs() < given, "{longest:?} of {given} s");
    // A replica must leave the Service before it stops serving: the failing probes must fit into the delay.
    let probe = &pod["containers"][0]["readinessProbe"];
    let misses = probe["periodSeconds"].as_u64().unwrap() * probe["failureThreshold"].as_u64().unwrap();
    assert!(misses < serve.shutdown_delay.as_secs(), "{misses} s");
}

#[test]
fn a_replica_ends_only_when_another_is_ready_and_replicas_are_spread() {
    let base = kustomize("base");
    let spec = &find(&base, "Deployment", "cassgate")["spec"];
    assert_eq!(spec["replicas"], 2);
    assert_eq!(
        spec["strategy"]["rollingUpdate"],
        json!({"maxSurge": 1, "maxUnavailable": 0})
    );
    let spread = spec["template"]["spec"]["topologySpreadConstraints"]
        .as_array()
        .unwrap();
    let over: Vec<&str> = spread
        .iter()
        .map(|constraint| constraint["topologyKey"].as_str().unwrap())
        .collect();
    assert_eq!(over, ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]);
    let matched = &spec["selector"]["matchLabels"];
    for constraint in spread {
        assert_eq!(constraint["labelSelector"]["matchLabels"], *matched);
        assert_eq!(constraint["whenUnsatisfiable"], "ScheduleAnyway");
    }
    let budget = &find(&base, "PodDisruptionBudget", "cassgate")["spec"];
    assert_eq!(budget["minAvailable"], 1);
    assert_eq!(budget["unhealthyPodEvictionPolicy"], "AlwaysAllow");
    assert_eq!(budget["selector"]["matchLabels"], *matched);
}

#[test]
fn the_container_is_unprivileged_and_uses_the_image_of_this_version() {
    for overlay in OVERLAYS {
        let deployment = deployment(&format!("overlays/{overlay}"));
        let pod = &deployment["spec"]["template"]["spec"];
        let containers = pod["containers"].as_array().unwrap();
        assert_eq!(containers.len(), 1);
        let container = &containers[0];
        assert_eq!(
            container["image"],
            concat!("cassgate:", env!("CARGO_PKG_VERSION")),
            "{overlay}"
        );
        let confined = json!({
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
        });
        assert_eq!(container["securityContext"], confined, "{overlay}");
        let whole = &pod["securityContext"];
        assert_eq!(whole["runAsNonRoot"], true);
        assert_eq!(whole["seccompProfile"]["type"], "RuntimeDefault");
        // The user of the image.
        let dockerfile = fs::read_to_string(repository("Dockerfile")).unwrap();
        let user = format!("\nUSER {}:{}\n", whole["runAsUser"], whole["runAsGroup"]);
        assert!(dockerfile.contains(&user), "{user}");
        let resources = &container["resources"];
        assert!(resources["requests"]["memory"].is_string());
        assert!(resources["limits"]["memory"].is_string());
        assert_eq!(resources["limits"]["cpu"], Value::Null);
    }
}
