//! Text for people: lines, tables, findings. Meaning is in the words; there are no colours.

use std::fmt::Display;

use crate::model::{Finding, Severity};

/// Text that grows line by line.
#[derive(Debug, Default)]
pub struct Text(String);

/// Characters that a column is filled up to at the most.
const WIDEST: usize = 200;

impl Text {
    pub fn new() -> Self {
        Self::default()
    }

    /// What stands in it may come from a backup or a server: see [`printable`].
    pub fn line(&mut self, line: impl Display) -> &mut Self {
        let line = printable(&line.to_string());
        self.0.push_str(line.trim_end());
        self.0.push('\n');
        self
    }

    pub fn blank(&mut self) -> &mut Self {
        if !self.0.is_empty() && !self.0.ends_with("\n\n") {
            self.0.push('\n');
        }
        self
    }

    /// Columns two spaces apart, as wide as their widest cell, but for cells that are out of all proportion: a name in a
    /// backup may have any length, and formatting panics from 65,536 on.
    pub fn table(&mut self, indent: usize, rows: &[Vec<String>]) -> &mut Self {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell_width = |row: &Vec<String>, column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
        let widths: Vec<usize> = (0..columns)
            .map(|column| rows.iter().map(|row| cell_width(row, column)).max().unwrap_or(0).min(WIDEST))
            .collect();
        for row in rows {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width)).collect();
            self.line(format!("{:indent$}{}", "", cells.join("  ")));
        }
        self
    }

    /// One line each, the cure below.
    pub fn findings(&mut self, indent: usize, findings: &[Finding]) -> &mut Self {
        for finding in findings {
            let mark = mark(finding.severity);
            // A tool may have said several lines; those after the first cannot be taken for findings.
            let mut message = finding.message.lines();
            let first = message.next().unwrap_or_default();
            self.line(format!("{:indent$}{mark}  {}: {first}", "", finding.subject));
            for more in message {
                self.line(format!("{:indent$}         | {more}", ""));
            }
            if let Some(cure) = &finding.cure {
                self.line(format!("{:indent$}         hint: {cure}", ""));
            }
        }
        self
    }

    pub fn finish(self) -> String {
        self.0
    }
}

/// Names of the user's data may hold anything, a terminal obeys control characters, and one that writes from right to
/// left makes one name look like another. A line stays one line.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if is_obeyed(c) { '\u{fffd}' } else { c }).collect()
}

/// The same for text of several lines.
pub fn printable_lines(text: &str) -> String {
    text.chars().map(|c| if is_obeyed(c) && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }).collect()
}

/// Control characters, and those that turn the direction of what follows.
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}')
}

/// Severity in words of one width.
pub fn mark(severity: Severity) -> &'static str {
    match severity {
        Severity::Ok => "ok     ",
        Severity::Warning => "warning",
        Severity::Problem => "PROBLEM",
    }
}

/// `a, b and c`; empty for nothing.
pub fn join<T: Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_of_any_length_is_printed() {
        let long = "x".repeat(70_000);
        let rows = [vec!["a".into(), "b".into()], vec![long.clone(), "c".into()]];
        let mut text = Text::new();
        text.table(0, &rows);
        let text = text.finish();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("a{}  b", " ".repeat(WIDEST - 1)));
        assert_eq!(lines[1], format!("{long}  c"));
    }
}
