//! How far one value is on its way from healthy to failed, smoothed, and how fast it goes there.
//!
//! Wear is (x − healthy) / (failed − healthy): 0 is healthy, 1 has failed. It is smoothed by two
//! first-order lags, y += (x − y)·Δt / (τ + Δt). A lag follows a ramp of slope s at a distance of s·τ, so
//! the slope is the difference of the two over the difference of their time constants. That holds for
//! this form whatever Δt is, as long as it stays the same: from e = (1 − a)(e + s·Δt) with
//! a = Δt / (τ + Δt) follows e = s·τ.

/// From where to where a field wears.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Where all is well.
    pub healthy: f64,
    /// Where it has failed.
    pub failed: f64,
}

/// Time constants in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lags {
    /// Of the score.
    pub smoothing_s: f64,
    /// Of the trend; longer.
    pub trend_s: f64,
}

/// The wear of one field.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wear {
    seen: bool,
    fast: f64,
    slow: f64,
    first_t_ns: i64,
    last_t_ns: i64,
}

impl Wear {
    /// Of nothing seen.
    pub const UNKNOWN: Self = Self {
        seen: false,
        fast: 0.0,
        slow: 0.0,
        first_t_ns: 0,
        last_t_ns: 0,
    };

    /// Takes a value. After a pause longer than the trend's time constant it begins anew.
    pub fn push(&mut self, value: f64, t_ns: i64, scale: &Scale, lags: &Lags) {
        let wear = (value - scale.healthy) / (scale.failed - scale.healthy);
        let passed_s = seconds(t_ns, self.last_t_ns);
        if !self.seen || passed_s > lags.trend_s {
            *self = Self {
                seen: true,
                fast: wear,
                slow: wear,
                first_t_ns: t_ns,
                last_t_ns: t_ns,
            };
            return;
        }
        self.fast += (wear - self.fast) * passed_s / (lags.smoothing_s + passed_s);
        self.slow += (wear - self.slow) * passed_s / (lags.trend_s + passed_s);
        self.last_t_ns = t_ns;
    }

    /// How far it is: 0 and below is healthy, 1 and above has failed. Nothing before a value.
    #[must_use]
    pub fn level(&self) -> Option<f64> {
        self.seen.then_some(self.fast)
    }

    /// How much farther per second; nothing until the trend's time constant has passed.
    #[must_use]
    pub fn per_second(&self, lags: &Lags) -> Option<f64> {
        let known = self.seen && seconds(self.last_t_ns, self.first_t_ns) >= lags.trend_s;
        known.then(|| (self.fast - self.slow) / (lags.trend_s - lags.smoothing_s))
    }

    /// In how many seconds it will have failed; nothing where it doesn't get worse.
    #[must_use]
    pub fn left_s(&self, lags: &Lags) -> Option<f64> {
        let per_second = self.per_second(lags).filter(|slope| *slope > 0.0)?;
        let left_s = (1.0 - self.fast) / per_second;
        Some(if left_s > 0.0 { left_s } else { 0.0 })
    }
}

fn seconds(later_ns: i64, earlier_ns: i64) -> f64 {
    later_ns.saturating_sub(earlier_ns) as f64 * 1e-9
}
