//! End to end tests: real ports, real servers, a real browser.

pub mod apart;
pub mod bench;
pub mod binary;
pub mod certificates;
pub mod chaos;
pub mod feeder;
pub mod gateway;
pub mod http;
pub mod influx;
pub mod influxd;
pub mod kafka;
pub mod lake;
pub mod manager;
pub mod mosquitto;
pub mod ports;
pub mod proxy;
pub mod robot;
pub mod subscriber;
