//! What a line looks like, and where the value stands in it.
//!
//! | in a pattern | in a line |
//! |---|---|
//! | `#` | the value: a number, perhaps after blanks; or text, as little as what follows allows |
//! | a blank | one or more blanks (spaces or tabs) |
//! | `?` | any one byte |
//! | `*` | any bytes, as few as what follows allows |
//! | `\` and a character | that character |
//! | anything else | itself |
//!
//! The whole line has to fit. It is read from left to right and nothing is taken back, so the steps that a
//! line costs are at most its length times that of line and pattern together, whatever is in it.

use crate::number;

/// A pattern that is in order.
#[derive(Clone, Copy, Debug)]
pub struct Pattern<'a> {
    items: Items<'a>,
    value: Value,
}

/// What `#` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Number,
    /// Text.
    Text,
    /// Nothing: there is none.
    None,
}

/// Why a pattern is not in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Not as many values as there must be.
    Values,
    /// A blank at an end.
    BlankAtAnEnd,
    /// A `\` with nothing behind it.
    NothingEscaped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Byte(u8),
    Blanks,
    Any,
    Many,
    Value,
}

/// The rest of a pattern.
#[derive(Clone, Copy, Debug)]
struct Items<'a>(&'a [u8]);

impl Iterator for Items<'_> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        let (item, rest) = match *self.0 {
            [] => return None,
            [b'\\', byte, ref rest @ ..] => (Item::Byte(byte), rest),
            [b'#', ref rest @ ..] => (Item::Value, rest),
            [b' ', ref rest @ ..] => (Item::Blanks, rest),
            [b'?', ref rest @ ..] => (Item::Any, rest),
            [b'*', ref rest @ ..] => (Item::Many, rest),
            [byte, ref rest @ ..] => (Item::Byte(byte), rest),
        };
        self.0 = rest;
        Some(item)
    }
}

/// A stretch of a pattern that has one length at each place of a line.
struct Stretch<'a> {
    start: usize,
    end: usize,
    number: Option<(usize, usize)>,
    /// What comes behind it, and whether that is the value. Nothing at the pattern's end.
    next: Option<(Items<'a>, bool)>,
}

/// Whether a byte is a blank.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

impl<'a> Pattern<'a> {
    /// Looks through a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &'a [u8], value: Value) -> Result<Self, Wrong> {
        let escapes = text.iter().rev().take_while(|byte| **byte == b'\\').count();
        if escapes % 2 == 1 {
            return Err(Wrong::NothingEscaped);
        }
        let items = Items(text);
        let at_an_end = items.take(1).chain(items.last());
        if at_an_end.clone().count() == 0 || at_an_end.clone().any(|item| item == Item::Blanks) {
            return Err(Wrong::BlankAtAnEnd);
        }
        let values = items.filter(|item| *item == Item::Value).count();
        if values != usize::from(value != Value::None) {
            return Err(Wrong::Values);
        }
        Ok(Self { items, value })
    }

    /// Holds a line against it: the value's bytes, none where it has no value; nothing where the line
    /// doesn't fit.
    #[must_use]
    pub fn fit<'l>(&self, line: &'l [u8]) -> Option<&'l [u8]> {
        let mut stretch = self.stretch(self.items, line, 0)?;
        let mut found = stretch.number;
        while let Some((items, is_value)) = stretch.next {
            let from = stretch.end;
            stretch = (from..=line.len()).find_map(|at| self.stretch(items, line, at))?;
            if is_value {
                found = Some((from, stretch.start));
            }
            found = stretch.number.or(found);
        }
        let (start, end) = found.unwrap_or((0, 0));
        line.get(start..end)
    }

    /// The pattern up to the next part of any length, at a place of the line. What the pattern ends with
    /// must end the line too.
    fn stretch(&self, mut items: Items<'a>, line: &[u8], start: usize) -> Option<Stretch<'a>> {
        let (mut end, mut number) = (start, None);
        while let Some(item) = items.next() {
            match item {
                Item::Many => {
                    let next = Some((items, false));
                    return Some(Stretch {
                        start,
                        end,
                        number,
                        next,
                    });
                }
                Item::Value if self.value == Value::Text => {
                    let next = Some((items, true));
                    return Some(Stretch {
                        start,
                        end,
                        number,
                        next,
                    });
                }
                Item::Value => {
                    let from = end + blanks(line, end);
                    end = from + number::length(line.get(from..)?)?;
                    number = Some((from, end));
                }
                Item::Blanks => {
                    let count = blanks(line, end);
                    end += count;
                    if count == 0 {
                        return None;
                    }
                }
                Item::Any => {
                    line.get(end)?;
                    end += 1;
                }
                Item::Byte(byte) if line.get(end) == Some(&byte) => end += 1,
                Item::Byte(_) => return None,
            }
        }
        (end == line.len()).then_some(Stretch {
            start,
            end,
            number,
            next: None,
        })
    }
}

/// How many blanks stand at a place.
fn blanks(line: &[u8], at: usize) -> usize {
    let rest = line.get(at..).unwrap_or_default();
    rest.iter().take_while(|byte| is_blank(**byte)).count()
}
