//! What can go wrong on a line, as rates to switch on.

use std::str::FromStr;

use thiserror::Error;

/// How often each fault happens, as a probability from 0 to 1; 0 unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Faults {
    /// Per byte: it doesn't arrive.
    pub lost: f64,
    /// Per byte: it arrives twice.
    pub doubled: f64,
    /// Per byte: one of its bits is turned round.
    pub flipped: f64,
    /// Per cycle: one axis claims to be 10 degrees beyond its limit.
    pub out_of_range: f64,
    /// Per cycle: nothing is sent for a second before it.
    pub silence: f64,
    /// Per cycle: the adapter is pulled out before it, and is back two seconds later under another
    /// number.
    pub unplug: f64,
}

/// Why a list of faults isn't one.
#[derive(Debug, Error, PartialEq)]
pub enum FaultsError {
    /// No such fault.
    #[error(
        "`{0}` is no fault: those are lost, doubled, flipped (per byte), out_of_range, silence and \
         unplug (per cycle)"
    )]
    Unknown(String),
    /// No rate, or an impossible one.
    #[error("`{0}` needs a rate from 0 to 1, such as {0}=0.001")]
    Rate(String),
}

impl FromStr for Faults {
    type Err = FaultsError;

    /// Reads `lost=0.001,silence=0.01`.
    fn from_str(text: &str) -> Result<Faults, FaultsError> {
        let mut faults = Faults::default();
        for fault in text
            .split(',')
            .map(str::trim)
            .filter(|fault| !fault.is_empty())
        {
            let (name, rate) = fault.split_once('=').unwrap_or((fault, ""));
            let place = match name.trim() {
                "lost" => &mut faults.lost,
                "doubled" => &mut faults.doubled,
                "flipped" => &mut faults.flipped,
                "out_of_range" => &mut faults.out_of_range,
                "silence" => &mut faults.silence,
                "unplug" => &mut faults.unplug,
                other => return Err(FaultsError::Unknown(other.to_owned())),
            };
            *place = rate
                .trim()
                .parse()
                .ok()
                .filter(|rate| (0.0..=1.0).contains(rate))
                .ok_or_else(|| FaultsError::Rate(name.trim().to_owned()))?;
        }
        Ok(faults)
    }
}
