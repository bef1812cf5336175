//! The chart renders the objects that kustomize builds, and rejects unknown values.

use std::{collections::BTreeMap, fs, sync::LazyLock};

use serde_json::{Value, json};

use crate::{Output, deployment::run, find, kustomize, kustomize_own, repository, run_program, stdout_of};

/// The command that renders the chart in these tests.
const RELEASE: [&str; 4] = ["template", "cassgate", "--namespace", "cassgate-system"];

/// Returns the flags that set one value.
fn set(value: &str) -> Vec<String> {
    vec!["--set".to_owned(), value.to_owned()]
}

fn helm(command: &[&str], flags: &[String]) -> Output {
    static HELM: LazyLock<String> = LazyLock::new(|| stdout_of("tests/servers/tool.sh", &["helm"]));
    let chart = repository("manifests/chart").display().to_string();
    let flags = flags.iter().map(String::as_str);
    let arguments: Vec<&str> = command
        .iter()
        .copied()
        .chain([chart.as_str()])
        .chain(flags)
        .collect();
    let mut output = run_program(&HELM, &arguments, "");
    // Helm warns about each symbolic link of the chart.
    output.stderr = output
        .stderr
        .lines()
        .filter(|line| !line.contains("found symbolic link in path"))
        .collect::<Vec<_>>()
        .join("\n");
    output
}

fn rendered(flags: &[String]) -> Vec<Value> {
    let output = helm(&RELEASE, flags);
    assert!(output.success, "{}", output.stderr);
    assert_eq!(output.stderr, "");
    serde_saphyr::from_multiple::<Value>(&output.stdout)
        .unwrap()
        .into_iter()
        .filter(|object| !object.is_null())
        .collect()
}

/// Kind, namespace and name.
type Key = (String, String, String);

/// Returns the objects by key, without meaningless differences: Helm's labels, empty lists, the order of variables.
fn normal(objects: Vec<Value>) -> BTreeMap<Key, Value> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut normal = BTreeMap::new();
    for mut object in objects.into_iter().filter(|object| object["kind"] != "Namespace") {
        let metadata = object["metadata"].as_object_mut().unwrap();
        if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
            labels.retain(|label, _| {
                ![
                    "app.kubernetes.io/managed-by",
                    "app.kubernetes.io/instance",
                    "helm.sh/chart",
                ]
                .contains(&label.as_str())
            });
        }
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove("helm.sh/resource-policy");
        }
        prune(&mut object);
        let metadata = &object["metadata"];
        let key = (
            text(&object["kind"]),
            text(&metadata["namespace"]),
            text(&metadata["name"]),
        );
        assert!(
            normal.insert(key.clone(), object).is_none(),
            "there are two {key:?}"
        );
    }
    normal
}

/// Removes empty lists and maps that mean the same as absent ones, sorts variables, and converts numbers to floats.
fn prune(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for name in ["volumes", "volumeMounts", "annotations"] {
                if map
                    .get(name)
                    .is_some_and(|list| *list == json!([]) || *list == json!({}))
                {
                    map.remove(name);
                }
            }
            if let Some(Value::Array(variables)) = map.get_mut("env") {
                variables.sort_by_key(|variable| variable["name"].to_string());
            }
            map.values_mut().for_each(prune);
        }
        Value::Array(list) => list.iter_mut().for_each(prune),
        Value::Number(number) => {
            if let Some(float) = number.as_f64() {
                *value = json!(float);
            }
        }
        _ => {}
    }
}

/// Compares the chart with these values to the objects that kustomize builds.
fn compare(values: &[&str], kustomize: Vec<Value>) {
    let flags: Vec<String> = values.iter().flat_map(|value| set(value)).collect();
    let (chart, kustomize) = (normal(rendered(&flags)), normal(kustomize));
    let names: Vec<&Key> = chart.keys().collect();
    assert_eq!(names, kustomize.keys().collect::<Vec<_>>(), "{values:?}");
    for (key, object) in &chart {
        let expected = &kustomize[key];
        assert!(
            object == expected,
            "{values:?}, {key:?}: the chart has\n{object:#}\nand kustomize\n{expected:#}"
        );
    }
}

#[test]
fn with_files_the_chart_equals_the_base() {
    compare(&["tls.mode=files"], kustomize("base"));
}

#[test]
fn with_its_own_authority_the_chart_equals_the_overlay_self_managed() {
    compare(&[], kustomize("overlays/self-managed"));
}

#[test]
fn with_cert_manager_the_chart_equals_the_overlay_cert_manager() {
    compare(&["tls.mode=cert-manager"], kustomize("overlays/cert-manager"));
}

#[test]
fn with_the_executor_the_chart_equals_the_overlay_executor() {
    compare(
        &["tls.mode=files", "executor=cassgate"],
        kustomize("overlays/executor"),
    );
}

#[test]
fn with_monitoring_the_chart_equals_the_overlay_monitoring() {
    compare(
        &["tls.mode=files", "monitoring.enabled=true"],
        kustomize("overlays/monitoring"),
    );
}

#[test]
fn with_secrets_by_namespace_the_chart_equals_that_overlay_with_a_binding_in_each_namespace() {
    let binding = |namespace: &str| {
        let mut binding = kustomize("components/namespaced-secrets/binding").remove(0);
        binding["metadata"]["namespace"] = json!(namespace);
        binding
    };
    let values = [
        "tls.mode=files",
        "secrets.allNamespaces=false",
        "secrets.namespaces={prod,test}",
    ];
    let mut expected = kustomize("overlays/namespaced-secrets");
    expected.extend([binding("prod"), binding("test")]);
    compare(&values, expected);
}

#[test]
fn with_all_options_the_chart_equals_the_base_with_every_component() {
    let values = [
        "tls.mode=cert-manager",
        "executor=cassgate",
        "monitoring.enabled=true",
        "secrets.allNamespaces=false",
    ];
    let components = ["cert-manager", "executor", "monitoring", "namespaced-secrets"]
        .map(|component| format!("cassgate/manifests/components/{component}"));
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": ["cassgate/manifests/base"], "components": components,
    });
    compare(&values, kustomize_own(&kustomization.to_string()));
}

#[test]
fn in_another_namespace_no_object_names_the_default_one() {
    let flags: Vec<String> = [
        "tls.mode=cert-manager",
        "executor=cassgate",
        "monitoring.enabled=true",
    ]
    .iter()
    .flat_map(|value| set(value))
    .collect();
    let command = ["template", "cassgate", "--namespace", "elsewhere"];
    let output = helm(&command, &flags);
    assert!(output.success, "{}", output.stderr);
    assert!(!output.stdout.contains("cassgate-system"), "{}", output.stdout);
    assert!(output.stdout.contains("cassgate.elsewhere.svc"));
}

#[test]
fn the_policy_values_are_the_policy_flags_of_cassgate() {
    let schema: Value =
        serde_json::from_str(&fs::read_to_string(repository("manifests/chart/values.schema.json")).unwrap())
            .unwrap();
    let policies = schema["properties"]["policy"]["properties"].as_object().unwrap();
    let mut values = vec![
        "tls.mode=files".to_owned(),
        "executor=none".to_owned(),
        "log.level=debug".to_owned(),
    ];
    for (name, policy) in policies {
        // The last value of the list, because the first one is the default.
        let value = policy["enum"]
            .as_array()
            .map_or_else(|| json!("90s"), |values| values.last().unwrap().clone());
        let value = if policy["type"] == "boolean" {
            json!(true)
        } else {
            value
        };
        values.push(format!(
            "policy.{name}={}",
            value.as_str().map_or_else(|| value.to_string(), str::to_owned)
        ));
    }
    let flags_given: Vec<String> = values.iter().flat_map(|value| set(value)).collect();
    let objects = rendered(&flags_given);
    let deployment = find(&objects, "Deployment", "cassgate");
    // `run` panics if cassgate does not read a variable or rejects its value.
    let run = format!("{:?}", run(deployment));
    for part in [
        "executor: None",
        "restore_guard: Confirm",
        "secret_details: Always",
        "notices: true",
        "min_schedule_interval: 90s",
    ] {
        assert!(run.contains(part), "{part}: {run}");
    }
    // No policy flag is missing in the schema.
    let command = clap::Command::new("policy");
    let command = <cassgate::commands::PolicyArgs as clap::Args>::augment_args(command);
    let env = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    for argument in command.get_arguments() {
        let variable = argument.get_env().unwrap().to_str().unwrap();
        let given = env.as_array().unwrap().iter().any(|one| one["name"] == variable);
        assert!(given, "values.schema.json has nothing for {variable}");
    }
}

#[test]
fn every_value_reaches_its_field() {
    let values = [
        "tls.mode=files",
        "tls.secretName=mine",
        "tls.ca=-----BEGIN CERTIFICATE-----",
        "image.repository=registry.example/cassgate",
        "image.tag=1.2.3",
        "image.pullPolicy=Always",
        "imagePullSecrets[0].name=pull",
        "replicas=3",
        "webhook.failurePolicy=Ignore",
        "nodeSelector.disk=fast",
        "priorityClassName=high",
        "podLabels.team=data",
        "podAnnotations.note=n",
        "resources.limits.memory=64Mi",
        "networkPolicy.apiServerPorts={16444}",
        "extraEnv[0].name=HTTPS_PROXY",
        "extraEnv[0].value=http://proxy",
    ];
    let flags: Vec<String> = values.iter().flat_map(|value| set(value)).collect();
    let objects = rendered(&flags);
    let deployment = find(&objects, "Deployment", "cassgate");
    let template = &deployment["spec"]["template"];
    let (pod, container) = (&template["spec"], &template["spec"]["containers"][0]);
    assert_eq!(deployment["spec"]["replicas"], 3);
    assert_eq!(pod["volumes"][0]["secret"]["secretName"], "mine");
    assert_eq!(container["image"], "registry.example/cassgate:1.2.3");
    assert_eq!(container["imagePullPolicy"], "Always");
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "pull"}]));
    assert_eq!(pod["nodeSelector"], json!({"disk": "fast"}));
    assert_eq!(pod["priorityClassName"], "high");
    assert_eq!(template["metadata"]["labels"]["team"], "data");
    assert_eq!(template["metadata"]["annotations"], json!({"note": "n"}));
    assert_eq!(container["resources"], json!({"limits": {"memory": "64Mi"}}));
    let proxy = json!({"name": "HTTPS_PROXY", "value": "http://proxy"});
    assert!(container["env"].as_array().unwrap().contains(&proxy));
    let policy = find(&objects, "NetworkPolicy", "cassgate");
    assert!(
        policy["spec"]["egress"][1]["ports"]
            .as_array()
            .unwrap()
            .contains(&json!({"port": 16444}))
    );
    for kind in ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] {
        for webhook in find(&objects, kind, "cassgate")["webhooks"].as_array().unwrap() {
            assert_eq!(
                webhook["clientConfig"]["caBundle"],
                "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t"
            );
            assert_eq!(webhook["failurePolicy"], "Ignore");
        }
    }
}

#[test]
fn one_replica_has_no_disruption_budget_and_the_network_policies_can_be_disabled() {
    let flags: Vec<String> = ["replicas=1", "networkPolicy.enabled=false"]
        .iter()
        .flat_map(|value| set(value))
        .collect();
    let objects = rendered(&flags);
    assert!(
        objects
            .iter()
            .all(|object| object["kind"] != "PodDisruptionBudget" && object["kind"] != "NetworkPolicy")
    );
}

#[test]
fn our_crds_outlive_the_release_and_can_be_disabled() {
    let crds = |flags: &[String]| -> Vec<Value> {
        rendered(flags)
            .into_iter()
            .filter(|object| object["kind"] == "CustomResourceDefinition")
            .collect()
    };
    let ours = crds(&set("executor=cassgate"));
    assert_eq!(ours.len(), 2);
    for crd in ours {
        assert_eq!(crd["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    }
    assert_eq!(
        crds(&[set("executor=cassgate"), set("crds.install=false")].concat()),
        [json!(null); 0]
    );
    assert_eq!(crds(&[]), [json!(null); 0]);
}

#[test]
fn unknown_values_are_rejected_with_their_path() {
    for (value, message) in [
        (
            "tls.mode=selfish",
            "at '/tls/mode': value must be one of 'self', 'cert-manager', 'files'",
        ),
        (
            "tls.Mode=self",
            "at '/tls': additional properties 'Mode' not allowed",
        ),
        ("executer=casskop", "additional properties 'executer' not allowed"),
        (
            "executor=velero",
            "at '/executor': value must be one of 'casskop', 'cassgate', 'none'",
        ),
        ("replicas=0", "at '/replicas': minimum: got 0, want 1"),
        ("replicas=two", "at '/replicas': got string, want integer"),
        (
            "policy.restoreGuard=yes",
            "at '/policy/restoreGuard': value must be one of 'warn', 'confirm'",
        ),
        (
            "policy.restorGuard=warn",
            "at '/policy': additional properties 'restorGuard' not allowed",
        ),
        (
            "policy.minScheduleInterval=soon",
            "at '/policy/minScheduleInterval': 'soon' does not match pattern",
        ),
        (
            "secrets.namespaces={prod}",
            "at '/secrets/namespaces': maxItems: got 1, want 0",
        ),
        (
            "tls.ca=LS0tLS1CRUdJTg==",
            "at '/tls/ca': 'LS0tLS1CRUdJTg==' does not match pattern",
        ),
        (
            "networkPolicy.apiServerPorts={70000}",
            "at '/networkPolicy/apiServerPorts/0': maximum: got 70,000, want 65,535",
        ),
        (
            "webhook.failurePolicy=Never",
            "at '/webhook/failurePolicy': value must be one of 'Fail', 'Ignore'",
        ),
    ] {
        let output = helm(&RELEASE, &set(value));
        assert!(!output.success, "{value} is accepted");
        assert!(output.stderr.contains(message), "{value}: {}", output.stderr);
    }
}

#[test]
fn helm_lint_passes_and_the_chart_has_the_version_of_cassgate() {
    let output = helm(&["lint", "--strict"], &[]);
    assert!(output.success, "{}{}", output.stdout, output.stderr);
    let chart: Value =
        serde_saphyr::from_str(&fs::read_to_string(repository("manifests/chart/Chart.yaml")).unwrap())
            .unwrap();
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}

/// A package contains the files themselves instead of links.
#[test]
fn a_package_renders_the_same_objects() {
    let place = tempfile::tempdir().unwrap();
    let to = place.path().display().to_string();
    let output = helm(&["package", "--destination", &to], &[]);
    assert!(output.success, "{}", output.stderr);
    let package = place
        .path()
        .join(concat!("cassgate-", env!("CARGO_PKG_VERSION"), ".tgz"));
    let command: Vec<&str> = RELEASE
        .iter()
        .copied()
        .chain([package.to_str().unwrap()])
        .collect();
    let helm = stdout_of("tests/servers/tool.sh", &["helm"]);
    let output = run_program(&helm, &command, "");
    assert!(output.success, "{}", output.stderr);
    let packaged: Vec<Value> = serde_saphyr::from_multiple(&output.stdout).unwrap();
    assert_eq!(normal(packaged), normal(rendered(&[])));
}
