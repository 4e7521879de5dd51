//! The CSV tables that an adapter's stages are given: joints, capsules, registers.
//!
//! The first line names the columns, with units in the names (`origin_x_m`). The first column is
//! `name`, which names the row; all others are numbers. Lines that are empty or begin with `#` are
//! left out. There are no quotes: neither names nor numbers hold commas.

use crate::yaml::Problem;

/// Most rows, which is four times the joints or capsules of any robot that we know.
pub const ROWS_MAX: usize = 256;

/// Most columns beside the name.
pub const COLUMNS_MAX: usize = 32;

/// A table of numbers with named rows and columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The names of the columns, without the first one.
    pub columns: Vec<String>,
    /// The rows, in the order of the file.
    pub rows: Vec<Row>,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its name, unlike that of any other row.
    pub name: String,
    /// One finite number for each column.
    pub values: Vec<f64>,
}

/// Reads a table; `file` is the name that problems will carry.
///
/// # Errors
/// All problems of the file, in the order of their places.
pub fn parse_csv(text: &str, file: &str) -> Result<Table, Vec<Problem>> {
    let mut reader = Reader {
        text,
        file,
        problems: Vec::new(),
    };
    let table = reader.table();
    reader
        .problems
        .sort_by_key(|problem| (problem.line, problem.column));
    if reader.problems.is_empty() {
        Ok(table)
    } else {
        Err(reader.problems)
    }
}

struct Reader<'a> {
    text: &'a str,
    file: &'a str,
    problems: Vec<Problem>,
}

/// A piece of a line, and where it stands.
#[derive(Clone, Copy)]
struct Cell<'a> {
    text: &'a str,
    line: usize,
}

impl Reader<'_> {
    fn table(&mut self) -> Table {
        let text = self.text;
        let mut lines = text
            .lines()
            .zip(1..)
            .filter(|(line, _)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
            .map(|(line, number)| {
                line.split(',')
                    .map(|cell| Cell {
                        text: cell.trim(),
                        line: number,
                    })
                    .collect()
            });
        let header: Vec<Cell<'_>> = lines.next().unwrap_or_default();
        let columns = self.columns(&header);
        let mut rows: Vec<Row> = Vec::new();
        for cells in lines {
            let cells: Vec<Cell<'_>> = cells;
            if rows.len() == ROWS_MAX {
                self.report(
                    cells[0],
                    "",
                    "too many rows".to_owned(),
                    &format!("at most {ROWS_MAX}"),
                );
                break;
            }
            let row = self.row(&cells, &columns);
            if rows.iter().any(|known| known.name == row.name) {
                self.report(
                    cells[0],
                    "name",
                    format!("a second row called `{}`", row.name),
                    "a name of its own",
                );
            }
            rows.push(row);
        }
        if rows.is_empty() {
            let last = Cell {
                text: &text[text.len()..],
                line: text.lines().count().max(1),
            };
            self.report(
                last,
                "",
                "no rows".to_owned(),
                "a line of column names, then a line for each row",
            );
        }
        Table { columns, rows }
    }

    fn columns(&mut self, header: &[Cell<'_>]) -> Vec<String> {
        let Some((first, others)) = header.split_first() else {
            return Vec::new();
        };
        if first.text != "name" {
            self.report(
                *first,
                "",
                format!("the first column is `{}`", first.text),
                "`name`",
            );
        }
        if others.is_empty() || others.len() > COLUMNS_MAX {
            let expected = format!("1 to {COLUMNS_MAX} beside `name`");
            self.report(*first, "", format!("{} columns", others.len()), &expected);
        }
        for (index, column) in others.iter().enumerate() {
            let is_name = column
                .text
                .starts_with(|first: char| first.is_ascii_lowercase())
                && column
                    .text
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
            if !is_name {
                let expected =
                    "lower-case words and digits joined by underscores, with the unit last";
                self.report(*column, "", format!("column `{}`", column.text), expected);
            }
            if others[..index]
                .iter()
                .any(|other| other.text == column.text)
            {
                self.report(
                    *column,
                    "",
                    format!("a second column `{}`", column.text),
                    "a name of its own",
                );
            }
        }
        others.iter().map(|column| column.text.to_owned()).collect()
    }

    fn row(&mut self, cells: &[Cell<'_>], columns: &[String]) -> Row {
        let (name, values) = (cells[0], &cells[1..]);
        let allowed = |character: char| character.is_alphanumeric() || "_- .".contains(character);
        if name.text.is_empty() || !name.text.chars().all(allowed) {
            let expected = "letters, digits, spaces, points, hyphens or underscores";
            self.report(
                name,
                "name",
                format!("a row called `{}`", name.text),
                expected,
            );
        }
        if values.len() != columns.len() {
            let message = format!("{} numbers in this row", values.len());
            self.report(
                name,
                name.text,
                message,
                &format!("{}, one for each column", columns.len()),
            );
        }
        let values = values
            .iter()
            .zip(columns)
            .map(|(cell, column)| self.number(*cell, name.text, column))
            .collect();
        Row {
            name: name.text.to_owned(),
            values,
        }
    }

    fn number(&mut self, cell: Cell<'_>, row: &str, column: &str) -> f64 {
        match cell.text.parse::<f64>() {
            Ok(value) if value.is_finite() => return value,
            _ if cell.text.is_empty() => self.report(
                cell,
                &format!("{row}.{column}"),
                "left empty".to_owned(),
                "a number",
            ),
            _ => {
                let message = format!("`{}` is not a number", cell.text);
                self.report(
                    cell,
                    &format!("{row}.{column}"),
                    message,
                    "a number without unit; units stand in the column's name",
                );
            }
        }
        0.0
    }

    fn report(&mut self, cell: Cell<'_>, path: &str, message: String, expected: &str) {
        let offset = cell.text.as_ptr() as usize - self.text.as_ptr() as usize;
        let line_start = self.text[..offset]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        self.problems.push(Problem {
            file: self.file.to_owned(),
            line: cell.line,
            column: self.text[line_start..offset].chars().count() + 1,
            offset,
            length: cell.text.len(),
            path: path.to_owned(),
            message,
            expected: Some(expected.to_owned()),
            suggestion: None,
        });
    }
}
