//! `retrotap robot import` as a user calls it: files beside each other and in packages, what is written,
//! and what is said where it can't be.

use std::fs;
use std::path::Path;

use retrotap_adapters::tables;
use retrotap_tests::binary::{Ended, run};

/// One joint, and a hand of one triangle in a package.
const URDF: &str = r#"<robot name="arm">
  <link name="base"/>
  <link name="hand"><collision><geometry>
    <mesh filename="package://arm_description/meshes/hand.stl"/>
  </geometry></collision></link>
  <joint name="turn" type="continuous">
    <parent link="base"/><child link="hand"/><origin xyz="0 0 0.5"/><axis xyz="0 0 1"/>
  </joint>
</robot>"#;

const MESH: &str = "solid hand\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 0.3 0 0\n\
                    vertex 0 0.1 0\nendloop\nendfacet\nendsolid\n";

/// A package as ROS lays it out.
fn package() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let package = folder.path().join("arm_description");
    for part in ["urdf", "meshes", "out"] {
        fs::create_dir_all(package.join(part)).expect("a folder");
    }
    write(&package.join("urdf/arm.urdf"), URDF);
    write(&package.join("meshes/hand.stl"), MESH);
    folder
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("a file");
}

fn import(folder: &Path, more: &[&str]) -> Ended {
    let urdf = folder.join("arm_description/urdf/arm.urdf");
    let out = folder.join("arm_description/out");
    let (urdf, out) = (urdf.display().to_string(), out.display().to_string());
    let mut arguments = vec!["robot", "import", &urdf, "--out", &out];
    arguments.extend(more);
    run(&arguments)
}

#[test]
fn a_package_gives_both_tables_and_what_to_write_into_an_adapter() {
    let folder = package();
    let ended = import(folder.path(), &[]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    assert!(ended.out.contains("1 joints, 1 capsules"), "{}", ended.out);
    assert!(ended.out.contains("chain: arm.chain.csv"), "{}", ended.out);
    let read = |name: &str| {
        let path = folder.path().join("arm_description/out").join(name);
        let text = fs::read_to_string(path).expect("written");
        tables::parse_csv(&text, name).expect("a table")
    };
    assert_eq!(read("arm.chain.csv").rows[0].name, "turn");
    let hand = &read("arm.capsules.csv").rows[0];
    assert_eq!((hand.name.as_str(), hand.values[0]), ("hand", 1.0));
    // The triangle lies in it: it is at least 5 cm thick and 30 cm long with its ends.
    let [_, ax, ay, az, bx, by, bz, radius] = hand.values[..] else {
        panic!("{hand:?}")
    };
    let long = ((bx - ax).powi(2) + (by - ay).powi(2) + (bz - az).powi(2)).sqrt();
    assert!(long + 2.0 * radius >= 0.3 && radius < 0.16, "{hand:?}");
}

#[test]
fn what_is_there_is_not_written_over_unless_asked() {
    let folder = package();
    assert_eq!(import(folder.path(), &[]).code, Some(0));
    let again = import(folder.path(), &[]);
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains("--force"), "{}", again.err);
    assert_eq!(import(folder.path(), &["--force"]).code, Some(0));
    assert_eq!(import(folder.path(), &["--name", "other"]).code, Some(0));
}

#[test]
fn a_mesh_that_is_not_there_not_whole_or_not_stl_is_named() {
    let folder = package();
    let package = folder.path().join("arm_description");
    let failed = |ended: Ended| {
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (Some(1), ""),
            "{}",
            ended.err
        );
        ended.err
    };
    write(
        &package.join("meshes/hand.stl"),
        &MESH.replace("vertex 0.3 0 0", "vertex 0.3"),
    );
    let cut = failed(import(folder.path(), &[]));
    assert!(cut.contains("hand.stl") && cut.contains("line 5"), "{cut}");
    fs::remove_file(package.join("meshes/hand.stl")).expect("there");
    let gone = failed(import(folder.path(), &[]));
    assert!(
        gone.contains("link `hand`") && gone.contains("--packages"),
        "{gone}"
    );
    write(
        &package.join("urdf/arm.urdf"),
        &URDF.replace("hand.stl", "hand.dae"),
    );
    let other = failed(import(folder.path(), &[]));
    assert!(other.contains("only STL"), "{other}");
    write(&package.join("urdf/arm.urdf"), "<robot");
    assert!(failed(import(folder.path(), &[])).contains("not a URDF"));
    fs::write(package.join("urdf/arm.urdf"), [0xFF, 0xFE]).expect("a file");
    assert!(failed(import(folder.path(), &[])).contains("not UTF-8"));
    fs::remove_file(package.join("urdf/arm.urdf")).expect("there");
    assert!(failed(import(folder.path(), &[])).contains("No such file"));
    let left = fs::read_dir(package.join("out")).expect("a folder").count();
    assert_eq!(left, 0, "nothing is written where something is wrong");
}
