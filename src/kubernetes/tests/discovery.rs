use std::time::Duration;

use tokio::sync::watch;

use super::apiserver::{ApiServer, Instead};
use super::*;
use crate::kubernetes::{StatusSubresources, follow_status_subresources, status_subresources};

const PATH: &str = "/apis/db.orange.com/v2";

/// The API server's answer for the group if it serves these resources.
fn serving(names: &[&str]) -> Instead {
    let resources: Vec<Value> = names
        .iter()
        .map(|name| json!({"name": name, "singularName": "", "namespaced": true, "kind": "K", "verbs": ["get"]}))
        .collect();
    let list = json!({"kind": "APIResourceList", "groupVersion": "db.orange.com/v2", "resources": resources});
    Instead::Text(200, list.to_string())
}

async fn found_when(answer: Instead) -> StatusSubresources {
    let server = ApiServer::new();
    server.instead(PATH, [answer]);
    status_subresources(&server.client()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_subresources_of_both_kinds_are_discovered_separately() {
    let casskop = serving(&[
        "cassandrabackups",
        "cassandrarestores",
        "cassandraclusters",
        "cassandraclusters/status",
    ]);
    assert_eq!(
        found_when(casskop).await,
        StatusSubresources {
            backups: Some(false),
            restores: Some(false)
        }
    );
    let mixed = serving(&["cassandrabackups", "cassandrabackups/status", "cassandrarestores"]);
    assert_eq!(
        found_when(mixed).await,
        StatusSubresources {
            backups: Some(true),
            restores: Some(false)
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_not_served_is_unknown() {
    let page = Instead::Text(404, "404 page not found\n".to_owned());
    assert_eq!(found_when(page).await, StatusSubresources::default());
    let half = serving(&["cassandrabackups", "cassandrabackups/status"]);
    assert_eq!(
        found_when(half).await,
        StatusSubresources {
            backups: Some(true),
            restores: None
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_discovery_is_an_error() {
    let server = ApiServer::new();
    server.instead(PATH, [Instead::Status(500, "no")]);
    assert!(status_subresources(&server.client()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn discovery_follows_changes_and_keeps_the_last_result_on_failure() {
    let ours = [
        "cassandrabackups",
        "cassandrabackups/status",
        "cassandrarestores",
        "cassandrarestores/status",
    ];
    let server = ApiServer::new();
    server.instead(
        PATH,
        [
            Instead::Silence,
            Instead::Status(500, "no"),
            serving(&["cassandrabackups", "cassandrarestores"]),
            Instead::Status(500, "no"),
            serving(&ours),
        ],
    );
    let (sender, mut known) = watch::channel(StatusSubresources::default());
    let mut tasks = JoinSet::new();
    tasks.spawn(follow_status_subresources(server.client(), sender));

    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(*known.borrow_and_update(), StatusSubresources::default());
    known.changed().await.unwrap();
    let casskop = StatusSubresources {
        backups: Some(false),
        restores: Some(false),
    };
    assert_eq!(*known.borrow_and_update(), casskop);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(server.requests().len(), 4);
    assert_eq!(*known.borrow(), casskop);
    known.changed().await.unwrap();
    assert_eq!(
        *known.borrow(),
        StatusSubresources {
            backups: Some(true),
            restores: Some(true)
        }
    );
}
