//! `retrotap robot import`: the tables of an arm out of its URDF.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};

use crate::config::limits::{MESH_FILE_BYTES_MAX, URDF_FILE_BYTES_MAX};
use crate::robot::pose::Point;
use crate::robot::{csv, stl, urdf};

/// Makes the tables that a robot's distance is computed with.
#[derive(Debug, Parser)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  retrotap robot import robot.urdf
  retrotap robot import cell.urdf --tip tool0 --out adapters/my-robot --name my-robot";

#[derive(Debug, Subcommand)]
enum Command {
    Import(Import),
}

/// Reads a URDF and writes its joints and the capsules that enclose its links as two CSV tables.
#[derive(Debug, Parser)]
#[command(after_help = IMPORT_HELP)]
pub struct Import {
    /// The URDF; from xacro, make one first.
    file: PathBuf,
    /// The link at which the arm ends, where more than one end moves.
    #[arg(long)]
    tip: Option<String>,
    /// The folder in which the packages of `package://…` meshes stand. Without it they are looked for
    /// in the folders above the URDF.
    #[arg(long, value_name = "DIR")]
    packages: Option<PathBuf>,
    /// The folder to write to.
    #[arg(long, short, default_value = ".", value_name = "DIR")]
    out: PathBuf,
    /// What the files are called: NAME.chain.csv and NAME.capsules.csv. Without it, as the URDF is.
    #[arg(long)]
    name: Option<String>,
    /// Write over files that are there.
    #[arg(long)]
    force: bool,
}

const IMPORT_HELP: &str = "\
Examples:
  retrotap robot import robot.urdf
  retrotap robot import cell.urdf --tip tool0 --out adapters/my-robot --name my-robot
  xacro ur10e.urdf.xacro > ur10e.urdf && retrotap robot import ur10e.urdf --packages ~/ros/src

Shapes are those for collisions; meshes must be STL. Turning joints are driven by axis 1 to 6 in
their order, one that slides by axis 7. Compare directions and zeros with the real robot: a
controller may count an axis the other way. Distances are advisory: this is not a safety function.";

/// Runs the command: exit code 0 when both tables were written.
///
/// # Errors
///
/// What is wrong with the URDF or one of its meshes, or that a file can't be read or written.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Command::Import(import) = args.command;
    // A mesh of the longest size is read and fitted in seconds: nothing else runs meanwhile.
    import.run()
}

impl Import {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let shown = self.file.display();
        let bytes = read(&self.file, URDF_FILE_BYTES_MAX)?;
        let text = String::from_utf8(bytes).with_context(|| format!("{shown}: not UTF-8"))?;
        let mut mesh = |name: &str| self.mesh(name).map_err(|error| format!("{error:#}"));
        let arm =
            urdf::read(&text, self.tip.as_deref(), &mut mesh).with_context(|| shown.to_string())?;
        let capsules = csv::capsules(&arm);
        let stem = match &self.name {
            Some(name) => name.clone(),
            None => self
                .file
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
        };
        let source = self.file.file_name().unwrap_or_default().to_string_lossy();
        let made = format!("Made of {source} by `retrotap robot import`.");
        let tables = [
            (
                format!("{stem}.chain.csv"),
                csv::chain(
                    &arm.joints,
                    &format!(
                        "{stem}: its joints from the base outwards, each in the frame of the link before it, \
                         z up.\n{made}"
                    ),
                ),
            ),
            (
                format!("{stem}.capsules.csv"),
                csv::table(
                    &capsules,
                    &format!(
                        "{stem}: capsules that enclose its links, in the frame of their link. Link 0 is the \
                         base, which doesn't move.\n{made}"
                    ),
                ),
            ),
        ];
        for (name, _) in &tables {
            let path = self.out.join(name);
            if path.exists() && !self.force {
                bail!(
                    "{} is there already: --force writes over it",
                    path.display()
                );
            }
        }
        for (name, text) in &tables {
            let path = self.out.join(name);
            fs::write(&path, text).with_context(|| path.display().to_string())?;
        }
        let [(chain, _), (table, _)] = &tables;
        for note in &arm.notes {
            eprintln!("note: {note}");
        }
        println!(
            "{} joints, {} capsules\n\n  - stage: arm-distance\n    tables:\n      chain: {chain}\n      capsules: {table}",
            arm.joints.len(),
            capsules.len()
        );
        Ok(ExitCode::SUCCESS)
    }

    /// The corners of a mesh that the URDF names.
    fn mesh(&self, name: &str) -> anyhow::Result<Vec<Point>> {
        let stl = Path::new(name)
            .extension()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("stl"));
        if !stl {
            bail!("mesh {name}: only STL can be read, convert it");
        }
        let path = self.find(name)?;
        let bytes = read(&path, MESH_FILE_BYTES_MAX)?;
        stl::corners(&bytes).with_context(|| path.display().to_string())
    }

    /// Where a mesh is. A path without `package://` is relative to the URDF.
    fn find(&self, name: &str) -> anyhow::Result<PathBuf> {
        let beside = self.file.parent().unwrap_or(Path::new(""));
        let Some(inside) = name.strip_prefix("package://") else {
            return Ok(beside.join(name.strip_prefix("file://").unwrap_or(name)));
        };
        if let Some(packages) = &self.packages {
            return Ok(packages.join(inside));
        }
        let folder = fs::canonicalize(if beside.as_os_str().is_empty() {
            Path::new(".")
        } else {
            beside
        })?;
        let found = folder
            .ancestors()
            .map(|above| above.join(inside))
            .find(|path| path.is_file());
        found.with_context(|| {
            format!("mesh {name}: no such file in the folders above the URDF; name the one with the package in it: --packages DIR")
        })
    }
}

/// A whole file of at most so many bytes.
fn read(path: &Path, bytes_max: u64) -> anyhow::Result<Vec<u8>> {
    let shown = || path.display().to_string();
    let file = fs::File::open(path).with_context(shown)?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1)
        .read_to_end(&mut bytes)
        .with_context(shown)?;
    if bytes.len() as u64 > bytes_max {
        bail!("{}: longer than {} MiB", path.display(), bytes_max >> 20);
    }
    Ok(bytes)
}
