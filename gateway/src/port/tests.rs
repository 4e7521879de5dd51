use std::io::Write;
use std::time::Duration;

use retrotap_adapters::framing::{LineErrors, Parity, SerialSettings};
use rustix::termios::{InputModes, LocalModes, OptionalActions, OutputModes};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::pty::Pty;
use super::replay::{Replay, Speed};
use super::*;
use crate::capture::{Input, InputKind, Item, PortLabel, Writer};
use crate::words::{Mark, Stamp};

const SETTINGS: SerialSettings = SerialSettings {
    baud: 9600,
    data_bits: 8,
    parity: Parity::None,
    stop_bits: 1,
};

/// Long enough for a busy machine; what is waited for comes within milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

async fn open(path: &std::path::Path) -> Result<Port, PortError> {
    let spec = PortSpec::Serial(path.to_owned());
    Port::open(&spec, SETTINGS, 0, LineClock::start()).await
}

async fn read_bytes(port: &mut Port, count: usize) -> Vec<u8> {
    let mut chunk = Chunk::default();
    let mut bytes = Vec::new();
    while bytes.len() < count {
        timeout(PATIENCE, port.read(&mut chunk))
            .await
            .expect("bytes come")
            .unwrap();
        assert!(!chunk.bytes.is_empty() && chunk.marks.is_empty());
        bytes.extend(&chunk.bytes);
    }
    bytes
}

#[tokio::test]
async fn every_byte_value_comes_through_a_terminal_unchanged() {
    let pty = Pty::open().unwrap();
    // What a terminal is like before anyone made it raw: it would echo, eat and translate.
    let line_end = std::fs::File::options()
        .read(true)
        .write(true)
        .open(pty.path())
        .unwrap();
    let mut modes = rustix::termios::tcgetattr(&line_end).unwrap();
    modes.input_modes = InputModes::ICRNL | InputModes::IXON | InputModes::BRKINT;
    modes.local_modes = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
    modes.output_modes = OutputModes::OPOST | OutputModes::ONLCR;
    rustix::termios::tcsetattr(&line_end, OptionalActions::Now, &modes).unwrap();

    let mut port = open(pty.path()).await.unwrap();
    let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    pty.send_all(&all).await.unwrap();
    assert_eq!(read_bytes(&mut port, all.len()).await, all);
    let mut echo = [0; 16];
    let heard = timeout(Duration::from_millis(100), pty.receive(&mut echo)).await;
    assert!(heard.is_err(), "the machine heard {echo:?}");
}

#[tokio::test]
async fn errors_of_single_bytes_are_switched_on() {
    let pty = Pty::open().unwrap();
    let _port = open(pty.path()).await.unwrap();
    let line_end = std::fs::File::open(pty.path()).unwrap();
    let modes = rustix::termios::tcgetattr(&line_end).unwrap();
    assert_eq!(modes.input_modes, InputModes::INPCK | InputModes::PARMRK);
    assert_eq!(modes.input_speed(), 9600);
}

#[tokio::test]
async fn time_comes_with_the_bytes_and_never_decreases() {
    let pty = Pty::open().unwrap();
    let clock = LineClock::start();
    let spec = PortSpec::Serial(pty.path().to_owned());
    let mut port = Port::open(&spec, SETTINGS, 1, clock).await.unwrap();
    let mut chunk = Chunk::default();
    let mut latest = 0;
    for _ in 0..20 {
        pty.send_all(b"x").await.unwrap();
        let before = clock.now();
        port.read(&mut chunk).await.unwrap();
        assert!(chunk.at.line_ns >= latest && chunk.at.line_ns <= clock.now().line_ns);
        assert!((chunk.at.wall_ns - before.wall_ns).abs() < 3_600_000_000_000);
        assert_eq!(chunk.port, 1);
        latest = chunk.at.line_ns;
    }
}

#[tokio::test]
async fn what_waited_before_the_port_was_opened_is_thrown_away() {
    let pty = Pty::open().unwrap();
    pty.send_all(b"old").await.unwrap();
    let mut port = open(pty.path()).await.unwrap();
    pty.send_all(b"fresh").await.unwrap();
    assert_eq!(read_bytes(&mut port, 5).await, b"fresh");
}

#[tokio::test]
async fn a_port_is_for_one_alone_and_free_again_when_closed() {
    let pty = Pty::open().unwrap();
    let first = open(pty.path()).await.unwrap();
    let error = open(pty.path()).await.unwrap_err();
    assert!(matches!(error, PortError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("is in use"), "{error}");
    drop(first);
    open(pty.path()).await.unwrap();
}

#[tokio::test]
async fn what_is_no_serial_port_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let missing = open(&folder.path().join("ttyUSB9")).await.unwrap_err();
    assert!(matches!(missing, PortError::NotThere(_)), "{missing}");
    assert!(missing.to_string().contains("retrotap ports"));
    let file = folder.path().join("recording.pcapng");
    std::fs::write(&file, "x").unwrap();
    for path in [
        file.as_path(),
        folder.path(),
        std::path::Path::new("/dev/null"),
    ] {
        let error = open(path).await.unwrap_err();
        assert!(matches!(error, PortError::NotATty(_)), "{error}");
    }
}

#[tokio::test]
async fn impossible_settings_are_refused() {
    let pty = Pty::open().unwrap();
    for settings in [
        SerialSettings {
            baud: 0,
            ..SETTINGS
        },
        SerialSettings {
            data_bits: 9,
            ..SETTINGS
        },
        SerialSettings {
            stop_bits: 3,
            ..SETTINGS
        },
    ] {
        let error = serial::open_stream(pty.path(), settings, Access::Read).unwrap_err();
        assert!(matches!(error, PortError::Refused { .. }), "{error}");
    }
}

#[tokio::test]
async fn an_unplugged_port_is_an_error_and_not_silence() {
    let pty = Pty::open().unwrap();
    let mut port = open(pty.path()).await.unwrap();
    pty.send_all(b"last words").await.unwrap();
    assert_eq!(read_bytes(&mut port, 10).await, b"last words");
    drop(pty);
    let mut chunk = Chunk::default();
    let error = timeout(PATIENCE, port.read(&mut chunk))
        .await
        .unwrap()
        .unwrap_err();
    assert!(matches!(error, PortError::Gone { .. }), "{error}");
}

#[tokio::test]
async fn a_port_that_comes_back_under_another_number_is_found_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("usb-FTDI-port0");
    let pty = Pty::open_linked(&link).unwrap();
    let spec = PortSpec::Serial(link.clone());
    let clock = LineClock::start();
    let mut port = Port::open(&spec, SETTINGS, 0, clock).await.unwrap();
    drop(pty);
    let mut chunk = Chunk::default();
    port.read(&mut chunk).await.unwrap_err();
    drop(port);
    assert!(!link.exists(), "the link goes with the device");

    let mut keeper = Keeper::new(spec, SETTINGS, 0, clock, Access::Read);
    match timeout(PATIENCE, keeper.next()).await.unwrap() {
        Happened::Away(missing) => {
            assert!(missing.to_string().contains("there is no"), "{missing}");
        }
        other => panic!("{other:?}"),
    }
    let _other_number = Pty::open().unwrap();
    let pty = Pty::open_linked(&link).unwrap();
    let happened = timeout(PATIENCE, keeper.next()).await.unwrap();
    assert!(matches!(happened, Happened::Opened), "{happened:?}");
    pty.send_all(b"back").await.unwrap();
    let mut got = Vec::new();
    while got.len() < 4 {
        match timeout(PATIENCE, keeper.next()).await.unwrap() {
            Happened::Read(chunk) => got.extend_from_slice(&chunk.bytes),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(got, b"back");
}

#[tokio::test]
async fn two_ports_come_out_in_the_order_of_time() {
    let ptys = [Pty::open().unwrap(), Pty::open().unwrap()];
    let clock = LineClock::start();
    let spec = |i: usize| PortSpec::Serial(ptys[i].path().to_owned());
    let mut keepers = [
        Keeper::of(
            Port::open(&spec(0), SETTINGS, 0, clock).await.unwrap(),
            spec(0),
            SETTINGS,
        ),
        Keeper::of(
            Port::open(&spec(1), SETTINGS, 1, clock).await.unwrap(),
            spec(1),
            SETTINGS,
        ),
    ];
    let mut latest = 0;
    for round in 0..50u8 {
        let from = usize::from(round % 3 == 0);
        ptys[from].send_all(&[round]).await.unwrap();
        let chunk = match timeout(PATIENCE, first(&mut keepers)).await.unwrap() {
            Happened::Read(chunk) => chunk,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            (usize::from(chunk.port), chunk.bytes.as_slice()),
            (from, &[round][..])
        );
        assert!(chunk.at.line_ns > latest);
        latest = chunk.at.line_ns;
    }
    drop(ptys);
    let happened = timeout(PATIENCE, first(&mut keepers)).await.unwrap();
    assert!(
        matches!(happened, Happened::Away(PortError::Gone { .. })),
        "{happened:?}"
    );
}

#[tokio::test]
async fn a_serial_server_is_a_port_and_its_end_a_disconnect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let spec: PortSpec = format!("tcp://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let mut port = Port::open(&spec, SETTINGS, 0, LineClock::start())
        .await
        .unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    server.write_all(&[0xFF, 0, 0xFF, 0xFF]).await.unwrap();
    assert_eq!(
        read_bytes(&mut port, 4).await,
        [0xFF, 0, 0xFF, 0xFF],
        "no marks on a network"
    );
    drop(server);
    let mut chunk = Chunk::default();
    let error = timeout(PATIENCE, port.read(&mut chunk))
        .await
        .unwrap()
        .unwrap_err();
    assert!(matches!(error, PortError::Gone { .. }), "{error}");
    drop(listener);
    let error = Port::open(&spec, SETTINGS, 0, LineClock::start())
        .await
        .unwrap_err();
    assert!(matches!(error, PortError::Unreachable { .. }), "{error}");
}

#[test]
fn a_ports_name_is_a_path_or_a_server() {
    let spec = |text: &str| text.parse::<PortSpec>();
    assert_eq!(
        spec("/dev/ttyUSB0").unwrap(),
        PortSpec::Serial("/dev/ttyUSB0".into())
    );
    assert_eq!(
        spec("tcp://[::1]:4001").unwrap(),
        PortSpec::Tcp("[::1]:4001".into())
    );
    assert_eq!(
        spec("tcp://moxa:4001").unwrap().to_string(),
        "tcp://moxa:4001"
    );
    for bad in [
        "",
        "tcp://moxa",
        "tcp://moxa:",
        "tcp://moxa:x",
        "tcp://moxa:99999",
        "tcp://:1",
    ] {
        assert!(spec(bad).is_err(), "{bad}");
    }
    assert!(spec("tcp://moxa:0").is_err());
    assert!(
        spec("rfc2217://moxa:1")
            .unwrap_err()
            .to_string()
            .contains("`rfc2217://` isn't known")
    );
}

fn recorded() -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let label = |name: &str| PortLabel {
        name: name.into(),
        description: String::new(),
    };
    let ports = [label("a"), label("b")];
    let mut writer = Writer::new(file.as_file_mut(), 1_000_000_000, &ports).unwrap();
    for item in items() {
        match item {
            Item::Chunk(chunk) => writer.chunk(&chunk).unwrap(),
            Item::Input(input) => writer.input(&input).unwrap(),
        }
    }
    file
}

fn items() -> Vec<Item> {
    let chunk = |port, line_ns: u64, bytes: &[u8]| {
        Item::Chunk(Chunk {
            port,
            at: Stamp {
                line_ns,
                wall_ns: 1_000_000_000 + line_ns as i64,
            },
            bytes: bytes.to_vec(),
            marks: vec![Mark {
                index: 0,
                errors: LineErrors::PARITY,
            }],
        })
    };
    let tick = Input {
        line_ns: 20_000_000,
        kind: InputKind::Tick,
        data: "null".into(),
    };
    vec![
        chunk(0, 5, b"a"),
        chunk(1, 10_000_005, b"b"),
        Item::Input(tick),
        chunk(0, 30_000_000, b"c"),
    ]
}

#[tokio::test]
async fn a_capture_gives_the_same_at_any_speed() {
    let file = recorded();
    for speed in [Speed::Recorded, Speed::Max] {
        let mut replay = Replay::open(file.path(), speed).unwrap();
        let began = std::time::Instant::now();
        let mut got = Vec::new();
        while let Some(item) = replay.next_item().await.unwrap() {
            if let Item::Input(input) = &item {
                let Stamp { line_ns, wall_ns } = replay.stamp(input);
                assert_eq!((line_ns, wall_ns), (19_999_995, 1_020_000_000));
            }
            got.push(item);
        }
        // The first packet of this capture is a chunk: time begins with it.
        let mut expected = items();
        for item in &mut expected {
            match item {
                Item::Chunk(chunk) => chunk.at.line_ns -= 5,
                Item::Input(input) => input.line_ns -= 5,
            }
        }
        assert_eq!(got, expected);
        if speed == Speed::Recorded {
            assert!(began.elapsed() >= Duration::from_millis(29));
        }
    }
}

#[tokio::test]
async fn a_replay_that_is_interrupted_loses_nothing() {
    let file = recorded();
    let mut replay = Replay::open(file.path(), Speed::Recorded).unwrap();
    let mut got = Vec::new();
    loop {
        match timeout(Duration::from_millis(1), replay.next_item()).await {
            Ok(Ok(Some(item))) => got.push(item),
            Ok(Ok(None)) => break,
            Ok(Err(error)) => panic!("{error}"),
            Err(_) => {}
        }
    }
    assert_eq!(got.len(), 4);
}

#[tokio::test]
async fn plain_bytes_have_the_times_of_their_rate() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"abc").unwrap();
    let mut replay = Replay::open_raw(file.path(), 9600, Speed::Max).unwrap();
    let mut times = Vec::new();
    while let Some(Item::Chunk(chunk)) = replay.next_item().await.unwrap() {
        times.push((chunk.at.line_ns, chunk.bytes));
    }
    let expected = [
        (1_041_666, b"a".to_vec()),
        (2_083_333, b"b".to_vec()),
        (3_125_000, b"c".to_vec()),
    ];
    assert_eq!(times, expected);
}

#[tokio::test]
async fn what_cannot_be_replayed_says_which_file_and_why() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"plain bytes").unwrap();
    let error = Replay::open(file.path(), Speed::Max)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&file.path().display().to_string()),
        "{error}"
    );
    assert!(error.contains("--raw --baud"), "{error}");
}
