//! Binding a port.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

use crate::telemetry::metrics::Listener;

/// A bound port. Connections wait in the queue of the kernel until a [`Server`](super::accept::Server) accepts them.
#[derive(Debug)]
pub struct Bound {
    pub(super) role: Listener,
    pub(super) listener: TcpListener,
    address: SocketAddr,
}

/// A port that cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("{} {address}: {reason}", flag(*.role))]
pub struct BindError {
    role: Listener,
    address: SocketAddr,
    reason: io::Error,
}

/// Binds the port and logs its address (`webhook listening` or `admin listening`, with the field `address`).
///
/// # Errors
/// Returns an error if the address is in use, not local, or not permitted; the text names the flag.
pub async fn bind(role: Listener, address: SocketAddr) -> Result<Bound, BindError> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Bound {
            role,
            listener,
            address,
        })
    };
    let bound = bound.await.map_err(|reason| BindError {
        role,
        address,
        reason,
    })?;
    match role {
        Listener::Webhook => tracing::info!(address = %bound.address, "webhook listening"),
        Listener::Admin => tracing::info!(address = %bound.address, "admin listening"),
    }
    Ok(bound)
}

impl Bound {
    /// Returns the bound address. For port 0 it has the port that the kernel chose.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn flag(role: Listener) -> &'static str {
    match role {
        Listener::Webhook => "--listen",
        Listener::Admin => "--admin-listen",
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn the_error_for_a_port_in_use_names_the_flag() {
        let first = bind(Listener::Webhook, (Ipv4Addr::LOCALHOST, 0).into())
            .await
            .unwrap();
        assert_ne!(first.address().port(), 0);
        let error = bind(Listener::Admin, first.address()).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with(&format!(
                "--admin-listen {}: Address already in use",
                first.address()
            )),
            "{text}"
        );
    }
}
