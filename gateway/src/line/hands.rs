//! What a line does about a cell's state with its own hands: bytes onto its own port.
//!
//! Keeps true: from the judgement to the bytes there is one write, in the line's own task, without a
//! queue, a lock or a disk. What is written is what the settings declare, byte for byte; there is no other
//! way to an [`Outlet`]. A write that fails is counted and told; the line goes on.
//!
//! Doesn't do: other actions (those are the gateway's, which looks at the same standing), or sending
//! one-shot bytes again. The safe direction is the permit, which is missing when anything fails.

use std::sync::Arc;

use crate::cell::permit::{Pace, Permit};
use crate::cell::separation::State;
use crate::cell::standing::Standing;
use crate::config::limits::TICK_EVERY;
use crate::port::{Access, Outlet};

/// What is written onto a line's port on behalf of one cell.
#[derive(Debug)]
pub struct Writes {
    /// How the cell stands.
    pub standing: Arc<Standing>,
    /// What is sent at a pace as long as the cell permits it.
    pub permit: Option<Permit>,
    /// What is sent once on entering a state.
    pub on_entering: Vec<(State, Vec<u8>)>,
}

/// A line's part in cells: its robot's word, and what it writes.
#[derive(Debug, Default)]
pub struct Hands {
    /// Where its robot stands, and as which of the cell's.
    robot: Option<(Arc<Standing>, usize)>,
    writes: Vec<(Writes, Pace, State)>,
    outlet: Option<Outlet>,
}

impl Hands {
    /// A line that speaks for a robot, if for any, and writes for those cells.
    pub fn new(robot: Option<(Arc<Standing>, usize)>, writes: Vec<Writes>) -> Self {
        let writes = writes
            .into_iter()
            .map(|writes| (writes, Pace::default(), State::Unknown))
            .collect();
        Self {
            robot,
            writes,
            outlet: None,
        }
    }

    /// What the port has to be opened for.
    pub fn access(&self) -> Access {
        if self.writes.is_empty() {
            Access::Read
        } else {
            Access::ReadWrite
        }
    }

    /// The port is open, or has gone away.
    pub fn port(&mut self, outlet: Option<Outlet>) {
        self.outlet = outlet;
    }

    /// The robot was judged at a line time; acts upon it `now`.
    pub fn judged(&mut self, state: State, at_ns: u64, now_ns: u64) {
        if let Some((standing, robot)) = &self.robot {
            standing.say(*robot, state, at_ns);
        }
        self.act(now_ns);
    }

    /// Writes what the cells' states ask for at this line time.
    pub fn act(&mut self, now_ns: u64) {
        for (writes, pace, seen) in &mut self.writes {
            let (state, _) = writes.standing.at(now_ns);
            if state != *seen {
                *seen = state;
                let entered = writes.on_entering.iter().filter(|(on, _)| *on == state);
                for (_, bytes) in entered {
                    write(self.outlet.as_ref(), bytes, &writes.standing);
                }
            }
            if let Some(permit) = &writes.permit
                && pace.is_due(permit, state, now_ns)
                && write(self.outlet.as_ref(), &permit.bytes, &writes.standing)
            {
                writes.standing.permit_sent(now_ns);
            }
        }
    }

    /// When to act next although nothing happens here: other lines have a word too, and words age.
    pub(super) fn due_ns(&self, now_ns: u64) -> Option<u64> {
        let look_ns = now_ns.saturating_add(TICK_EVERY.as_nanos() as u64);
        let permits = self.writes.iter().filter_map(|(_, pace, _)| pace.next_ns());
        let looks = (!self.writes.is_empty()).then_some(look_ns);
        permits.chain(looks).min()
    }
}

/// Whether all of it was written. What fails is counted by the standing, which makes an alarm of it.
fn write(outlet: Option<&Outlet>, bytes: &[u8], standing: &Standing) -> bool {
    let written = outlet.is_some_and(|outlet| outlet.write(bytes).is_ok());
    standing.written(written);
    written
}
