//! The servers that other tests lean on do what those tests believe of them.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use retrotap_tests::kafka::Kafka;
use retrotap_tests::proxy::{Cut, Mode, Proxy, Ways};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(5);
const A_WHILE: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread")]
async fn kafka_keeps_what_it_took_through_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut kafka = Kafka::start(folder.path());
    kafka.create_topic("records", 2).await;
    assert_eq!(kafka.read("records"), Vec::new());
    assert_eq!(kafka.read("no-such-topic"), Vec::new());
    let payloads: Vec<String> = (0..1000)
        .map(|number| format!("payload {number}"))
        .collect();
    let messages = |key: &'static str| {
        let payloads = payloads.iter();
        payloads.map(move |payload| (key, payload.as_bytes()))
    };
    kafka.publish("records", messages("a"));
    kafka.publish("records", messages("b"));
    kafka.kill();
    assert!(!kafka.answers());
    kafka.restart();
    let found = kafka.read("records");
    for key in ["a", "b"] {
        let of_key = found.iter().filter(|message| message.key == key);
        let texts: Vec<&str> = of_key.map(|message| message.text()).collect();
        assert_eq!(texts, payloads, "{key}");
    }
    assert_eq!(found.len(), 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_kafka_stays_behind_its_proxy() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = retrotap_tests::ports::free_port();
    let kafka = Kafka::start_behind(folder.path(), &[port]);
    let proxy = Proxy::start_at(port, kafka.behind(0));
    kafka.create_topic("records", 1).await;
    let address = format!("127.0.0.1:{port}");
    let producer: rdkafka::producer::BaseProducer = kafka.client(&[
        ("bootstrap.servers", &address),
        ("message.timeout.ms", "1500"),
    ]);
    let publish = || {
        use rdkafka::producer::{BaseRecord, Producer};
        let record = BaseRecord::<str, str>::to("records").payload("x");
        producer.send(record).expect("there is room");
        let _ = producer.flush(Duration::from_secs(3));
        kafka.read("records").len()
    };
    assert_eq!(publish(), 1);
    proxy.set(Mode::BlackHole(Ways::Both));
    assert_eq!(publish(), 1);
    assert!(proxy.counts().bytes_up > 0);
}

/// A server that sends everything back.
async fn echo() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    port
}

async fn connect(proxy: &Proxy) -> std::io::Result<TcpStream> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).await
}

/// What comes back, `None` for nothing within a while, an error where the connection is reset.
async fn said(stream: &mut TcpStream, what: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
    stream.write_all(what).await?;
    let mut answer = vec![0; what.len()];
    match timeout(A_WHILE, stream.read_exact(&mut answer)).await {
        Ok(read) => read.map(|_| Some(answer)),
        Err(_) => Ok(None),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_passes_and_cuts() {
    let proxy = Proxy::start(echo().await);
    let mut one = connect(&proxy).await.expect("it listens");
    assert_eq!(
        said(&mut one, b"hello").await.expect("passes"),
        Some(b"hello".to_vec())
    );
    proxy.cut(Cut::Reset);
    let ended = timeout(SOON, one.read(&mut [0; 8])).await.expect("soon");
    assert_eq!(
        ended.expect_err("a reset").kind(),
        std::io::ErrorKind::ConnectionReset
    );
    let mut two = connect(&proxy).await.expect("it still listens");
    assert_eq!(
        said(&mut two, b"again").await.expect("passes"),
        Some(b"again".to_vec())
    );
    proxy.cut(Cut::Close);
    let ended = timeout(SOON, two.read(&mut [0; 8])).await.expect("soon");
    assert_eq!(ended.expect("the end of the stream"), 0);
    assert_eq!(
        (proxy.counts().connections, proxy.counts().bytes_up),
        (2, 10)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_refuses_and_comes_back() {
    let proxy = Proxy::start(echo().await);
    let mut before = connect(&proxy).await.expect("it listens");
    assert!(said(&mut before, b"x").await.expect("passes").is_some());
    proxy.set(Mode::Refuse);
    let ended = timeout(SOON, before.read(&mut [0; 8])).await.expect("soon");
    assert!(ended.is_err());
    // The listener goes a moment after the connections.
    let began = Instant::now();
    while connect(&proxy).await.is_ok() {
        assert!(began.elapsed() < SOON);
    }
    proxy.set(Mode::Pass);
    let began = Instant::now();
    let mut after = loop {
        match connect(&proxy).await {
            Ok(stream) => break stream,
            Err(error) => assert!(began.elapsed() < SOON, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(said(&mut after, b"x").await.expect("passes").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fell_into_a_black_hole_is_never_passed_on_in_part() {
    for ways in [Ways::Up, Ways::Down, Ways::Both] {
        let proxy = Proxy::start(echo().await);
        let mut old = connect(&proxy).await.expect("it listens");
        let mut idle = connect(&proxy).await.expect("it listens");
        assert!(said(&mut old, b"x").await.expect("passes").is_some());
        assert!(said(&mut idle, b"x").await.expect("passes").is_some());
        proxy.set(Mode::BlackHole(ways));
        assert_eq!(said(&mut old, b"lost").await.expect("no reset"), None);
        let mut new = connect(&proxy).await.expect("it listens");
        assert_eq!(said(&mut new, b"lost").await.expect("no reset"), None);
        assert_eq!(proxy.counts().bytes_swallowed, 8, "{ways:?}");
        proxy.set(Mode::Pass);
        // With a hole in it a connection is over; one that lost nothing goes on.
        for stream in [&mut old, &mut new] {
            let ended = timeout(SOON, stream.read(&mut [0; 8])).await.expect("soon");
            assert!(ended.is_err(), "{ways:?}");
        }
        assert!(
            said(&mut idle, b"y").await.expect("passes").is_some(),
            "{ways:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_proxy_takes_its_time() {
    let proxy = Proxy::start(echo().await);
    proxy.set(Mode::Slow {
        bytes_per_s: 10_000,
    });
    let mut stream = connect(&proxy).await.expect("it listens");
    let began = Instant::now();
    stream.write_all(&[7; 5_000]).await.expect("passes");
    let mut back = vec![0; 5_000];
    timeout(SOON, stream.read_exact(&mut back))
        .await
        .expect("soon")
        .expect("passes");
    // Both ways overlap, and the last part needs no pause after it.
    assert!(
        began.elapsed() > Duration::from_millis(400),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(back, [7; 5_000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_before_nothing_resets() {
    let proxy = Proxy::start(retrotap_tests::ports::free_port());
    // The reset may be there before the connection counts as made.
    if let Ok(mut stream) = connect(&proxy).await {
        let ended = timeout(SOON, stream.read(&mut [0; 8])).await.expect("soon");
        assert!(ended.is_err());
    }
}
