//! Row by row.

mod content;
mod network;
mod process;

/// One fault.
pub struct Row {
    pub number: u8,
    /// In short.
    pub fault: &'static str,
    /// The tests that show its outcome.
    pub tests: &'static [&'static str],
    /// Where driftless does something else than the matrix says, and why; mostly empty.
    pub apart: &'static str,
}

const fn row(
    number: u8,
    fault: &'static str,
    tests: &'static [&'static str],
    apart: &'static str,
) -> Row {
    Row {
        number,
        fault,
        tests,
        apart,
    }
}

/// All rows in their order.
pub fn all() -> Vec<&'static Row> {
    let rows = [process::ROWS, network::ROWS, content::ROWS];
    let mut all: Vec<&Row> = rows.into_iter().flatten().collect();
    all.sort_by_key(|row| row.number);
    all
}
