//! The two histories that the judge holds against each other: what the lines said, written down by
//! the gateway before its spool, and what stands in the database.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value as Json};

use crate::influx::Store;
use crate::influx::line_protocol::Value;

/// A record as its line made it.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// Its name.
    pub record: String,
    /// The frame's number on its line.
    pub frame: u64,
    /// Wall clock of the frame's last byte.
    pub wall_ns: i64,
    /// Line time of the same.
    pub line_ns: u64,
    /// Stage and version.
    pub module: String,
    /// Its fields.
    pub fields: Map<String, Json>,
}

/// One process of the gateway: what each of its lines said, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// By machine.
    pub said: BTreeMap<String, Vec<Said>>,
    /// Whether it was killed; else it stopped by itself, with nothing left.
    pub killed: bool,
}

/// A point of the database that is an entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The machine.
    pub machine: String,
    /// Its epoch.
    pub epoch: u64,
    /// Its number there.
    pub seq: u64,
    /// Its name, `gap` for what explains a hole.
    pub record: String,
    /// Its time.
    pub t_ns: i64,
    /// The frame's number on its line.
    pub frame: u64,
    /// Stage and version.
    pub module: String,
    /// Its fields without those that every entry has.
    pub fields: BTreeMap<String, Value>,
    /// How often it was written again with other fields.
    pub conflicts: usize,
}

/// Reads what one process wrote, `<machine>.<pid>.jsonl` of each machine, in `folder`.
///
/// The last line of a killed process may be torn: it was never handed on.
///
/// # Errors
///
/// A file or a line can't be read.
pub fn said_by(folder: &Path, pid: u32) -> Result<BTreeMap<String, Vec<Said>>, String> {
    let mut machines = BTreeMap::new();
    let files = match std::fs::read_dir(folder) {
        Ok(files) => files,
        // It was killed before it made any.
        Err(_) => return Ok(machines),
    };
    let suffix = format!(".{pid}.jsonl");
    for file in files {
        let path = file.map_err(|error| error.to_string())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(machine) = name.strip_suffix(&suffix) else {
            continue;
        };
        let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let said: Result<Vec<Said>, String> = whole
            .lines()
            .map(|line| said(line).ok_or_else(|| format!("{}: {line}", path.display())))
            .collect();
        machines.insert(machine.to_owned(), said?);
    }
    Ok(machines)
}

fn said(line: &str) -> Option<Said> {
    let Json::Object(mut value) = serde_json::from_str(line).ok()? else {
        return None;
    };
    let Some(Json::Object(fields)) = value.remove("fields") else {
        return None;
    };
    Some(Said {
        record: value["record"].as_str()?.to_owned(),
        frame: value["frame"].as_u64()?,
        wall_ns: value["wall_ns"].as_i64()?,
        line_ns: value["line_ns"].as_u64()?,
        module: value["module"].as_str()?.to_owned(),
        fields,
    })
}

/// The entries of one gateway in the database, by machine, epoch and number; what is no entry is
/// told beside them.
pub fn found(store: &Store, site: &str, gateway: &str) -> (Vec<Found>, Vec<String>) {
    let (mut found, mut strange) = (Vec::new(), Vec::new());
    for (series, t_ns, kept) in store.points() {
        let tag = |name: &str| series.tags.get(name).map(String::as_str);
        let mut fields = kept.fields.clone();
        let mut integer = |name: &str| match fields.remove(name) {
            Some(Value::Integer(value)) => u64::try_from(value).ok(),
            _ => None,
        };
        let (seq, frame) = (integer("seq"), integer("frame"));
        let mut text = |name: &str| match fields.remove(name) {
            Some(Value::Text(value)) => Some(value),
            _ => None,
        };
        let (module, clock) = (text("module"), text("clock"));
        let tags_right =
            series.tags.len() == 4 && tag("site") == Some(site) && tag("gateway") == Some(gateway);
        let names = (
            tag("machine"),
            tag("epoch").and_then(|epoch| epoch.parse().ok()),
        );
        match (names, seq, frame, module, clock) {
            ((Some(machine), Some(epoch)), Some(seq), Some(frame), Some(module), Some(_))
                if tags_right =>
            {
                found.push(Found {
                    machine: machine.to_owned(),
                    epoch,
                    seq,
                    record: series.measurement.clone(),
                    t_ns,
                    frame,
                    module,
                    fields,
                    conflicts: kept.conflicts.len(),
                });
            }
            _ => strange.push(format!("{series:?} at {t_ns}: {:?}", kept.fields)),
        }
    }
    found.sort_by(|one, other| {
        (&one.machine, one.epoch, one.seq).cmp(&(&other.machine, other.epoch, other.seq))
    });
    (found, strange)
}

/// Whether the database holds these very values: kinds, bits and names, nothing more and nothing less.
pub fn same_fields(said: &Map<String, Json>, found: &BTreeMap<String, Value>) -> bool {
    said.len() == found.len()
        && said.iter().all(|(name, said)| {
            found.get(name).is_some_and(|found| match (said, found) {
                // The literal tells the kind: "1.0" is a float and "1" a whole number.
                (Json::Number(said), Value::Float(found)) => {
                    said.is_f64() && said.as_f64().map(f64::to_bits) == Some(found.to_bits())
                }
                (Json::Number(said), Value::Integer(found)) => {
                    !said.is_f64() && said.as_i64() == Some(*found)
                }
                (Json::Bool(said), Value::Boolean(found)) => said == found,
                (Json::String(said), Value::Text(found)) => said == found,
                _ => false,
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::influx::line_protocol::parse;

    const LINE: &str = r#"{"machine":"robot-1","record":"axes","frame":7,"wall_ns":1795186221000000001,"line_ns":5,"module":"krc2-decode@1.0.0","fields":{"a":1.0,"n":-2,"ok":true,"who":"p1"}}"#;

    #[test]
    fn a_file_is_read_up_to_its_last_whole_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("robot-1.42.jsonl");
        std::fs::write(&file, format!("{LINE}\n{LINE}\n{{\"mach")).expect("written");
        std::fs::write(folder.path().join("robot-1.43.jsonl"), "").expect("written");
        let said = said_by(folder.path(), 42).expect("readable");
        assert_eq!(said["robot-1"].len(), 2);
        assert_eq!(said["robot-1"][0].frame, 7);
        std::fs::write(&file, "{\"machine\":\"robot-1\"}\n").expect("written");
        assert!(said_by(folder.path(), 42).is_err());
        assert_eq!(
            said_by(&folder.path().join("none"), 42),
            Ok(BTreeMap::new())
        );
    }

    #[test]
    fn points_become_entries_and_what_is_none_is_told() {
        let mut store = Store::default();
        let good = "axes,site=aachen,gateway=g,machine=m,epoch=12 seq=3i,frame=7i,module=\"x@1\",clock=\"synced\",a=1.0 5";
        let lines = [
            good.to_owned(),
            good.replace("seq=3i", "seq=3.0").replace("axes", "b"),
            good.replace("epoch=12", "epoch=x"),
            good.replace("gateway=g", "gateway=other"),
            good.replace("clock=\"synced\",", ""),
            good.replace("machine=m", "machine=m,more=1"),
        ];
        for line in &lines {
            store
                .write(parse(line).expect("line protocol"))
                .expect("kept");
        }
        let (found, strange) = found(&store, "aachen", "g");
        // The one without a clock is the same point with other fields.
        assert_eq!((found.len(), strange.len()), (1, 4));
        assert_eq!(found[0].conflicts, 1);
        assert_eq!((found[0].epoch, found[0].seq, found[0].t_ns), (12, 3, 5));
        assert_eq!(found[0].fields.len(), 1);
    }

    #[test]
    fn values_are_the_same_only_with_their_kind_and_bits() {
        let said = said(LINE).expect("a line").fields;
        let right: BTreeMap<String, Value> = [
            ("a", Value::Float(1.0)),
            ("n", Value::Integer(-2)),
            ("ok", Value::Boolean(true)),
            ("who", Value::Text("p1".into())),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        assert!(same_fields(&said, &right));
        for (name, wrong) in [
            ("a", Value::Integer(1)),
            ("a", Value::Float(1.000_000_000_000_000_2)),
            ("n", Value::Float(-2.0)),
            ("n", Value::Integer(-3)),
            ("ok", Value::Text("true".into())),
            ("who", Value::Text("p2".into())),
        ] {
            let mut found = right.clone();
            found.insert(name.to_owned(), wrong);
            assert!(!same_fields(&said, &found), "{name}");
        }
        for missing in right.keys() {
            let mut found = right.clone();
            found.remove(missing);
            assert!(!same_fields(&said, &found), "{missing}");
        }
        let mut more = right.clone();
        more.insert("more".to_owned(), Value::Boolean(true));
        assert!(!same_fields(&said, &more));
    }
}
