//! The shipped example, and what becomes of it when it is mutilated.

use super::*;
use crate::config::shop::parse_all;
use crate::config::source::Source;
use crate::policy::Guards;
use tempfile::TempDir;

const EXAMPLE: &str = include_str!("../../../config.example.toml");

/// The example's secrets, as systemd would lay them out.
fn credentials() -> (TempDir, Environment) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["klaviyo-key", "shopify-secret"] {
        std::fs::write(folder.path().join(name), format!("pk_{name}\n")).unwrap();
    }
    let path = folder.path().to_str().unwrap().to_owned();
    let environment = Environment::fixed([("CREDENTIALS_DIRECTORY", path.as_str())]);
    (folder, environment)
}

/// The example with every default written out.
fn uncommented() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest.to_owned(),
        _ => line.to_owned(),
    };
    EXAMPLE.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn the_example_is_a_valid_config() {
    let (_folder, environment) = credentials();
    let shop = parse(Path::new("config.example.toml"), EXAMPLE, &environment)
        .unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(shop.name, "acme");
    assert_eq!(shop.klaviyo.key.expose_secret(), "pk_klaviyo-key");
    assert_eq!(
        shop.shopify.base_url.as_str(),
        "https://acme.myshopify.com/"
    );
    assert_eq!(shop.policy.lists.len(), 2);
    assert_eq!(shop.policy.segments.len(), 2);
    assert_eq!(shop.policy.properties.fields.len(), Fact::ALL.len());
    assert_eq!(shop.warnings, [""; 0]);
}

#[test]
fn the_defaults_that_the_example_shows_are_the_defaults() {
    let (_folder, environment) = credentials();
    let path = Path::new("config.example.toml");
    let plain = parse(path, EXAMPLE, &environment).unwrap();
    let written = parse(path, &uncommented(), &environment).unwrap_or_else(|f| panic!("{f}"));
    assert_eq!(format!("{written:?}"), format!("{plain:?}"));
    let rules = Policy::default();
    assert_eq!(written.policy.guards, Guards::default());
    assert_eq!(written.policy.bounce, rules.bounce);
    assert_eq!(written.policy.lifecycle, rules.lifecycle);
    // More than a handful were written out, or this test would compare the file with itself.
    assert!(
        uncommented()
            .lines()
            .filter(|line| line.starts_with('#'))
            .count()
            + 40
            < EXAMPLE.lines().filter(|line| line.starts_with('#')).count()
    );
}

#[test]
fn every_key_the_reader_knows_is_in_the_example() {
    let (_folder, environment) = credentials();
    let source = Source::new(Path::new("config.example.toml"), EXAMPLE);
    let known = parse_all(&source, &environment).known;
    assert!(known.len() > 80, "{} keys", known.len());
    for path in known {
        assert!(is_shown(&path), "`{path}` is not in config.example.toml");
    }
}

/// Whether the example has one of the path's tables, and below its header the rest of the path.
fn is_shown(path: &str) -> bool {
    let cuts = path
        .match_indices('.')
        .map(|(dot, _)| (&path[..dot], &path[dot + 1..]));
    cuts.chain([(path, "")]).any(|(table, rest)| {
        let headers = [
            format!("[{table}]"),
            format!("[[{table}]]"),
            format!("[{table}."),
        ];
        let is_header = |line: &str| headers.iter().any(|header| line.starts_with(header));
        let lines: Vec<&str> = EXAMPLE.lines().collect();
        (0..lines.len())
            .filter(|at| is_header(lines[*at]))
            .any(|start| {
                let body = || {
                    lines[start + 1..]
                        .iter()
                        .take_while(|line| !line.starts_with('['))
                };
                let mut keys = rest.split('.').filter(|key| !key.is_empty());
                keys.all(|key| body().any(|line| assigns(line, key)))
            })
    })
}

/// Whether a line holds `key =`, the key as a whole word.
fn assigns(line: &str, key: &str) -> bool {
    line.match_indices(key).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let whole = before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '-');
        whole && line[at + key.len()..].trim_start().starts_with('=')
    })
}

#[test]
fn no_mutation_of_the_example_makes_the_reader_panic() {
    let (_folder, environment) = credentials();
    let whole = uncommented();
    let pieces = [
        "\"", "'", "\"\"\"", "[", "]", "[[", "{", "}", "=", ".", ",", "\n", "\\", "#", "é",
        "\u{0}", "\t", "-", "9", "1e9",
    ];
    let mut random = fastrand::Rng::with_seed(20_261_121);
    let mut refused = 0;
    for _ in 0..2_000 {
        let mut text: Vec<char> = whole.chars().collect();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(0..text.len());
            let until = (at + random.usize(0..30)).min(text.len());
            match random.u8(0..3) {
                0 => drop(text.drain(at..until)),
                1 => drop(text.splice(at..at, pieces[random.usize(0..pieces.len())].chars())),
                _ => {
                    let copied: Vec<char> = text[at..until].to_vec();
                    let to = random.usize(0..text.len());
                    text.splice(to..to, copied);
                }
            }
        }
        let text: String = text.into_iter().collect();
        if let Err(faults) = parse(Path::new("shop.toml"), &text, &environment) {
            refused += 1;
            assert!(!faults.is_empty(), "refused without a word:\n{text}");
            assert!(faults.to_string().contains("shop.toml:"));
        }
    }
    assert!(refused > 500, "{refused} of 2000 refused");
}
