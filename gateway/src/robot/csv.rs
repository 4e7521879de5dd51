//! An arm as the tables `chain` and `capsules` of the stage `arm-distance`.

use std::collections::BTreeSet;

use super::CAPSULES_MAX;
use super::fit::{Ball, Capsule, enclose};
use super::pose::Point;
use super::urdf::{Arm, Joint, Shape};

/// A capsule around one shape or all shapes of a link.
#[derive(Debug, Clone, PartialEq)]
pub struct Enclosed {
    /// The row's name.
    pub name: String,
    /// 0 is the base, k the link behind joint k.
    pub link: usize,
    /// In that link's frame.
    pub capsule: Capsule,
}

/// A capsule for every shape; where that would be more than fit, one for all shapes of a link.
pub fn capsules(arm: &Arm) -> Vec<Enclosed> {
    let apart = arm.shapes.len() <= CAPSULES_MAX;
    let mut groups: Vec<(String, usize, Vec<Ball>)> = Vec::new();
    for Shape { name, link, balls } in &arm.shapes {
        match groups
            .last_mut()
            .filter(|(_, last, _)| !apart && last == link)
        {
            Some((_, _, together)) => together.extend(balls),
            None => groups.push((name.clone(), *link, balls.clone())),
        }
    }
    let mut names = Names::default();
    groups
        .into_iter()
        .filter_map(|(name, link, balls)| {
            let capsule = enclose(&balls)?;
            let name = names.unused(&name);
            Some(Enclosed {
                name,
                link,
                capsule,
            })
        })
        .collect()
}

/// The table `chain`. `about` stands above it.
pub fn chain(joints: &[Joint], about: &str) -> String {
    let mut text = comment(about);
    text.push_str(
        "name,kind,origin_x_m,origin_y_m,origin_z_m,roll_rad,pitch_rad,yaw_rad,axis_x,axis_y,axis_z,input\n",
    );
    let mut names = Names::default();
    for joint in joints {
        let cells = [&joint.origin, &joint.roll_pitch_yaw, &joint.axis].map(cells);
        text.push_str(&format!(
            "{},{},{},{}\n",
            names.unused(&joint.name),
            u8::from(joint.prismatic),
            cells.join(","),
            joint.input
        ));
    }
    text
}

/// The table `capsules`. `about` stands above it.
pub fn table(capsules: &[Enclosed], about: &str) -> String {
    let mut text = comment(about);
    text.push_str("name,link,ax_m,ay_m,az_m,bx_m,by_m,bz_m,radius_m\n");
    for Enclosed {
        name,
        link,
        capsule,
    } in capsules
    {
        let ends = [&capsule.a, &capsule.b].map(cells);
        let radius = number(capsule.radius);
        text.push_str(&format!("{name},{link},{},{radius}\n", ends.join(",")));
    }
    text
}

fn comment(about: &str) -> String {
    about.lines().map(|line| format!("# {line}\n")).collect()
}

fn cells(point: &Point) -> String {
    point.map(number).join(",")
}

/// A billionth is the last place: a thousandth of a millimetre at the end of a kilometre of arm.
fn number(value: f64) -> String {
    let text = format!("{value:.9}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".into()
    } else {
        text.into()
    }
}

/// Names of rows: of letters that a table takes, and each once.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn unused(&mut self, wanted: &str) -> String {
        let allowed = |letter: char| letter.is_alphanumeric() || "_-.".contains(letter);
        let clean: String = wanted
            .chars()
            .map(|letter| if allowed(letter) { letter } else { '_' })
            .collect();
        let clean = if clean.is_empty() {
            "row".into()
        } else {
            clean
        };
        let mut name = clean.clone();
        for number in 2.. {
            if self.0.insert(name.clone()) {
                break;
            }
            name = format!("{clean}_{number}");
        }
        name
    }
}
