//! The reconciler with its watches, its lease and its requests, on an API server and sidecars in memory, in paused time.

mod addresses;
mod api_server;
mod costs;
mod failures;
mod sidecars;
mod undecodable;
mod world;
