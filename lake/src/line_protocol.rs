//! InfluxDB's line protocol, written by its rules and no others.
//!
//! `measurement,tag=value,… field=value,… timestamp`. What is special depends on the place: a comma
//! and a space in a measurement; these and an equals sign in names and tag values; a quote and a
//! backslash in text. A backslash elsewhere stands for itself, and that is why some words can't be
//! written at all: one that ends in a backslash would escape what comes after it, a line break ends
//! the line, and a measurement that begins with `#` makes the line a comment, which InfluxDB skips
//! without a word. Those are refused here, because nobody would tell of them later.

/// A word that line protocol has no way to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// Nothing.
    #[error("is empty")]
    Empty,
    /// The last backslash would escape what follows.
    #[error("ends in a backslash")]
    LastBackslash,
    /// It would end the line.
    #[error("has a line break in it")]
    LineBreak,
    /// The line would be a comment.
    #[error("begins with #")]
    Comment,
}

/// Writes a measurement.
///
/// # Errors
///
/// It can't be written.
pub fn measurement(into: &mut Vec<u8>, name: &str) -> Result<(), Unwritable> {
    if name.starts_with('#') {
        return Err(Unwritable::Comment);
    }
    word(into, name, |byte| matches!(byte, b',' | b' '))
}

/// Writes the name of a tag or field, or the value of a tag.
///
/// # Errors
///
/// It can't be written.
pub fn key(into: &mut Vec<u8>, name: &str) -> Result<(), Unwritable> {
    word(into, name, |byte| matches!(byte, b',' | b' ' | b'='))
}

fn word(into: &mut Vec<u8>, word: &str, special: impl Fn(u8) -> bool) -> Result<(), Unwritable> {
    let bytes = word.as_bytes();
    match bytes.last() {
        None => return Err(Unwritable::Empty),
        Some(b'\\') => return Err(Unwritable::LastBackslash),
        Some(_) => {}
    }
    let mut plain = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte == b'\n' || byte == b'\r' {
            return Err(Unwritable::LineBreak);
        }
        if special(byte) {
            into.extend_from_slice(&bytes[plain..at]);
            into.push(b'\\');
            plain = at;
        }
    }
    into.extend_from_slice(&bytes[plain..]);
    Ok(())
}

/// Writes the text of a field. Line breaks are allowed in it and stand for themselves.
pub fn text(into: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    into.push(b'"');
    let mut plain = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if matches!(byte, b'"' | b'\\') {
            into.extend_from_slice(&bytes[plain..at]);
            into.push(b'\\');
            plain = at;
        }
    }
    into.extend_from_slice(&bytes[plain..]);
    into.push(b'"');
}

/// Writes a whole number as a field.
pub fn integer(into: &mut Vec<u8>, digits: &str) {
    into.extend_from_slice(digits.as_bytes());
    into.push(b'i');
}

/// Writes digits, without the mark of a whole number.
pub fn digits(into: &mut Vec<u8>, number: impl std::fmt::Display) {
    use std::io::Write as _;
    // Writing to memory can't fail.
    let _ = write!(into, "{number}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A reader of the tests' own, after the grammar in InfluxDB's handbook: a backslash escapes only
    /// what is special at its place, and stands for itself otherwise.
    mod reader {
        pub fn word<'a>(bytes: &'a [u8], special: &[u8], ends: &[u8]) -> (String, &'a [u8]) {
            let mut word = Vec::new();
            let mut at = 0;
            while at < bytes.len() {
                if bytes[at] == b'\\'
                    && bytes.get(at + 1).is_some_and(|next| special.contains(next))
                {
                    word.push(bytes[at + 1]);
                    at += 2;
                } else if ends.contains(&bytes[at]) {
                    break;
                } else {
                    word.push(bytes[at]);
                    at += 1;
                }
            }
            (String::from_utf8(word).expect("UTF-8"), &bytes[at..])
        }

        pub fn text(bytes: &[u8]) -> (String, &[u8]) {
            assert_eq!(bytes[0], b'"');
            let mut text = Vec::new();
            let mut at = 1;
            loop {
                match bytes[at] {
                    b'"' => break,
                    b'\\' if matches!(bytes[at + 1], b'"' | b'\\') => {
                        text.push(bytes[at + 1]);
                        at += 2;
                    }
                    byte => {
                        text.push(byte);
                        at += 1;
                    }
                }
            }
            (String::from_utf8(text).expect("UTF-8"), &bytes[at + 1..])
        }
    }

    fn written(write: impl FnOnce(&mut Vec<u8>) -> Result<(), Unwritable>) -> String {
        let mut into = Vec::new();
        write(&mut into).expect("it can be written");
        String::from_utf8(into).expect("UTF-8")
    }

    #[test]
    fn special_characters_are_escaped_where_they_are_special() {
        assert_eq!(
            written(|to| measurement(to, "a b,c=d\"e")),
            r#"a\ b\,c=d"e"#
        );
        assert_eq!(written(|to| key(to, "a b,c=d\"e\\f")), r#"a\ b\,c\=d"e\f"#);
        assert_eq!(
            written(|to| {
                text(to, "a \"b\"\\,=\nc");
                Ok(())
            }),
            "\"a \\\"b\\\"\\\\,=\nc\""
        );
        assert_eq!(
            written(|to| {
                integer(to, "-7");
                Ok(())
            }),
            "-7i"
        );
    }

    #[test]
    fn words_that_would_change_the_line_are_refused() {
        let mut into = Vec::new();
        for (word, why) in [
            ("", Unwritable::Empty),
            ("a\\", Unwritable::LastBackslash),
            ("a\nb", Unwritable::LineBreak),
            ("a\rb", Unwritable::LineBreak),
        ] {
            assert_eq!(measurement(&mut into, word), Err(why), "{word:?}");
            assert_eq!(key(&mut into, word), Err(why), "{word:?}");
        }
        assert_eq!(measurement(&mut into, "#pose"), Err(Unwritable::Comment));
        assert_eq!(key(&mut into, "#pose"), Ok(()));
    }

    proptest! {
        #[test]
        fn a_whole_line_reads_back_as_what_was_written(
            name in r##"[a\\, ="#é]{0,8}"##, tag in r#"[a\\, ="é]{0,8}"#,
            value in r#"[a\\, ="é]{0,8}"#, field in r#"[a\\, ="é]{0,8}"#,
            said in r#"[a\\, ="\né]{0,12}"#,
        ) {
            let mut line = Vec::new();
            let result = (|| {
                measurement(&mut line, &name)?;
                line.push(b',');
                key(&mut line, &tag)?;
                line.push(b'=');
                key(&mut line, &value)?;
                line.push(b' ');
                key(&mut line, &field)?;
                line.push(b'=');
                text(&mut line, &said);
                Ok::<_, Unwritable>(())
            })();
            let hopeless = |word: &str| word.is_empty() || word.ends_with('\\');
            let refused = name.starts_with('#') || [&name, &tag, &value, &field].into_iter().any(|w| hopeless(w));
            prop_assert_eq!(result.is_err(), refused);
            if !refused {
                let (read, rest) = reader::word(&line, b", ", b", ");
                prop_assert_eq!((read, rest[0]), (name, b','));
                let (read, rest) = reader::word(&rest[1..], b", =", b", =");
                prop_assert_eq!((read, rest[0]), (tag, b'='));
                let (read, rest) = reader::word(&rest[1..], b", =", b", =");
                prop_assert_eq!((read, rest[0]), (value, b' '));
                let (read, rest) = reader::word(&rest[1..], b", =", b", =");
                prop_assert_eq!((read, rest[0]), (field, b'='));
                let (read, rest) = reader::text(&rest[1..]);
                prop_assert_eq!((read, rest.len()), (said, 0));
            }
        }
    }
}
