//! The averages of one field.

/// The widest window of a moving average.
pub const WINDOW_MAX: usize = 32;

/// The newest values of a field, and their exponential average.
#[derive(Clone, Copy, Debug)]
pub struct Average {
    newest: [f64; WINDOW_MAX],
    /// How many of them there are, at most [`WINDOW_MAX`].
    count: usize,
    /// Where the next one goes.
    next: usize,
    exponential: f64,
}

impl Average {
    /// Of nothing.
    pub const EMPTY: Self = Self {
        newest: [0.0; WINDOW_MAX],
        count: 0,
        next: 0,
        exponential: 0.0,
    };

    /// Takes a value; `alpha` is its share in the exponential average, 1 for the first.
    pub fn push(&mut self, value: f64, alpha: f64) {
        self.exponential = if self.count == 0 {
            value
        } else {
            self.exponential + (value - self.exponential) * alpha
        };
        self.newest[self.next] = value;
        self.next = (self.next + 1) % WINDOW_MAX;
        if self.count < WINDOW_MAX {
            self.count += 1;
        }
    }

    /// Mean of the newest `window` values, or of all where there are fewer; 0 of nothing. They are added
    /// up each time, from the newest to the oldest: a running sum would keep every rounding error for ever.
    #[must_use]
    pub fn moving(&self, window: usize) -> f64 {
        let taken = if window < self.count {
            window
        } else {
            self.count
        };
        if taken == 0 {
            return 0.0;
        }
        let values =
            (1..=taken).map(|back| self.newest[(self.next + WINDOW_MAX - back) % WINDOW_MAX]);
        values.fold(0.0, |sum, value| sum + value) / taken as f64
    }

    /// The exponential average; 0 of nothing.
    #[must_use]
    pub fn exponential(&self) -> f64 {
        self.exponential
    }
}
