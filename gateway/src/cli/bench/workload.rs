//! What all figures are measured with: a KR C2 on its way, and what stands in its cell.

use std::path::Path;

use retrotap_host::ParamValue;

use crate::cell::obstacles::{Obstacle, Snapshot, SnapshotError};
use crate::port::PortSpec;
use crate::simulate::krc2::{AXES, FRAME_BYTES};
use crate::simulate::{Faults, Krc2, What};

/// The adapter that is measured.
pub(super) const ADAPTER: &str = "kuka-krc2";

/// Bytes of seven frames.
pub(super) const CYCLE_BYTES: usize = AXES * FRAME_BYTES;

/// From one frame to the next at 9600 baud.
pub(super) const FRAME_NS: i64 = 9_375_000;

/// The robot's way to and fro for ever: the end fits onto the beginning, so nothing jumps and no
/// cycle is refused.
#[derive(Debug, Clone)]
pub(super) struct Way {
    cycles: Vec<[u8; CYCLE_BYTES]>,
    next: usize,
}

impl Way {
    pub(super) fn new() -> Self {
        const CYCLES: usize = 600;
        let there: Vec<u8> = Krc2::new(1, Faults::default())
            .cycles(CYCLES as u64)
            .filter_map(|sent| match sent.what {
                What::Byte(byte) => Some(byte),
                What::Unplug | What::Plug => None,
            })
            .collect();
        let there = there.as_chunks().0;
        let cycles = there.iter().chain(there.iter().rev()).copied().collect();
        Self { cycles, next: 0 }
    }

    /// The next cycle.
    pub(super) fn cycle(&mut self) -> &[u8; CYCLE_BYTES] {
        let cycle = self.next;
        self.next = (cycle + 1) % self.cycles.len();
        &self.cycles[cycle]
    }

    /// All of it as bytes, to be sent round and round.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.cycles.concat()
    }
}

/// Four spheres, three capsules and a box; each is the nearest now and then.
pub(super) fn obstacles() -> Result<Snapshot, SnapshotError> {
    let sphere = |id: &str, center| Obstacle::Sphere {
        id: id.to_owned(),
        center,
        radius: 0.15,
        velocity: [0.0; 3],
    };
    let person = |id: &str, x, y| Obstacle::Capsule {
        id: id.to_owned(),
        a: [x, y, 0.35],
        b: [x, y, 1.45],
        radius: 0.35,
        velocity: [0.0; 3],
    };
    Snapshot::new(vec![
        sphere("s1", [2.2, 2.2, 1.0]),
        sphere("s2", [2.2, -2.2, 1.0]),
        sphere("s3", [3.4, 0.6, 2.0]),
        sphere("s4", [-1.5, 2.0, 1.5]),
        person("p1", 3.6, 1.8),
        person("p2", 3.6, -1.8),
        person("p3", -2.5, -1.0),
        Obstacle::Box {
            id: "b1".to_owned(),
            center: [-4.5, 0.0, 1.0],
            size: [0.1, 6.0, 2.0],
            velocity: [0.0; 3],
        },
    ])
}

/// What the protective separation distance is computed with, the rule last: it needs the others. The
/// robot's speed is measured.
pub(super) fn separation() -> impl Iterator<Item = (&'static str, ParamValue)> {
    let numbers = [
        ("human_speed_m_per_s", 1.6),
        ("robot_speed_m_per_s", 0.0),
        ("max_acceleration_m_per_s2", 4.0),
        ("stopping_time_s", 0.6),
        ("stopping_distance_m", 0.45),
        ("sensor_latency_s", 0.08),
        ("stop_signal_latency_s", 0.02),
        ("gateway_latency_s", 0.005),
        ("intrusion_m", 0.85),
        ("person_uncertainty_m", 0.1),
        ("robot_uncertainty_m", 0.05),
    ];
    let numbers = numbers.map(|(name, value)| (name, ParamValue::Number { value, unit: None }));
    let rule = ParamValue::Choice("iso_ts_15066".into());
    numbers.into_iter().chain([("rule", rule)])
}

/// The line's end of a pseudo-terminal.
pub(super) fn port(path: &Path) -> PortSpec {
    PortSpec::Serial(path.to_owned())
}
