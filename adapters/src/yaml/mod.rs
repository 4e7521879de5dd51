//! YAML with positions, read so that all mistakes of a file come out at once.
//!
//! A [`Document`] is parsed into a tree in which every node knows its line, column and path. What a
//! file must look like is then written as a plain function that reads a value out of a [`Node`]:
//!
//! ```
//! use retrotap_adapters::yaml::{Document, Node, Problem};
//!
//! struct Serial { baud: u64, parity: char }
//!
//! fn serial(node: Node<'_>) -> Option<Serial> {
//!     let map = node.map(&["baud", "parity"])?;
//!     // Both are read before either may fail, so that the mistakes of both are found.
//!     let baud = map.required("baud", |node| node.whole(50..=115_200));
//!     let parity = map.required("parity", |node| node.choice(&[("none", 'N'), ("even", 'E')]));
//!     Some(Serial { baud: baud?, parity: parity? })
//! }
//!
//! let document = Document::parse("party: evn\n", "serial.yaml").unwrap();
//! let value = serial(document.root());
//! let problems: Vec<Problem> = document.finish(value).err().unwrap();
//! let said: Vec<String> = problems.iter().map(Problem::to_string).collect();
//! assert_eq!(said, [
//!     "serial.yaml:1:1: unknown key `party`\n  expected: one of baud, parity\n  did you mean `parity`?",
//!     "serial.yaml:1:1: `baud` is missing\n  expected: a whole number, 50 to 115200",
//!     "serial.yaml:1:8: party: `evn` is not known here\n  expected: one of none, even\n  did you mean `even`?",
//! ]);
//! ```
//!
//! What it keeps true: a value is never guessed. A key that nobody knows, a key given twice, a number
//! in quotes, a quantity without its unit, a value left empty are problems. The text of a value is
//! what stands in the file (`1e3` as a host name stays `1e3`).
//!
//! Deliberately left out: anchors, aliases, tags and several documents in one file, which are
//! reported as problems, and any default: whoever reads a key says what its absence means.

mod document;
mod node;
mod problem;
mod quantity;

pub use document::Document;
pub use node::{Map, Node};
pub use problem::{Problem, did_you_mean};
pub use quantity::{BYTES, NANOSECONDS, Quantity, Unit};

/// Largest file in bytes that is looked at; a configuration of a hundred machines has a tenth of it.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// Deepest nesting; the deepest that our files need is 8.
pub const DEPTH_MAX: usize = 32;

/// Most problems that are kept of one file. Whoever made more will not read them all at once.
pub const PROBLEMS_MAX: usize = 100;
