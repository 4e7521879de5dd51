//! From a cell's settings to what the stage of one of its robots begins with: parameters, tables, and
//! the rules by which its line judges.

use retrotap_host::{ParamValue, Table, TableRow};

use crate::cell::separation::Rules;
use crate::config::cell::{Cell, LinearAxis, Robot, RobotSpeed, Rule, Separation, Stopping};
use crate::modules::assemble::Params;
use crate::modules::catalog::{Catalog, CatalogError, LoadedAdapter};

/// The cell of a machine, and the machine as one of its robots.
pub fn of<'a>(cells: &'a [Cell], machine: &str) -> Option<(&'a Cell, &'a Robot)> {
    cells.iter().find_map(|cell| {
        let mut robots = cell.robots.iter();
        Some((cell, robots.find(|robot| &*robot.machine == machine)?))
    })
}

/// Puts into `params` where the robot stands and how its separation is computed, for each stage that
/// has parameters of these names.
///
/// # Errors
///
/// A module of the adapter can't be had.
pub fn params(
    params: &mut Params,
    catalog: &Catalog,
    adapter: &LoadedAdapter,
    cell: &Cell,
    robot: &Robot,
) -> Result<(), CatalogError> {
    let mut values: Vec<(&str, ParamValue)> = Vec::new();
    let ([x, y, z], [roll, pitch, yaw]) = (robot.base_pose.xyz_m, robot.base_pose.rpy_rad);
    numbers(
        &mut values,
        [
            ("base_x_m", x),
            ("base_y_m", y),
            ("base_z_m", z),
            ("base_roll_rad", roll),
            ("base_pitch_rad", pitch),
            ("base_yaw_rad", yaw),
        ],
    );
    if let Some(separation) = &cell.separation {
        separation_values(&mut values, separation);
    }
    for stage in &adapter.adapter.pipeline {
        let module = catalog.module(&stage.stage)?;
        let known = &module.manifest().parameters;
        let own = params.entry(stage.stage.clone()).or_default();
        for (name, value) in &values {
            if known.iter().any(|known| known.name == *name) {
                own.insert((*name).to_owned(), value.clone());
            }
        }
    }
    Ok(())
}

fn numbers<const N: usize>(
    values: &mut Vec<(&'static str, ParamValue)>,
    named: [(&'static str, f64); N],
) {
    let number = |value| ParamValue::Number { value, unit: None };
    values.extend(named.map(|(name, value)| (name, number(value))));
}

fn separation_values(values: &mut Vec<(&'static str, ParamValue)>, separation: &Separation) {
    let rule = match separation.rule {
        Rule::IsoTs15066 => "iso_ts_15066",
        Rule::Showcase => "showcase",
    };
    values.push(("rule", ParamValue::Choice(rule.to_owned())));
    numbers(
        values,
        [
            ("human_speed_m_per_s", separation.human_speed_m_per_s),
            ("sensor_latency_s", separation.sensor_latency.as_secs_f64()),
            (
                "stop_signal_latency_s",
                separation.stop_signal_latency.as_secs_f64(),
            ),
            (
                "gateway_latency_s",
                separation.gateway_latency.as_secs_f64(),
            ),
            ("intrusion_m", separation.intrusion_m),
            ("person_uncertainty_m", separation.person_uncertainty_m),
            ("robot_uncertainty_m", separation.robot_uncertainty_m),
        ],
    );
    match separation.robot {
        RobotSpeed::Stated(speed) => numbers(values, [("robot_speed_m_per_s", speed)]),
        // The stage's word for "as measured" is a stated maximum of 0.
        RobotSpeed::Measured {
            max_acceleration_m_per_s2,
        } => numbers(
            values,
            [
                ("robot_speed_m_per_s", 0.0),
                ("max_acceleration_m_per_s2", max_acceleration_m_per_s2),
            ],
        ),
    }
    if let Stopping::One { time, distance_m } = separation.stopping {
        let time_s = time.as_secs_f64();
        numbers(
            values,
            [
                ("stopping_time_s", time_s),
                ("stopping_distance_m", distance_m),
            ],
        );
    }
}

/// The tables that take the place of the adapter's, by stage and name: a linear axis and tools on the
/// arm, and how it stops by speed.
///
/// # Errors
///
/// The adapter has no arm to put them onto, in words.
pub fn tables(
    adapter: &LoadedAdapter,
    cell: &Cell,
    robot: &Robot,
) -> Result<Vec<(String, &'static str, Table)>, String> {
    let mut tables = Vec::new();
    let arm = adapter.adapter.pipeline.iter().find_map(|stage| {
        let table = |name| adapter.table(&stage.stage, name).cloned();
        Some((stage.stage.clone(), table("chain")?, table("capsules")?))
    });
    let nothing_on_it = robot.linear_axis.is_none() && robot.tool_capsules.is_empty();
    let stopping = cell
        .separation
        .as_ref()
        .map(|separation| &separation.stopping);
    let Some((stage, mut chain, mut capsules)) = arm else {
        let by_speed = matches!(stopping, Some(Stopping::BySpeed(_)));
        return match nothing_on_it && !by_speed {
            true => Ok(tables),
            false => Err(format!(
                "adapter {} has no stage with an arm (`chain` and `capsules`)",
                adapter.adapter.name
            )),
        };
    };
    if let Some(axis) = robot.linear_axis {
        put_below(&mut chain, &mut capsules, axis)?;
    }
    let last_link = chain.rows.len() as f64;
    for capsule in &robot.tool_capsules {
        let ([ax, ay, az], [bx, by, bz]) = (capsule.a_m, capsule.b_m);
        let cells = [
            ("link", last_link),
            ("ax_m", ax),
            ("ay_m", ay),
            ("az_m", az),
            ("bx_m", bx),
            ("by_m", by),
            ("bz_m", bz),
            ("radius_m", capsule.radius_m),
        ];
        let row = row(&capsules, &capsule.name, &cells);
        capsules.rows.push(row);
    }
    if !nothing_on_it {
        tables.push((stage.clone(), "chain", chain));
        tables.push((stage.clone(), "capsules", capsules));
    }
    if let Some(Stopping::BySpeed(rows)) = stopping {
        let columns = ["speed_m_per_s", "time_s", "distance_m"];
        let rows = rows.iter().enumerate().map(|(index, row)| TableRow {
            name: format!("row {}", index + 1),
            values: row.to_vec(),
        });
        let table = Table {
            columns: columns.map(str::to_owned).to_vec(),
            rows: rows.collect(),
        };
        tables.push((stage, "stopping", table));
    }
    Ok(tables)
}

/// Puts the arm onto a linear axis: all links are one joint farther out, also the one that stood still.
fn put_below(chain: &mut Table, capsules: &mut Table, axis: LinearAxis) -> Result<(), String> {
    let input = f64::from(axis.axis);
    let column = |table: &Table, name: &str| table.columns.iter().position(|known| known == name);
    let driven = column(chain, "input");
    let is_driven = |row: &TableRow| driven.and_then(|at| row.values.get(at)) == Some(&input);
    if chain.rows.iter().any(is_driven) {
        return Err(format!(
            "the adapter's arm stands on axis {} already",
            axis.axis
        ));
    }
    let [x, y, z] = axis.direction;
    let cells = [
        ("kind", 1.0),
        ("axis_x", x),
        ("axis_y", y),
        ("axis_z", z),
        ("input", input),
    ];
    let below = row(chain, "linear_axis", &cells);
    chain.rows.insert(0, below);
    let link = column(capsules, "link");
    for row in &mut capsules.rows {
        if let Some(link) = link.and_then(|at| row.values.get_mut(at)) {
            *link += 1.0;
        }
    }
    Ok(())
}

/// A row with these values, and zero elsewhere.
fn row(table: &Table, name: &str, cells: &[(&str, f64)]) -> TableRow {
    let value = |column: &String| {
        let cell = cells.iter().find(|(name, _)| name == column);
        cell.map_or(0.0, |(_, value)| *value)
    };
    TableRow {
        name: name.to_owned(),
        values: table.columns.iter().map(value).collect(),
    }
}

/// The rules by which the lines of a cell's robots judge.
pub fn rules(cell: &Cell) -> Option<Rules> {
    let separation = cell.separation.as_ref()?;
    let ns = |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    Some(Rules {
        cell: cell.id.to_string(),
        warn_margin_m: separation.warn_margin_m,
        hysteresis_m: separation.hysteresis_m,
        hold_ns: ns(separation.hold),
        watched: cell.source.is_some(),
        gateway_latency_ns: ns(separation.gateway_latency),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::cell::{Capsule, Pose};

    fn robot() -> Robot {
        Robot {
            machine: "robot-1".into(),
            base_pose: Pose::default(),
            linear_axis: Some(LinearAxis {
                axis: 7,
                direction: [0.0, 1.0, 0.0],
            }),
            tool_capsules: vec![Capsule {
                name: "gripper".into(),
                a_m: [0.0; 3],
                b_m: [0.0, 0.0, 0.2],
                radius_m: 0.1,
            }],
        }
    }

    fn cell() -> Cell {
        Cell {
            id: "cell".into(),
            robots: Vec::new(),
            separation: None,
            fixtures: None,
            source: None,
            permit: None,
            actions: Vec::new(),
        }
    }

    #[test]
    fn a_linear_axis_moves_all_links_and_a_tool_hangs_on_the_last() {
        let adapter = Catalog::default().adapter("kuka-krc2").unwrap();
        let tables = tables(&adapter, &cell(), &robot()).unwrap();
        let [(_, "chain", chain), (_, "capsules", capsules)] = tables.as_slice() else {
            panic!("{tables:?}");
        };
        assert_eq!(chain.rows.len(), 7);
        assert_eq!(chain.rows[0].name, "linear_axis");
        let links: Vec<f64> = capsules.rows.iter().map(|row| row.values[0]).collect();
        assert_eq!(links, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 7.0]);
        let tool = &capsules.rows[7];
        assert_eq!(tool.values, [7.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.2, 0.1]);
        let twice = adapter.with_table("arm-distance", "chain", chain.clone());
        assert!(
            super::tables(&twice, &cell(), &robot())
                .unwrap_err()
                .contains("already")
        );
    }
}
