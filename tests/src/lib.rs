//! End to end tests: real ports, real brokers, a real browser.

pub mod certificates;
pub mod mosquitto;
pub mod subscriber;
