//! The real InfluxDB, where it was built (`tests/support/influxd/build.sh`): what decides whether the
//! stand-in in [`crate::influx`] is like it.
//!
//! It is told to the tests by `RETROTAP_INFLUXD`, the path of its program, because building it takes
//! minutes and a Go that Debian doesn't have.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::http::{get_json, request};
use crate::influx::line_protocol::{Point, parse};
use crate::influx::{Settings, Store};

/// How long it may take to come up on a busy machine.
const UP_MAX: Duration = Duration::from_secs(60);

/// Before and after everything, whatever a machine's clock said.
const EVER: &str = "range(start: 1970-01-01T00:00:00Z, stop: 2200-01-01T00:00:00Z)";

/// Where its program is, if it was built.
pub fn program() -> Option<PathBuf> {
    std::env::var_os("RETROTAP_INFLUXD").map(PathBuf::from)
}

/// One database with its files, running or not.
#[derive(Debug, Clone)]
pub struct Influxd {
    program: PathBuf,
    files: PathBuf,
    port: u16,
}

impl Influxd {
    /// Makes its files in `folder`, with the organisation, bucket and token of [`Settings`].
    ///
    /// # Panics
    ///
    /// It doesn't start, or doesn't take them.
    pub fn set_up(program: &Path, folder: &Path, port: u16) -> Self {
        let influxd = Self {
            program: program.to_owned(),
            files: folder.join("influxd"),
            port,
        };
        std::fs::create_dir_all(&influxd.files).expect("the folder is there");
        let mut child = influxd.command().spawn().expect("it starts");
        influxd.comes_up(&mut child);
        let settings = Settings::default();
        let wanted = json!({
            "username": "test", "password": "only-for-tests", "org": settings.org,
            "bucket": settings.buckets[0], "token": settings.token,
        });
        let (status, answer) =
            request(port, "POST", "/api/v2/setup", "", &wanted.to_string()).expect("an answer");
        assert_eq!(status, 201, "{answer}");
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        influxd
    }

    /// The command that runs it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--http-bind-address")
            .arg(format!("127.0.0.1:{}", self.port))
            .arg("--bolt-path")
            .arg(self.files.join("bolt"))
            .arg("--sqlite-path")
            .arg(self.files.join("sqlite"))
            .arg("--engine-path")
            .arg(self.engine())
            .args(["--reporting-disabled", "--log-level", "error"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Waits until it answers.
    ///
    /// # Panics
    ///
    /// It ends instead, or takes more than a minute.
    pub fn comes_up(&self, child: &mut Child) {
        let began = Instant::now();
        while get_json(self.port, "/health").is_none() {
            assert!(began.elapsed() < UP_MAX, "influxd doesn't come up");
            assert_eq!(child.try_wait().expect("a child"), None, "influxd ended");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// What a Flux query answers: a row for each line, by the names of its columns.
    ///
    /// # Errors
    ///
    /// It isn't there, or refuses the query, with its words.
    pub fn query(&self, flux: &str) -> Result<Vec<BTreeMap<String, String>>, String> {
        let settings = Settings::default();
        let asked = json!({"query": flux, "type": "flux", "dialect": {"annotations": []}});
        let path = format!("/api/v2/query?org={}", settings.org);
        let (status, answer) = request(
            self.port,
            "POST",
            &path,
            &settings.token,
            &asked.to_string(),
        )
        .ok_or("no answer")?;
        if status != 200 {
            return Err(answer);
        }
        rows(&answer)
    }

    /// How many points a bucket has; `None` while it doesn't answer.
    pub fn points(&self, bucket: &str) -> Option<u64> {
        let flux = format!(
            "from(bucket: \"{bucket}\") |> {EVER} |> filter(fn: (r) => r._field == \"seq\") \
             |> group() |> count()"
        );
        match self.query(&flux).ok()?.first() {
            None => Some(0),
            Some(row) => row["_value"].parse().ok(),
        }
    }

    /// All that a bucket holds, out of its files. It must run, to tell the bucket's number, and is
    /// killed first: `stop` does that.
    ///
    /// # Errors
    ///
    /// The export fails, or isn't line protocol.
    pub fn export(&self, bucket: &str, stop: impl FnOnce()) -> Result<Store, String> {
        let id = self.bucket(bucket).ok_or("no such bucket")?;
        stop();
        let output = Command::new(&self.program)
            .args(["inspect", "export-lp", "--bucket-id", &id, "--engine-path"])
            .arg(self.engine())
            .args(["--output-path", "-"])
            .output()
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let text = String::from_utf8(output.stdout).map_err(|error| error.to_string())?;
        let mut store = Store::default();
        store.write(whole(parse(&text).map_err(|error| error.to_string())?))?;
        Ok(store)
    }

    fn bucket(&self, name: &str) -> Option<String> {
        let path = format!("/api/v2/buckets?name={name}");
        let (_, answer) = request(self.port, "GET", &path, &Settings::default().token, "")?;
        let answer: Json = serde_json::from_str(&answer).ok()?;
        Some(answer["buckets"][0]["id"].as_str()?.to_owned())
    }

    fn engine(&self) -> PathBuf {
        self.files.join("engine")
    }
}

/// An export has a line for each field of a point; points have all of theirs.
fn whole(fields: Vec<Point>) -> Vec<Point> {
    let mut points = BTreeMap::new();
    for Point {
        series,
        fields,
        timestamp,
    } in fields
    {
        points
            .entry((series, timestamp))
            .or_insert_with(BTreeMap::new)
            .extend(fields);
    }
    let points = points.into_iter();
    points
        .map(|((series, timestamp), fields)| Point {
            series,
            fields,
            timestamp,
        })
        .collect()
}

/// The rows of an answer: tables of CSV with an empty line between, each with its own header.
fn rows(csv: &str) -> Result<Vec<BTreeMap<String, String>>, String> {
    let mut rows = Vec::new();
    for table in csv.replace("\r\n", "\n").split("\n\n") {
        let mut lines = table.lines().map(cells);
        let Some(header) = lines.next() else { continue };
        for line in lines {
            let row: BTreeMap<String, String> = header
                .iter()
                .cloned()
                .zip(line)
                .filter(|(name, _)| !name.is_empty())
                .collect();
            // An error within an answer that had begun stands there as a table of its own.
            if let Some(error) = row.get("error") {
                return Err(error.clone());
            }
            rows.push(row);
        }
    }
    Ok(rows)
}

/// The cells of a line of CSV, RFC 4180; none of ours has a line's end in it.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut marks = line.chars().peekable();
    while let Some(mark) = marks.next() {
        match mark {
            '"' if quoted && marks.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            mark => cell.push(mark),
        }
    }
    cells.push(cell);
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_an_answer_become_rows() {
        let answer = ",result,table,_value\r\n,_result,0,\"a, \"\"b\"\"\"\r\n\r\n,result,n\r\n,_result,2\r\n\r\n";
        let rows = rows(answer).expect("rows");
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0]["_value"], "a, \"b\"");
        assert_eq!(rows[1]["n"], "2");
        let broken = ",error,reference\r\n,out of memory,897\r\n";
        assert_eq!(super::rows(broken), Err("out of memory".to_owned()));
    }

    #[test]
    fn lines_of_an_export_become_whole_points() {
        let lines = parse("m,a=b x=1 5\nm,a=b x=2 6\nm,a=b y=3i 5\n").expect("line protocol");
        let mut store = Store::default();
        store.write(whole(lines)).expect("one type each");
        assert_eq!((store.counts().points, store.counts().conflicts), (2, 0));
    }
}
