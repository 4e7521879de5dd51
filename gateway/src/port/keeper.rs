//! Keeps a port open: reads it while it is there and looks for it while it is not.

use std::pin::Pin;
use std::time::Duration;

use retrotap_adapters::framing::SerialSettings;
use tokio::time::sleep;

use super::{Access, LOOK_AGAIN_AFTER, LineClock, Outlet, Port, PortError, PortSpec};
use crate::words::Chunk;

/// One port of a line, whether it is there or not.
pub struct Keeper {
    index: u8,
    spec: PortSpec,
    settings: SerialSettings,
    clock: LineClock,
    access: Access,
    chunk: Chunk,
    state: State,
}

enum State {
    Open(Port),
    /// Kept between calls, because a connection that takes a while must not begin anew whenever its
    /// line is busy with something else.
    Opening(Pin<Box<dyn Future<Output = Result<Port, PortError>> + Send>>),
}

/// What happened to a port.
#[derive(Debug)]
pub enum Happened<'a> {
    /// Bytes came.
    Read(&'a Chunk),
    /// It is open, for the first time or again.
    Opened,
    /// It went away, or is still not there; it is looked for again soon.
    Away(PortError),
}

impl Keeper {
    /// Looks for a machine's `index`-th port from the first call of [`Keeper::next`] on.
    pub fn new(
        spec: PortSpec,
        settings: SerialSettings,
        index: u8,
        clock: LineClock,
        access: Access,
    ) -> Self {
        let port = (index, clock, access);
        Self {
            state: opening(&spec, settings, port, Duration::ZERO),
            index,
            spec,
            settings,
            clock,
            access,
            chunk: Chunk::default(),
        }
    }

    /// Keeps a port that is open already.
    pub fn of(port: Port, spec: PortSpec, settings: SerialSettings) -> Self {
        let (index, clock, access) = (port.index, port.clock, port.access);
        Self {
            index,
            spec,
            settings,
            clock,
            access,
            chunk: Chunk::default(),
            state: State::Open(port),
        }
    }

    /// A way to write to the machine, while the port is there and was opened for it.
    pub fn outlet(&self) -> Option<Outlet> {
        match &self.state {
            State::Open(port) => port.outlet(),
            State::Opening(_) => None,
        }
    }

    /// The next thing that happens. May be dropped at any time without losing anything.
    ///
    /// What needs somebody to act first is looked for as well: udev gives a device that was just
    /// plugged in its group a moment later, and whoever has it open may close it.
    pub async fn next(&mut self) -> Happened<'_> {
        let error = match &mut self.state {
            State::Open(port) => match port.read(&mut self.chunk).await {
                Ok(()) => return Happened::Read(&self.chunk),
                Err(error) => error,
            },
            State::Opening(opening) => match opening.await {
                Ok(port) => {
                    self.state = State::Open(port);
                    return Happened::Opened;
                }
                Err(error) => error,
            },
        };
        self.state = opening(
            &self.spec,
            self.settings,
            (self.index, self.clock, self.access),
            LOOK_AGAIN_AFTER,
        );
        Happened::Away(error)
    }
}

fn opening(
    spec: &PortSpec,
    settings: SerialSettings,
    (index, clock, access): (u8, LineClock, Access),
    pause: Duration,
) -> State {
    let spec = spec.clone();
    State::Opening(Box::pin(async move {
        sleep(pause).await;
        Port::open_for(&spec, settings, index, clock, access).await
    }))
}

/// Whichever of a machine's ports has something first. Since a chunk's time is taken when its read
/// returns, chunks come out in order of time.
pub async fn first(keepers: &mut [Keeper]) -> Happened<'_> {
    match keepers {
        [one] => one.next().await,
        [one, other] => tokio::select! {
            happened = one.next() => happened,
            happened = other.next() => happened,
        },
        _ => std::future::pending().await,
    }
}
