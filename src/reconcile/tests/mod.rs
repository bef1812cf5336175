//! The reconciler with its watches, its lease and its requests, on an API server and sidecars in memory, in paused time.

mod addresses;
mod api_server;
mod copies;
mod costs;
mod failures;
mod needs;
mod sidecars;
mod undecodable;
mod world;
