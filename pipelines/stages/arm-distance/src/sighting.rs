//! An obstacle with what is known of its motion: when it was where, and where it is by now.

use crate::separation::Approach;
use crate::shape::Obstacle;
use crate::space::{Real, Vector, vector};

/// An obstacle as its source reported it.
#[derive(Clone, Copy, Debug)]
pub struct Sighting {
    obstacle: Obstacle,
    /// How it may come nearer.
    pub approach: Approach,
    velocity: Vector,
    seen_s: f64,
    time_to_live_s: f32,
}

impl Sighting {
    /// A point in the cell's origin that stands.
    pub const POINT: Self = Self::standing(Obstacle::POINT, Approach::Person);

    /// An obstacle that is where it is until somebody says otherwise.
    #[must_use]
    pub const fn standing(obstacle: Obstacle, approach: Approach) -> Self {
        Self {
            obstacle,
            approach,
            velocity: Vector::new(0.0, 0.0, 0.0),
            seen_s: 0.0,
            time_to_live_s: 0.0,
        }
    }

    /// An obstacle that was there at line time `seen_s` (seconds) and moved at this velocity (m/s). After
    /// `time_to_live_s`, more than zero, nothing is known of it any more.
    #[must_use]
    pub fn moving(
        obstacle: Obstacle,
        approach: Approach,
        velocity_m_per_s: [f64; 3],
        seen_s: f64,
        time_to_live_s: f64,
    ) -> Self {
        Self {
            obstacle,
            approach,
            velocity: vector(velocity_m_per_s),
            seen_s,
            time_to_live_s: time_to_live_s as f32,
        }
    }

    /// The obstacle where it was seen.
    #[must_use]
    pub fn obstacle(&self) -> &Obstacle {
        &self.obstacle
    }

    /// How old it is at line time `t_s`, in seconds. What stands has no age.
    #[must_use]
    pub fn age_s(&self, t_s: f64) -> f64 {
        if self.stands() || t_s < self.seen_s {
            0.0
        } else {
            t_s - self.seen_s
        }
    }

    /// Whether it is older than can be believed.
    #[must_use]
    pub fn is_stale(&self, t_s: f64) -> bool {
        self.age_s(t_s) > f64::from(self.time_to_live_s)
    }

    /// Where it is at line time `t_s`, by its stated velocity; once it is stale, where it was last
    /// believed to be.
    #[must_use]
    pub fn at(&self, t_s: f64) -> Obstacle {
        let age_s = self.age_s(t_s) as Real;
        let age_s = if age_s > self.time_to_live_s {
            self.time_to_live_s
        } else {
            age_s
        };
        self.obstacle.moved(&(self.velocity * age_s))
    }

    fn stands(&self) -> bool {
        self.time_to_live_s <= 0.0
    }
}

impl From<Obstacle> for Sighting {
    /// Somebody who stands there.
    fn from(obstacle: Obstacle) -> Self {
        Self::standing(obstacle, Approach::Person)
    }
}
