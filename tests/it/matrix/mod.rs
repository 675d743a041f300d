//! The fault matrix (reliability.md, section 7): which test shows the outcome of which row.
//!
//! Most rows are shown where their subject is tested; here is the map, and what no other room has.

mod clocks;
mod odd;
mod rows;
mod throttled;

use rows::Row;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn every_row_is_shown_by_tests_that_exist_or_says_why_it_is_not() {
    let mut tests = BTreeSet::new();
    for folder in ["src", "tests"] {
        collect(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut tests,
        );
    }
    assert!(tests.len() > 500, "only {} tests found", tests.len());
    for Row {
        number,
        fault,
        tests: shown,
        apart,
    } in rows::all()
    {
        let is_told = !shown.is_empty() || !apart.is_empty();
        assert!(is_told, "row {number} ({fault}) shows nothing");
        for test in *shown {
            let exists = tests.contains(*test);
            assert!(exists, "row {number} ({fault}): there is no test `{test}`");
        }
    }
    let numbers = rows::all().into_iter().map(|row| row.number);
    assert!(numbers.eq(1..=64), "every row once");
}

/// The names of all tests below a folder.
fn collect(folder: &Path, tests: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, tests);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(path).unwrap();
            let mut is_test = false;
            for line in text.lines().map(str::trim) {
                is_test |= line == "#[test]" || line.starts_with("#[tokio::test");
                if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
                    tests.extend(rest.split('(').next().map(str::to_owned));
                    is_test = false;
                }
            }
        }
    }
}
