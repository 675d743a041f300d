//! The floors hold: no room reaches upwards, no pure room does IO or reads a clock, no file grows
//! past 600 lines.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms by floor. On floor 1 the order is the order of the flow: later rooms may use earlier ones.
const FLOORS: &[&[&str]] = &[
    &["model"],
    &["segment"],
    &["policy"],
    &["unify"],
    &["score"],
    &["detect"],
    &["plan"],
    &["pace"],
    &["disk", "listen"],
    &["vault"],
    &["telemetry", "clock", "config", "mirror", "journal"],
    &["api", "hooks"],
    &["pull", "push", "backup"],
    &["pass"],
    &["report", "daemon"],
    &["cli"],
];

const PURE: &[&str] = &[
    "model", "segment", "policy", "unify", "score", "detect", "plan", "pace",
];

/// What a pure room must never name.
const IMPURE: &[&str] = &[
    "tokio::",
    "reqwest::",
    "sled::",
    "axum::",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "::now()",
    "async fn",
    ".await",
    "SystemTime",
    "tracing::",
];

/// Aside: serves both vendors; only `cli` and tests use it.
const ASIDE: &str = "sandbox";

#[test]
fn every_room_of_the_design_exists() {
    let found = rooms();
    for room in FLOORS.iter().flat_map(|floor| floor.iter()).chain([&ASIDE]) {
        assert!(found.contains_key(*room), "src/ lacks the room `{room}`");
    }
}

#[test]
fn no_room_uses_a_room_on_a_higher_floor() {
    let mut wrong = Vec::new();
    for (room, files) in rooms() {
        for (file, text) in files {
            for used in uses(&text) {
                if !may_use(&room, &used) {
                    wrong.push(format!("{}: `{room}` uses `{used}`", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "upward uses:\n{}", wrong.join("\n"));
}

#[test]
fn pure_rooms_do_no_io_and_read_no_clock() {
    let mut wrong = Vec::new();
    for (room, files) in rooms() {
        if !PURE.contains(&room.as_str()) {
            continue;
        }
        for (file, text) in files {
            for (number, line) in product_lines(&text) {
                if let Some(word) = IMPURE.iter().find(|word| line.contains(**word)) {
                    wrong.push(format!("{}:{number}: {word}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "impure:\n{}", wrong.join("\n"));
}

#[test]
fn only_the_mirror_names_sled_and_only_the_clock_reads_time() {
    let mut wrong = Vec::new();
    for (room, files) in rooms() {
        for (file, text) in files {
            for (number, line) in product_lines(&text) {
                let sled = line.contains("sled::") && room != "mirror";
                let time = ["Timestamp::now", "SystemTime::now", "Instant::now"];
                let clock = time.iter().any(|word| line.contains(word)) && room != "clock";
                if sled || clock {
                    wrong.push(format!("{}:{number}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "out of place:\n{}", wrong.join("\n"));
}

#[test]
fn no_file_is_longer_than_600_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches"] {
        collect(&root.join(folder), &mut files);
    }
    let long: Vec<String> = files
        .iter()
        .map(|(file, text)| (file, text.lines().count()))
        .filter(|(_, lines)| *lines > 600)
        .map(|(file, lines)| format!("{}: {lines}", file.display()))
        .collect();
    assert!(long.is_empty(), "too long:\n{}", long.join("\n"));
}

#[test]
fn the_sandbox_shares_no_wire_type_with_the_api() {
    for (room, files) in rooms() {
        for (file, text) in files {
            let crossed = (room == ASIDE && text.contains("crate::api"))
                || (room == "api" && text.contains("crate::sandbox"));
            assert!(!crossed, "{}", file.display());
        }
    }
}

fn may_use(room: &str, used: &str) -> bool {
    if room == used || room == "main" || room == "lib" {
        return true;
    }
    if used == ASIDE {
        return room == "cli";
    }
    if room == ASIDE {
        return ["clock", "model"].contains(&used);
    }
    let floor = |name: &str| FLOORS.iter().position(|floor| floor.contains(&name));
    match (floor(room), floor(used)) {
        (Some(here), Some(there)) => there < here || (here == there && used == "clock"),
        _ => false,
    }
}

/// Rooms named by `crate::room` in product code.
fn uses(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (_, line) in product_lines(text) {
        for part in line.split("crate::").skip(1) {
            let name: String = part
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                .collect();
            if !name.is_empty() {
                found.push(name);
            }
        }
    }
    found
}

/// Lines that are neither comments nor inside the test module at the end of a file.
fn product_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..end].lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(n, line)| (n + 1, line))
}

fn rooms() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&src, &mut files);
    let mut rooms: BTreeMap<String, Vec<(PathBuf, String)>> = BTreeMap::new();
    for (file, text) in files {
        let inside = file.strip_prefix(&src).expect("collected below src");
        let first = inside
            .iter()
            .next()
            .expect("a file has a name")
            .to_string_lossy();
        let is_test = inside.ends_with("tests.rs") || inside.iter().any(|part| part == "tests");
        if !is_test {
            rooms
                .entry(first.trim_end_matches(".rs").to_owned())
                .or_default()
                .push((file, text));
        }
    }
    rooms
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, String)>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("readable entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).expect("readable source");
            files.push((path, text));
        }
    }
}
