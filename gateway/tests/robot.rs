//! From a URDF to the tables of an arm: what comes out, what encloses what, and what is refused and why.
#![allow(clippy::unwrap_used)]

use retrotap::robot::csv::{capsules, chain, table};
use retrotap::robot::pose::Point;
use retrotap::robot::urdf::{Arm, UrdfError, read};

/// A link with these shapes for collisions.
fn link(name: &str, shapes: &str) -> String {
    format!(r#"<link name="{name}">{shapes}</link>"#)
}

fn shape(origin: &str, geometry: &str) -> String {
    format!("<collision><origin {origin}/><geometry>{geometry}</geometry></collision>")
}

fn joint(name: &str, kind: &str, parent: &str, child: &str, rest: &str) -> String {
    format!(
        r#"<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>{rest}</joint>"#
    )
}

const LIMIT: &str = r#"<limit lower="-1" upper="1" effort="1" velocity="1"/>"#;

/// A slide, a shoulder, an elbow on a bracket, a plate that is fixed to the hand, and a tip beyond it.
fn arm(more: &str) -> String {
    [
        r#"<robot name="arm">"#,
        &link(
            "rail",
            &shape(r#"xyz="0 0 0.1""#, r#"<box size="4 0.4 0.2"/>"#),
        ),
        &link("carriage", &shape("", r#"<sphere radius="0.3"/>"#)),
        &link(
            "upper arm",
            &shape(
                r#"xyz="0 0 0.5" rpy="0 0 0""#,
                r#"<cylinder radius="0.1" length="1"/>"#,
            ),
        ),
        &link(
            "bracket",
            &shape(r#"xyz="0 0.2 0""#, r#"<sphere radius="0.05"/>"#),
        ),
        &link(
            "hand",
            &shape(
                "",
                r#"<mesh filename="hand.stl" scale="0.001 0.001 0.001"/>"#,
            ),
        ),
        &link(
            "plate",
            &shape("", r#"<capsule radius="0.02" length="0.1"/>"#),
        ),
        &link("tip", ""),
        &joint(
            "slide",
            "prismatic",
            "rail",
            "carriage",
            &format!(r#"<origin xyz="0 0 0.2"/><axis xyz="2 0 0"/>{LIMIT}"#),
        ),
        &joint(
            "shoulder",
            "revolute",
            "carriage",
            "upper arm",
            &format!(r#"<origin xyz="0 0 0.3"/><axis xyz="0 0 1"/>{LIMIT}"#),
        ),
        &joint(
            "mount",
            "fixed",
            "upper arm",
            "bracket",
            r#"<origin xyz="0 0 1" rpy="0 0 1.570796327"/>"#,
        ),
        &joint(
            "elbow",
            "continuous",
            "bracket",
            "hand",
            r#"<origin xyz="0.1 0 0"/><axis xyz="0 0 -1"/>"#,
        ),
        &joint(
            "bolts",
            "fixed",
            "hand",
            "plate",
            r#"<origin xyz="0 0 0.2"/>"#,
        ),
        &joint(
            "end",
            "fixed",
            "plate",
            "tip",
            r#"<origin xyz="0 0 0.05"/>"#,
        ),
        more,
        "</robot>",
    ]
    .concat()
}

/// A mesh of millimetres.
fn mesh(name: &str) -> Result<Vec<Point>, String> {
    match name {
        "hand.stl" => Ok(vec![
            [0.0, 0.0, 0.0],
            [100.0, 0.0, 0.0],
            [0.0, 50.0, 0.0],
            [0.0, 0.0, 250.0],
        ]),
        other => Err(format!("no mesh {other}")),
    }
}

fn read_arm(text: &str, tip: Option<&str>) -> Result<Arm, UrdfError> {
    read(text, tip, &mut mesh)
}

fn near(seen: Point, expected: Point) {
    let off = (0..3).map(|axis| (seen[axis] - expected[axis]).abs());
    assert!(off.fold(0.0, f64::max) < 1e-9, "{seen:?} for {expected:?}");
}

#[test]
fn joints_come_from_the_base_outwards_and_fixed_ones_are_taken_up() {
    let arm = read_arm(&arm(""), None).unwrap();
    let named: Vec<_> = arm
        .joints
        .iter()
        .map(|joint| (joint.name.as_str(), joint.input))
        .collect();
    assert_eq!(named, [("slide", 7), ("shoulder", 1), ("elbow", 2)]);
    assert!(arm.joints[0].prismatic && !arm.joints[1].prismatic);
    near(arm.joints[0].axis, [1.0, 0.0, 0.0]);
    // The bracket is turned by 90 degrees about z: its x is the upper arm's y.
    near(arm.joints[2].origin, [0.0, 0.1, 1.0]);
    assert!((arm.joints[2].roll_pitch_yaw[2] - std::f64::consts::FRAC_PI_2).abs() < 1e-8);
    let shapes: Vec<_> = arm
        .shapes
        .iter()
        .map(|shape| (shape.name.as_str(), shape.link))
        .collect();
    assert_eq!(
        shapes,
        [
            ("rail", 0),
            ("carriage", 1),
            ("upper arm", 2),
            ("bracket", 2),
            ("hand", 3),
            ("plate", 3)
        ]
    );
    assert!(arm.notes.is_empty(), "{:?}", arm.notes);
}

#[test]
fn every_shape_lies_within_its_capsule() {
    let arm = read_arm(&arm(""), None).unwrap();
    let capsules = capsules(&arm);
    assert_eq!(capsules.len(), arm.shapes.len());
    for (shape, enclosed) in arm.shapes.iter().zip(&capsules) {
        assert_eq!(shape.link, enclosed.link);
        let inside = shape
            .balls
            .iter()
            .all(|ball| enclosed.capsule.encloses(ball));
        assert!(inside, "{}", shape.name);
    }
    // A sphere stays one, and a cylinder gets hardly thicker.
    assert!(
        (capsules[1].capsule.radius - 0.3).abs() < 2e-4,
        "{:?}",
        capsules[1]
    );
    assert!(capsules[2].capsule.radius < 0.16, "{:?}", capsules[2]);
    // The plate is where it is bolted to, in the hand's frame.
    assert!(
        (capsules[5].capsule.a[2] - 0.2).abs() < 0.06,
        "{:?}",
        capsules[5]
    );
}

#[test]
fn the_flange_is_where_the_tip_is_if_that_is_on_the_last_axis() {
    let to_tip = read_arm(&arm(""), Some("tip")).unwrap();
    // 0.25 m beyond the elbow along its axis, which points down in the bracket's frame.
    near(to_tip.joints[2].origin, [0.0, 0.1, 1.25]);
    let without = read_arm(&arm(""), None).unwrap();
    let lowest = |arm: &Arm| arm.shapes[4].balls[0].centre[2];
    assert!((lowest(&without) - lowest(&to_tip) - 0.25).abs() < 1e-9);
    let aside = arm("").replace(
        r#"<origin xyz="0 0 0.05"/>"#,
        r#"<origin xyz="0.03 0 0.05"/>"#,
    );
    let notes = read_arm(&aside, Some("tip")).unwrap().notes;
    assert!(notes[0].contains("0.030 m beside the tip"), "{notes:?}");
}

#[test]
fn what_moves_beside_the_way_is_left_out_and_said() {
    let fingers = [
        link("left", ""),
        link("right", ""),
        joint("l", "prismatic", "hand", "left", LIMIT),
        joint("r", "prismatic", "hand", "right", LIMIT),
    ]
    .concat();
    let ambiguous = read_arm(&arm(&fingers), None).unwrap_err().to_string();
    assert_eq!(
        ambiguous,
        "the arm could end at left, right: say which with --tip"
    );
    let arm = read_arm(&arm(&fingers), Some("hand")).unwrap();
    assert_eq!(arm.joints.len(), 3);
    assert_eq!(arm.notes.len(), 2);
    assert!(arm.notes[0].contains("left out"), "{:?}", arm.notes);
}

#[test]
fn more_shapes_than_fit_are_put_together_by_link() {
    let many: String = (0..14)
        .map(|number| {
            shape(
                &format!(r#"xyz="{number} 0 0""#),
                r#"<sphere radius="0.1"/>"#,
            )
        })
        .collect();
    let text = arm("").replace(
        r#"<sphere radius="0.3"/></geometry></collision>"#,
        &format!(r#"<sphere radius="0.3"/></geometry></collision>{many}"#),
    );
    let arm = read_arm(&text, None).unwrap();
    assert_eq!(arm.shapes.len(), 20);
    let capsules = capsules(&arm);
    assert_eq!(
        capsules.iter().map(|one| one.link).collect::<Vec<_>>(),
        [0, 1, 2, 3]
    );
    let carriage = &capsules[1].capsule;
    for shape in arm.shapes.iter().filter(|shape| shape.link == 1) {
        assert!(shape.balls.iter().all(|ball| carriage.encloses(ball)));
    }
}

#[test]
fn the_tables_are_those_that_an_adapter_reads() {
    let arm = read_arm(&arm(""), None).unwrap();
    let chain = chain(&arm.joints, "An arm.\nMade here.");
    assert!(
        chain.starts_with("# An arm.\n# Made here.\nname,kind,origin_x_m,"),
        "{chain}"
    );
    let joints = retrotap_adapters::tables::parse_csv(&chain, "chain").unwrap();
    assert_eq!(joints.columns.len(), 11);
    assert_eq!(joints.rows[0].values[0], 1.0);
    let capsules = capsules(&arm);
    let table =
        retrotap_adapters::tables::parse_csv(&table(&capsules, "An arm."), "capsules").unwrap();
    assert_eq!(table.columns.len(), 8);
    // A name with a space in it is none for a row.
    assert_eq!(table.rows[2].name, "upper_arm");
    let radius = table.rows[2].values[7];
    assert!(
        (radius - capsules[2].capsule.radius).abs() < 1e-9,
        "{radius}"
    );
}

#[test]
fn a_link_without_any_shape_and_one_that_is_only_shown_are_said() {
    let bare = arm("")
        .replace("<collision>", "<visual>")
        .replace("</collision>", "</visual>");
    let shown = read_arm(&bare, None).unwrap();
    assert_eq!(shown.shapes.len(), 6);
    assert!(
        shown.notes[0].contains("no shape for collisions"),
        "{:?}",
        shown.notes
    );
    let none = arm("").replace(r#"<sphere radius="0.3"/>"#, r#"<sphere radius="0"/>"#);
    assert!(
        read_arm(&none, None).unwrap().notes.is_empty(),
        "a point is a shape"
    );
    let carriage = link("carriage", &shape("", r#"<sphere radius="0.3"/>"#));
    let gone = arm("").replace(&carriage, &link("carriage", ""));
    let notes = read_arm(&gone, None).unwrap().notes;
    assert!(
        notes[0].contains("behind joint `slide`: it has no shape"),
        "{notes:?}"
    );
}

#[test]
fn what_is_no_arm_is_refused_and_says_why() {
    let refused = |text: &str, tip: Option<&str>| read_arm(text, tip).unwrap_err().to_string();
    let whole = arm("");
    assert!(refused("", None).starts_with("not a URDF"));
    assert!(refused("{}", None).starts_with("not a URDF"));
    assert!(refused(&whole[..whole.len() / 2], None).starts_with("not a URDF"));
    assert!(
        refused(r#"<robot><xacro:include filename="x"/></robot>"#, None).contains("xacro FILE")
    );
    assert!(
        refused(&whole, Some("tap")).contains("no link `tap`; the links are bracket, carriage")
    );
    assert!(refused(&whole, Some("rail")).contains("no joint moves"));

    let changed = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from}");
        refused(&whole.replace(from, to), None)
    };
    assert!(changed(r#"<child link="hand"/>"#, r#"<child link="hind"/>"#).contains("no such link"));
    assert!(
        changed(r#"<child link="hand"/>"#, r#"<child link="carriage"/>"#).contains("two joints")
    );
    assert!(changed(r#"<link name="tip">"#, r#"<link name="top">"#).contains("no such link"));
    assert!(
        changed(r#"xyz="0 0 -1""#, r#"xyz="0 0 0""#).contains("`elbow`: its axis has no direction")
    );
    assert!(changed(r#"xyz="0.1 0 0""#, r#"xyz="nan 0 0""#).contains("not a finite place"));
    assert!(changed(r#"type="continuous""#, r#"type="floating""#).contains("`elbow` is floating"));
    assert!(
        changed(
            "</joint></robot>",
            r#"<x/></joint><link name="lost"></link></robot>"#
        )
        .contains("2 links hang on no joint (lost, rail)")
    );
    assert!(
        changed(r#"radius="0.3""#, r#"radius="-0.3""#)
            .contains("link `carriage`: a size is negative")
    );
    assert!(
        changed(r#"radius="0.1" length"#, r#"radius="-0.1" length"#).contains("link `upper arm`")
    );
    assert!(changed(r#"size="4 0.4"#, r#"size="4 -0.4"#).contains("negative edge"));
    assert!(changed("hand.stl", "gone.stl").contains("link `hand`: no mesh gone.stl"));
    let mimics = r#"<axis xyz="0 0 -1"/><mimic joint="shoulder"/>"#;
    assert!(changed(r#"<axis xyz="0 0 -1"/>"#, mimics).contains("mimics `shoulder`"));
    assert!(changed(r#"type="revolute""#, r#"type="prismatic""#).contains("2 slide"));
}

#[test]
fn joints_without_an_axis_value_are_refused() {
    let mut more = String::new();
    let mut last = "hand".to_owned();
    for number in 3..=7 {
        let next = format!("link{number}");
        more += &link(&next, "");
        more += &joint(
            &format!("j{number}"),
            "continuous",
            &last,
            &next,
            r#"<axis xyz="0 0 1"/>"#,
        );
        last = next;
    }
    let refused = read_arm(&arm(&more), None).unwrap_err().to_string();
    assert!(refused.contains("7 joints turn and 1 slide"), "{refused}");
    let as_far_as_six = read_arm(&arm(&more), Some("link6")).unwrap();
    assert_eq!(as_far_as_six.joints.last().unwrap().input, 6);
}
