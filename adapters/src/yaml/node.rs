//! Values out of a tree. Every function that can't read what it is asked for reports why and gives
//! `None`, so that its caller goes on and finds the other problems too.

use super::document::{Content, Document, Place, ReportedProblem, Tree};
use super::{BYTES, NANOSECONDS, Quantity, Unit, did_you_mean};
use std::fmt::Display;
use std::ops::RangeInclusive;

/// A value in the file, or the place where one is missing.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    tree: &'a Tree,
    document: &'a Document,
    /// The key that `tree`, a mapping, lacks. Reading it tells what would have been expected.
    missing: Option<&'a str>,
}

/// A mapping whose keys are all known.
#[derive(Debug, Clone, Copy)]
pub struct Map<'a> {
    node: Node<'a>,
    entries: &'a [(String, Tree)],
    known: &'a [&'a str],
}

impl<'a> Node<'a> {
    pub(super) fn new(tree: &'a Tree, document: &'a Document) -> Self {
        Self {
            tree,
            document,
            missing: None,
        }
    }

    /// Its path in the document, such as `machines[0].serial.baud`.
    #[must_use]
    pub fn path(&self) -> &'a str {
        &self.tree.path
    }

    /// Its line, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.tree.place.line
    }

    fn content(&self) -> &'a Content {
        if self.missing.is_some() {
            &Content::Empty
        } else {
            &self.tree.content
        }
    }

    /// The text as it stands in the file, where it is a single value that is not empty.
    #[must_use]
    pub fn scalar(&self) -> Option<&'a str> {
        match self.content() {
            Content::Scalar { text, .. } if !text.trim().is_empty() => Some(text),
            _ => None,
        }
    }

    /// Whether it is a single value that stands in quotes.
    #[must_use]
    pub fn is_quoted(&self) -> bool {
        matches!(self.content(), Content::Scalar { quoted: true, .. })
    }

    /// Whether it is a mapping.
    #[must_use]
    pub fn is_map(&self) -> bool {
        matches!(self.content(), Content::Map(_))
    }

    /// Whether it is a list.
    #[must_use]
    pub fn is_list(&self) -> bool {
        matches!(self.content(), Content::List(_))
    }

    /// Reports a problem with this value.
    pub fn problem(&self, message: impl Into<String>) -> ReportedProblem<'a> {
        self.document
            .report(self.tree.place, &self.tree.path, message.into())
    }

    fn problem_at(&self, place: Place, message: String) -> ReportedProblem<'a> {
        self.document.report(place, &self.tree.path, message)
    }

    /// A mapping. Keys that are not in `known` are reported here, so that none goes unnoticed.
    pub fn map(self, known: &'a [&'a str]) -> Option<Map<'a>> {
        let entries = self.entries_of_map()?;
        for (key, value) in entries
            .iter()
            .filter(|(key, _)| !known.contains(&key.as_str()))
        {
            self.problem_at(value.named, format!("unknown key `{key}`"))
                .expected(one_of(known.iter().copied()))
                .suggest(meant(key, known.iter().copied()));
        }
        Some(Map {
            node: self,
            entries,
            known,
        })
    }

    /// A mapping whose keys are names of the user's: each with its value.
    pub fn entries(self) -> Option<impl Iterator<Item = (&'a str, Self)>> {
        let entries = self.entries_of_map()?;
        Some(
            entries
                .iter()
                .map(move |(key, tree)| (key.as_str(), Self { tree, ..self })),
        )
    }

    fn entries_of_map(self) -> Option<&'a [(String, Tree)]> {
        match self.content() {
            Content::Map(entries) => Some(entries),
            _ => self.wrong_kind("a mapping (`key: value`)"),
        }
    }

    /// A list with a number of entries out of `count`, each of them read by `read`. `None` if one of
    /// them can't be read.
    pub fn list<T>(
        self,
        count: RangeInclusive<usize>,
        read: impl Fn(Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Content::List(entries) = self.content() else {
            return self.wrong_kind("a list (`[…]`)");
        };
        let values: Vec<Option<T>> = entries
            .iter()
            .map(|tree| read(Self { tree, ..self }))
            .collect();
        if !count.contains(&entries.len()) {
            self.problem(format!("{} entries", entries.len()))
                .expected(range(&count, ""));
            return None;
        }
        values.into_iter().collect()
    }

    /// Text that is not empty, as it stands in the file.
    pub fn text(self) -> Option<&'a str> {
        self.scalar()
            .or_else(|| self.wrong_kind("text that is not empty"))
    }

    /// Reports entries of a list for which `name` gives the same text as for one before.
    pub fn distinct(self, name: impl Fn(Self) -> Option<&'a str>) {
        let Content::List(entries) = self.content() else {
            return;
        };
        let mut seen: Vec<Node<'a>> = Vec::new();
        for node in entries
            .iter()
            .filter_map(|tree| name(Self { tree, ..self }).map(|_| Self { tree, ..self }))
        {
            match seen.iter().find(|before| name(**before) == name(node)) {
                Some(before) => {
                    let text = name(node).unwrap_or_default();
                    node.problem(format!(
                        "`{text}` stands here twice; first on line {}",
                        before.line()
                    ));
                }
                None => seen.push(node),
            }
        }
    }

    /// The value of a key, where this is a mapping that has it, without judging anything.
    #[must_use]
    pub fn peek(self, key: &str) -> Option<Self> {
        let Content::Map(entries) = self.content() else {
            return None;
        };
        let (_, tree) = entries.iter().find(|(known, _)| known == key)?;
        Some(Self {
            tree,
            missing: None,
            ..self
        })
    }

    /// Text with at most so many characters that `is_allowed` allows.
    pub fn name(
        self,
        characters_max: usize,
        expected: &str,
        is_allowed: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let Some(text) = self.scalar() else {
            return self.wrong_kind(expected);
        };
        if text.chars().count() > characters_max || !is_allowed(text) {
            self.problem(format!("`{text}` can't be used here"))
                .expected(expected);
            return None;
        }
        Some(text.to_owned())
    }

    /// A whole number within `limits`.
    pub fn whole(self, limits: RangeInclusive<u64>) -> Option<u64> {
        let expected = || format!("a whole number, {}", range(&limits, ""));
        let text = self.plain(&expected())?;
        match text.parse::<u64>() {
            Ok(value) if limits.contains(&value) => return Some(value),
            Ok(_) => self
                .problem(format!("{text} is out of range"))
                .expected(expected()),
            Err(_) => self
                .problem(format!("`{text}` is not a whole number of 0 or more"))
                .expected(expected()),
        };
        None
    }

    /// A whole number that may be negative, within `limits`.
    pub fn signed(self, limits: RangeInclusive<i64>) -> Option<i64> {
        let expected = || format!("a whole number, {}", range(&limits, ""));
        let text = self.plain(&expected())?;
        match text.parse::<i64>() {
            Ok(value) if limits.contains(&value) => return Some(value),
            Ok(_) => self
                .problem(format!("{text} is out of range"))
                .expected(expected()),
            Err(_) => self
                .problem(format!("`{text}` is not a whole number"))
                .expected(expected()),
        };
        None
    }

    /// A number without a unit, within `limits`.
    pub fn number(self, limits: RangeInclusive<f64>) -> Option<f64> {
        let expected = || format!("a number, {}", range(&limits, ""));
        let text = self.plain(&expected())?;
        match Quantity::parse(text) {
            Some(Quantity { value, unit: "" }) if limits.contains(&value) => return Some(value),
            Some(Quantity { unit: "", .. }) => self
                .problem(format!("{text} is out of range"))
                .expected(expected()),
            _ => self
                .problem(format!("`{text}` is not a plain number"))
                .expected(expected()),
        };
        None
    }

    /// `true` or `false`.
    pub fn boolean(self) -> Option<bool> {
        self.choice(&[("true", true), ("false", false)])
    }

    /// One of a few words.
    pub fn choice<T: Clone>(self, choices: &[(&'static str, T)]) -> Option<T> {
        let words = || choices.iter().map(|(word, _)| *word);
        let Some(text) = self.scalar() else {
            return self.wrong_kind(&one_of(words()));
        };
        let choice = choices
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| value.clone());
        if choice.is_none() {
            self.problem(format!("`{text}` is not known here"))
                .expected(one_of(words()))
                .suggest(meant(text, words()));
        }
        choice
    }

    /// A duration with its unit, in nanoseconds.
    pub fn duration_ns(self, limits_ns: RangeInclusive<u64>) -> Option<u64> {
        self.counted(limits_ns, NANOSECONDS, "a duration with its unit")
    }

    /// A size with its unit, in bytes.
    pub fn size_bytes(self, limits: RangeInclusive<u64>) -> Option<u64> {
        self.counted(limits, BYTES, "a size with its unit")
    }

    fn counted(self, limits: RangeInclusive<u64>, units: &[Unit], what: &str) -> Option<u64> {
        let float_limits = *limits.start() as f64..=*limits.end() as f64;
        let value = self.in_unit(units, float_limits, what)?;
        Some((value.round() as u64).clamp(*limits.start(), *limits.end()))
    }

    /// A number with one of these units, in the unit whose factor is 1. `what` names it, such as
    /// `a speed with its unit`; `limits` are in that unit too.
    pub fn in_unit(self, units: &[Unit], limits: RangeInclusive<f64>, what: &str) -> Option<f64> {
        let names = || units.iter().map(|(name, _)| *name);
        let expected = || {
            let (least, most) = (
                with_unit(*limits.start(), units),
                with_unit(*limits.end(), units),
            );
            format!(
                "{what} ({}), {least} to {most}",
                names().collect::<Vec<_>>().join(", ")
            )
        };
        let Some(text) = self.scalar() else {
            return self.wrong_kind(&expected());
        };
        let Some(Quantity { value, unit }) = Quantity::parse(text) else {
            self.problem(format!("`{text}` is not a number with a unit"))
                .expected(expected());
            return None;
        };
        let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
            let (message, suggestion) = if unit.is_empty() {
                let fits = units
                    .iter()
                    .find(|(_, factor)| limits.contains(&(value * factor)) && value != 0.0);
                (
                    format!("{text} has no unit"),
                    fits.map(|(name, _)| format!("write for example `{value}{name}`")),
                )
            } else {
                let near = names()
                    .find(|name| name.eq_ignore_ascii_case(unit))
                    .or_else(|| did_you_mean(unit, names()));
                (
                    format!("unknown unit `{unit}`"),
                    near.map(|name| format!("did you mean `{value}{name}`?")),
                )
            };
            self.problem(message)
                .expected(expected())
                .suggest(suggestion);
            return None;
        };
        let value = value * factor;
        if !limits.contains(&value) {
            self.problem(format!("{text} is out of range"))
                .expected(expected());
            return None;
        }
        Some(value)
    }

    /// The text of a value that must not stand in quotes.
    fn plain(self, expected: &str) -> Option<&'a str> {
        match self.content() {
            Content::Scalar {
                text,
                quoted: false,
            } => Some(text),
            Content::Scalar { text, quoted: true } => {
                self.problem(format!("\"{text}\" is text, because of the quotes"))
                    .expected(expected)
                    .suggest(Quantity::parse(text).map(|_| format!("write {text} without quotes")));
                None
            }
            _ => self.wrong_kind(expected),
        }
    }

    fn wrong_kind<T>(self, expected: &str) -> Option<T> {
        if let Some(key) = self.missing {
            self.problem_at(self.tree.named, format!("`{key}` is missing"))
                .expected(expected);
            return None;
        }
        let (place, what) = match self.content() {
            Content::Empty => (self.tree.named, "left empty"),
            Content::Scalar { text, .. } if text.trim().is_empty() => {
                (self.tree.place, "empty text")
            }
            Content::Scalar { .. } => (self.tree.place, "a single value"),
            Content::List(_) => (self.tree.place, "a list"),
            Content::Map(_) => (self.tree.place, "a mapping"),
        };
        self.problem_at(place, what.to_owned()).expected(expected);
        None
    }
}

impl<'a> Map<'a> {
    /// The mapping as a node, to report a problem with it as a whole.
    #[must_use]
    pub fn node(&self) -> Node<'a> {
        self.node
    }

    /// The value of a key, if the key is there, if misspelt: that is reported already, and the value
    /// may hold further mistakes.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Node<'a>> {
        debug_assert!(
            self.known.contains(&key),
            "`{key}` must be among the known keys"
        );
        let spelt_so = |(word, _): &&(String, Tree)| word == key;
        let misspelt = |(word, _): &&(String, Tree)| {
            !self.known.contains(&word.as_str())
                && did_you_mean(word, self.known.iter().copied()) == Some(key)
        };
        let mut entries = self.entries.iter();
        let (_, tree) = entries
            .clone()
            .find(spelt_so)
            .or_else(|| entries.find(misspelt))?;
        Some(Node { tree, ..self.node })
    }

    /// The value of a key that must be there.
    pub fn required<T>(&self, key: &'a str, read: impl FnOnce(Node<'a>) -> Option<T>) -> Option<T> {
        read(self.get(key).unwrap_or(Node {
            missing: Some(key),
            ..self.node
        }))
    }

    /// The value of a key that may be left out: `None` is wrong, `Some(None)` is absent.
    pub fn optional<T>(
        &self,
        key: &str,
        read: impl FnOnce(Node<'a>) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.get(key) {
            Some(node) => read(node).map(Some),
            None => Some(None),
        }
    }
}

fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.collect();
    if let [word] = words.as_slice() {
        format!("`{word}`")
    } else {
        format!("one of {}", words.join(", "))
    }
}

fn meant<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    did_you_mean(word, known).map(|meant| format!("did you mean `{meant}`?"))
}

fn range<T: Display + PartialEq>(limits: &RangeInclusive<T>, unit: &str) -> String {
    if limits.start() == limits.end() {
        format!("{}{unit}", limits.start())
    } else {
        format!("{} to {}{unit}", limits.start(), limits.end())
    }
}

/// In the largest unit that leaves at least 1.
fn with_unit(value: f64, units: &[Unit]) -> String {
    let by_factor = |one: &&Unit, other: &&Unit| one.1.total_cmp(&other.1);
    let fitting = units
        .iter()
        .filter(|(_, factor)| value.abs() >= *factor)
        .max_by(by_factor);
    let smallest = units.iter().min_by(by_factor);
    match fitting.or(smallest) {
        Some((name, factor)) => format!("{}{name}", value / factor),
        None => value.to_string(),
    }
}
