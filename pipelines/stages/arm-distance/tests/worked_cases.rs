//! The worked cases of two independent libraries (Pinocchio 4.1 and Coal 3.0), to a tenth of a millimetre.
#![allow(clippy::unwrap_used)]

mod support;

use retrotap_stage_arm_distance::arm::Step;
use retrotap_stage_arm_distance::space::{Frame, Vector};
use support::{CAPSULES, axes, bare, numbers, obstacle, robot, vectors};

const TOLERANCE_M: f64 = 1e-4;

fn assert_near(seen: &Vector, expected: [f64; 3], what: &str) {
    for (seen, expected) in seen.iter().zip(expected) {
        let seen = f64::from(*seen);
        assert!(
            (seen - expected).abs() <= TOLERANCE_M,
            "{what}: {seen} for {expected}"
        );
    }
}

#[test]
fn every_worked_case_holds_to_a_tenth_of_a_millimetre() {
    let vectors = vectors();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 24);
    let mut greatest: f64 = 0.0;
    for (number, case) in cases.iter().enumerate() {
        let mut arm = robot(&[obstacle(&case["obstacle"])]);
        let Step {
            flange, distance, ..
        } = arm.step(&axes(numbers(&case["axes_deg"])), None, 0);
        let nearest = distance.unwrap().nearest;

        assert_near(&flange, numbers(&case["flange_m"]), "flange");
        let expected = case["distance_m"].as_f64().unwrap();
        let seen = f64::from(nearest.distance);
        if expected < 0.0 {
            assert!(seen < 0.0, "case {number}: {seen} m, but they overlap");
        } else {
            greatest = greatest.max((seen - expected).abs());
            assert!(
                (seen - expected).abs() <= TOLERANCE_M,
                "case {number}: {seen} m for {expected} m"
            );
            assert_eq!(
                CAPSULES[nearest.capsule],
                case["nearest_link"].as_str().unwrap(),
                "case {number}"
            );
        }
        assert_eq!(nearest.obstacle, 0);
    }
    println!("greatest difference: {:.2} µm", greatest * 1e6);
}

#[test]
fn the_flange_is_where_the_data_sheet_has_it() {
    for (deg, expected) in [
        ([0.0; 6], [2.93, 0.0, 0.695]),
        ([0.0, -90.0, 90.0, 0.0, 0.0, 0.0], [1.68, 0.0, 1.945]),
        (
            [30.0, -60.0, 80.0, 40.0, -50.0, 20.0],
            [1.94018, -0.98939, 1.48089],
        ),
    ] {
        assert_near(
            &bare(Frame::CELL).step(&axes(deg), None, 0).flange,
            expected,
            "flange",
        );
    }
}

#[test]
fn overlapping_cases_name_the_link_too() {
    let vectors = vectors();
    for case in vectors["cases"].as_array().unwrap() {
        if case["distance_m"].as_f64().unwrap() < 0.0 {
            let mut arm = robot(&[obstacle(&case["obstacle"])]);
            let step = arm.step(&axes(numbers(&case["axes_deg"])), None, 0);
            let seen = step.distance.unwrap().nearest;
            println!(
                "{} {} m for {} {}",
                CAPSULES[seen.capsule], seen.distance, case["nearest_link"], case["distance_m"]
            );
            assert_eq!(
                CAPSULES[seen.capsule],
                case["nearest_link"].as_str().unwrap()
            );
        }
    }
}
