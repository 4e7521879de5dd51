//! The reader that all framings share: it holds bytes until the framing's rule has judged them,
//! watches silences, and says what became of every byte.

use super::delimited::DelimitedRule;
use super::fixed::FixedRule;
use super::held::Held;
use super::idle_gap::IdleGapRule;
use super::length_prefixed::LengthPrefixedRule;
use super::{
    Event, Frame, FramingError, FramingKind, FramingSpec, OnLineError, Received, SkipCause, Step,
};

/// Makes frames out of the bytes of one port.
#[derive(Debug)]
pub struct Framer {
    rule: Rule,
    held: Held,
    held_bytes_max: usize,
    on_line_error: OnLineError,
    /// The silence that ends a frame, or ends the waiting for the rest of one.
    silence_ns: Option<u64>,
    /// When the last byte came, or since when the line is known to have been silent.
    quiet_since_ns: Option<u64>,
    frames: u64,
    blame: Blame,
}

#[derive(Debug)]
enum Rule {
    Fixed(FixedRule),
    Delimited(DelimitedRule),
    LengthPrefixed(LengthPrefixedRule),
    IdleGap(IdleGapRule),
}

/// For how many of the next skipped bytes the cause is known: they belong to a frame that was refused
/// as a whole, and only then looked through for the beginning of another.
#[derive(Debug, Clone, Copy)]
struct Blame {
    bytes: usize,
    cause: SkipCause,
}

impl Framer {
    /// Makes a framer, which takes all the memory that it will ever need.
    ///
    /// # Errors
    /// The first rule that the description breaks; [`FramingSpec::check`] gives all of them.
    pub fn new(spec: &FramingSpec) -> Result<Self, FramingError> {
        if let Some(error) = spec.check().first() {
            return Err(*error);
        }
        let checksum = spec.checksum;
        let (rule, held_bytes_max, silence_ns) = match &spec.kind {
            FramingKind::Fixed(fixed) => {
                let rule = FixedRule::new(&fixed.positions, checksum);
                (
                    Rule::Fixed(rule),
                    2 * fixed.positions.len(),
                    spec.timeout_ns,
                )
            }
            FramingKind::Delimited(delimited) => {
                let rule = DelimitedRule::new(delimited, checksum);
                (
                    Rule::Delimited(rule),
                    delimited.frame_bytes_max,
                    spec.timeout_ns,
                )
            }
            FramingKind::LengthPrefixed(prefixed) => {
                let rule = LengthPrefixedRule::new(prefixed, checksum);
                (
                    Rule::LengthPrefixed(rule),
                    prefixed.frame_bytes_max,
                    spec.timeout_ns,
                )
            }
            FramingKind::IdleGap(idle_gap) => {
                let rule = IdleGapRule::new(idle_gap.frame_bytes_max, checksum);
                (
                    Rule::IdleGap(rule),
                    idle_gap.frame_bytes_max + 1,
                    Some(idle_gap.gap_ns),
                )
            }
        };
        Ok(Self {
            rule,
            held: Held::with_capacity(held_bytes_max),
            held_bytes_max,
            on_line_error: spec.on_line_error,
            silence_ns,
            quiet_since_ns: Some(0),
            frames: 0,
            blame: Blame {
                bytes: 0,
                cause: SkipCause::NoMatch,
            },
        })
    }

    /// Takes the next byte.
    pub fn push(&mut self, received: Received, sink: &mut impl FnMut(Event<'_>)) {
        self.idle(received.t_ns, sink);
        let t_ns = received.t_ns.max(self.quiet_since_ns.unwrap_or_default());
        self.quiet_since_ns = Some(t_ns);
        self.held.push(Received { t_ns, ..received });
        self.look(sink);
    }

    /// Tells that no byte came until `t_ns`. Needed for frames that end by silence and for timeouts;
    /// [`Framer::idle_at_ns`] says when.
    pub fn idle(&mut self, t_ns: u64, sink: &mut impl FnMut(Event<'_>)) {
        let quiet_ns = t_ns.saturating_sub(*self.quiet_since_ns.get_or_insert(t_ns));
        if self
            .silence_ns
            .is_some_and(|silence_ns| quiet_ns >= silence_ns)
        {
            let step = self.rule.silence(self.held.bytes());
            self.apply(step, sink);
        }
    }

    /// When [`Framer::idle`] would have something to say if no byte comes before; `None` where silence
    /// would change nothing.
    #[must_use]
    pub fn idle_at_ns(&self) -> Option<u64> {
        if !self.rule.minds_silence(self.held.bytes()) {
            return None;
        }
        Some(self.quiet_since_ns?.saturating_add(self.silence_ns?))
    }

    /// Drops what is held, because the bytes that follow don't continue it.
    pub fn reset(&mut self, cause: SkipCause, sink: &mut impl FnMut(Event<'_>)) {
        let bytes = self.held.len();
        if bytes > 0 {
            self.skip(bytes, bytes, cause, sink);
        }
        self.rule.restart();
        self.blame.bytes = 0;
        self.quiet_since_ns = None;
    }

    /// How many bytes are held that are in no frame yet and not skipped either.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// How many bytes can be held at most.
    #[must_use]
    pub fn held_bytes_max(&self) -> usize {
        self.held_bytes_max
    }

    fn look(&mut self, sink: &mut impl FnMut(Event<'_>)) {
        loop {
            let step = self.rule.look(self.held.bytes());
            if step == Step::More {
                return;
            }
            self.apply(step, sink);
        }
    }

    fn apply(&mut self, step: Step, sink: &mut impl FnMut(Event<'_>)) {
        match step {
            Step::More => {}
            Step::Frame { wire } => self.frame(wire, sink),
            Step::Dead { drop, span, cause } => self.skip(drop, span, cause, sink),
        }
    }

    fn frame(&mut self, wire: usize, sink: &mut impl FnMut(Event<'_>)) {
        let line_errors = self.held.errors_of_first(wire);
        if !line_errors.is_none() && self.on_line_error == OnLineError::Reject {
            self.skip(wire, wire, SkipCause::LineError, sink);
            return;
        }
        let t_ns = self.held.time_of_last_of(wire);
        let bytes = self.rule.content(self.held.first_mut(wire));
        sink(Event::Frame(Frame {
            bytes,
            t_ns,
            line_errors,
            number: self.frames,
            wire_bytes: wire,
        }));
        self.frames += 1;
        self.blame.bytes = self.blame.bytes.saturating_sub(wire);
        self.held.drop_first(wire);
    }

    fn skip(
        &mut self,
        drop: usize,
        span: usize,
        cause: SkipCause,
        sink: &mut impl FnMut(Event<'_>),
    ) {
        // Where the line itself reported damage, that is the cause of whatever didn't fit.
        let damaged = !self.held.errors_of_first(drop.max(span)).is_none();
        let cause = if damaged { SkipCause::LineError } else { cause };
        self.held.drop_first(drop);
        let mut unexplained = drop;
        if cause == SkipCause::NoMatch {
            let blamed = self.blame.bytes.min(drop);
            if blamed > 0 {
                sink(Event::Skipped {
                    bytes: blamed,
                    cause: self.blame.cause,
                });
            }
            self.blame.bytes -= blamed;
            unexplained -= blamed;
        } else {
            self.blame = Blame {
                bytes: self.blame.bytes.max(span).saturating_sub(drop),
                cause,
            };
        }
        if unexplained > 0 {
            sink(Event::Skipped {
                bytes: unexplained,
                cause,
            });
        }
    }
}

impl Rule {
    fn look(&mut self, bytes: &[u8]) -> Step {
        match self {
            Self::Fixed(rule) => rule.look(bytes),
            Self::Delimited(rule) => rule.look(bytes),
            Self::LengthPrefixed(rule) => rule.look(bytes),
            Self::IdleGap(rule) => rule.look(bytes),
        }
    }

    /// Whether silence would end a frame, or the waiting for the rest of one.
    fn minds_silence(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Fixed(rule) => rule.inside_frame(),
            Self::Delimited(_) | Self::LengthPrefixed(_) | Self::IdleGap(_) => !bytes.is_empty(),
        }
    }

    fn silence(&mut self, bytes: &[u8]) -> Step {
        if let Self::IdleGap(rule) = self {
            return rule.silence(bytes);
        }
        if !self.minds_silence(bytes) {
            return Step::More;
        }
        self.restart();
        Step::Dead {
            drop: bytes.len(),
            span: bytes.len(),
            cause: SkipCause::Timeout,
        }
    }

    fn restart(&mut self) {
        match self {
            Self::Fixed(rule) => rule.restart(),
            Self::Delimited(rule) => rule.restart(),
            Self::LengthPrefixed(rule) => rule.restart(),
            Self::IdleGap(rule) => rule.restart(),
        }
    }

    fn content<'a>(&self, wire: &'a mut [u8]) -> &'a [u8] {
        match self {
            Self::Delimited(rule) => rule.content(wire),
            Self::Fixed(_) | Self::LengthPrefixed(_) | Self::IdleGap(_) => wire,
        }
    }
}
