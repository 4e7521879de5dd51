//! The gateway as a service: what the service manager hears, and what it keeps from one process to the
//! next. The manager is ours, the socket and the descriptors are real.

use std::path::Path;
use std::time::{Duration, Instant};

use retrotap::port::pty::Pty;
use retrotap::simulate::krc2::AXES;
use retrotap_tests::gateway::Gateway;
use retrotap_tests::manager::Manager;
use retrotap_tests::robot::{bytes, way};

/// How long the manager waits to be fed; short, so that a test sees it run out.
const WATCHDOG: Duration = Duration::from_secs(4);

fn settings(ports: &[&Path]) -> String {
    let mut text =
        "site: test\ngateway: test\nallow_unsigned: true\nspool: {path: spool}\nmachines:\n"
            .to_owned();
    for (number, port) in (1..).zip(ports) {
        let port = port.display();
        text += &format!("  - {{id: robot-{number}, adapter: kuka-krc2, port: {port}}}\n");
    }
    text
}

fn start(folder: &Path, settings: &str, manager: &Manager) -> Gateway {
    Gateway::start_as(folder, settings, &[], |command| manager.service(&command))
}

fn count(heard: &[String], what: &str) -> usize {
    heard
        .iter()
        .flat_map(|message| message.lines())
        .filter(|line| *line == what)
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_once_and_fed_while_nothing_happens_on_any_line() {
    let folder = tempfile::tempdir().expect("a folder");
    // One machine says nothing, and the other one's port isn't there.
    let (silent, missing) = (Pty::open().expect("a pty"), folder.path().join("missing"));
    let mut manager = Manager::new(folder.path(), WATCHDOG);
    let mut gateway = start(
        folder.path(),
        &settings(&[silent.path(), &missing]),
        &manager,
    );

    let mut heard = manager.hear_until("WATCHDOG=1");
    let first = heard
        .iter()
        .flat_map(|message| message.lines())
        .find(|line| !line.starts_with("FD"));
    assert_eq!(first, Some("READY=1"), "{heard:?}");
    for _ in 0..4 {
        let fed_at = Instant::now();
        heard.extend(manager.hear_until("WATCHDOG=1"));
        assert!(fed_at.elapsed() < WATCHDOG, "too late: {heard:?}");
    }
    assert_eq!(count(&heard, "READY=1"), 1, "{heard:?}");
    let line = "STATUS=0 of 2 machines running, robot-1 silent, robot-2 disconnected; no uplink";
    assert_eq!(count(&heard, line), 1, "{heard:?}");

    assert_eq!(gateway.terminate(), Some(0));
    let heard = manager.hear_for(Duration::from_millis(100));
    assert_eq!(count(&heard, "STOPPING=1"), 1, "{heard:?}");
    let after = heard
        .iter()
        .position(|message| message.contains("STOPPING=1"));
    let after = after.map_or(&heard[..], |at| &heard[at..]);
    assert_eq!(
        count(after, "WATCHDOG=1"),
        0,
        "fed while it stops: {heard:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_line_that_hangs_ends_the_feeding_and_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let ptys = [Pty::open().expect("a pty"), Pty::open().expect("a pty")];
    let mut manager = Manager::new(folder.path(), WATCHDOG);
    let settings = settings(&ptys.each_ref().map(Pty::path));
    let gateway = start(folder.path(), &settings, &manager);
    manager.hear_until("WATCHDOG=1");

    // The tracer is a thread, and only that thread may let it go again.
    let manager = tokio::task::spawn_blocking(move || {
        let held = held::Thread::of(gateway.process(), "line robot-2");
        let mut heard = manager.hear_until("robot-2 hangs");
        heard.extend(manager.hear_for(WATCHDOG));
        // One may have been due just before it was held.
        assert!(count(&heard, "WATCHDOG=1") <= 1, "{heard:?}");
        assert!(
            gateway.log().contains("the line hangs"),
            "{}",
            gateway.log()
        );
        // The page, and the other line, live on meanwhile.
        assert!(gateway.status()["machines"].is_array());
        drop(held);
        manager.hear_until("WATCHDOG=1");
        manager.hear_until("robot-2 silent");
        manager
    });
    manager.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_machine_says_while_no_gateway_runs_is_read_by_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let pty = Pty::open().expect("a pty");
    let settings = settings(&[pty.path()]);
    let mut manager = Manager::new(folder.path(), WATCHDOG);
    let frames = |cycles: usize| (cycles * AXES) as u64;
    let cycles = way(1, 0, 24);

    let gateway = start(folder.path(), &settings, &manager);
    manager.hear_until("FDSTORE=1");
    pty.send_all(&bytes(&cycles[..8])).await.expect("sent");
    has_frames(&gateway, frames(8)).await;
    // Killed, as `kill -9` does it: nothing is told, nothing is closed in order.
    drop(gateway);
    pty.send_all(&bytes(&cycles[8..16])).await.expect("sent");

    let gateway = start(folder.path(), &settings, &manager);
    has_frames(&gateway, frames(8)).await;
    let machine = gateway.machine("robot-1");
    assert!(
        machine["skipped_bytes"]
            .as_object()
            .is_some_and(|skipped| skipped.is_empty()),
        "{machine}"
    );
    assert!(gateway.log().contains("taken over"), "{}", gateway.log());
    drop(gateway);

    // Without what was kept, nobody knows when those bytes came, and they are thrown away.
    manager.forget();
    pty.send_all(&bytes(&cycles[16..20])).await.expect("sent");
    let gateway = start(folder.path(), &settings, &manager);
    gateway.reaches("robot-1", "silent").await;
    pty.send_all(&bytes(&cycles[20..])).await.expect("sent");
    has_frames(&gateway, frames(4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_was_unplugged_is_let_go_and_kept_again_when_it_is_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let link = folder.path().join("port");
    let pty = Pty::open_linked(&link).expect("a pty");
    let mut manager = Manager::new(folder.path(), WATCHDOG);
    let gateway = start(folder.path(), &settings(&[&link]), &manager);
    manager.hear_until("FDSTORE=1");
    let first = manager.kept().join(" ");
    drop(pty);
    let heard = manager.hear_until("FDSTOREREMOVE=1");
    assert!(
        heard.last().is_some_and(|said| said.contains(&first)),
        "{heard:?}"
    );
    assert!(manager.kept().is_empty());

    let pty = Pty::open_linked(&link).expect("a pty");
    manager.hear_until("FDSTORE=1");
    assert_eq!(manager.kept().len(), 1);
    pty.send_all(&bytes(&way(1, 0, 4))).await.expect("sent");
    has_frames(&gateway, 4 * AXES as u64).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_settings_name_no_more_is_not_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let (old, new) = (Pty::open().expect("a pty"), Pty::open().expect("a pty"));
    let mut manager = Manager::new(folder.path(), WATCHDOG);
    let gateway = start(folder.path(), &settings(&[old.path()]), &manager);
    manager.hear_until("FDSTORE=1");
    let first = manager.kept().join(" ");
    drop(gateway);

    let _gateway = start(folder.path(), &settings(&[new.path()]), &manager);
    manager.hear_until(&format!("FDSTOREREMOVE=1\nFDNAME={first}"));
    manager.hear_until("FDSTORE=1");
    assert_eq!(manager.kept().len(), 1);
    assert_ne!(manager.kept(), [first]);
}

async fn has_frames(gateway: &Gateway, frames: u64) {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let machine = gateway.machine("robot-1");
        let has = machine["frames"].as_u64().unwrap_or_default();
        if has == frames {
            return;
        }
        let may_come = has < frames && Instant::now() < until;
        assert!(
            may_come,
            "{has} frames and not {frames}: {machine} {}",
            gateway.log()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Holds one thread of another process, as a debugger does, and nothing else of it.
mod held {
    use std::fs;
    use std::ptr::null_mut;

    pub struct Thread(libc::pid_t);

    impl Thread {
        pub fn of(process: u32, name: &str) -> Self {
            let threads = fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
            let number = threads
                .map(|thread| thread.expect("an entry").path())
                .find(|thread| {
                    fs::read_to_string(thread.join("comm")).is_ok_and(|comm| comm.trim() == name)
                })
                .and_then(|thread| thread.file_name()?.to_str()?.parse().ok())
                .expect("the line's thread");
            request(libc::PTRACE_SEIZE, number);
            request(libc::PTRACE_INTERRUPT, number);
            let mut status = 0;
            // SAFETY: waits for the thread to stand still; `status` outlives the call.
            #[allow(unsafe_code)]
            let stopped = unsafe { libc::waitpid(number, &raw mut status, libc::__WALL) };
            assert_eq!(stopped, number);
            Self(number)
        }
    }

    impl Drop for Thread {
        fn drop(&mut self) {
            request(libc::PTRACE_DETACH, self.0);
        }
    }

    #[allow(unsafe_code)]
    fn request(what: libc::c_uint, thread: libc::pid_t) {
        let nothing = null_mut::<libc::c_void>();
        // SAFETY: none of the three requests reads or writes memory of this process.
        let answer = unsafe { libc::ptrace(what, thread, nothing, nothing) };
        assert_eq!(answer, 0, "{}", std::io::Error::last_os_error());
    }
}
