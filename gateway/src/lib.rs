//! The gateway: one line per machine from port to spool, an uplink that empties the spool, and a
//! page that shows it. The binary is `main.rs`; this library is what it and the tests are made of.
//!
//! Rooms know [`words`] and not each other. Only `line` knows port, framing, pipeline and spool
//! together, only the commands in `cli` know lines, uplink and web together, and `web` reads state
//! but never reaches into a line.

pub mod capture;
pub mod cell;
pub mod cli;
pub mod config;
pub mod demo_broker;
pub mod gauge;
pub mod line;
pub mod modules;
pub mod port;
pub mod robot;
pub mod simulate;
pub mod spool;
pub mod time;
pub mod uplink;
pub mod web;
pub mod words;
