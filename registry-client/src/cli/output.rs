// SPDX-License-Identifier: Apache-2.0
//! Writing answers to stdout and remarks to stderr.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use clap::ValueEnum;
use serde::Serialize;

use super::failure::OutputError;

/// In which form an answer is written
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs: one JSON document
    Json,
}

/// The option that chooses the form.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct FormatArg {
    /// Form of the answer
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "FORM",
        env = "BPFPKG_OUTPUT"
    )]
    pub(super) output: Format,
}

/// Writes one line to stdout.
pub(super) fn line(text: impl AsRef<str>) -> Result<(), OutputError> {
    raw(format!("{}\n", printable(text.as_ref())).as_bytes())
}

/// Text without control characters, by which a package or a registry could repaint
/// the terminal.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    let hostile = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(hostile) {
        text.replace(hostile, "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// Writes bytes to stdout.
pub(super) fn raw(bytes: &[u8]) -> Result<(), OutputError> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(OutputError)
}

/// Writes a JSON document to stdout.
pub(super) fn json<T: Serialize>(value: &T) -> Result<(), OutputError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| OutputError(error.into()))?;
    line(text)
}

/// Writes rows in columns as wide as they need to be.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> Result<(), OutputError> {
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        cells
            .chain(head.get(column).map(|cell| cell.chars().count()))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<_> = (0..head.len()).map(width).collect();
    let head: Vec<_> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let mut text = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let cells: Vec<_> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    raw(printable(&text).as_bytes())
}

/// Writes named values, one per line, the names in a column.
pub(super) fn fields(fields: &[(&str, String)]) -> Result<(), OutputError> {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{name:<width$}  {value}"))
        .collect();
    line(lines.join("\n"))
}

/// Says something to the person at the terminal, on stderr.
pub(super) fn say(text: impl AsRef<str>) {
    // Nobody listens any more: then there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{}", printable(text.as_ref()));
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_text_repaints_the_terminal() {
        assert_eq!(
            super::printable("a\u{1b}[2Jb\u{9b}c\r"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}"
        );
        assert_eq!(super::printable("a\n\tb é"), "a\n\tb é");
    }
}
