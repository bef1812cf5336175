//! The shipped Deployment, run as a process instead of in a pod.

use serde_json::Value;

/// Returns the container's arguments, and each variable `CASSGATE_…` as its flag.
///
/// Only the addresses differ: any free port of this machine.
pub(crate) fn command_line(deployment: &Value) -> Vec<String> {
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let arguments = container["args"].as_array().unwrap().iter();
    let variables = container["env"].as_array().unwrap().iter();
    let arguments = arguments.map(|argument| argument.as_str().unwrap().to_owned());
    let flags = variables.map(|variable| {
        let name = variable["name"].as_str().unwrap();
        let flag = name.strip_prefix("CASSGATE_").unwrap();
        let flag = flag.to_lowercase().replace('_', "-");
        let value = variable["value"].as_str().unwrap();
        let value = if flag.ends_with("listen") {
            "127.0.0.1:0"
        } else {
            value
        };
        format!("--{flag}={value}")
    });
    arguments.chain(flags).collect()
}
