//! Argo CD's health check for both kinds, in the Lua interpreter of Argo CD with the libraries that it gives to such scripts.

use std::fs;

use serde_json::{Value, json};

use crate::{kustomize, repository, run_program, stdout_of};

/// Returns the status and the message that Argo CD would show for this object.
fn health(object: &Value) -> (String, String) {
    let script = repository("manifests/argocd/health.lua").display().to_string();
    let lua = stdout_of("tests/servers/tool.sh", &["argo-lua"]);
    let output = run_program(&lua, &[&script], &format!("{object}\n"));
    assert!(output.success, "{}", output.stderr);
    let answer: Value = serde_json::from_str(&output.stdout).unwrap();
    let text = |field: &str| answer[field].as_str().unwrap().to_owned();
    (text("status"), text("message"))
}

#[track_caller]
fn is(object: &Value, status: &str, says: &str) {
    let (shown, message) = health(object);
    assert_eq!(shown, status, "{message}: {object:#}");
    assert!(message.contains(says), "{message}");
}

/// Returns an object with generation 2.
fn object(spec: &Value, status: &Value) -> Value {
    json!({
        "apiVersion": "db.orange.com/v2", "kind": "CassandraBackup",
        "metadata": {"name": "b", "generation": 2}, "spec": spec, "status": status,
    })
}

/// Returns a status as CassKop writes it.
fn casskop_status(state: &str) -> Value {
    json!({
        "progress": "40%", "id": "d3262073-8101-450f-9a11-c851760abd57", "coordinatorMember": "demo-dc1-rack1-0",
        "condition": {"type": state, "lastTransitionTime": "Sun, 22 Nov 2026 21:38:38 GMT"},
    })
}

/// Returns a status as cassgate writes it: the conditions in `true_conditions` are `True`, and `Ready` is `False` unless
/// it is among them.
fn cassgate_status(true_conditions: &[&str], message: &str) -> Value {
    let condition = |name: &str, status: &str| {
        json!({
            "type": name, "status": status, "reason": "Word", "message": message, "observedGeneration": 2,
            "lastTransitionTime": "2026-11-22T21:38:38Z",
        })
    };
    let ready = if true_conditions.contains(&"Ready") {
        "True"
    } else {
        "False"
    };
    let mut conditions = vec![condition("Ready", ready), condition("ReferencesResolved", "True")];
    let others = true_conditions.iter().filter(|name| **name != "Ready");
    conditions.extend(others.map(|name| condition(name, "True")));
    json!({"observedGeneration": 2, "condition": {"type": "RUNNING"}, "conditions": conditions})
}

#[test]
fn a_one_shot_of_casskop_has_the_health_of_its_state() {
    let once = json!({"cassandraCluster": "demo"});
    is(&object(&once, &Value::Null), "Progressing", "not started");
    is(&object(&once, &json!({})), "Progressing", "not started");
    // CassKop names the pod before it sends a request.
    is(
        &object(&once, &json!({"coordinatorMember": "p"})),
        "Progressing",
        "not started",
    );
    for state in ["REQUIRED", "PENDING", "RUNNING"] {
        is(
            &object(&once, &casskop_status(state)),
            "Progressing",
            &format!("{state} 40%"),
        );
    }
    is(
        &object(&once, &casskop_status("COMPLETED")),
        "Healthy",
        "completed",
    );
    for state in ["CANCELLED", "CANCELED", "FAILED"] {
        is(&object(&once, &casskop_status(state)), "Degraded", state);
    }
    is(
        &object(&once, &casskop_status("SOMETHING NEW")),
        "Progressing",
        "SOMETHING NEW",
    );
}

#[test]
fn a_failure_names_each_node_even_without_a_message() {
    let mut status = casskop_status("FAILED");
    status["condition"]["failureCause"] =
        json!([{"source": "10.0.0.1", "message": "no such bucket"}, {"source": "10.0.0.2"}, {}]);
    let says = "FAILED; 10.0.0.1: no such bucket; 10.0.0.2: no message; a node: no message";
    is(&object(&json!({}), &status), "Degraded", says);
}

/// No sync waits for a scheduled run.
#[test]
fn a_schedule_is_healthy_unless_its_last_run_failed() {
    let nightly = json!({"cassandraCluster": "demo", "schedule": "@midnight"});
    is(&object(&nightly, &json!({})), "Healthy", "no run yet");
    is(
        &object(&nightly, &casskop_status("RUNNING")),
        "Healthy",
        "RUNNING",
    );
    is(
        &object(&nightly, &casskop_status("COMPLETED")),
        "Healthy",
        "completed",
    );
    is(&object(&nightly, &casskop_status("FAILED")), "Degraded", "FAILED");
    // For CassKop, an empty schedule is no schedule.
    is(
        &object(&json!({"schedule": ""}), &json!({})),
        "Progressing",
        "not started",
    );
}

#[test]
fn an_object_of_cassgate_has_the_health_of_its_conditions() {
    let spec = json!({"cassandraCluster": "demo"});
    for (conditions, status) in [
        (&["Ready", "Complete"][..], "Healthy"),
        (&["Ready"], "Healthy"),
        (&["Reconciling"], "Progressing"),
        (&["Reconciling", "Stalled"], "Degraded"),
        (&["Failed", "Stalled"], "Degraded"),
        (&["Failed"], "Degraded"),
        (&[], "Progressing"),
    ] {
        is(
            &object(&spec, &cassgate_status(conditions, "a sentence")),
            status,
            "a sentence",
        );
    }
}

#[test]
fn conditions_of_an_older_spec_are_ignored() {
    let mut changed = object(&json!({}), &cassgate_status(&["Ready"], "done"));
    changed["metadata"]["generation"] = json!(3);
    is(&changed, "Progressing", "the spec has changed");
}

#[test]
fn a_suspended_schedule_is_suspended_and_a_suspended_one_shot_is_healthy() {
    let suspended = json!({"schedule": "@midnight", "suspend": true});
    is(
        &object(&suspended, &cassgate_status(&["Ready"], "armed")),
        "Suspended",
        "the schedule is suspended",
    );
    let describes = json!({"suspend": true});
    is(
        &object(&describes, &Value::Null),
        "Healthy",
        "in the bucket already",
    );
    let not = json!({"suspend": false});
    is(&object(&not, &Value::Null), "Progressing", "not started");
}

#[test]
fn argo_cd_gets_the_script_for_both_kinds_and_ignores_the_ca_bundle() {
    let maps = kustomize("argocd");
    let [map] = &maps[..] else { panic!("{maps:?}") };
    assert_eq!(map["metadata"]["name"], "argocd-cm");
    assert_eq!(map["metadata"]["labels"]["app.kubernetes.io/part-of"], "argocd");
    let script = fs::read_to_string(repository("manifests/argocd/health.lua")).unwrap();
    for kind in ["CassandraBackup", "CassandraRestore"] {
        let key = format!("resource.customizations.health.db.orange.com_{kind}");
        assert_eq!(map["data"][key], script);
    }
    for kind in ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] {
        let key = format!("resource.customizations.ignoreDifferences.admissionregistration.k8s.io_{kind}");
        let ignored: Value = serde_saphyr::from_str(map["data"][key].as_str().unwrap()).unwrap();
        assert_eq!(
            ignored,
            json!({"jqPathExpressions": [".webhooks[]?.clientConfig.caBundle"]})
        );
    }
}

/// The interpreter of these tests has only the libraries of Argo CD.
#[test]
fn a_script_that_uses_strings_or_does_not_end_is_rejected() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("health.lua");
    let lua = stdout_of("tests/servers/tool.sh", &["argo-lua"]);
    for (script, message) in [
        (
            r#"return {status = string.upper("healthy")}"#,
            "attempt to index a non-table object(nil)",
        ),
        ("while true do end", "context deadline exceeded"),
        ("return 1", "it returned no table but a number"),
    ] {
        fs::write(&file, script).unwrap();
        let output = run_program(&lua, &[&file.display().to_string()], "{}\n");
        assert!(!output.success, "{script}");
        assert!(output.stderr.contains(message), "{script}: {}", output.stderr);
    }
}
