//! End to end tests: real ports, real brokers, a real browser.

pub mod binary;
pub mod certificates;
pub mod gateway;
pub mod manager;
pub mod mosquitto;
pub mod robot;
pub mod subscriber;
