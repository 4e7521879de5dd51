//! What is usual for one value: its exponentially weighted mean and variance.
//!
//! With the newest value x and its share α: d = x − mean, mean += α·d, variance = (1 − α)(variance + α·d²).
//! From T. Finch, "Incremental calculation of weighted mean and variance", University of Cambridge, 2009,
//! section 9.

/// How a value is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Share of the newest value.
    pub alpha: f64,
    /// Standard deviations that are still usual.
    pub z_max: f64,
    /// Values before the first is judged by its level.
    pub warm_up: u32,
    /// After a pause as long all is forgotten, in seconds.
    pub forget_after_s: f64,
}

/// What is known of one field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The fastest usual change per second; 0 for any.
    pub rate_max: f64,
    /// The least standard deviation.
    pub deviation_min: f64,
}

/// A value beside those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Judgement {
    /// Standard deviations from the mean, once that is known.
    pub z: Option<f64>,
    /// Rate of change as a share of the fastest usual one.
    pub rate_share: Option<f64>,
}

/// What was learnt of one field.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usual {
    mean: f64,
    variance: f64,
    count: u32,
    last: f64,
    last_t_ns: i64,
}

impl Usual {
    /// Of nothing.
    pub const UNKNOWN: Self = Self {
        mean: 0.0,
        variance: 0.0,
        count: 0,
        last: 0.0,
        last_t_ns: 0,
    };

    /// Judges a value by those before it, then learns from it. What is anomalous counts as if it stood
    /// at the edge of what is usual: one spike doesn't hide the next, and what lasts becomes usual.
    pub fn judge(&mut self, value: f64, t_ns: i64, rule: &Rule, bounds: &Bounds) -> Judgement {
        let pause_s = t_ns.saturating_sub(self.last_t_ns) as f64 * 1e-9;
        if pause_s > rule.forget_after_s {
            *self = Self::UNKNOWN;
        }
        let deviation = {
            let learnt = libm::sqrt(self.variance);
            if learnt > bounds.deviation_min {
                learnt
            } else {
                bounds.deviation_min
            }
        };
        let warm = self.count >= rule.warm_up && deviation > 0.0;
        let watched = self.count > 0 && pause_s > 0.0 && bounds.rate_max > 0.0;
        let judgement = Judgement {
            z: warm.then(|| (value - self.mean) / deviation),
            rate_share: watched.then(|| (value - self.last) / pause_s / bounds.rate_max),
        };
        let learnt = match judgement.z {
            Some(z) if z > rule.z_max => self.mean + rule.z_max * deviation,
            Some(z) if z < -rule.z_max => self.mean - rule.z_max * deviation,
            _ => value,
        };
        self.learn(learnt, rule.alpha);
        (self.last, self.last_t_ns) = (value, t_ns);
        judgement
    }

    /// The first values count alike: the share of the n-th is 1/n until that is less than α.
    fn learn(&mut self, value: f64, alpha: f64) {
        self.count = self.count.saturating_add(1);
        let alike = 1.0 / f64::from(self.count);
        let share = if alike > alpha { alike } else { alpha };
        let difference = value - self.mean;
        let step = share * difference;
        self.mean += step;
        self.variance = (1.0 - share) * (self.variance + difference * step);
    }

    /// The mean so far.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// The variance so far.
    #[must_use]
    pub fn variance(&self) -> f64 {
        self.variance
    }
}
