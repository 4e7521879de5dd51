//! Frames of a KUKA KR C2 become axis values: one record per whole cycle of seven frames.
//!
//! [`frame`] reads one frame, [`cycle`] puts seven of them together.
//!
//! What it keeps true: a record holds the values of one cycle, axes 1 to 7 in this order, each from a
//! frame of its own. A frame that is lost, damaged, doubled or late costs the cycle that it belongs to
//! and nothing else, and each broken cycle is one rejection.
//!
//! What it doesn't do: find frames in bytes (the adapter's framing does), or judge whether an axis can
//! be where it says (the stage `axis-limits` does). The protocol has no checksum: a flipped bit of a
//! value goes through.
#![cfg_attr(target_arch = "wasm32", no_std)]

pub mod cycle;
pub mod frame;
pub mod manifest {
    //! What `manifest.yaml` declares.
    retrotap_sdk::manifest!();
}

use cycle::{Assembler, Begun, Broken, Cycle, CycleLimits};
use frame::{AXES, AxisValue, Encoding, FrameError};
use manifest::{Axes, Config, Contract, Reason, ValueEncoding};

/// The stage.
#[derive(Debug)]
pub struct Decode {
    encoding: Encoding,
    assembler: Assembler,
}

impl retrotap_sdk::Stage for Decode {
    type Contract = Contract;

    fn new() -> Self {
        Self {
            encoding: Encoding::SignMagnitude,
            assembler: Assembler::new(),
        }
    }

    fn configure(&mut self, config: &Config<'_>) -> Result<(), Reason> {
        let (frame_time_s, gap_max_s) = (config.frame_time_s(), config.max_frame_gap_s());
        let limits = CycleLimits::new(frame_time_s, gap_max_s).ok_or(Reason::GapLimitTooLong)?;
        self.assembler.set_limits(limits);
        self.encoding = match config.value_encoding() {
            ValueEncoding::SignMagnitude => Encoding::SignMagnitude,
            ValueEncoding::TwosComplement => Encoding::TwosComplement,
        };
        Ok(())
    }

    fn save(&self, state: &mut retrotap_sdk::StateWords<'_>) {
        let begun = self.assembler.begun();
        state.set(1, begun.expected as u64);
        state.set(2, u64::from(begun.passing));
        state.set(3, begun.first_t_ns as u64);
        state.set(4, begun.last_t_ns as u64);
        for (place, value) in (5..).zip(begun.values_1e5) {
            state.set(place, value as u32 as u64);
        }
    }

    fn restore(&mut self, state: &retrotap_sdk::StateWords<'_>) {
        self.assembler.go_on(Begun {
            expected: usize::try_from(state.get(1)).unwrap_or(AXES),
            passing: state.get(2) != 0,
            first_t_ns: state.get(3) as i64,
            last_t_ns: state.get(4) as i64,
            values_1e5: core::array::from_fn(|place| state.get(5 + place) as u32 as i32),
        });
    }

    fn process(
        &mut self,
        frame: &[u8],
        t_ns: i64,
        out: &mut retrotap_sdk::Output<'_>,
    ) -> Result<(), Reason> {
        let value = AxisValue::read(frame, self.encoding).map_err(|error| {
            self.assembler.discard();
            Reason::from(error)
        })?;
        if let Some(cycle) = self.assembler.push(value, t_ns)? {
            out.push(&Axes::from(cycle));
        }
        Ok(())
    }
}

impl From<Cycle> for Axes {
    fn from(cycle: Cycle) -> Self {
        // 1e-5 of a degree or millimetre. Dividing gives the double that is nearest to the decimal number.
        let [one, two, three, four, five, six, seven]: [f64; AXES] =
            cycle.values_1e5.map(|value| f64::from(value) / 1e5);
        Self {
            axis_1_deg: one,
            axis_2_deg: two,
            axis_3_deg: three,
            axis_4_deg: four,
            axis_5_deg: five,
            axis_6_deg: six,
            axis_7_mm: seven,
            age_s: cycle.age_s,
        }
    }
}

impl From<FrameError> for Reason {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Length => Self::BadLength,
            FrameError::AxisNumber => Self::BadAxisNumber,
            FrameError::Sign => Self::BadSign,
            FrameError::Magnitude => Self::MagnitudeOutOfRange,
            FrameError::SignContradictsValue => Self::SignContradictsValue,
        }
    }
}

impl From<Broken> for Reason {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Order => Self::AxisOutOfOrder,
            Broken::Gap => Self::GapInCycle,
        }
    }
}

retrotap_sdk::export!(Decode);
