//! The stand-in database as a process, to be killed: `influx-stand-in PORT JOURNAL`.

use std::path::Path;

use retrotap_tests::influx::{Influx, Settings};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, journal] = arguments.as_slice() else {
        eprintln!("usage: influx-stand-in PORT JOURNAL");
        std::process::exit(2);
    };
    let port = port.parse().expect("a port");
    let _influx = Influx::start_durable(Settings::default(), port, Path::new(journal));
    loop {
        std::thread::park();
    }
}
