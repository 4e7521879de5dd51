//! A cell as the settings say it. What only the user can know has no default.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::cell::obstacles::Snapshot;
use crate::cell::separation::State;

/// The space around robots.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Its name.
    pub id: Arc<str>,
    /// Its robots.
    pub robots: Vec<Robot>,
    /// How separations are computed and what is made of them; without it only distances are.
    pub separation: Option<Separation>,
    /// What always stands in it, in the cell's frame.
    pub fixtures: Option<Snapshot>,
    /// Who says where people are.
    pub source: Option<Source>,
    /// What is sent as long as the cell permits it.
    pub permit: Option<SerialPermit>,
    /// What is done on entering a state, in the order in which it was written.
    pub actions: Vec<(State, Action)>,
}

/// A robot in a cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Robot {
    /// One of the machines.
    pub machine: Arc<str>,
    /// Where its base stands in the cell's frame.
    pub base_pose: Pose,
    /// The axis that moves the base, if one does.
    pub linear_axis: Option<LinearAxis>,
    /// What is mounted on the flange, in its frame.
    pub tool_capsules: Vec<Capsule>,
}

/// A linear axis below the robot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinearAxis {
    /// The number of its axis value.
    pub axis: u32,
    /// Where it goes as its value rises, in the frame of the base pose.
    pub direction: [f64; 3],
}

/// A part of a tool, in metres.
#[derive(Debug, Clone, PartialEq)]
pub struct Capsule {
    /// What records call it.
    pub name: String,
    /// One end of its axis.
    pub a_m: [f64; 3],
    /// The other end.
    pub b_m: [f64; 3],
    /// Its radius.
    pub radius_m: f64,
}

/// A pose: rotated by roll about x, then pitch about y, then yaw about z, then moved.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pose {
    /// Metres.
    pub xyz_m: [f64; 3],
    /// Radians.
    pub rpy_rad: [f64; 3],
}

/// How a separation is computed and judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Separation {
    /// By which rule.
    pub rule: Rule,
    /// How fast a person comes, in m/s.
    pub human_speed_m_per_s: f64,
    /// How fast the robot may come.
    pub robot: RobotSpeed,
    /// How it stops.
    pub stopping: Stopping,
    /// What the person's sensor takes.
    pub sensor_latency: Duration,
    /// What the way of the stop signal takes.
    pub stop_signal_latency: Duration,
    /// What the gateway takes; checked live.
    pub gateway_latency: Duration,
    /// C, in metres.
    pub intrusion_m: f64,
    /// Z_d, in metres.
    pub person_uncertainty_m: f64,
    /// Z_r, in metres.
    pub robot_uncertainty_m: f64,
    /// Below this margin it is `warn`.
    pub warn_margin_m: f64,
    /// By how much a margin must be above a threshold before the better state may hold.
    pub hysteresis_m: f64,
    /// And for how long.
    pub hold: Duration,
}

/// The rule of protective distances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// ISO/TS 15066, now part of ISO 10218-2.
    IsoTs15066,
    /// What the showcase used before, to compare.
    Showcase,
}

/// How fast a robot may come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RobotSpeed {
    /// As measured, and as much more as it can accelerate by in the reaction time.
    Measured {
        /// In m/s².
        max_acceleration_m_per_s2: f64,
    },
    /// The most that any point of it ever moves, in m/s.
    Stated(f64),
}

/// How a robot stops, from its maker.
#[derive(Debug, Clone, PartialEq)]
pub enum Stopping {
    /// At any speed.
    One {
        /// T_s.
        time: Duration,
        /// S_s, in metres.
        distance_m: f64,
    },
    /// By speed: m/s, s and m, rising.
    BySpeed(Vec<[f64; 3]>),
}

/// Who says where people are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// By which way.
    pub by: SourceWay,
    /// How long its word holds.
    pub time_to_live: Duration,
}

/// The way of a source's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceWay {
    /// `retrotap/1/<site>/<cell>/obstacles`.
    Mqtt,
    /// `POST /api/v1/cells/<cell>/obstacles`.
    Api,
}

/// A permit in bytes on a machine's port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialPermit {
    /// Whose port.
    pub machine: Arc<str>,
    /// What.
    pub bytes: Vec<u8>,
    /// How often.
    pub every: Duration,
}

/// What is done on entering a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Bytes onto a machine's port, once.
    SerialWrite {
        /// Whose port.
        machine: Arc<str>,
        /// What.
        bytes: Vec<u8>,
    },
    /// A line of a GPIO chip is set, and stays so until another action sets it.
    Gpio(Gpio),
    /// An alarm stands on the broker, retained, for as long as the state holds.
    MqttAlarm,
    /// The transition is posted as JSON.
    Webhook(Webhook),
}

/// A line of a GPIO chip and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpio {
    /// Such as `/dev/gpiochip0`.
    pub chip: PathBuf,
    /// Its number on the chip.
    pub line: u32,
    /// Whether it is set to 1.
    pub value: bool,
}

/// Where a transition is posted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// `http://` or `https://`.
    pub url: String,
    /// The authority that signed the server's certificate; there exactly for `https://`.
    pub ca: Option<PathBuf>,
}
