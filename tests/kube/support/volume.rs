//! A Secret in a directory, as kubelet mounts it: files are links through `..data`, which leads to a generation.

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

/// How often the Secret is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How long a changed Secret takes to arrive. kubelet's is up to a minute or so; here it is longer than cert-manager's
/// cainjector takes to do its part, as kubelet's is.
const DELAY: Duration = Duration::from_secs(1);

/// A mounted Secret. It is kept up to date until it is dropped.
pub(crate) struct Volume {
    directory: PathBuf,
    _kept: AbortOnDropHandle<()>,
}

impl Volume {
    /// Mounts a Secret as soon as there is one, as kubelet does before it starts a pod.
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

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }
}

async fn keep(api: Api, path: String, directory: PathBuf) {
    let mut mounted = Value::Null;
    for generation in 0.. {
        let data = loop {
            let data = api.get(&path).await.unwrap_or_default()["data"].clone();
            // cert-manager makes the Secret with the key, before it has the certificate.
            let complete = ["tls.crt", "tls.key"]
                .iter()
                .all(|key| data[key].as_str().is_some_and(|value| !value.is_empty()));
            if complete && data != mounted {
                break data;
            }
            sleep(LOOK).await;
        };
        if !mounted.is_null() {
            sleep(DELAY).await;
        }
        let files: BTreeMap<String, String> = serde_json::from_value(data.clone()).unwrap();
        write(&directory, generation, &files);
        mounted = data;
    }
}

/// A new directory, then one rename, then the old directory goes.
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
