//! A line on its ports: one task that reads, computes and hands over, and the thread it lives on.
//!
//! Each line has a current-thread runtime of its own. Nothing else runs there, so what another line
//! or a slow browser does can't come between a byte and its record.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use retrotap_adapters::framing::SerialSettings;
use retrotap_host::ParamValue;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::shadow::Tap;
use super::{ApplyError, Hands, Input, Line, Oracle, Output, Parameter, Recording, Swap};
use crate::capture::{Input as Captured, InputKind};
use crate::cell::separation::Rules;
use crate::config::limits::{
    CLOCK_ASKED_EVERY_NS, LINE_RESTART_PAUSE_MAX, LINE_RESTART_PAUSE_MIN, LINE_TURN_EVERY,
    TICK_EVERY,
};
use crate::gauge::Gauge;
use crate::port::{Access, Happened, Keeper, LineClock, PortError, PortSpec, clock_state, first};
use crate::spool::Intake;
use crate::words::{Chunk, ClockState, LineState, RawInput, Stamp};

const TICK_NS: u64 = TICK_EVERY.as_nanos() as u64;

/// What a line needs to live, besides itself.
#[derive(Debug)]
pub struct Live {
    /// The machine's name, for messages.
    pub machine: Arc<str>,
    /// One port, or the two of a tapped dialogue.
    pub ports: Vec<PortSpec>,
    /// Their settings.
    pub serial: SerialSettings,
    /// Changes from outside; the line lives on when nobody is left to send any.
    pub inputs: mpsc::Receiver<Input>,
    /// What is asked of it, and answered.
    pub asked: mpsc::Receiver<Asked>,
    /// A module that has yet to show that it behaves.
    pub probation: Option<Probation>,
    /// Whoever computes beside it what it computes.
    pub tap: Option<Tap>,
    /// Where frames and records go.
    pub intake: Intake,
    /// Whether raw frames leave as well.
    pub send_frames: bool,
    /// What the line begins with, each time that it does: the lake learns it, so that what comes after
    /// can be computed again. A capture has it already.
    pub beginning: Vec<Captured>,
    /// What it knows then besides its modules: its cell's rules and what stands there.
    pub first: Vec<Input>,
    /// What it does about its cell.
    pub hands: Hands,
    /// Where chunks and inputs are written down, if they are.
    pub recording: Option<Recording>,
    /// Where tests see each record before the spool does.
    pub oracle: Option<Oracle>,
    /// The line's time.
    pub clock: LineClock,
}

/// What a line is asked, and answers.
#[derive(Debug)]
pub enum Asked {
    /// Put another version in between two frames.
    Swap {
        /// Which.
        to: Swap,
        /// What becomes of it if it misbehaves; `None`: what becomes of any module.
        probation: Option<Probation>,
        /// What came of it.
        answer: oneshot::Sender<Result<Swapped, ApplyError>>,
    },
    /// Let somebody see all that comes in from now on.
    Watch(Tap),
    /// Judge the robot with other values from now on: with all of them, or with none.
    Separation {
        /// With which.
        with: Values,
        /// With which it was judged before. Nothing is changed for who doesn't wait any more.
        answer: oneshot::Sender<Result<Values, ApplyError>>,
    },
}

/// What a robot is judged with, or the part of it that changes.
#[derive(Debug, Clone, Default)]
pub struct Values {
    /// Parameters by name, of the stage that its separation comes from.
    pub parameters: Vec<(String, ParamValue)>,
    /// The rules.
    pub rules: Option<Rules>,
}

/// A version was put in.
#[derive(Debug, Clone, Copy)]
pub struct Swapped {
    /// When.
    pub at: Stamp,
    /// The last frame that the version before it saw.
    pub frame: u64,
}

/// A module that is taken back if it is put aside for its strikes before its time is over.
#[derive(Debug)]
pub struct Probation {
    /// Until when, in line time.
    pub until_ns: u64,
    /// What ran before.
    pub back: Swap,
    /// Told if it is taken back; dropped if its time is over.
    pub fate: oneshot::Sender<Returned>,
}

/// A module was taken back.
#[derive(Debug, Clone)]
pub struct Returned {
    /// When.
    pub at: Stamp,
    /// What it did.
    pub why: String,
}

/// Gives the line a thread, and begins it again, with more and more patience, when it panics. `make`
/// builds a fresh line each time; what it learnt from earlier frames is lost then, and nothing else.
///
/// # Errors
///
/// The system has no thread left.
pub fn supervise(
    mut live: Live,
    mut make: impl FnMut() -> Result<Line, String> + Send + 'static,
    gauge: Gauge,
    shutdown: CancellationToken,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(format!("line {}", live.machine)).spawn(move || {
        let mut pause = LINE_RESTART_PAUSE_MIN;
        loop {
            let began = std::time::Instant::now();
            let ended = catch_unwind(AssertUnwindSafe(|| -> Result<(), String> {
                let mut line = make()?;
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|error| format!("no runtime: {error}"))?
                    .block_on(run(&mut line, &mut live, &shutdown));
                Ok(())
            }));
            let why = match ended {
                Ok(Ok(())) => return,
                Ok(Err(why)) => why,
                Err(_) => "a fault in Retrotap itself; the log has its place".to_owned(),
            };
            if began.elapsed() > LINE_RESTART_PAUSE_MAX {
                pause = LINE_RESTART_PAUSE_MIN;
            }
            tracing::error!(machine = %live.machine, why, ?pause, "the line stopped and begins again");
            gauge.set(LineState::Failed, &why, live.clock.now().wall_ns);
            if !rest(pause, &gauge, &shutdown) {
                return;
            }
            pause = (pause * 2).min(LINE_RESTART_PAUSE_MAX);
        }
    })
}

/// Sleeps between two tries, in steps, because a thread that waits to try again doesn't hang. False:
/// there is to be no other try.
fn rest(pause: Duration, gauge: &Gauge, shutdown: &CancellationToken) -> bool {
    let until = std::time::Instant::now() + pause;
    loop {
        gauge.turn();
        if shutdown.is_cancelled() {
            return false;
        }
        let left = until.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(LINE_TURN_EVERY));
    }
}

/// Runs the line until `shutdown`. Ports that go away are looked for until they are back.
pub async fn run(line: &mut Line, live: &mut Live, shutdown: &CancellationToken) {
    let clock = live.clock;
    // What a line that panicked left behind would keep its port in use.
    live.hands.port(None);
    // Bytes go out on a machine's first port; a second one only listens to the other direction.
    let mut access = Some(live.hands.access());
    let mut ports: Vec<Keeper> = (0..)
        .zip(&live.ports)
        .map(|(index, spec)| {
            let access = access.take().unwrap_or(Access::Read);
            Keeper::new(spec.clone(), live.serial, index, clock, access)
        })
        .collect();
    let mut watch = Watch::new(line, clock);
    let (mut inputs_open, mut asked_open) = (true, true);
    for input in &live.beginning {
        send(live, clock.now(), watch.clock_state, input);
    }
    for input in live.first.clone() {
        take(line, live, &input, &watch);
    }

    loop {
        watch.gauge.turn();
        let wake = watch.wake(line, &live.hands);
        tokio::select! {
            // A frame that is there goes before everything else.
            biased;
            happened = first(&mut ports) => match happened {
                Happened::Read(chunk) => {
                    let at = chunk.at;
                    watch.bytes(chunk);
                    line.receive(chunk, &mut hand_over(live, &watch));
                    if let Some(recording) = &live.recording {
                        recording.chunk(chunk);
                    }
                    check_latency(line, live, &mut watch, at.line_ns);
                }
                Happened::Opened => {
                    watch.opened();
                    live.hands.port(ports.first().and_then(Keeper::outlet));
                }
                Happened::Away(error) => {
                    let at = clock.now();
                    live.hands.port(ports.first().and_then(Keeper::outlet));
                    if matches!(error, PortError::Gone { .. }) {
                        line.disconnected(at, &mut hand_over(live, &watch));
                        note_reset(live, at, watch.clock_state, &error);
                    }
                    watch.away(&live.machine, &error, at);
                }
            },
            input = live.inputs.recv(), if inputs_open => match input {
                Some(input) => take(line, live, &input, &watch),
                None => inputs_open = false,
            },
            asked = live.asked.recv(), if asked_open => match asked {
                Some(asked) => answer(line, live, asked, &watch),
                None => asked_open = false,
            },
            () = sleep_until(wake) => {
                let due_ns = line.judge_due_ns();
                let (at, mut changed) = (clock.now(), false);
                {
                    let mut sink = hand_over(live, &watch);
                    line.idle(at, &mut |output| {
                        changed |= matches!(&output, Output::Judged(judged) if judged.was.is_some());
                        sink(output);
                    });
                }
                if changed {
                    note_tick(live, at, watch.clock_state);
                }
                if let Some(due_ns) = due_ns.filter(|due_ns| *due_ns <= at.line_ns) {
                    check_latency(line, live, &mut watch, due_ns);
                }
            }
            () = shutdown.cancelled() => {
                if line.is_judged() {
                    // A replay judges up to here, as this line did.
                    let at = clock.now();
                    line.idle(at, &mut hand_over(live, &watch));
                    note_tick(live, at, watch.clock_state);
                }
                return;
            }
        }
        live.hands.act(clock.now().line_ns);
        look_after(line, live, &watch);
        watch.look(line, &live.machine);
    }
}

/// What came at that line time has been judged and acted upon by now: if that took longer than the
/// rules allow, the separation was computed with a reaction time that doesn't hold.
fn check_latency(line: &mut Line, live: &mut Live, watch: &mut Watch, since_ns: u64) {
    let Some(latency_max_ns) = line.gateway_latency_ns() else {
        return;
    };
    let now_ns = live.clock.now().line_ns;
    let took_ns = now_ns.saturating_sub(since_ns);
    // Said once a tick at most: it is an input, and a busy computer must not be kept busy by it.
    let said = watch
        .late_ns
        .is_some_and(|late_ns| now_ns < late_ns + TICK_NS);
    if took_ns > latency_max_ns && !said {
        watch.late_ns = Some(now_ns);
        take(line, live, &Input::Late(took_ns as f64 / 1e9), watch);
    }
}

/// From the line to the hands and the spool. Full is counted, here and there, and told by a `gap`
/// record.
fn hand_over<'a>(live: &'a mut Live, watch: &'a Watch) -> impl FnMut(Output<'_>) + 'a {
    let clock = watch.clock_state;
    move |output| {
        let record = match output {
            Output::Judged(judged) => {
                let (state, at_ns) = (judged.state, judged.at.line_ns);
                live.hands.judged(state, at_ns, live.clock.now().line_ns);
                judged.to_record(clock)
            }
            Output::Frame(frame) => {
                if live.send_frames {
                    live.intake.frame(frame.to_raw(clock));
                }
                if let Some(tap) = &live.tap {
                    tap.frame(&frame);
                }
                None
            }
            Output::Record(record) => Some(record.to_record(clock)),
        };
        let Some(record) = record else { return };
        if let Some(oracle) = &live.oracle {
            oracle.record(&record);
        }
        if !live.intake.record(record) {
            watch.gauge.dropped(1);
        }
    }
}

/// Applies an input that nobody waits for.
fn take(line: &mut Line, live: &mut Live, input: &Input, watch: &Watch) {
    if let Err(error) = apply(line, live, input, watch) {
        tracing::warn!(machine = %live.machine, %error, "an input was refused; nothing changed");
    }
}

/// Does what somebody asks, between two frames.
fn answer(line: &mut Line, live: &mut Live, asked: Asked, watch: &Watch) {
    match asked {
        Asked::Swap {
            to,
            probation,
            answer,
        } => {
            let frame = watch.gauge.frames();
            let swapped = apply(line, live, &Input::Module(to), watch);
            if swapped.is_ok() {
                // What was on probation before isn't there any more.
                live.probation = probation;
            }
            // Who asked may have gone.
            let _ = answer.send(swapped.map(|at| Swapped { at, frame }));
        }
        Asked::Watch(tap) => {
            let at = live.clock.now();
            for input in &live.first {
                tap.input(input, at);
            }
            live.tap = Some(tap);
        }
        Asked::Separation { with, answer } => {
            if !answer.is_closed() {
                let _ = answer.send(judge_with(line, live, with, watch));
            }
        }
    }
}

/// Applies all values, or none; gives those before.
fn judge_with(
    line: &mut Line,
    live: &mut Live,
    with: Values,
    watch: &Watch,
) -> Result<Values, ApplyError> {
    let stage = line
        .separation_stage()
        .ok_or(ApplyError::NoSeparation)?
        .to_owned();
    let parameter = |(name, value): (String, ParamValue)| {
        let stage = stage.clone();
        Input::Parameter(Parameter { stage, name, value })
    };
    let mut before = Values::default();
    for (name, value) in with.parameters {
        let was = line.parameter(&stage, &name);
        if let Err(error) = apply(line, live, &parameter((name.clone(), value)), watch) {
            for was in before.parameters.into_iter().rev() {
                take(line, live, &parameter(was), watch);
            }
            return Err(error);
        }
        before.parameters.extend(was.map(|was| (name, was)));
    }
    if let Some(rules) = with.rules {
        before.rules = line.rules().cloned();
        // A line that is judged takes any rules.
        apply(line, live, &Input::Rules(rules), watch)?;
    }
    Ok(before)
}

/// Takes back a module that was put aside while on probation, and lets go what is over.
fn look_after(line: &mut Line, live: &mut Live, watch: &Watch) {
    if live.tap.as_ref().is_some_and(Tap::is_over) {
        live.tap = None;
    }
    let Some(probation) = &live.probation else {
        return;
    };
    let stage = &probation.back.stage;
    if line.set_aside() != Some(stage.as_str()) {
        if live.clock.now().line_ns >= probation.until_ns {
            live.probation = None;
        }
        return;
    }
    let why = match line.last_strike(stage) {
        Some(strike) => strike.to_string(),
        None => "it was put aside".to_owned(),
    };
    let Some(Probation { back, fate, .. }) = live.probation.take() else {
        return;
    };
    let (stage, module) = (back.stage.clone(), back.module.clone());
    tracing::error!(machine = %live.machine, stage, why, "a module misbehaved; {module} runs again");
    match apply(line, live, &Input::Module(back), watch) {
        Ok(at) => {
            // Who deployed it may have gone.
            let _ = fate.send(Returned { at, why });
        }
        Err(error) => {
            tracing::error!(machine = %live.machine, %error, "it can't be put in");
        }
    }
}

fn apply(
    line: &mut Line,
    live: &mut Live,
    input: &Input,
    watch: &Watch,
) -> Result<Stamp, ApplyError> {
    let at = live.clock.now();
    line.apply(input, at, &mut hand_over(live, watch))?;
    if let Some(tap) = &live.tap {
        tap.input(input, at);
    }
    // A line that begins again begins with it.
    live.first.retain(|known| !input.replaces(known));
    if input.lasts() {
        live.first.push(input.clone());
    }
    match input.to_captured(at.line_ns) {
        Ok(captured) => note(live, at, watch.clock_state, captured),
        Err(error) => tracing::warn!(machine = %live.machine, %error, "not written down"),
    }
    Ok(at)
}

/// What decisions depend on besides bytes goes where frames go: into the capture and to the lake.
fn note(live: &Live, at: Stamp, clock: ClockState, input: Captured) {
    send(live, at, clock, &input);
    if let Some(recording) = &live.recording {
        recording.input(input);
    }
}

fn send(live: &Live, at: Stamp, clock: ClockState, input: &Captured) {
    live.intake.input(RawInput {
        at,
        clock,
        kind: Arc::from(input.kind.name()),
        data: input.data.clone(),
    });
}

fn note_reset(live: &Live, at: Stamp, clock: ClockState, error: &PortError) {
    if let Ok(captured) = Captured::new(at.line_ns, InputKind::Reset, &error.to_string()) {
        note(live, at, clock, captured);
    }
}

fn note_tick(live: &Live, at: Stamp, clock: ClockState) {
    if let Ok(captured) = Input::Tick.to_captured(at.line_ns) {
        note(live, at, clock, captured);
    }
}

/// Watches over the age of what comes in, and says it in the gauge.
struct Watch {
    clock: LineClock,
    clock_state: ClockState,
    clock_asked_ns: u64,
    gauge: Gauge,
    stale_after_ns: u64,
    frames_seen: u64,
    /// When the last frame came, or the port was opened.
    fresh_ns: u64,
    bytes_since: u64,
    away: bool,
    /// When the gateway was said to be late.
    late_ns: Option<u64>,
    /// What the gauge was told last: telling takes a lock, and most frames change nothing.
    told: (LineState, &'static str),
}

impl Watch {
    fn new(line: &Line, clock: LineClock) -> Self {
        let now = clock.now();
        let gauge = line.gauge();
        gauge.set(LineState::Starting, "", now.wall_ns);
        Self {
            clock,
            clock_state: clock_state(),
            clock_asked_ns: now.line_ns,
            frames_seen: gauge.frames(),
            gauge,
            stale_after_ns: line.stale_after_ns(),
            fresh_ns: now.line_ns,
            bytes_since: 0,
            away: true,
            late_ns: None,
            told: (LineState::Starting, ""),
        }
    }

    /// When the line has to look up even if nothing comes, were it only to show that it can.
    fn wake(&self, line: &Line, hands: &Hands) -> Instant {
        let silent_ns = self.fresh_ns.saturating_add(self.stale_after_ns);
        let now_ns = self.clock.now().line_ns;
        // Once it is silent there is nothing to find out until the next byte.
        let silent_ns = Some(silent_ns).filter(|silent_ns| *silent_ns >= now_ns);
        let due = [line.idle_at_ns(), hands.due_ns(now_ns), silent_ns];
        let at_ns = due.into_iter().flatten().min().unwrap_or(u64::MAX);
        let ahead = Duration::from_nanos(at_ns.saturating_sub(now_ns));
        Instant::now() + ahead.min(LINE_TURN_EVERY) + Duration::from_millis(1)
    }

    fn bytes(&mut self, chunk: &Chunk) {
        self.bytes_since += chunk.bytes.len() as u64;
    }

    fn opened(&mut self) {
        let now = self.clock.now();
        self.away = false;
        self.fresh_ns = now.line_ns;
        self.bytes_since = 0;
        self.tell(LineState::Starting, "", now);
    }

    fn away(&mut self, machine: &str, error: &PortError, at: Stamp) {
        if !self.away {
            tracing::warn!(machine, %error, "the port went away");
        }
        self.away = true;
        self.told = (LineState::Disconnected, "");
        self.gauge
            .set(LineState::Disconnected, &error.to_string(), at.wall_ns);
    }

    fn tell(&mut self, state: LineState, detail: &'static str, at: Stamp) {
        if self.told != (state, detail) {
            self.told = (state, detail);
            self.gauge.set(state, detail, at.wall_ns);
        }
    }

    /// Says what the line is doing, after each thing that happened.
    fn look(&mut self, line: &Line, machine: &str) {
        let now = self.clock.now();
        if now.line_ns - self.clock_asked_ns > CLOCK_ASKED_EVERY_NS {
            self.clock_asked_ns = now.line_ns;
            self.clock_state = clock_state();
        }
        if self.away {
            return;
        }
        let frames = self.gauge.frames();
        if frames > self.frames_seen {
            self.frames_seen = frames;
            self.fresh_ns = now.line_ns;
            self.bytes_since = 0;
            match line.set_aside() {
                Some(stage) if self.told.0 != LineState::Failed => {
                    self.told = (LineState::Failed, "");
                    let why = format!(
                        "stage {stage} misbehaved too often and was put aside: nothing leaves this \
                         line; mend the stage and start again"
                    );
                    tracing::error!(machine, "{why}");
                    self.gauge.set(LineState::Failed, &why, now.wall_ns);
                }
                Some(_) => {}
                None => self.tell(LineState::Running, "", now),
            }
        } else if now.line_ns.saturating_sub(self.fresh_ns) > self.stale_after_ns {
            let detail = if self.bytes_since > 0 {
                "bytes come in, but no frame: check baud rate, parity and adapter"
            } else {
                "no bytes come in: check the cable and that the machine sends"
            };
            self.tell(LineState::Silent, detail, now);
        }
    }
}
