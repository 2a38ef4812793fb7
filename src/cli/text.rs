//! Text for people: lines, tables, findings. Meaning is in the words; there are no colours.

use std::fmt::Display;

use crate::model::{Finding, Severity};

/// Text that grows line by line.
#[derive(Debug, Default)]
pub struct Text(String);

impl Text {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn line(&mut self, line: impl Display) -> &mut Self {
        self.0.push_str(harmless(&line.to_string()).trim_end());
        self.0.push('\n');
        self
    }

    pub fn blank(&mut self) -> &mut Self {
        if !self.0.is_empty() && !self.0.ends_with("\n\n") {
            self.0.push('\n');
        }
        self
    }

    /// Columns two spaces apart, as wide as their widest cell.
    pub fn table(&mut self, indent: usize, rows: &[Vec<String>]) -> &mut Self {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell_width = |row: &Vec<String>, column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
        let widths: Vec<usize> =
            (0..columns).map(|column| rows.iter().map(|row| cell_width(row, column)).max().unwrap_or(0)).collect();
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
            self.line(format!("{:indent$}{mark}  {}: {}", "", finding.subject, finding.message));
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

/// Text that cannot steer a terminal, whatever a server, a tool or a backup put into it.
pub fn harmless(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c != '\n' && (c.is_control() || turns(c)) { '\u{fffd}' } else { c }).collect()
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
