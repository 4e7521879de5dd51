//! InfluxDB's line protocol, read as strictly as its reference writes it:
//! `measurement[,tag=value…] field=value[,field=value…] timestamp`.
//!
//! A parser of the tests' own, so that it shares no mistake with what writes the lines. Where the
//! real server is lenient and the reference isn't, this one refuses: a point without a timestamp (it
//! would be another point when it is written again), a newline inside a text, a tag twice, reserved
//! names.

use std::collections::BTreeMap;
use std::fmt;

/// A field's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `1.5`, `1`, `-1e3`.
    Float(f64),
    /// `1i`.
    Integer(i64),
    /// `1u`.
    Unsigned(u64),
    /// `t`, `true`…
    Boolean(bool),
    /// `"text"`.
    Text(String),
}

impl Value {
    /// Its type as the database names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Float(_) => "float",
            Self::Integer(_) => "integer",
            Self::Unsigned(_) => "unsigned",
            Self::Boolean(_) => "boolean",
            Self::Text(_) => "string",
        }
    }

    /// The very same, negative zero and all.
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(one), Self::Float(other)) => one.to_bits() == other.to_bits(),
            _ => self == other,
        }
    }
}

/// Measurement and tags: what, together with the time, names a point.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// The measurement.
    pub measurement: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Where it belongs.
    pub series: Series,
    /// Its fields.
    pub fields: BTreeMap<String, Value>,
    /// Its time, in the request's unit.
    pub timestamp: i64,
}

/// A line that isn't line protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The line.
    pub line: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unable to parse '{}': {}", self.line, self.why)
    }
}

/// All points of a body; one malformed line refuses it whole.
///
/// # Errors
///
/// The first line that is malformed.
pub fn parse(body: &str) -> Result<Vec<Point>, Malformed> {
    body.split('\n')
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            point(line).map_err(|why| Malformed {
                line: line.to_owned(),
                why,
            })
        })
        .collect()
}

fn point(line: &str) -> Result<Point, &'static str> {
    let mut rest = Rest(line);
    let measurement = rest.name(&[',', ' '])?;
    if measurement.is_empty() {
        return Err("missing measurement");
    }
    if measurement.starts_with('_') {
        return Err("a measurement can't begin with an underscore");
    }
    let mut tags = BTreeMap::new();
    while rest.skip(',') {
        let key = rest.name(&['=', ',', ' '])?;
        if key.is_empty() || !rest.skip('=') {
            return Err("missing tag key or value");
        }
        let value = rest.name(&['=', ',', ' '])?;
        if value.is_empty() {
            return Err("missing tag value");
        }
        reserved(&key)?;
        if tags.insert(key, value).is_some() {
            return Err("duplicate tags");
        }
    }
    if !rest.skip(' ') {
        return Err("missing fields");
    }
    let mut fields = BTreeMap::new();
    loop {
        let key = rest.name(&['=', ',', ' '])?;
        if key.is_empty() || !rest.skip('=') {
            return Err("missing field key or value");
        }
        reserved(&key)?;
        if tags.contains_key(&key) {
            return Err("a name is tag and field at once");
        }
        let value = rest.value()?;
        if fields.insert(key, value).is_some() {
            return Err("duplicate field");
        }
        if !rest.skip(',') {
            break;
        }
    }
    if !rest.skip(' ') {
        return Err("missing timestamp");
    }
    let digits = rest.0.strip_prefix('-').unwrap_or(rest.0);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("bad timestamp");
    }
    let timestamp = rest.0.parse().map_err(|_| "timestamp out of range")?;
    let series = Series { measurement, tags };
    Ok(Point {
        series,
        fields,
        timestamp,
    })
}

fn reserved(key: &str) -> Result<(), &'static str> {
    match key {
        "time" | "_measurement" | "_field" | "_value" | "_time" => Err("a reserved name"),
        _ => Ok(()),
    }
}

/// What of a line isn't read yet.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn skip(&mut self, wanted: char) -> bool {
        match self.0.strip_prefix(wanted) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// Up to the first of `ends` that no backslash stands before. A backslash before anything else
    /// is itself.
    fn name(&mut self, ends: &[char]) -> Result<String, &'static str> {
        let mut name = String::new();
        let mut letters = self.0.char_indices().peekable();
        let mut end = self.0.len();
        while let Some((at, letter)) = letters.next() {
            if letter == '\\' {
                match letters.peek() {
                    // The next end would count as escaped for other readers of the line.
                    None => return Err("a name ends in a backslash"),
                    Some((_, next)) if matches!(next, ',' | ' ' | '=') => {
                        name.push(*next);
                        letters.next();
                    }
                    Some(_) => name.push('\\'),
                }
            } else if ends.contains(&letter) {
                end = at;
                break;
            } else if letter.is_control() {
                return Err("a control character in a name");
            } else {
                name.push(letter);
            }
        }
        self.0 = &self.0[end..];
        Ok(name)
    }

    fn value(&mut self) -> Result<Value, &'static str> {
        if self.skip('"') {
            return self.text().map(Value::Text);
        }
        let end = self.0.find([',', ' ']).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        match word {
            "t" | "T" | "true" | "True" | "TRUE" => return Ok(Value::Boolean(true)),
            "f" | "F" | "false" | "False" | "FALSE" => return Ok(Value::Boolean(false)),
            _ => {}
        }
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if let Some(integer) = word.strip_suffix('i') {
            if !digits(integer.strip_prefix('-').unwrap_or(integer)) {
                return Err("invalid integer");
            }
            return match integer.parse() {
                Ok(integer) => Ok(Value::Integer(integer)),
                Err(_) => Err("integer out of range"),
            };
        }
        if let Some(unsigned) = word.strip_suffix('u') {
            if !digits(unsigned) {
                return Err("invalid unsigned integer");
            }
            return match unsigned.parse() {
                Ok(unsigned) => Ok(Value::Unsigned(unsigned)),
                Err(_) => Err("unsigned integer out of range"),
            };
        }
        let allowed = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
        if !word.bytes().all(allowed) || !word.bytes().any(|byte| byte.is_ascii_digit()) {
            return Err("invalid field value");
        }
        match word.parse::<f64>() {
            Ok(float) if float.is_finite() => Ok(Value::Float(float)),
            Ok(_) => Err("float out of range"),
            Err(_) => Err("invalid number"),
        }
    }

    /// The rest of a text after its opening quote.
    fn text(&mut self) -> Result<String, &'static str> {
        let mut text = String::new();
        let mut letters = self.0.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return match self.0.chars().next() {
                        None | Some(',' | ' ') => Ok(text),
                        Some(_) => Err("text after a closing quote"),
                    };
                }
                '\\' => match letters.next() {
                    Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                    Some((_, other)) => text.extend(['\\', other]),
                    None => break,
                },
                _ => text.push(letter),
            }
        }
        Err("unbalanced quotes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Point {
        let points = parse(line).expect("line protocol");
        assert_eq!(points.len(), 1);
        points.into_iter().next().expect("one")
    }

    #[test]
    fn a_line_with_all_there_is() {
        let point = one(
            r#"distance,site=aachen,epoch=12 d=1.5,n=-3i,u=7u,ok=t,who="p \"1\" \\, x=y" 1795186221000000001"#,
        );
        assert_eq!(point.series.measurement, "distance");
        assert_eq!(point.series.tags["site"], "aachen");
        assert_eq!(point.timestamp, 1_795_186_221_000_000_001);
        let expect = [
            ("d", Value::Float(1.5)),
            ("n", Value::Integer(-3)),
            ("ok", Value::Boolean(true)),
            ("u", Value::Unsigned(7)),
            ("who", Value::Text(r#"p "1" \, x=y"#.into())),
        ];
        assert_eq!(
            point.fields,
            expect.map(|(name, value)| (name.to_owned(), value)).into()
        );
    }

    #[test]
    fn names_are_escaped() {
        let point = one(r"my\ line\,x,tag\ key=a\,b\=c\ d field\=key=1 -5");
        assert_eq!(point.series.measurement, "my line,x");
        assert_eq!(point.series.tags["tag key"], "a,b=c d");
        assert_eq!(point.fields["field=key"], Value::Float(1.0));
        assert_eq!(point.timestamp, -5);
        assert_eq!(one(r"a\b x=1 1").series.measurement, r"a\b");
    }

    #[test]
    fn numbers_keep_every_bit() {
        for number in [
            0.1,
            -0.0,
            1e300,
            f64::MIN_POSITIVE,
            5e-324,
            f64::MAX,
            1.0 / 3.0,
        ] {
            let point = one(&format!("m x={number:?} 1"));
            assert!(point.fields["x"].same(&Value::Float(number)), "{number:?}");
        }
        let point = one("m a=9223372036854775807i,b=-9223372036854775808i 1");
        assert_eq!(point.fields["a"], Value::Integer(i64::MAX));
        assert_eq!(point.fields["b"], Value::Integer(i64::MIN));
        assert!(!Value::Float(0.0).same(&Value::Float(-0.0)));
    }

    #[test]
    fn comments_and_empty_lines_are_no_points() {
        assert_eq!(
            parse("\n# m x=1 1\n\nm x=1 1\n").map(|points| points.len()),
            Ok(1)
        );
        assert_eq!(parse(""), Ok(Vec::new()));
    }

    #[test]
    fn what_the_reference_forbids_is_refused() {
        for (line, why) in [
            ("m", "missing fields"),
            ("m,a=b", "missing fields"),
            ("m 1", "missing field key or value"),
            ("m x=1", "missing timestamp"),
            ("m x=1 ", "bad timestamp"),
            ("m x=1 1.5", "bad timestamp"),
            ("m x=1  1", "bad timestamp"),
            ("m x=1 1 ", "bad timestamp"),
            ("m x=1 +1", "bad timestamp"),
            ("m x=1 9223372036854775808", "timestamp out of range"),
            (" x=1 1", "missing measurement"),
            (",a=b x=1 1", "missing measurement"),
            ("_m x=1 1", "a measurement can't begin with an underscore"),
            ("m,a= x=1 1", "missing tag value"),
            ("m,=b x=1 1", "missing tag key or value"),
            ("m,a x=1 1", "missing tag key or value"),
            ("m, x=1 1", "missing tag key or value"),
            ("m,a=b,a=c x=1 1", "duplicate tags"),
            ("m,a=b a=1 1", "a name is tag and field at once"),
            ("m,time=1 x=1 1", "a reserved name"),
            ("m time=1 1", "a reserved name"),
            ("m x=1,x=2 1", "duplicate field"),
            ("m x= 1", "invalid field value"),
            ("m x=NaN 1", "invalid field value"),
            ("m x=inf 1", "invalid field value"),
            ("m x=1e999 1", "float out of range"),
            ("m x=1.2.3 1", "invalid number"),
            ("m x=e 1", "invalid field value"),
            ("m x=1,5 1", "missing field key or value"),
            ("m x=1.5i 1", "invalid integer"),
            ("m x=i 1", "invalid integer"),
            ("m x=9223372036854775808i 1", "integer out of range"),
            ("m x=-1u 1", "invalid unsigned integer"),
            ("m x=tRUE 1", "invalid field value"),
            ("m x=text 1", "invalid field value"),
            ("m x=\"text 1", "unbalanced quotes"),
            ("m x=\"text\\\" 1", "unbalanced quotes"),
            ("m x=\"a\"b 1", "text after a closing quote"),
            ("m x=\"two\nlines\" 1", "unbalanced quotes"),
            ("m,a=b\\", "a name ends in a backslash"),
            ("m x=1 1\r", "bad timestamp"),
            ("m\tn x=1 1", "a control character in a name"),
        ] {
            let said = parse(line).map_err(|malformed| malformed.why);
            assert_eq!(said, Err(why), "{line:?}");
        }
    }

    #[test]
    fn a_malformed_line_is_named() {
        let said = parse("m x=1 1\nm x= 2\nm x=3 3").expect_err("malformed");
        assert_eq!(
            said.to_string(),
            "unable to parse 'm x= 2': invalid field value"
        );
    }
}
