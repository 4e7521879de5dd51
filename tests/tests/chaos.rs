//! Nothing lost, and nothing twice, whatever dies: the whole chain under a seeded script that kills
//! every part, cuts every connection, fills the disk and steps the clock; then all is mended, and what
//! the database holds is held against what the lines said.
//!
//! `RETROTAP_CHAOS_SECONDS` and `RETROTAP_CHAOS_SEEDS` (`1,2,3` or `1-10`) make it longer;
//! `RETROTAP_CHAOS_KEEP` keeps the folder of a run. A failure names its seed.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use retrotap_tests::chaos::chain::{Chain, GATEWAY, SITE};
use retrotap_tests::chaos::history::found;
use retrotap_tests::chaos::judge::judge;
use retrotap_tests::chaos::script::script;

/// Past the harness, which would keep to itself what a green test prints.
macro_rules! say {
    ($($text:tt)*) => {{
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

const MACHINES: usize = 3;

/// What a run of `make test` has time for.
const SHORT: Duration = Duration::from_secs(60);
const SHORT_SEEDS: &str = "7";

/// All of it must have arrived this long after everything was mended: a bound to wait for, since a
/// busy machine may take its time, and no promise of speed.
const CATCH_UP_MAX: Duration = Duration::from_secs(180);

fn seeds() -> Vec<u64> {
    let text = std::env::var("RETROTAP_CHAOS_SEEDS").unwrap_or_else(|_| SHORT_SEEDS.to_owned());
    let number = |text: &str| text.trim().parse::<u64>().expect("a seed");
    text.split(',')
        .flat_map(|part| match part.split_once('-') {
            Some((first, last)) => number(first)..=number(last),
            None => number(part)..=number(part),
        })
        .collect()
}

fn length() -> Duration {
    match std::env::var("RETROTAP_CHAOS_SECONDS") {
        Ok(seconds) => Duration::from_secs(seconds.parse().expect("seconds")),
        Err(_) => SHORT,
    }
}

#[test]
fn nothing_is_lost_and_nothing_stands_twice_whatever_dies() {
    let red: Vec<u64> = seeds().into_iter().filter(|seed| !green(*seed)).collect();
    assert!(
        red.is_empty(),
        "red with RETROTAP_CHAOS_SEEDS={} RETROTAP_CHAOS_SECONDS={}",
        red.iter().map(u64::to_string).collect::<Vec<_>>().join(","),
        length().as_secs()
    );
}

/// One run; prints what was done and counted.
fn green(seed: u64) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let folder_path = match std::env::var_os("RETROTAP_CHAOS_KEEP") {
        None => folder.path().to_owned(),
        Some(keep) => {
            let path = Path::new(&keep).join(format!("seed-{seed}"));
            std::fs::create_dir_all(&path).expect("a folder");
            path
        }
    };
    let stand_in = Path::new(env!("CARGO_BIN_EXE_influx-stand-in"));
    let mut chain = Chain::start(&folder_path, stand_in, MACHINES, seed);
    say!(
        "chaos: seed {seed}, {} s, into {}",
        length().as_secs(),
        chain.database()
    );
    let began = Instant::now();
    while chain.points().unwrap_or(0) < 100 {
        chain.all_run();
        assert!(
            began.elapsed() < CATCH_UP_MAX,
            "nothing reaches the database, {} said: {:?}",
            chain.said(),
            chain.status()
        );
        std::thread::sleep(Duration::from_millis(100));
    }

    let began = Instant::now();
    for (at, act) in script(seed, length(), MACHINES) {
        while let Some(wait) = at
            .checked_sub(began.elapsed())
            .filter(|wait| !wait.is_zero())
        {
            std::thread::sleep(wait.min(Duration::from_millis(250)));
            chain.in_flight();
            chain.look_after();
        }
        chain.act(act);
    }

    let healed = Instant::now();
    chain.heal();
    std::thread::sleep(Duration::from_secs(3));
    chain.silence();
    let caught_up = catch_up(&mut chain, healed);
    let wire = chain.kafka().read("retrotap.records");
    chain.stop_gateway();
    chain.all_run();

    let store = chain.content().expect("the database's files");
    let runs = chain.runs();
    let (entries, strange) = found(&store, SITE, GATEWAY);
    let verdict = judge(&runs, &entries);
    let replayed = chain.replay(&runs);

    let names: BTreeSet<String> = wire.iter().map(|message| name(message.text())).collect();
    let done = &chain.done;
    say!("  kills (while entries were in flight): {:?}", done.kills);
    say!("  cuts {:?}, links {:?}", done.cuts, done.troubles);
    say!(
        "  disk full {:.1} s ({} starts refused), clock stepped {} times, at most {} entries in \
         flight",
        done.disk_full.as_secs_f64(),
        done.refused_starts,
        done.clock_steps,
        done.in_flight_max
    );
    say!(
        "  {} messages in Kafka for {} entries{}",
        wire.len(),
        names.len(),
        match store.counts().rewrites {
            // InfluxDB doesn't count them.
            0 => String::new(),
            writes => format!(", {writes} writes in the database changed nothing"),
        }
    );
    match caught_up {
        Some(after) => say!(
            "  all arrived {:.1} s after all was mended",
            after.as_secs_f64()
        ),
        None => say!(
            "  RED: not all arrived {} s after all was mended",
            CATCH_UP_MAX.as_secs()
        ),
    }
    match &replayed {
        Ok(count) => say!("  {count} records replayed from the captures, the same"),
        Err(why) => say!("  RED: {why}"),
    }
    for point in strange.iter().take(5) {
        say!("  RED: not an entry: {point}");
    }
    for skipped in &done.skipped {
        say!("  skipped: {skipped}");
    }
    say!("{verdict}");
    let green = verdict.findings.is_empty()
        && strange.is_empty()
        && replayed.is_ok()
        && caught_up.is_some();
    say!("chaos: seed {seed} {}", if green { "green" } else { "RED" });
    green
}

/// Waits until nothing is on its way any more, and says how long that took. Only for waiting: the
/// judge doesn't believe any of it.
fn catch_up(chain: &mut Chain, healed: Instant) -> Option<Duration> {
    let mut last = (0, Instant::now());
    while healed.elapsed() < CATCH_UP_MAX {
        std::thread::sleep(Duration::from_millis(250));
        let points = chain.points().unwrap_or(0);
        if points != last.0 {
            last = (points, Instant::now());
        }
        let unreleased = chain
            .status()
            .and_then(|status| status["uplink"]["unreleased_records"].as_u64());
        // What Kafka has may still wait for a sink whose group is being put together.
        if unreleased == Some(0) && last.1.elapsed() > Duration::from_secs(4) {
            let wire = chain.kafka().read("retrotap.records");
            let names: BTreeSet<String> = wire.iter().map(|message| name(message.text())).collect();
            if names.len() as u64 == points {
                return Some(last.1.duration_since(healed));
            }
        }
    }
    None
}

/// What names an entry for ever.
fn name(entry: &str) -> String {
    let entry: serde_json::Value = serde_json::from_str(entry).expect("JSON");
    format!("{} {} {}", entry["machine"], entry["epoch"], entry["seq"])
}
