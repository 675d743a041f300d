//! Golden data for tests: inputs with answers of well-known implementations, kept outside the
//! repository. Where they are absent a test says so and passes.

use std::path::PathBuf;

/// Where a golden file lies, or would lie.
pub(crate) fn path(file: &str) -> PathBuf {
    let folder = std::env::var_os("DRIFTLESS_GOLDEN").map(PathBuf::from);
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/golden");
    folder.unwrap_or_else(beside).join(file)
}

/// A golden file's text; `None`, and a printed line, when the data is not here.
pub(crate) fn text(file: &str) -> Option<String> {
    let path = path(file);
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        println!("skipped: no golden data at {}", path.display());
    }
    text
}

/// A golden file as JSON.
pub(crate) fn json(file: &str) -> Option<serde_json::Value> {
    text(file).map(|text| serde_json::from_str(&text).expect("golden files are JSON"))
}

/// The lines of a golden JSONL file.
pub(crate) fn lines(file: &str) -> Option<Vec<serde_json::Value>> {
    let line = |line: &str| serde_json::from_str(line).expect("golden lines are JSON");
    Some(text(file)?.lines().map(line).collect())
}

/// The rows of a golden CSV file, header left out. None of them quotes.
pub(crate) fn rows(file: &str) -> Option<Vec<Vec<String>>> {
    let text = text(file)?;
    let cells = |line: &str| line.split(',').map(|cell| cell.trim().to_owned()).collect();
    Some(text.lines().skip(1).map(cells).collect())
}
