//! `bench-lake [--quick] [visible|stop|dashboards|lake|uplink|catch-up]…`: what the ways from a line to the
//! database and to the stop of a robot can carry, beside peers; all of it where nothing is named. Run by `make bench-lake`.

use retrotap_tests::bench::{
    FULL, QUICK, catch_up, dashboards, report, stop, through_lake, through_uplink, visible,
};

const PARTS: [&str; 6] = [
    "visible",
    "stop",
    "dashboards",
    "lake",
    "uplink",
    "catch-up",
];

#[tokio::main]
async fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let before = arguments.len();
    arguments.retain(|argument| argument != "--quick");
    let quick = arguments.len() < before;
    if let Some(unknown) = arguments
        .iter()
        .find(|name| !PARTS.contains(&name.as_str()))
    {
        eprintln!("{unknown:?} is none of {}", PARTS.join(", "));
        std::process::exit(2);
    }
    let effort = if quick { QUICK } else { FULL };
    report::head(quick);
    for part in PARTS {
        if arguments.is_empty() || arguments.iter().any(|name| name == part) {
            match part {
                "visible" => visible::measure(&effort).await,
                "stop" => stop::measure(&effort).await,
                "dashboards" => dashboards::measure(&effort).await,
                "lake" => through_lake::measure(&effort).await,
                "uplink" => through_uplink::measure(&effort).await,
                _ => catch_up::measure(&effort).await,
            }
        }
    }
}
