//! From a record's JSON to a point of the database.
//!
//! The measurement is the record's name; tags are site, gateway, machine and epoch; the time is the
//! record's to the nanosecond; everything else is a field: `seq`, `frame`, `module`, `clock`, and the
//! record's own, each of the kind that its module's manifest says. Where no manifest is known the
//! literal decides, which gives the same: a gateway writes an f64 with a fraction or exponent, and an
//! i64 without.
//!
//! Numbers are not read and written anew: the digits that the gateway wrote are those that the
//! database gets.

use std::borrow::Cow;
use std::fmt;

use retrotap_abi::manifest::Kind;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::schemas::Schemas;
use crate::line_protocol::{self, Unwritable};

/// Fields that every point has; a record's own must not have these names.
const OURS: [&str; 4] = ["seq", "frame", "module", "clock"];

/// Why a record can't become a point.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPoint {
    /// Not the JSON of a record.
    #[error("not a record: {0}")]
    NotARecord(String),
    /// The time isn't one.
    #[error("`t` is \"{0}\", which is no time in UTC with nanoseconds in 64 bits")]
    Time(String),
    /// A name that line protocol can't write.
    #[error("{what} \"{name}\" {why}")]
    Name {
        /// Which name.
        what: &'static str,
        /// What it is.
        name: String,
        /// Why not.
        why: Unwritable,
    },
    /// A field isn't what the manifest says.
    #[error("field `{field}` is {literal}, but {module} says that it is {kind:?}")]
    Contradicts {
        /// Which field.
        field: String,
        /// What it holds.
        literal: String,
        /// Whose manifest.
        module: String,
        /// What that says.
        kind: Kind,
    },
    /// A number that doesn't fit the database's 64 bits.
    #[error("{field} is {literal}: {why}")]
    Range {
        /// Which field.
        field: String,
        /// What it holds.
        literal: String,
        /// What it would have to be.
        why: &'static str,
    },
    /// A field that holds a list or an object.
    #[error("field `{0}` holds neither a number, nor text, nor true or false")]
    Nested(String),
    /// A field with a name that every point has.
    #[error("field `{0}` has the name of one that every point has")]
    Ours(String),
}

impl NoPoint {
    /// What it is counted as.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::NotARecord(_) => "not_a_record",
            Self::Time(_) => "time",
            Self::Name { .. } => "name",
            Self::Contradicts { .. } => "contradicts_schema",
            Self::Range { .. } => "range",
            Self::Nested(_) => "nested",
            Self::Ours(_) => "reserved_name",
        }
    }
}

/// A record, as far as a point needs it.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    site: Cow<'a, str>,
    #[serde(borrow)]
    gateway: Cow<'a, str>,
    #[serde(borrow)]
    machine: Cow<'a, str>,
    #[serde(borrow)]
    record: Cow<'a, str>,
    epoch: u64,
    seq: u64,
    #[serde(borrow)]
    t: Cow<'a, str>,
    #[serde(borrow)]
    clock: Cow<'a, str>,
    #[serde(borrow)]
    module: Cow<'a, str>,
    frame: u64,
    #[serde(borrow)]
    fields: Literals<'a>,
}

/// Names and literals of the fields, in their order.
struct Literals<'a>(Vec<(Name<'a>, &'a RawValue)>);

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Literals<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Literals<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut literals = Vec::with_capacity(16);
                while let Some(entry) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    literals.push(entry);
                }
                Ok(Literals(literals))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// Appends the point of a record as one line with its line break. Where it can't be one, `into` is as
/// it was.
///
/// # Errors
///
/// Why it can't be one.
pub fn write(
    into: &mut Vec<u8>,
    json: &[u8],
    schemas: &Schemas,
    suffix: &str,
) -> Result<(), NoPoint> {
    let before = into.len();
    let written = try_write(into, json, schemas, suffix);
    if written.is_err() {
        into.truncate(before);
    }
    written
}

fn try_write(
    into: &mut Vec<u8>,
    json: &[u8],
    schemas: &Schemas,
    suffix: &str,
) -> Result<(), NoPoint> {
    let record: Record<'_> =
        serde_json::from_slice(json).map_err(|error| NoPoint::NotARecord(error.to_string()))?;
    let t_ns = retrotap::time::parse_instant(&record.t)
        .ok_or_else(|| NoPoint::Time(record.t.clone().into_owned()))?;
    let name = |what, name: &str, why| NoPoint::Name {
        what,
        name: name.to_owned(),
        why,
    };

    if suffix.is_empty() {
        line_protocol::measurement(into, &record.record)
    } else {
        line_protocol::measurement(into, &format!("{}{suffix}", record.record))
    }
    .map_err(|why| name("record", &record.record, why))?;
    for (tag, what, value) in [
        (&b",site="[..], "site", &record.site),
        (b",gateway=", "gateway", &record.gateway),
        (b",machine=", "machine", &record.machine),
    ] {
        into.extend_from_slice(tag);
        line_protocol::key(into, value).map_err(|why| name(what, value, why))?;
    }
    into.extend_from_slice(b",epoch=");
    line_protocol::digits(into, record.epoch);

    for (field, what, value) in [
        (&b" seq="[..], "seq", record.seq),
        (b",frame=", "frame", record.frame),
    ] {
        into.extend_from_slice(field);
        let value = i64::try_from(value).map_err(|_| NoPoint::Range {
            field: what.to_owned(),
            literal: value.to_string(),
            why: "the database's integers end at 9223372036854775807",
        })?;
        line_protocol::digits(into, value);
        into.push(b'i');
    }
    into.extend_from_slice(b",module=");
    line_protocol::text(into, &record.module);
    into.extend_from_slice(b",clock=");
    line_protocol::text(into, &record.clock);

    let known = schemas.fields(&record.module, &record.record);
    let mut from = 0;
    for (field, literal) in &record.fields.0 {
        let field = &*field.0;
        if OURS.contains(&field) {
            return Err(NoPoint::Ours(field.to_owned()));
        }
        let literal = literal.get();
        if literal == "null" {
            // What has no value is absent.
            continue;
        }
        into.push(b',');
        line_protocol::key(into, field).map_err(|why| name("field", field, why))?;
        into.push(b'=');
        let kind = known.and_then(|known| known.kind(field, &mut from));
        value(into, field, literal, kind, &record.module)?;
    }
    into.push(b' ');
    line_protocol::digits(into, t_ns);
    into.push(b'\n');
    Ok(())
}

/// What a JSON literal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Literal {
    Whole,
    Fraction,
    Bool,
    Text,
}

fn value(
    into: &mut Vec<u8>,
    field: &str,
    literal: &str,
    kind: Option<Kind>,
    module: &str,
) -> Result<(), NoPoint> {
    let found = match literal.as_bytes().first() {
        Some(b'"') => Literal::Text,
        Some(b't' | b'f') => Literal::Bool,
        Some(b'-' | b'0'..=b'9') => {
            if literal
                .bytes()
                .any(|byte| matches!(byte, b'.' | b'e' | b'E'))
            {
                Literal::Fraction
            } else {
                Literal::Whole
            }
        }
        _ => return Err(NoPoint::Nested(field.to_owned())),
    };
    let contradicts = |kind| NoPoint::Contradicts {
        field: field.to_owned(),
        literal: literal.chars().take(100).collect(),
        module: module.to_owned(),
        kind,
    };
    match (kind, found) {
        (Some(Kind::F64), Literal::Fraction | Literal::Whole) | (None, Literal::Fraction) => {
            float(into, field, literal)
        }
        (Some(Kind::I64) | None, Literal::Whole) => whole(into, field, literal),
        (Some(Kind::Bool) | None, Literal::Bool) => {
            into.extend_from_slice(literal.as_bytes());
            Ok(())
        }
        (Some(Kind::Choice | Kind::Row | Kind::Text) | None, Literal::Text) => {
            if let Some(plain) = literal
                .get(1..literal.len() - 1)
                .filter(|plain| !plain.contains('\\'))
            {
                line_protocol::text(into, plain);
            } else {
                let text: String = serde_json::from_str(literal)
                    .map_err(|error| NoPoint::NotARecord(error.to_string()))?;
                line_protocol::text(into, &text);
            }
            Ok(())
        }
        (Some(kind), _) => Err(contradicts(kind)),
    }
}

fn float(into: &mut Vec<u8>, field: &str, literal: &str) -> Result<(), NoPoint> {
    // Only what is written with an exponent or is very long can be beyond the greatest f64.
    let suspicious = literal.len() > 300 || literal.bytes().any(|byte| matches!(byte, b'e' | b'E'));
    if suspicious && !literal.parse().is_ok_and(f64::is_finite) {
        return Err(NoPoint::Range {
            field: field.to_owned(),
            literal: literal.chars().take(100).collect(),
            why: "beyond the greatest 64-bit float",
        });
    }
    into.extend_from_slice(literal.as_bytes());
    Ok(())
}

fn whole(into: &mut Vec<u8>, field: &str, literal: &str) -> Result<(), NoPoint> {
    // Up to 18 digits always fit.
    if literal.len() > 18 && literal.parse::<i64>().is_err() {
        return Err(NoPoint::Range {
            field: field.to_owned(),
            literal: literal.chars().take(100).collect(),
            why: "the database's integers have 64 bits with a sign",
        });
    }
    line_protocol::integer(into, literal);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use retrotap_abi::Manifest;

    use super::*;

    fn record(fields: &str) -> String {
        format!(
            concat!(
                r#"{{"v":1,"site":"aachen","gateway":"cell-3","machine":"robot-1","#,
                r#""record":"distance","epoch":12,"seq":181233,"#,
                r#""t":"2026-11-20T10:55:00.123456789Z","clock":"synced","#,
                r#""module":"arm-distance@1.0.0","frame":1268631,"fields":{{{}}}}}"#
            ),
            fields
        )
    }

    fn schemas() -> Schemas {
        let text = include_str!("../../../pipelines/stages/arm-distance/manifest.yaml");
        let mut manifest = Manifest::from_yaml(text).expect("a manifest");
        for (name, kind) in [
            ("count", Kind::I64),
            ("ok", Kind::Bool),
            ("mode", Kind::Choice),
        ] {
            let field = retrotap_abi::manifest::Field {
                kind,
                ..retrotap_abi::manifest::Field::number(name, None)
            };
            manifest.records[1].fields.push(field);
        }
        let mut schemas = Schemas::default();
        schemas.put("arm-distance@1.0.0", &manifest);
        schemas
    }

    fn point(json: &str, schemas: &Schemas) -> Result<String, NoPoint> {
        let mut into = b"before\n".to_vec();
        let written = write(&mut into, json.as_bytes(), schemas, "");
        let text = String::from_utf8(into).expect("UTF-8");
        let line = text
            .strip_prefix("before\n")
            .expect("what was there is left alone");
        assert!(written.is_ok() || line.is_empty(), "{line}");
        written.map(|()| line.to_owned())
    }

    fn fields(fields: &str, schemas: &Schemas) -> Result<String, NoPoint> {
        point(&record(fields), schemas).map(|line| {
            let own = line
                .strip_prefix(concat!(
                    "distance,site=aachen,gateway=cell-3,machine=robot-1,epoch=12 ",
                    "seq=181233i,frame=1268631i,module=\"arm-distance@1.0.0\",clock=\"synced\""
                ))
                .expect("the same beginning");
            own.strip_suffix(" 1795172100123456789\n")
                .expect("the time to the nanosecond")
                .to_owned()
        })
    }

    #[test]
    fn a_record_is_one_line_with_every_value_of_its_kind() {
        let json = r#""distance_m":1.732,"nearest_link":"link_3","count":7,"ok":true,"mode":"a b""#;
        let line = r#",distance_m=1.732,nearest_link="link_3",count=7i,ok=true,mode="a b""#;
        assert_eq!(fields(json, &schemas()).as_deref(), Ok(line));
        assert_eq!(fields(json, &Schemas::default()).as_deref(), Ok(line));
    }

    #[test]
    fn the_digits_are_those_that_the_gateway_wrote() {
        for digits in [
            "0.1",
            "-0.0",
            "1e-7",
            "1.7976931348623157e308",
            "5e-324",
            "123456789.123456789",
        ] {
            let (json, line) = (
                format!(r#""distance_m":{digits}"#),
                format!(",distance_m={digits}"),
            );
            assert_eq!(fields(&json, &schemas()), Ok(line.clone()));
            assert_eq!(fields(&json, &Schemas::default()), Ok(line));
        }
    }

    #[test]
    fn the_manifest_knows_better_than_the_literal() {
        assert_eq!(
            fields(r#""distance_m":2"#, &schemas()).as_deref(),
            Ok(",distance_m=2")
        );
        assert_eq!(
            fields(r#""distance_m":2"#, &Schemas::default()).as_deref(),
            Ok(",distance_m=2i")
        );
    }

    #[test]
    fn a_literal_that_contradicts_its_manifest_is_refused() {
        for json in [
            r#""count":1.5"#,
            r#""count":1.0"#,
            r#""count":1e3"#,
            r#""count":"1""#,
            r#""count":true"#,
            r#""ok":1"#,
            r#""ok":"true""#,
            r#""mode":1"#,
            r#""distance_m":"1.0""#,
            r#""nearest_link":3"#,
        ] {
            let refused = fields(json, &schemas()).expect_err(json);
            assert_eq!(refused.cause(), "contradicts_schema", "{refused}");
        }
    }

    #[test]
    fn numbers_beyond_64_bits_are_refused() {
        for (json, fits) in [
            (r#""n":9223372036854775807"#, true),
            (r#""n":-9223372036854775808"#, true),
            (r#""n":9223372036854775808"#, false),
            (r#""n":-9223372036854775809"#, false),
            (r#""n":18446744073709551615"#, false),
            (r#""n":1e400"#, false),
            (r#""distance_m":1e309"#, false),
        ] {
            let result = fields(json, &schemas());
            assert_eq!(result.is_ok(), fits, "{json}: {result:?}");
        }
        let json = record("").replace(r#""seq":181233"#, r#""seq":9223372036854775808"#);
        assert_eq!(
            point(&json, &schemas()).expect_err("too great").cause(),
            "range"
        );
    }

    #[test]
    fn what_has_no_value_is_absent_and_what_has_several_is_refused() {
        assert_eq!(
            fields(r#""a":null,"b":1.0"#, &schemas()).as_deref(),
            Ok(",b=1.0")
        );
        assert_eq!(fields("", &schemas()).as_deref(), Ok(""));
        for json in [r#""a":[1]"#, r#""a":{"b":1}"#] {
            assert_eq!(fields(json, &schemas()).expect_err(json).cause(), "nested");
        }
        assert_eq!(
            fields(r#""frame":1"#, &schemas())
                .expect_err("ours")
                .cause(),
            "reserved_name"
        );
    }

    #[test]
    fn text_is_read_from_json_before_it_is_written() {
        let json = r#""mode":"a\"b\\c\u00e9\nd""#;
        assert_eq!(
            fields(json, &schemas()).as_deref(),
            Ok(",mode=\"a\\\"b\\\\cé\nd\"")
        );
    }

    #[test]
    fn names_are_escaped_or_refused() {
        let json = record("").replace("robot-1", "robot 1,a=b");
        assert!(
            point(&json, &schemas()).is_ok_and(|line| line.contains(r"machine=robot\ 1\,a\=b,"))
        );
        for (from, to) in [
            ("robot-1", r"robot\\"),
            ("robot-1", r"a\nb"),
            ("robot-1", ""),
            (r#""record":"distance""#, r##""record":"#distance""##),
        ] {
            let json = record("").replace(from, to);
            assert_eq!(point(&json, &schemas()).expect_err(to).cause(), "name");
        }
    }

    #[test]
    fn a_gap_is_a_point_like_any_other() {
        let json = r#"{"v":1,"site":"aachen","gateway":"cell-3","machine":"robot-1","record":"gap","epoch":1795186221,"seq":9001,"t":"2026-11-20T15:00:00.000000000Z","clock":"synced","module":"retrotap@0.1.0","frame":0,"fields":{"reason":"spool_full","count":4000,"of_epoch":1795186221,"first":5001,"last":9000,"since":"2026-11-20T14:58:00.000000000Z"}}"#;
        let line = point(json, &schemas()).expect("a point");
        assert!(line.starts_with("gap,site=aachen,"), "{line}");
        assert!(
            line.contains(r#"reason="spool_full",count=4000i,of_epoch=1795186221i,"#),
            "{line}"
        );
    }

    #[test]
    fn what_is_no_record_is_refused_wherever_it_is_cut() {
        let whole = record(r#""distance_m":1.732"#);
        for end in 0..whole.len() {
            assert!(point(&whole[..end], &schemas()).is_err(), "cut at {end}");
        }
        let json = record("").replace("2026-11-20T", "2026-11-31T");
        assert_eq!(
            point(&json, &schemas()).expect_err("no such day").cause(),
            "time"
        );
    }

    #[test]
    fn a_suffix_makes_another_measurement() {
        let mut into = Vec::new();
        write(
            &mut into,
            record(r#""a":1.0"#).as_bytes(),
            &schemas(),
            "_v2",
        )
        .expect("a point");
        assert!(into.starts_with(b"distance_v2,site="));
    }

    proptest! {
        #[test]
        fn every_f64_arrives_with_its_bits(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let mut json = retrotap::spool::Fields::new();
            json.number("distance_m", value);
            let json = json.finish();
            for schemas in [schemas(), Schemas::default()] {
                let line = fields(&json[1..json.len() - 1], &schemas).unwrap();
                let digits = line.strip_prefix(",distance_m=").unwrap();
                prop_assert_eq!(digits.parse::<f64>().unwrap().to_bits(), bits);
            }
        }

        #[test]
        fn any_bytes_are_a_point_or_not(json in any::<Vec<u8>>()) {
            let mut into = Vec::new();
            let _ = write(&mut into, &json, &Schemas::default(), "");
        }
    }
}
