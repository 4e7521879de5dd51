//! The protective separation distance: worked by hand, and what holds whatever the numbers.
#![allow(clippy::unwrap_used)]

mod support;

use proptest::prelude::*;
use retrotap_stage_arm_distance::arm::Arm;
use retrotap_stage_arm_distance::deciding::Separation;
use retrotap_stage_arm_distance::nearest::PointSpeed;
use retrotap_stage_arm_distance::separation::{
    Approach, Bounds, RobotSpeed, Rule, Situation, Stop, StopError, Stopping, Terms,
};
use retrotap_stage_arm_distance::shape::Obstacle;
use retrotap_stage_arm_distance::sighting::Sighting;
use retrotap_stage_arm_distance::space::Frame;
use support::{TIMING, axes, bare, robot};

const CYCLE_NS: i64 = 65_625_000;

/// The worked example's: T_r is 0.1 s without any age, C + Z_d + Z_r 0.95 m.
fn bounds(robot_speed: RobotSpeed) -> Bounds {
    Bounds {
        human_speed_m_per_s: 1.6,
        robot_speed,
        latency_s: 0.1,
        stopping: Stopping::always(0.1, 0.05),
        intrusion_m: 0.85,
        person_uncertainty_m: 0.07,
        robot_uncertainty_m: 0.03,
    }
}

const MEASURED: RobotSpeed = RobotSpeed::Measured {
    max_acceleration_m_per_s2: 4.0,
};

fn person() -> Situation {
    Situation {
        approach: Approach::Person,
        obstacle_age_s: 0.0,
        axes_age_s: 0.0,
        speed: None,
    }
}

fn moving(closing: f32) -> Option<PointSpeed> {
    Some(PointSpeed {
        any_direction: closing.abs() + 0.5,
        closing,
    })
}

fn stop(speed_m_per_s: f64, time_s: f64, distance_m: f64) -> Stop {
    Stop {
        speed_m_per_s,
        time_s,
        distance_m,
    }
}

fn near(seen: f64, expected: f64) {
    assert!((seen - expected).abs() < 1e-6, "{seen} for {expected}");
}

#[test]
fn the_worked_example_is_1_42_m() {
    let terms = Rule::Iso(bounds(RobotSpeed::Stated(1.0)))
        .terms(&person())
        .unwrap();
    near(terms.human_m, 0.32);
    near(terms.robot_m, 0.10);
    near(terms.stopping_m, 0.05);
    let rest = terms.intrusion_m + terms.person_uncertainty_m + terms.robot_uncertainty_m;
    near(rest, 0.95);
    near(terms.protective_m(), 1.42);
}

#[test]
fn the_ages_of_person_and_axes_are_part_of_the_reaction_time() {
    let rule = Rule::Iso(bounds(RobotSpeed::Stated(1.0)));
    let terms = rule
        .terms(&Situation {
            obstacle_age_s: 0.2,
            axes_age_s: 0.15,
            ..person()
        })
        .unwrap();
    near(terms.reaction_s, 0.45);
    near(terms.human_m, 1.6 * 0.55);
    near(terms.robot_m, 0.45);
}

#[test]
fn a_robot_that_rests_may_be_about_to_move() {
    let rule = Rule::Iso(bounds(MEASURED));
    let speed = |closing| {
        let situation = Situation {
            speed: moving(closing),
            ..person()
        };
        rule.terms(&situation).unwrap().robot_speed_m_per_s
    };
    near(speed(0.0), 0.4);
    near(speed(1.5), 1.9);
    // One that goes away may turn round.
    near(speed(-1.5), 0.4);
    assert!(rule.terms(&person()).is_none(), "no speed was measured");
}

#[test]
fn the_next_stop_up_counts_and_beyond_the_last_there_is_none() {
    let mut stopping = Stopping::UNKNOWN;
    for (speed, time, distance) in [(0.25, 0.2, 0.03), (1.0, 0.3, 0.1), (2.0, 0.5, 0.4)] {
        stopping.push(stop(speed, time, distance)).unwrap();
    }
    let terms = |speed| {
        Rule::Iso(Bounds {
            stopping,
            ..bounds(RobotSpeed::Stated(speed))
        })
        .terms(&person())
    };
    let at = |speed| {
        let terms: Terms = terms(speed).unwrap();
        (terms.stopping_s, terms.stopping_m)
    };
    assert_eq!(at(0.1), (0.2, 0.03));
    assert_eq!(at(0.25), (0.2, 0.03));
    assert_eq!(at(0.26), (0.3, 0.1));
    assert_eq!(at(2.0), (0.5, 0.4));
    assert!(terms(2.01).is_none());
    near(terms(2.0).unwrap().human_m, 1.6 * 0.6);
}

#[test]
fn stops_that_do_not_rise_are_refused() {
    let mut stopping = Stopping::UNKNOWN;
    assert_eq!(
        stopping.push(stop(1.0, -0.1, 0.1)),
        Err(StopError::NotRising)
    );
    assert_eq!(
        stopping.push(stop(f64::NAN, 0.1, 0.1)),
        Err(StopError::NotRising)
    );
    stopping.push(stop(1.0, 0.3, 0.1)).unwrap();
    for worse in [
        stop(1.0, 0.4, 0.2),
        stop(2.0, 0.2, 0.2),
        stop(2.0, 0.4, 0.05),
    ] {
        assert_eq!(stopping.push(worse), Err(StopError::NotRising), "{worse:?}");
    }
    for more in 2..=10 {
        stopping.push(stop(f64::from(more), 0.3, 0.1)).unwrap();
    }
    assert_eq!(stopping.push(stop(11.0, 0.3, 0.1)), Err(StopError::TooMany));
}

#[test]
fn nobody_comes_out_of_a_fixture() {
    let rule = Rule::Iso(bounds(RobotSpeed::Stated(1.0)));
    let of = |approach| {
        rule.terms(&Situation {
            approach,
            ..person()
        })
        .unwrap()
    };
    let fixture = of(Approach::Fixture);
    near(fixture.protective_m(), 0.10 + 0.05 + 0.03);
    // What was detected standing still is still somebody.
    let still = of(Approach::AtMost(0.0));
    near(still.protective_m(), 1.42 - 0.32);
    near(of(Approach::AtMost(0.5)).human_m, 0.1);
}

#[test]
fn the_showcase_kept_3569_mm_at_1_m_per_s() {
    let stated = Rule::Showcase(RobotSpeed::Stated(1.0));
    near(stated.terms(&person()).unwrap().protective_m(), 3.5692);
    let measured = Rule::Showcase(RobotSpeed::Measured {
        max_acceleration_m_per_s2: 0.0,
    });
    assert!(measured.terms(&person()).is_none());
    let away = Situation {
        speed: moving(-0.5),
        ..person()
    };
    near(measured.terms(&away).unwrap().protective_m(), 3.5692);
}

#[test]
fn without_a_rule_there_is_nothing_to_keep() {
    assert!(Rule::Off.terms(&person()).is_none());
}

/// The robot at rest for two cycles, and what it has to keep.
fn judged(rule: Rule, sightings: &[Sighting]) -> (Arm, Option<Separation>) {
    let mut arm = robot(&[]);
    arm.set_rule(rule);
    for sighting in sightings {
        arm.push_obstacle(*sighting).unwrap();
    }
    arm.step(&axes([0.0; 6]), Some(0.066), 0);
    let step = arm.step(&axes([0.0; 6]), Some(0.066), CYCLE_NS);
    (arm, step.separation)
}

fn sphere(x: f64) -> Obstacle {
    Obstacle::sphere([x, 0.0, 0.695], 0.1)
}

fn seen(x: f64, velocity_x: f64, seen_s: f64) -> Sighting {
    let velocity = [velocity_x, 0.0, 0.0];
    Sighting::moving(sphere(x), Approach::Person, velocity, seen_s, 0.3)
}

#[test]
fn a_farther_obstacle_that_is_older_decides() {
    let rule = Rule::Iso(bounds(RobotSpeed::Stated(1.0)));
    // 0.1 m farther, and 0.1 s older, in which 0.26 m are gone.
    let sightings = [seen(4.0, 0.0, 0.06), seen(4.1, 0.0, -0.04)];
    let mut arm = judged(rule, &sightings).0;
    let step = arm.step(&axes([0.0; 6]), Some(0.066), 2 * CYCLE_NS);
    let deciding = step.separation.unwrap().deciding.unwrap();
    assert_eq!(step.distance.unwrap().nearest.obstacle, 0);
    assert_eq!(deciding.pair.obstacle, 1);
    near(deciding.obstacle_age_s, 2.0 * 0.065_625 + 0.04);
    near(
        deciding.margin_m,
        f64::from(deciding.pair.distance) - deciding.terms.protective_m(),
    );
}

#[test]
fn time_alone_makes_the_axes_older_and_moves_who_moves() {
    let rule = Rule::Iso(bounds(MEASURED));
    let (mut arm, first) = judged(rule, &[seen(4.0, -1.0, CYCLE_NS as f64 * 1e-9)]);
    let first = first.unwrap().deciding.unwrap();
    let later = arm.later(CYCLE_NS + 200_000_000).unwrap();
    near(later.axes_age_s, 0.266);
    let later = later.deciding.unwrap();
    near(f64::from(first.pair.distance - later.pair.distance), 0.2);
    near(later.terms.reaction_s - first.terms.reaction_s, 0.4);
    near(
        later.terms.robot_speed_m_per_s - first.terms.robot_speed_m_per_s,
        1.6,
    );
    // A tick is no cycle: the next one still has its speed.
    let step = arm.step(&axes([0.0; 6]), Some(0.066), 2 * CYCLE_NS);
    assert!(step.flange_speed.is_some());
}

#[test]
fn before_the_first_cycle_nothing_is_said() {
    let mut arm = robot(&[sphere(4.0)]);
    arm.set_rule(Rule::Iso(bounds(RobotSpeed::Stated(1.0))));
    assert!(arm.later(0).is_none());
}

#[test]
fn what_is_not_known_is_not_said() {
    let iso = |speed| Rule::Iso(bounds(speed));
    let fresh = seen(4.0, 0.0, 0.0);
    assert!(judged(iso(MEASURED), &[fresh]).1.is_some());
    assert!(judged(Rule::Off, &[fresh]).1.is_none());

    // Older than its time to live, were it only one of two.
    let (mut arm, _) = judged(iso(MEASURED), &[fresh, sphere(9.0).into()]);
    assert!(arm.later(300_000_000).is_some());
    assert!(arm.later(300_100_000).is_none());

    // The first cycle has no measured speed, but a stated one.
    let first = |speed, age_s, obstacle: bool| {
        let mut arm = robot(&[]);
        arm.set_rule(iso(speed));
        if obstacle {
            arm.push_obstacle(sphere(4.0)).unwrap();
        }
        arm.step(&axes([0.0; 6]), age_s, 0).separation
    };
    assert!(first(MEASURED, Some(0.0), true).is_none());
    assert!(first(RobotSpeed::Stated(2.0), Some(0.0), true).is_some());
    // An age that isn't known is not zero.
    assert!(first(RobotSpeed::Stated(2.0), None, true).is_none());
    // Nobody is there.
    let nobody = first(MEASURED, Some(0.04), false).unwrap();
    assert!(nobody.deciding.is_none());
    assert_eq!((nobody.obstacles, nobody.axes_age_s), (0, 0.04));

    // Somebody is there, but nothing of the robot is.
    let mut arm = bare(Frame::CELL);
    arm.set_rule(iso(RobotSpeed::Stated(2.0)));
    arm.push_obstacle(sphere(4.0)).unwrap();
    assert!(arm.step(&axes([0.0; 6]), Some(0.0), 0).separation.is_none());
}

#[test]
fn a_link_that_may_be_too_fast_for_its_stops_leaves_no_answer() {
    let mut stopping = Stopping::UNKNOWN;
    stopping.push(stop(1.0, 0.3, 0.1)).unwrap();
    let rule = Rule::Iso(Bounds {
        stopping,
        ..bounds(MEASURED)
    });
    let (mut arm, rests) = judged(
        rule,
        &[Sighting::from(Obstacle::sphere([2.0, 2.0, 0.7], 0.1))],
    );
    assert!(rests.is_some());
    // Axis 1 turns about −z; 1.5 degrees in a cycle are 1.2 m/s at the flange, away from the sphere.
    let away = arm.clone().step(
        &axes([1.5, 0.0, 0.0, 0.0, 0.0, 0.0]),
        Some(0.066),
        2 * CYCLE_NS,
    );
    assert!(away.separation.is_some());
    let towards = arm.step(
        &axes([-1.5, 0.0, 0.0, 0.0, 0.0, 0.0]),
        Some(0.066),
        2 * CYCLE_NS,
    );
    assert!(towards.separation.is_none());
}

fn approach() -> impl Strategy<Value = Approach> {
    prop_oneof![
        Just(Approach::Person),
        (0.0..3.0_f32).prop_map(Approach::AtMost),
        Just(Approach::Fixture),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let speed = prop_oneof![
        (0.0..2.0_f64).prop_map(RobotSpeed::Stated),
        (0.0..6.0_f64).prop_map(|max_acceleration_m_per_s2| RobotSpeed::Measured {
            max_acceleration_m_per_s2
        }),
    ];
    let stops = prop::collection::vec((0.05..1.0_f64, 0.0..0.2_f64, 0.0..0.2_f64), 0..6);
    (speed, stops, 0.0..0.3_f64, 0.0..1.0_f64, any::<bool>()).prop_map(
        |(robot_speed, stops, latency_s, intrusion_m, showcase)| {
            if showcase {
                return Rule::Showcase(robot_speed);
            }
            let mut stopping = Stopping::UNKNOWN;
            let (mut speed, mut time, mut way) = (0.0, 0.0, 0.0);
            for (faster, longer, farther) in stops {
                (speed, time, way) = (speed + faster, time + longer, way + farther);
                stopping.push(stop(speed, time, way)).unwrap();
            }
            // The last row is one for all speeds.
            stopping.push(stop(1e3, time + 0.1, way + 0.1)).unwrap();
            Rule::Iso(Bounds {
                latency_s,
                stopping,
                intrusion_m,
                ..bounds(robot_speed)
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn more_age_more_speed_and_a_longer_latency_never_make_it_smaller(
        rule in rule(), approach in approach(), closing in -3.0..3.0_f32,
        ages in (0.0..0.5_f64, 0.0..0.5_f64), more in (0.0..0.5_f64, 0.0..0.5_f64, 0.0..2.0_f32),
        later in 0.0..0.5_f64,
    ) {
        let less = Situation {
            approach,
            obstacle_age_s: ages.0,
            axes_age_s: ages.1,
            speed: Some(PointSpeed { any_direction: closing.abs(), closing }),
        };
        let closing = closing + more.2;
        let more = Situation {
            obstacle_age_s: ages.0 + more.0,
            axes_age_s: ages.1 + more.1,
            speed: Some(PointSpeed { any_direction: less.speed.unwrap().any_direction + more.2, closing }),
            ..less
        };
        let slower = match rule {
            Rule::Iso(bounds) => Rule::Iso(Bounds { latency_s: bounds.latency_s + later, ..bounds }),
            other => other,
        };
        let protective = |rule: &Rule, pair| rule.terms(pair).unwrap().protective_m();
        let least = protective(&rule, &less);
        prop_assert!(least >= 0.0);
        prop_assert!(protective(&rule, &more) >= least - 1e-12);
        prop_assert!(protective(&slower, &less) >= least - 1e-12);
    }

    #[test]
    fn what_is_left_out_never_decides(
        rule in rule(),
        deg in prop::array::uniform6(-100.0..100.0_f64),
        turned in prop::array::uniform6(-3.0..3.0_f64),
        seen in prop::collection::vec(
            (prop::array::uniform3(-4.0..4.0_f64), 0.05..0.4_f64, approach(), 0.0..0.25_f64), 1..9),
    ) {
        let sightings: Vec<Sighting> = seen
            .into_iter()
            .map(|(centre, radius, approach, seen_s)| {
                let shape = Obstacle::sphere(centre, radius);
                Sighting::moving(shape, approach, [0.3, -0.2, 0.1], seen_s, 0.5)
            })
            .collect();
        let margin = |sightings: &[Sighting]| {
            let mut arm = robot(&[]);
            arm.set_rule(rule);
            for sighting in sightings {
                arm.push_obstacle(*sighting).unwrap();
            }
            arm.step(&axes(deg), Some(0.07), 200_000_000);
            let to = core::array::from_fn(|axis| deg[axis] + turned[axis]);
            let found = arm.step(&axes(to), Some(0.07), 200_000_000 + CYCLE_NS);
            found.separation.unwrap().deciding.unwrap()
        };
        let all = margin(&sightings);
        let alone: Vec<f64> = sightings.iter().map(|one| margin(&[*one]).margin_m).collect();
        let least = alone.iter().copied().fold(f64::INFINITY, f64::min);
        prop_assert_eq!(all.margin_m.to_bits(), least.to_bits());
        prop_assert_eq!(Some(all.pair.obstacle), alone.iter().position(|margin| *margin == least));
    }

    #[test]
    fn an_obstacle_that_is_d_nearer_has_at_most_d_less_margin(
        centre in prop::array::uniform3(-4.0..4.0_f64),
        by in prop::array::uniform3(-0.3..0.3_f64),
        deg in prop::array::uniform6(-100.0..100.0_f64),
    ) {
        let margin = |centre| {
            let mut arm = robot(&[Obstacle::sphere(centre, 0.2)]);
            arm.set_rule(Rule::Iso(bounds(RobotSpeed::Stated(1.0))));
            let step = arm.step(&axes(deg), Some(0.07), 0);
            step.separation.unwrap().deciding.unwrap().margin_m
        };
        let moved = core::array::from_fn(|axis| centre[axis] + by[axis]);
        let d = by.iter().map(|step| step * step).sum::<f64>().sqrt();
        prop_assert!((margin(centre) - margin(moved)).abs() <= d + 1e-5);
    }
}

#[test]
fn a_pause_leaves_no_measured_speed() {
    let (mut arm, _) = judged(Rule::Iso(bounds(MEASURED)), &[sphere(4.0).into()]);
    let pause = (TIMING.speed_gap_max_s * 1e9) as i64 + 1;
    let late = arm.step(&axes([0.0; 6]), Some(0.066), CYCLE_NS + pause);
    assert!(late.separation.is_none());
    assert!(
        arm.later(CYCLE_NS + pause).is_none(),
        "nor does time bring one"
    );
}
