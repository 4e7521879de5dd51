use std::future::pending;
use std::time::{Duration, Instant};

use retrotap_adapters::framing::{Parity, SerialSettings};
use tokio::time::timeout;

use super::krc2::{AXES, BAUD, FRAME_BYTES, frame};
use super::path::LIMITS_DEG;
use super::*;
use crate::port::{Access, Happened, Keeper, LineClock, Port, PortError, PortSpec};
use crate::words::Chunk;

const SETTINGS: SerialSettings = SerialSettings {
    baud: BAUD,
    data_bits: 8,
    parity: Parity::None,
    stop_bits: 1,
};

const PATIENCE: Duration = Duration::from_secs(30);

fn bytes(machine: impl Iterator<Item = Sent>) -> Vec<u8> {
    let byte = |sent: Sent| match sent.what {
        What::Byte(byte) => Some(byte),
        What::Unplug | What::Plug => None,
    };
    machine.filter_map(byte).collect()
}

fn faults(text: &str) -> Faults {
    text.parse().unwrap()
}

#[test]
fn a_frame_is_the_one_that_was_published() {
    let expected = [3, 0, 0, 0, 0x20, 0x80, 0x2C, 0x80, 0];
    for encoding in [ValueEncoding::SignMagnitude, ValueEncoding::TwosComplement] {
        assert_eq!(frame(3, 8_400_000, encoding), expected);
    }
    let negative = frame(2, -1, ValueEncoding::SignMagnitude);
    assert_eq!(negative, [2, 0, 0, 0, 0x2D, 1, 0, 0, 0]);
    let negative = frame(2, -1, ValueEncoding::TwosComplement);
    assert_eq!(negative, [2, 0, 0, 0, 0x20, 0xFF, 0xFF, 0xFF, 0xFF]);
}

#[test]
fn every_cycle_is_seven_frames_in_order_with_the_axes_of_the_path() {
    let mut machine = Krc2::new(7, Faults::default()).cycles(500);
    for cycle in 0..500u64 {
        let sent: Vec<Sent> = machine.by_ref().take(AXES * FRAME_BYTES).collect();
        for (i, axis) in (1u32..).zip(0..AXES) {
            let bytes = bytes(sent[axis * FRAME_BYTES..][..FRAME_BYTES].iter().copied());
            let value = machine.values()[axis];
            assert_eq!(bytes, frame(i, value, ValueEncoding::SignMagnitude));
            if let Some((low, high)) = LIMITS_DEG.get(axis) {
                assert!((low * 1e5..=high * 1e5).contains(&f64::from(value)));
            } else {
                assert_eq!(value, 0);
            }
        }
        let last = (cycle + 1) * (AXES * FRAME_BYTES) as u64;
        assert_eq!(sent.last().unwrap().due_ns, last * 10_000_000_000 / 9_600);
    }
    assert_eq!(machine.next(), None);
}

#[test]
fn a_seed_and_faults_decide_everything() {
    let rates =
        faults("lost=0.01,doubled=0.01,flipped=0.01,out_of_range=0.1,silence=0.1,unplug=0.1");
    let run = |seed: u64| Krc2::new(seed, rates).cycles(200).collect::<Vec<Sent>>();
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn time_never_decreases_whatever_goes_wrong() {
    let rates = faults("lost=0.1,doubled=0.1,silence=0.3,unplug=0.3");
    let sent: Vec<Sent> = Krc2::new(1, rates).cycles(300).collect();
    assert!(sent.windows(2).all(|two| two[0].due_ns <= two[1].due_ns));
}

#[test]
fn each_fault_does_what_it_says_about_as_often_as_it_says() {
    const CYCLES: u64 = 2_000;
    const BYTES: usize = CYCLES as usize * AXES * FRAME_BYTES;
    let run = |text: &str| Krc2::new(11, faults(text)).cycles(CYCLES);
    let clean = bytes(run(""));
    assert_eq!(clean.len(), BYTES);
    let about = |count: usize, expected: usize| {
        assert!(
            count > expected * 8 / 10 && count < expected * 12 / 10,
            "{count} of {expected}"
        );
    };
    about(BYTES - bytes(run("lost=0.01")).len(), BYTES / 100);
    about(bytes(run("doubled=0.01")).len() - BYTES, BYTES / 100);
    let flipped = bytes(run("flipped=0.01"));
    let bits: Vec<u32> = clean
        .iter()
        .zip(&flipped)
        .map(|(a, b)| (a ^ b).count_ones())
        .filter(|n| *n > 0)
        .collect();
    assert!(bits.iter().all(|bits| *bits == 1));
    about(bits.len(), BYTES / 100);
    let wrong = bytes(run("out_of_range=0.1"));
    let frames = clean.chunks(FRAME_BYTES).zip(wrong.chunks(FRAME_BYTES));
    about(frames.filter(|(a, b)| a != b).count(), CYCLES as usize / 10);
    let unplugged = run("unplug=0.1")
        .filter(|sent| sent.what == What::Unplug)
        .count();
    about(unplugged, CYCLES as usize / 10);
    let end_ns = |text: &str| run(text).last().unwrap().due_ns;
    let silent_s = (end_ns("silence=0.1") - end_ns("")) / 1_000_000_000;
    about(silent_s as usize, CYCLES as usize / 10);
}

#[test]
fn a_list_of_faults_is_checked() {
    assert_eq!(
        faults(" lost = 0.5 , unplug=1,"),
        Faults {
            lost: 0.5,
            unplug: 1.0,
            ..Faults::default()
        }
    );
    for (text, name) in [
        ("lost", "lost"),
        ("lost=", "lost"),
        ("flipped=2", "flipped"),
        ("doubled=-1", "doubled"),
        ("silence=NaN", "silence"),
    ] {
        assert_eq!(text.parse::<Faults>(), Err(FaultsError::Rate(name.into())));
    }
    assert_eq!(
        "lots=1".parse::<Faults>(),
        Err(FaultsError::Unknown("lots".into()))
    );
}

#[tokio::test]
async fn a_line_hears_the_machine_at_its_real_pace() {
    let machine = Krc2::new(2, Faults::default()).cycles(3);
    let expected = bytes(machine.clone());
    let mut wire = Wire::pty(None).unwrap();
    let spec = PortSpec::Serial(wire.line_end().unwrap().to_owned());
    let mut port = Port::open(&spec, SETTINGS, 0, LineClock::start())
        .await
        .unwrap();
    let began = Instant::now();
    let driven = tokio::spawn(async move {
        let summary = drive(&mut wire, machine, pending()).await.unwrap();
        (wire, summary)
    });
    let mut heard: Vec<u8> = Vec::new();
    let mut chunk = Chunk::default();
    while heard.len() < expected.len() {
        timeout(PATIENCE, port.read(&mut chunk))
            .await
            .unwrap()
            .unwrap();
        heard.extend(&chunk.bytes);
    }
    assert_eq!(heard, expected);
    let lasts = Duration::from_nanos(expected.len() as u64 * 10_000_000_000 / 9_600);
    assert!(began.elapsed() >= lasts, "three cycles take 197 ms");
    let (_wire, summary) = driven.await.unwrap();
    assert_eq!(
        summary,
        Summary {
            bytes_sent: expected.len() as u64,
            bytes_dropped: 0
        }
    );
}

#[tokio::test]
async fn nobody_listening_holds_nothing_up() {
    let machine = Krc2::new(2, Faults::default())
        .baud(100_000_000)
        .cycles(1_000);
    let mut wire = Wire::pty(None).unwrap();
    let summary = timeout(PATIENCE, drive(&mut wire, machine, pending()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(summary.bytes_sent + summary.bytes_dropped, 63_000);
    assert!(
        summary.bytes_dropped > 0,
        "a terminal holds a few thousand bytes"
    );
}

#[tokio::test]
async fn a_shutdown_ends_an_endless_machine() {
    let mut wire = Wire::pty(None).unwrap();
    let machine = Krc2::new(2, Faults::default());
    let shutdown = tokio::time::sleep(Duration::from_millis(50));
    timeout(PATIENCE, drive(&mut wire, machine, shutdown))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn an_unplugged_machine_is_gone_and_comes_back_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("robot");
    let at = |due_ms: u64, what: What| Sent {
        due_ns: due_ms * 1_000_000,
        what,
    };
    // Gone for a moment, then back for as long as a busy machine may take to find it.
    let mut machine = vec![at(100, What::Unplug), at(400, What::Plug)];
    machine.extend((0..400).map(|i| at(400 + 10 * i, What::Byte(7))));
    let mut wire = Wire::pty(Some(&link)).unwrap();
    let spec = PortSpec::Serial(link.clone());
    let clock = LineClock::start();
    let mut port = Port::open(&spec, SETTINGS, 0, clock).await.unwrap();
    let driven = tokio::spawn(async move {
        drive(&mut wire, machine, pending()).await.unwrap();
    });
    let mut chunk = Chunk::default();
    let error = timeout(PATIENCE, port.read(&mut chunk))
        .await
        .unwrap()
        .unwrap_err();
    assert!(matches!(error, PortError::Gone { .. }), "{error}");
    drop(port);
    let mut keeper = Keeper::new(spec, SETTINGS, 0, clock, Access::Read);
    let chunk = loop {
        match timeout(PATIENCE, keeper.next()).await.unwrap() {
            Happened::Read(chunk) => break chunk,
            Happened::Opened | Happened::Away(_) => {}
        }
    };
    assert!(chunk.bytes.iter().all(|byte| *byte == 7));
    driven.abort();
}
