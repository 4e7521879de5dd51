//! A subscriber that notes when distances arrive.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rumqttc::{AsyncClient, Broker, Event, MqttOptions, Packet, QoS};
use tokio::task::JoinHandle;

/// It ends when dropped.
#[derive(Debug)]
pub(super) struct Subscriber {
    /// When each message came that holds a distance.
    pub(super) distances: Receiver<Instant>,
    task: JoinHandle<()>,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Subscribes to all records with QoS 1, and returns once the broker has confirmed it.
pub(super) async fn subscribe(broker: SocketAddr) -> anyhow::Result<Subscriber> {
    let address = Broker::tcp(broker.ip().to_string(), broker.port());
    let mut options = MqttOptions::new("bench-subscriber", address);
    options.set_unlimited_incoming_packet_size();
    let (client, mut events) = AsyncClient::builder(options).capacity(10).build();
    client
        .subscribe("retrotap/1/+/+/+/records", QoS::AtLeastOnce)
        .await?;
    let (sender, distances) = channel();
    let (confirmed, is_confirmed) = tokio::sync::oneshot::channel();
    let mut confirmed = Some(confirmed);
    let task = tokio::spawn(async move {
        // The client lives as long as its event loop.
        let _client = client;
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::Publish(publish))) => {
                    let at = Instant::now();
                    if holds_distance(&publish.payload) && sender.send(at).is_err() {
                        return;
                    }
                }
                Ok(Event::Incoming(Packet::SubAck(_))) => {
                    if let Some(confirmed) = confirmed.take() {
                        // Nobody waits any more: then the bench is over.
                        let _ = confirmed.send(());
                    }
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    });
    let subscriber = Subscriber { distances, task };
    match tokio::time::timeout(Duration::from_secs(10), is_confirmed).await {
        Ok(confirmed) => confirmed.context("the subscriber lost its broker")?,
        Err(_) => bail!("the broker doesn't confirm a subscription"),
    }
    Ok(subscriber)
}

fn holds_distance(payload: &[u8]) -> bool {
    const RECORD: &[u8] = br#""record":"distance""#;
    payload.windows(RECORD.len()).any(|window| window == RECORD)
}
