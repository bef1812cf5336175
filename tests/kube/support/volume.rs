//! A Secret in a directory, as kubelet mounts it: files are links through `..data`, which points to a generation.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::{api::Api, gate::fresh_directory, http::runtime, servers::Servers, until};

/// Interval at which the Secret is read.
const READ_INTERVAL: Duration = Duration::from_millis(100);

/// Delay until a changed Secret arrives. kubelet's is up to about a minute; here it is longer than the time that
/// cert-manager's cainjector needs, as kubelet's is.
const DELAY: Duration = Duration::from_secs(1);

/// A mounted Secret, updated until it is dropped.
pub(crate) struct Volume {
    directory: PathBuf,
    _kept: AbortOnDropHandle<()>,
}

impl Volume {
    /// Mounts a Secret as soon as it exists, as kubelet does before it starts a pod.
    pub(crate) fn mount(servers: &Servers, namespace: &str, secret: &str) -> Self {
        let directory = fresh_directory("volume");
        let path = format!("/api/v1/namespaces/{namespace}/secrets/{secret}");
        let keep = keep(runtime().block_on(Api::of(servers)), path, directory.clone());
        let kept = AbortOnDropHandle::new(runtime().spawn(keep));
        until("the Secret is mounted", || directory.join("..data").exists());
        Self {
            directory,
            _kept: kept,
        }
    }

    /// Returns the mount path.
    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }
}

async fn keep(api: Api, path: String, directory: PathBuf) {
    let mut mounted = Value::Null;
    for generation in 0.. {
        let data = loop {
            let data = api.get(&path).await.unwrap_or_default()["data"].clone();
            // cert-manager creates the Secret with the key before it has the certificate.
            let complete = ["tls.crt", "tls.key"]
                .iter()
                .all(|key| data[key].as_str().is_some_and(|value| !value.is_empty()));
            if complete && data != mounted {
                break data;
            }
            sleep(READ_INTERVAL).await;
        };
        if !mounted.is_null() {
            sleep(DELAY).await;
        }
        let files: BTreeMap<String, String> = serde_json::from_value(data.clone()).unwrap();
        write(&directory, generation, &files);
        mounted = data;
    }
}

/// Writes a new directory, renames the link, and removes the old directory.
fn write(directory: &Path, generation: usize, data: &BTreeMap<String, String>) {
    let name = |generation: usize| format!("..generation-{generation}");
    let new = directory.join(name(generation));
    fs::create_dir(&new).unwrap();
    for (key, value) in data {
        fs::write(new.join(key), STANDARD.decode(value).unwrap()).unwrap();
        let link = directory.join(key);
        if !link.is_symlink() {
            symlink(Path::new("..data").join(key), link).unwrap();
        }
    }
    let link = directory.join("..data_tmp");
    symlink(name(generation), &link).unwrap();
    fs::rename(link, directory.join("..data")).unwrap();
    if let Some(old) = generation.checked_sub(1) {
        fs::remove_dir_all(directory.join(name(old))).unwrap();
    }
}
