//! One mistake in a file, told so that it can be mended without a manual.

use std::fmt;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, as its reader named it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Where the text in question begins, in bytes from the start of the file.
    pub offset: usize,
    /// How many bytes of text it is.
    pub length: usize,
    /// The path in the document, such as `machines[0].serial.baud`; empty for the document itself.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub expected: Option<String>,
    /// A change that would likely mend it, as a sentence.
    pub suggestion: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.path.is_empty() {
            write!(formatter, "{}: ", self.path)?;
        }
        formatter.write_str(&self.message)?;
        if let Some(expected) = &self.expected {
            write!(formatter, "\n  expected: {expected}")?;
        }
        if let Some(suggestion) = &self.suggestion {
            write!(formatter, "\n  {suggestion}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// The word among `known` that `word` was probably meant to be, if one is near enough.
#[must_use]
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const SIMILARITY_MIN: f64 = 0.7;
    known
        .into_iter()
        .map(|candidate| {
            (
                strsim::normalized_damerau_levenshtein(word, candidate)
                    .max(prefix(word, candidate)),
                candidate,
            )
        })
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

/// Someone who writes `data` where `data_bits` is known has left something out, not mistyped it.
fn prefix(word: &str, candidate: &str) -> f64 {
    if word.len() >= 3 && candidate.starts_with(word) {
        0.75
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_meant_and_far_ones_are_not() {
        let known = ["baud", "data_bits", "parity", "stop_bits"];
        for (word, meant) in [
            ("buad", Some("baud")),
            ("databits", Some("data_bits")),
            ("data", Some("data_bits")),
            ("partiy", Some("parity")),
            ("stop-bits", Some("stop_bits")),
            ("flow_control", None),
            ("", None),
        ] {
            assert_eq!(did_you_mean(word, known), meant, "{word:?}");
        }
    }
}
