//! What the page draws of a cell and that doesn't change: robots as their stages have them, and fixtures.

use std::collections::BTreeMap;

use retrotap_host::{Table, TableRow};
use serde_json::json;

use super::robots;
use crate::config::cell::Cell;
use crate::modules::catalog::LoadedAdapter;
use crate::web::cells::{Scene, SceneCapsule, SceneJoint, ScenePose, SceneRobot};
use crate::web::status::RecordText;

/// Scenes of all cells, with their fixtures and no robot yet.
pub fn of(cells: &[Cell]) -> BTreeMap<String, Scene> {
    let scenes = cells.iter().map(|cell| {
        let fixtures = cell.fixtures.iter().flat_map(|all| all.obstacles());
        let fixtures: Vec<_> = fixtures.collect();
        let scene = Scene {
            robots: Vec::new(),
            fixtures: RecordText::new(json!(fixtures).to_string().into()),
        };
        (cell.id.to_string(), scene)
    });
    scenes.collect()
}

/// Puts a machine into its cell's scene, if it is a robot there and its adapter has an arm. `adapter` has
/// the tables that the line begins with, tool and linear axis included.
pub fn put(
    scenes: &mut BTreeMap<String, Scene>,
    cells: &[Cell],
    machine: &str,
    adapter: &LoadedAdapter,
) {
    let Some((cell, robot)) = robots::of(cells, machine) else {
        return;
    };
    let arm = adapter.adapter.pipeline.iter().find_map(|stage| {
        let table = |name| adapter.table(&stage.stage, name);
        Some((table("chain")?, table("capsules")?))
    });
    if let (Some((chain, capsules)), Some(scene)) = (arm, scenes.get_mut(&*cell.id)) {
        scene.robots.push(SceneRobot {
            machine: machine.to_owned(),
            base_pose: ScenePose {
                xyz: robot.base_pose.xyz_m,
                rpy: robot.base_pose.rpy_rad,
            },
            chain: chain
                .rows
                .iter()
                .map(|row| joint(&Row(chain, row)))
                .collect(),
            capsules: capsules
                .rows
                .iter()
                .map(|row| capsule(&Row(capsules, row)))
                .collect(),
        });
    }
}

/// A row with the names of its columns.
struct Row<'a>(&'a Table, &'a TableRow);

impl Row<'_> {
    /// A cell; zero where the table has no such column, as the stage reads it.
    fn get(&self, column: &str) -> f64 {
        let at = self.0.columns.iter().position(|known| known == column);
        at.and_then(|at| self.1.values.get(at).copied())
            .unwrap_or(0.0)
    }

    fn three(&self, columns: [&str; 3]) -> [f64; 3] {
        columns.map(|column| self.get(column))
    }

    /// A cell that counts something; the stage refused what is none.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn number(&self, column: &str) -> u32 {
        self.get(column) as u32
    }
}

fn joint(row: &Row<'_>) -> SceneJoint {
    let axis = row.three(["axis_x", "axis_y", "axis_z"]);
    let length = axis.iter().map(|part| part * part).sum::<f64>().sqrt();
    SceneJoint {
        kind: match row.get("kind") {
            0.0 => "revolute",
            _ => "prismatic",
        }
        .to_owned(),
        origin: row.three(["origin_x_m", "origin_y_m", "origin_z_m"]),
        rpy: row.three(["roll_rad", "pitch_rad", "yaw_rad"]),
        // The stage takes any length but zero.
        axis: axis.map(|part| part / length),
        input: row.number("input"),
    }
}

fn capsule(row: &Row<'_>) -> SceneCapsule {
    SceneCapsule {
        name: row.1.name.clone(),
        link: row.number("link"),
        a: row.three(["ax_m", "ay_m", "az_m"]),
        b: row.three(["bx_m", "by_m", "bz_m"]),
        radius: row.get("radius_m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::cell::{LinearAxis, Pose, Robot};
    use crate::modules::catalog::Catalog;

    #[test]
    fn a_scene_has_the_arm_of_the_adapter_where_the_settings_put_it() {
        let robot = Robot {
            machine: "robot-1".into(),
            base_pose: Pose {
                xyz_m: [1.0, 2.0, 3.0],
                rpy_rad: [0.0, 0.0, 0.5],
            },
            linear_axis: None::<LinearAxis>,
            tool_capsules: Vec::new(),
        };
        let cell = Cell {
            id: "cell".into(),
            robots: vec![robot],
            separation: None,
            fixtures: None,
            source: None,
            permit: None,
            actions: Vec::new(),
        };
        let adapter = Catalog::default().adapter("kuka-krc2").unwrap();
        let cells = [cell];
        let mut scenes = of(&cells);
        put(&mut scenes, &cells, "robot-1", &adapter);
        put(&mut scenes, &cells, "press", &adapter);
        let [robot] = scenes["cell"].robots.as_slice() else {
            panic!("{scenes:?}");
        };
        assert_eq!(robot.base_pose.xyz, [1.0, 2.0, 3.0]);
        // A1 of the KR 150-2 turns about the negative z, 0.75 m up.
        assert_eq!(robot.chain.len(), 6);
        assert_eq!(robot.chain[0].kind, "revolute");
        assert_eq!(robot.chain[0].origin, [0.0, 0.0, 0.75]);
        assert_eq!(robot.chain[0].axis, [0.0, 0.0, -1.0]);
        assert_eq!(robot.chain[5].input, 6);
        assert!(robot.capsules.iter().any(|capsule| capsule.link == 6));
    }
}
