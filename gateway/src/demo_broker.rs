//! The MQTT broker inside `retrotap demo`: in memory, without permissions, for this machine's own
//! clients. It is the `mqtt5` crate's, without its websocket and QUIC listeners.
//!
//! What it doesn't do: keep anything over a restart. A plant's broker is a program of its own.

use std::net::SocketAddr;
use std::time::Duration;

use mqtt5::broker::config::StorageConfig;
use mqtt5::broker::{BrokerConfig, MqttBroker};
use tokio::task::JoinHandle;

/// Why the broker can't be started.
#[derive(Debug, thiserror::Error)]
#[error("no MQTT broker at {listen}: {reason}; is another one running there? --mqtt sets the port")]
pub struct StartError {
    listen: SocketAddr,
    reason: String,
}

/// A running broker; it ends when this is dropped.
#[derive(Debug)]
pub struct DemoBroker {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl DemoBroker {
    /// Where it listens: the port that the system chose, if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for DemoBroker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts a broker. When this returns, clients can connect.
///
/// # Errors
///
/// [`StartError`] if it can't listen there.
pub async fn start(listen: SocketAddr) -> Result<DemoBroker, StartError> {
    let failed = |reason: String| StartError { listen, reason };
    let mut config = BrokerConfig {
        bind_addresses: vec![listen],
        max_clients: 64,
        session_expiry_interval: Duration::from_secs(60),
        storage_config: StorageConfig {
            enable_persistence: false,
            ..StorageConfig::default()
        },
        ..BrokerConfig::default()
    };
    config.auth_config.allow_anonymous = true;
    let mut broker = MqttBroker::with_config(config)
        .await
        .map_err(|error| failed(error.to_string()))?;
    let address = broker.local_addr().unwrap_or(listen);
    let mut ready = broker.ready_receiver();
    let task = tokio::spawn(async move {
        if let Err(error) = broker.run().await {
            tracing::error!(%error, "the demo's broker ended");
        }
    });
    let handle = DemoBroker { address, task };
    let listening = tokio::time::timeout(Duration::from_secs(5), ready.wait_for(|&ready| ready));
    match listening.await {
        Ok(Ok(_)) => Ok(handle),
        _ => Err(failed("it doesn't come up".into())),
    }
}
