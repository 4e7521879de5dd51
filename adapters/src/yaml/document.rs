//! A file parsed into a tree with positions.

use super::node::Node;
use super::{DEPTH_MAX, FILE_BYTES_MAX, PROBLEMS_MAX, Problem};
use granit_parser::{Event, Parser, ScalarStyle, Span};
use std::cell::RefCell;

/// A parsed file, and the problems found in it so far.
#[derive(Debug)]
pub struct Document {
    /// Names of the files that it is made of; a [`Place`] says which by index.
    files: Vec<String>,
    root: Tree,
    problems: RefCell<Vec<Problem>>,
}

/// A place in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    pub(super) file: usize,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) offset: usize,
    pub(super) length: usize,
}

/// A node with everything below it.
#[derive(Debug)]
pub(super) struct Tree {
    /// Where its value stands.
    pub(super) place: Place,
    /// Where its key stands, if it has one, else its value.
    pub(super) named: Place,
    pub(super) path: String,
    pub(super) content: Content,
}

impl Tree {
    fn renumber(&mut self, first: usize) {
        self.place.file += first;
        self.named.file += first;
        match &mut self.content {
            Content::Empty | Content::Scalar { .. } => {}
            Content::List(entries) => entries.iter_mut().for_each(|entry| entry.renumber(first)),
            Content::Map(entries) => {
                entries
                    .iter_mut()
                    .for_each(|(_, entry)| entry.renumber(first));
            }
        }
    }

    fn rename(&mut self, path: &str) {
        path.clone_into(&mut self.path);
        match &mut self.content {
            Content::Empty | Content::Scalar { .. } => {}
            Content::List(entries) => {
                for (index, entry) in entries.iter_mut().enumerate() {
                    entry.rename(&format!("{path}[{index}]"));
                }
            }
            Content::Map(entries) => {
                for (key, entry) in entries {
                    entry.rename(&below(path, key));
                }
            }
        }
    }

    fn lay_over(&mut self, over: Self) {
        match (&mut self.content, over.content) {
            (Content::Map(ours), Content::Map(theirs)) => {
                for (key, tree) in theirs {
                    match ours.iter_mut().find(|(known, _)| *known == key) {
                        Some((_, known)) => known.lay_over(tree),
                        None => ours.push((key, tree)),
                    }
                }
            }
            (_, Content::Empty) if over.path.is_empty() => {}
            (_, content) => *self = Self { content, ..over },
        }
    }

    /// The value at a key or an index, made where a mapping lacks it; `Err` has our place.
    fn below(&mut self, key: &str, place: Place) -> Result<&mut Self, Place> {
        if matches!(self.content, Content::Empty) {
            self.content = Content::Map(Vec::new());
        }
        let path = below(&self.path, key);
        match &mut self.content {
            Content::Map(entries) => {
                let index = entries
                    .iter()
                    .position(|(known, _)| known == key)
                    .unwrap_or_else(|| {
                        let empty = Self {
                            place,
                            named: place,
                            path,
                            content: Content::Empty,
                        };
                        entries.push((key.to_owned(), empty));
                        entries.len() - 1
                    });
                entries.get_mut(index).map(|(_, tree)| tree).ok_or(place)
            }
            Content::List(entries) => {
                let index: Option<usize> = key.parse().ok();
                index.and_then(|index| entries.get_mut(index)).ok_or(place)
            }
            Content::Empty | Content::Scalar { .. } => Err(place),
        }
    }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

#[derive(Debug)]
pub(super) enum Content {
    Empty,
    Scalar { text: String, quoted: bool },
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl Document {
    /// Parses a file; `file` is the name that problems will carry.
    ///
    /// # Errors
    /// What makes it no tree: a mistake in the YAML itself, of which there can be only one since
    /// nothing behind it can be read, or a file that is too large or nested too deep.
    pub fn parse(text: &str, file: &str) -> Result<Self, Vec<Problem>> {
        let mut builder = Builder {
            file,
            parser: Parser::new_from_str(text),
            problems: Vec::new(),
        };
        if text.len() > FILE_BYTES_MAX {
            let message = format!(
                "the file has {} bytes, at most {FILE_BYTES_MAX} are read",
                text.len()
            );
            builder.note(Place::default(), "", message);
            return Err(builder.problems);
        }
        match builder.document() {
            Ok(root) => Ok(Self {
                files: vec![file.to_owned()],
                root,
                problems: RefCell::new(builder.problems),
            }),
            Err(Unreadable) => Err(builder.problems),
        }
    }

    /// Lays another document over this one: its mappings are merged into ours key by key, anything
    /// else of it takes the place of what stands there. Problems keep the places of both.
    pub fn overlay(&mut self, over: Self) {
        let first = self.files.len();
        self.files.extend(over.files);
        self.problems.get_mut().extend(over.problems.into_inner());
        let mut root = over.root;
        root.renumber(first);
        self.root.lay_over(root);
    }

    /// As [`Self::overlay`], but the other document stands for the value at `path`: keys, and
    /// indices of lists. What is missing on the way is made, except in lists.
    pub fn overlay_at(&mut self, path: &[&str], over: Self) {
        let first = self.files.len();
        self.files.extend(over.files);
        self.problems.get_mut().extend(over.problems.into_inner());
        let mut value = over.root;
        value.renumber(first);
        let mut at = &mut self.root;
        for key in path {
            at = match at.below(key, value.place) {
                Ok(below) => below,
                Err(place) => {
                    let whole = path.join(".");
                    let _ = self.report(place, &whole, format!("there is no entry `{key}`"));
                    return;
                }
            };
        }
        value.rename(&at.path.clone());
        value.named = value.place;
        *at = value;
    }

    /// The outermost node.
    pub fn root(&self) -> Node<'_> {
        Node::new(&self.root, self)
    }

    /// What was read, or all problems in the order of their places.
    ///
    /// # Errors
    /// The problems, if there is one or nothing was read.
    pub fn finish<T>(&self, read: Option<T>) -> Result<T, Vec<Problem>> {
        let mut problems = self.problems.take();
        let file = |problem: &Problem| self.files.iter().position(|file| *file == problem.file);
        problems.sort_by_key(|problem| (file(problem), problem.line, problem.column));
        match read {
            Some(value) if problems.is_empty() => Ok(value),
            _ => Err(problems),
        }
    }

    pub(super) fn report(&self, place: Place, path: &str, message: String) -> ReportedProblem<'_> {
        let mut problems = self.problems.borrow_mut();
        let known = problems.len();
        if known < PROBLEMS_MAX {
            let file = self.files.get(place.file).map_or("", String::as_str);
            problems.push(problem(file, place, path, message));
        }
        ReportedProblem {
            document: self,
            index: known,
        }
    }
}

/// A problem that has been reported and can be told more about.
pub struct ReportedProblem<'a> {
    document: &'a Document,
    index: usize,
}

impl ReportedProblem<'_> {
    /// Says what would be right.
    pub fn expected(self, expected: impl Into<String>) -> Self {
        self.change(|problem| problem.expected = Some(expected.into()))
    }

    /// Says what would likely mend it.
    pub fn suggest(self, suggestion: Option<String>) -> Self {
        self.change(|problem| problem.suggestion = suggestion)
    }

    fn change(self, change: impl FnOnce(&mut Problem)) -> Self {
        if let Some(problem) = self.document.problems.borrow_mut().get_mut(self.index) {
            change(problem);
        }
        self
    }
}

fn problem(file: &str, place: Place, path: &str, message: String) -> Problem {
    Problem {
        file: file.to_owned(),
        line: place.line.max(1),
        column: place.column.max(1),
        offset: place.offset,
        length: place.length,
        path: path.to_owned(),
        message,
        expected: None,
        suggestion: None,
    }
}

impl From<Span> for Place {
    fn from(span: Span) -> Self {
        let offset = span.start.byte_offset().unwrap_or_default();
        let end = span.end.byte_offset().unwrap_or_default();
        Self {
            file: 0,
            line: span.start.line(),
            column: span.start.col() + 1,
            offset,
            length: end.saturating_sub(offset),
        }
    }
}

/// The file can't be read any further; why is among the problems.
struct Unreadable;

struct Builder<'a> {
    file: &'a str,
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    problems: Vec<Problem>,
}

impl<'a> Builder<'a> {
    fn note(&mut self, place: Place, path: &str, message: impl Into<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems
                .push(problem(self.file, place, path, message.into()));
        }
    }

    /// The next event that is about content.
    fn next(&mut self) -> Result<(Event<'a>, Place), Unreadable> {
        loop {
            match self.parser.next_event() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok((event, span))) => return Ok((event, span.into())),
                None => return Ok((Event::StreamEnd, Place::default())),
                Some(Err(error)) => {
                    let marker = error.marker();
                    let offset = marker.byte_offset().unwrap_or_default();
                    let place = Place {
                        file: 0,
                        line: marker.line(),
                        column: marker.col() + 1,
                        offset,
                        length: 0,
                    };
                    self.note(place, "", format!("not YAML: {}", error.info()));
                    return Err(Unreadable);
                }
            }
        }
    }

    fn document(&mut self) -> Result<Tree, Unreadable> {
        let mut root = None;
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => {
                    let tree = self.tree(event, place, place, String::new(), 0)?;
                    if root.is_none() {
                        root = Some(tree);
                    } else {
                        self.note(place, "", "a second document; one file is one document");
                    }
                }
            }
        }
        let nothing = Tree {
            place: Place::default(),
            named: Place::default(),
            path: String::new(),
            content: Content::Empty,
        };
        Ok(root.unwrap_or(nothing))
    }

    fn tree(
        &mut self,
        event: Event<'a>,
        place: Place,
        named: Place,
        path: String,
        depth: usize,
    ) -> Result<Tree, Unreadable> {
        if depth > DEPTH_MAX {
            self.note(
                place,
                &path,
                format!("nested deeper than {DEPTH_MAX} levels"),
            );
            return Err(Unreadable);
        }
        if event.anchor_id().is_some_and(|anchor| anchor != 0) || event.is_alias() {
            self.note(
                place,
                &path,
                "anchors and aliases are not used here; write the value out",
            );
        }
        if event.tag().is_some() {
            self.note(
                place,
                &path,
                "tags are not used here; write the plain value",
            );
        }
        let content = match event {
            Event::Scalar(text, style, ..) => {
                let quoted = style != ScalarStyle::Plain;
                let empty = !quoted && matches!(text.as_ref(), "" | "~" | "null");
                if empty {
                    Content::Empty
                } else {
                    Content::Scalar {
                        text: text.into_owned(),
                        quoted,
                    }
                }
            }
            Event::SequenceStart(..) => Content::List(self.list(&path, depth)?),
            Event::MappingStart(..) => Content::Map(self.map(&path, depth)?),
            _ => Content::Empty,
        };
        Ok(Tree {
            place,
            named,
            path,
            content,
        })
    }

    fn list(&mut self, path: &str, depth: usize) -> Result<Vec<Tree>, Unreadable> {
        let mut entries = Vec::new();
        loop {
            let (event, place) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(entries);
            }
            let entry_path = format!("{path}[{}]", entries.len());
            entries.push(self.tree(event, place, place, entry_path, depth + 1)?);
        }
    }

    fn map(&mut self, path: &str, depth: usize) -> Result<Vec<(String, Tree)>, Unreadable> {
        let mut entries: Vec<(String, Tree)> = Vec::new();
        loop {
            let (event, named) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(entries);
            }
            let key = match event {
                Event::Scalar(text, ..) => text.into_owned(),
                event => {
                    self.tree(event, named, named, path.to_owned(), depth + 1)?;
                    self.note(named, path, "a key is a single word");
                    String::new()
                }
            };
            let entry_path = below(path, &key);
            let (event, place) = self.next()?;
            let value = self.tree(event, place, named, entry_path, depth + 1)?;
            if let Some((_, first)) = entries.iter().find(|(known, _)| *known == key) {
                let message = format!("`{key}` is given twice; first on line {}", first.named.line);
                self.note(named, path, message);
            } else if !key.is_empty() {
                entries.push((key, value));
            }
        }
    }
}
