//! From a URDF's tree of links to the joints of one arm and the shapes of its links.
//!
//! The way goes from the root to the tip. Links that are fixed to one on the way belong to it, with all
//! their shapes; what moves beside the way (fingers of a gripper, a second arm) is left out and named.
//! Where more than one way could be meant, the user has to say which.

use std::collections::{BTreeMap, BTreeSet};

use urdf_rs::{Geometry, JointType, Robot};

use super::fit::Ball;
use super::pose::{Point, Pose, along, dot, length, minus, unit};
use super::{JOINTS_MAX, REVOLUTE_INPUTS};

/// A joint of the arm, in the frame of the link before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Joint {
    /// Its name in the URDF.
    pub name: String,
    /// Slides instead of turning.
    pub prismatic: bool,
    /// Metres.
    pub origin: Point,
    /// Radians.
    pub roll_pitch_yaw: Point,
    /// Of length 1, in the frame so turned.
    pub axis: Point,
    /// The number of the axis value that drives it, from 1.
    pub input: usize,
}

/// A shape that moves with a link of the arm, as balls in that link's frame whose hull encloses it.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// The URDF's link that it belongs to.
    pub name: String,
    /// 0 is the base, k the link behind joint k.
    pub link: usize,
    /// What has to be enclosed.
    pub balls: Vec<Ball>,
}

/// An arm.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Arm {
    /// From the base outwards.
    pub joints: Vec<Joint>,
    /// What its links consist of.
    pub shapes: Vec<Shape>,
    /// What somebody should know who trusts these tables, as sentences.
    pub notes: Vec<String>,
}

/// Why a URDF gives no arm.
#[derive(Debug, thiserror::Error)]
pub enum UrdfError {
    /// Not a URDF at all.
    #[error("not a URDF: {0}")]
    Xml(String),
    /// It has to be expanded first.
    #[error("this is xacro, which makes a URDF: run `xacro FILE > robot.urdf` first")]
    Xacro,
    /// A joint hangs on a link that isn't there.
    #[error("joint `{joint}` hangs on `{link}`, and there is no such link")]
    NoSuchLink {
        /// The joint.
        joint: String,
        /// The link that it names.
        link: String,
    },
    /// Two joints carry one link.
    #[error("link `{0}` hangs on two joints: only trees can be followed")]
    TwoParents(String),
    /// No link or several are nobody's child.
    #[error("{} links hang on no joint ({}): one base is expected", .0.len(), .0.join(", "))]
    Roots(Vec<String>),
    /// Several ways lead outwards.
    #[error("the arm could end at {}: say which with --tip", .0.join(", "))]
    Ambiguous(Vec<String>),
    /// There is no such tip.
    #[error("there is no link `{tip}`; the links are {}", .known.join(", "))]
    NoTip {
        /// What was asked for.
        tip: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Nothing moves.
    #[error("no joint moves between the base and `{0}`")]
    NothingMoves(String),
    /// A joint of a kind that tables don't have.
    #[error(
        "joint `{joint}` is {kind}: only revolute, continuous, prismatic and fixed ones can be used"
    )]
    Kind {
        /// The joint.
        joint: String,
        /// Its type.
        kind: &'static str,
    },
    /// A joint that another one drives.
    #[error("joint `{joint}` mimics `{other}`: coupled joints can't be used")]
    Mimic {
        /// The joint.
        joint: String,
        /// The other.
        other: String,
    },
    /// An axis that points nowhere, or a number that is none.
    #[error("joint `{0}`: its axis has no direction, or its origin is not a finite place")]
    Nowhere(String),
    /// More joints than there is room or input for.
    #[error(
        "{revolute} joints turn and {prismatic} slide: at most {REVOLUTE_INPUTS} and 1 have an axis value, \
         and at most {JOINTS_MAX} fit"
    )]
    TooManyJoints {
        /// Joints that turn.
        revolute: usize,
        /// Joints that slide.
        prismatic: usize,
    },
    /// A shape that can't be.
    #[error("link `{link}`: {message}")]
    Shape {
        /// The link.
        link: String,
        /// What is wrong.
        message: String,
    },
}

/// Sides of the prism that stands for a round shape, and how much wider than it that is.
const SIDES: u32 = 24;

/// Reads a URDF and follows its arm to `tip`, or to its only end. `mesh` gives the corners of a mesh in
/// the unit of its file, or says why it can't.
///
/// # Errors
/// The first thing because of which it is no arm.
pub fn read(
    text: &str,
    tip: Option<&str>,
    mesh: &mut dyn FnMut(&str) -> Result<Vec<Point>, String>,
) -> Result<Arm, UrdfError> {
    if text.contains("<xacro:") {
        return Err(UrdfError::Xacro);
    }
    let robot =
        urdf_rs::read_from_string(text).map_err(|error| UrdfError::Xml(error.to_string()))?;
    let tree = Tree::new(&robot)?;
    let way = tree.way(tip)?;
    Walk {
        tree: &tree,
        way,
        tip,
        arm: Arm::default(),
        inputs: 0,
    }
    .along(mesh)
}

/// A robot's links by name, and what hangs on them.
struct Tree<'a> {
    robot: &'a Robot,
    root: &'a str,
    links: BTreeMap<&'a str, &'a urdf_rs::Link>,
    /// The joint that carries a link.
    above: BTreeMap<&'a str, &'a urdf_rs::Joint>,
    /// The joints that hang on a link, in the file's order.
    below: BTreeMap<&'a str, Vec<&'a urdf_rs::Joint>>,
}

impl<'a> Tree<'a> {
    fn new(robot: &'a Robot) -> Result<Self, UrdfError> {
        let by_name = robot.links.iter().map(|link| (link.name.as_str(), link));
        let links: BTreeMap<_, _> = by_name.collect();
        let (mut above, mut below) = (BTreeMap::new(), BTreeMap::<_, Vec<_>>::new());
        for joint in &robot.joints {
            for link in [&joint.parent.link, &joint.child.link] {
                if !links.contains_key(link.as_str()) {
                    return Err(UrdfError::NoSuchLink {
                        joint: joint.name.clone(),
                        link: link.clone(),
                    });
                }
            }
            if above.insert(joint.child.link.as_str(), joint).is_some() {
                return Err(UrdfError::TwoParents(joint.child.link.clone()));
            }
            below
                .entry(joint.parent.link.as_str())
                .or_default()
                .push(joint);
        }
        let roots: Vec<&str> = links
            .keys()
            .copied()
            .filter(|link| !above.contains_key(link))
            .collect();
        let [root] = roots[..] else {
            return Err(UrdfError::Roots(names(roots)));
        };
        Ok(Self {
            robot,
            root,
            links,
            above,
            below,
        })
    }

    fn joints_below(&self, link: &str) -> &[&'a urdf_rs::Joint] {
        self.below.get(link).map_or(&[], Vec::as_slice)
    }

    /// The joints from the root to a link, outwards. A link that doesn't hang on the root hangs on
    /// itself in a ring, which is as good as not being there.
    fn joints_to(&self, link: &str) -> Option<Vec<&'a urdf_rs::Joint>> {
        let mut way = Vec::new();
        let mut at = link;
        while at != self.root {
            let joint = self.above.get(at)?;
            way.push(*joint);
            at = &joint.parent.link;
            if way.len() > self.robot.joints.len() {
                return None;
            }
        }
        way.reverse();
        Some(way)
    }

    /// The joints of the way to `tip`; without one, to the only link behind which nothing moves.
    fn way(&self, tip: Option<&str>) -> Result<BTreeSet<&'a str>, UrdfError> {
        let names_of = |way: Vec<&'a urdf_rs::Joint>| {
            let named = way.into_iter().map(|joint| joint.name.as_str());
            named.collect::<BTreeSet<_>>()
        };
        if let Some(tip) = tip {
            let way = self
                .links
                .get(tip)
                .and_then(|link| self.joints_to(&link.name));
            return way.map(names_of).ok_or_else(|| UrdfError::NoTip {
                tip: tip.to_owned(),
                known: names(self.links.keys().copied().collect()),
            });
        }
        // The child of every moving joint behind which no other one moves.
        let moving = |joint: &&&urdf_rs::Joint| !is_fixed(joint);
        let all: Vec<&urdf_rs::Joint> = self.above.values().copied().collect();
        let mut ends: BTreeSet<&str> = all
            .iter()
            .filter(moving)
            .map(|joint| joint.child.link.as_str())
            .collect();
        for joint in all.iter().filter(moving) {
            for before in self.joints_to(&joint.parent.link).unwrap_or_default() {
                ends.remove(before.child.link.as_str());
            }
        }
        let ends: Vec<&str> = ends.into_iter().collect();
        match ends[..] {
            [end] => self.way(Some(end)),
            [] => Err(UrdfError::NothingMoves(self.root.to_owned())),
            _ => Err(UrdfError::Ambiguous(names(ends))),
        }
    }
}

fn names(of: Vec<&str>) -> Vec<String> {
    of.into_iter().map(str::to_owned).collect()
}

fn is_fixed(joint: &urdf_rs::Joint) -> bool {
    joint.joint_type == JointType::Fixed
}

fn pose(of: &urdf_rs::Pose) -> Pose {
    Pose::new(of.xyz.0, of.rpy.0)
}

/// The way through the tree.
struct Walk<'a> {
    tree: &'a Tree<'a>,
    way: BTreeSet<&'a str>,
    /// The link that the user named.
    tip: Option<&'a str>,
    arm: Arm,
    /// Turning joints so far.
    inputs: usize,
}

impl Walk<'_> {
    fn along(
        mut self,
        mesh: &mut dyn FnMut(&str) -> Result<Vec<Point>, String>,
    ) -> Result<Arm, UrdfError> {
        // Links still to be looked at: the arm's link that each moves with, and where on it.
        let mut next = vec![(self.tree.root, 0, Pose::SAME)];
        let mut flange = [0.0; 3];
        while let Some((name, number, place)) = next.pop() {
            if Some(name) == self.tip {
                flange = place.origin;
            }
            if let Some(link) = self.tree.links.get(name) {
                self.shapes(link, number, &place, mesh)?;
            }
            for joint in self.tree.joints_below(name) {
                let there = place.then(&pose(&joint.origin));
                if is_fixed(joint) {
                    next.push((joint.child.link.as_str(), number, there));
                } else if self.way.contains(joint.name.as_str()) {
                    self.joint(joint, &there)?;
                    next.push((joint.child.link.as_str(), self.arm.joints.len(), Pose::SAME));
                } else {
                    self.arm.notes.push(format!(
                        "`{}` and what is behind it is left out: joint `{}` is not on the way",
                        joint.child.link, joint.name
                    ));
                }
            }
        }
        if self.arm.joints.is_empty() {
            return Err(UrdfError::NothingMoves(self.tree.root.to_owned()));
        }
        for number in 1..=self.arm.joints.len() {
            if !self.arm.shapes.iter().any(|shape| shape.link == number) {
                self.arm.notes.push(format!(
                    "nothing encloses the link behind joint `{}`: it has no shape",
                    self.arm.joints[number - 1].name
                ));
            }
        }
        self.arm.shapes.sort_by_key(|shape| shape.link);
        self.end_at(flange);
        Ok(self.arm)
    }

    /// Moves the last link's origin along its joint's axis to where the tip is, which changes nothing
    /// else: that origin is what the stage calls the flange.
    fn end_at(&mut self, flange: Point) {
        let last = self.arm.joints.len();
        let Some(joint) = self.arm.joints.last_mut() else {
            return;
        };
        let far = dot(flange, joint.axis);
        let beside = length(minus(flange, along([0.0; 3], joint.axis, far)));
        if beside > 1e-6 {
            self.arm.notes.push(format!(
                "the flange will be shown {beside:.3} m beside the tip, which is not on the axis of `{}`",
                joint.name
            ));
        }
        let turned = Pose::new(joint.origin, joint.roll_pitch_yaw);
        joint.origin = turned.place(along([0.0; 3], joint.axis, far));
        let shapes = self.arm.shapes.iter_mut();
        for shape in shapes.filter(|shape| shape.link == last) {
            for ball in &mut shape.balls {
                ball.centre = along(ball.centre, joint.axis, -far);
            }
        }
    }

    fn joint(&mut self, joint: &urdf_rs::Joint, place: &Pose) -> Result<(), UrdfError> {
        let prismatic = match joint.joint_type {
            JointType::Revolute | JointType::Continuous => false,
            JointType::Prismatic => true,
            ref other => {
                let kind = match other {
                    JointType::Floating => "floating",
                    JointType::Planar => "planar",
                    JointType::Spherical => "spherical",
                    _ => "of another kind",
                };
                return Err(UrdfError::Kind {
                    joint: joint.name.clone(),
                    kind,
                });
            }
        };
        if let Some(mimic) = &joint.mimic {
            return Err(UrdfError::Mimic {
                joint: joint.name.clone(),
                other: mimic.joint.clone(),
            });
        }
        let axis = unit(joint.axis.xyz.0);
        let angles = place.roll_pitch_yaw();
        let finite = place
            .origin
            .iter()
            .chain(&angles)
            .all(|part| part.is_finite());
        let (Some(axis), true) = (axis, finite) else {
            return Err(UrdfError::Nowhere(joint.name.clone()));
        };
        if !prismatic {
            self.inputs += 1;
        }
        let slides = self.arm.joints.len() + 1 - self.inputs;
        if self.inputs > REVOLUTE_INPUTS || slides > 1 || self.arm.joints.len() == JOINTS_MAX {
            return Err(UrdfError::TooManyJoints {
                revolute: self.inputs,
                prismatic: slides,
            });
        }
        self.arm.joints.push(Joint {
            name: joint.name.clone(),
            prismatic,
            origin: place.origin,
            roll_pitch_yaw: angles,
            axis,
            input: if prismatic {
                REVOLUTE_INPUTS + 1
            } else {
                self.inputs
            },
        });
        Ok(())
    }

    /// A link's shapes: those for collisions, or where there are none, those that are shown.
    fn shapes(
        &mut self,
        link: &urdf_rs::Link,
        number: usize,
        place: &Pose,
        mesh: &mut dyn FnMut(&str) -> Result<Vec<Point>, String>,
    ) -> Result<(), UrdfError> {
        let collision = link
            .collision
            .iter()
            .map(|one| (&one.origin, &one.geometry));
        let visual = link.visual.iter().map(|one| (&one.origin, &one.geometry));
        let mut found: Vec<_> = collision.collect();
        if found.is_empty() {
            found = visual.collect();
            if !found.is_empty() {
                self.arm.notes.push(format!(
                    "`{}` has no shape for collisions: what is shown of it was taken",
                    link.name
                ));
            }
        }
        for (origin, geometry) in found {
            let failed = |message: String| UrdfError::Shape {
                link: link.name.clone(),
                message,
            };
            let there = place.then(&pose(origin));
            let mut balls = balls(geometry, mesh).map_err(failed)?;
            for ball in &mut balls {
                ball.centre = there.place(ball.centre);
            }
            let possible = |ball: &Ball| {
                ball.radius >= 0.0
                    && ball.radius.is_finite()
                    && ball.centre.iter().all(|part| part.is_finite())
            };
            if !balls.iter().all(possible) {
                return Err(failed("a size is negative or not a number".to_owned()));
            }
            self.arm.shapes.push(Shape {
                name: link.name.clone(),
                link: number,
                balls,
            });
        }
        Ok(())
    }
}

/// Balls whose hull encloses a shape, in its own frame.
fn balls(
    geometry: &Geometry,
    mesh: &mut dyn FnMut(&str) -> Result<Vec<Point>, String>,
) -> Result<Vec<Ball>, String> {
    let ball = |centre, radius| Ball { centre, radius };
    let corner = |centre| ball(centre, 0.0);
    Ok(match geometry {
        Geometry::Sphere { radius } => vec![ball([0.0; 3], *radius)],
        Geometry::Capsule { radius, length } => [-0.5, 0.5]
            .map(|end| ball([0.0, 0.0, end * length], *radius))
            .into(),
        Geometry::Cylinder { radius, length } => {
            let outer = radius / (std::f64::consts::PI / f64::from(SIDES)).cos();
            let rim = (0..SIDES).map(|side| {
                let (sine, cosine) =
                    (f64::from(side) * std::f64::consts::TAU / f64::from(SIDES)).sin_cos();
                [outer * cosine, outer * sine]
            });
            rim.flat_map(|[x, y]| [-0.5, 0.5].map(|end| corner([x, y, end * length])))
                // So that a negative radius is seen.
                .chain([ball([0.0; 3], radius.min(0.0))])
                .collect()
        }
        Geometry::Box { size } => {
            let [x, y, z] = size.0.map(|edge| edge / 2.0);
            if x < 0.0 || y < 0.0 || z < 0.0 {
                return Err("a box has a negative edge".to_owned());
            }
            let signs = [-1.0, 1.0];
            signs
                .into_iter()
                .flat_map(|a| signs.map(|b| (a, b)))
                .flat_map(|(a, b)| signs.map(|c| corner([a * x, b * y, c * z])))
                .collect()
        }
        Geometry::Mesh { filename, scale } => {
            let scale = scale.map_or([1.0; 3], |scale| scale.0);
            let corners = mesh(filename)?;
            corners
                .into_iter()
                .map(|point| corner(std::array::from_fn(|axis| point[axis] * scale[axis])))
                .collect()
        }
    })
}
