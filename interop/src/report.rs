//! A table with aligned columns.
//!
//! It knows nothing of what the cells mean, and uses no colour.

use std::fmt;

/// Rows of text under a headline. `Display` aligns the columns.
///
/// ```
/// let mut table = epode_interop::Table::new(["server", "verdict"]);
/// table.row(["prosody".to_owned(), "passed".to_owned()]);
/// let lines: Vec<String> = table.to_string().lines().map(str::to_owned).collect();
/// assert_eq!(lines, ["server   verdict", "-------  -------", "prosody  passed"]);
/// ```
#[derive(Clone, Debug)]
pub struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// A table without rows.
    pub fn new(headline: [&str; N]) -> Self {
        Self { rows: vec![headline.map(str::to_owned)] }
    }

    /// Adds a row below the others.
    pub fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    fn widths(&self) -> [usize; N] {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        widths
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for (index, row) in self.rows.iter().enumerate() {
            writeln!(f, "{}", line(row, &widths))?;
            if index == 0 {
                let rule = widths.map(|width| "-".repeat(width));
                writeln!(f, "{}", line(&rule, &widths))?;
            }
        }
        Ok(())
    }
}

fn line<const N: usize>(cells: &[String; N], widths: &[usize; N]) -> String {
    let padded: Vec<String> =
        cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    padded.join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn characters_are_counted_not_bytes() {
        let mut table = Table::new(["a", "b"]);
        table.row(["äöü".to_owned(), "1".to_owned()]);
        table.row(["x".to_owned(), "2".to_owned()]);
        assert_eq!(table.to_string(), "a    b\n---  -\näöü  1\nx    2\n");
    }
}
