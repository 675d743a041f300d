//! Secrets that stand in a config by mistake: found, refused, never shown.
//!
//! Two nets. Words that look like a vendor's key are masked wherever they stand, comments and
//! messages included. What is assigned to a key named like a secret is masked in every shown line,
//! even where the TOML around it is broken.

use super::reader::Reader;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// How the vendors' secrets begin: Klaviyo's private keys, Shopify's tokens and app secrets.
const PREFIXES: [&str; 8] = [
    "pk_", "shpat_", "shpss_", "shpca_", "shppa_", "shpua_", "shprt_", "shptka_",
];

/// Real ones have 32 and more characters behind the prefix; shorter words are names.
const SHORTEST: usize = 12;

/// Keys whose plain value would be a secret.
const SECRET_KEYS: [&str; 12] = [
    "key",
    "store_key",
    "token",
    "secret",
    "old_secret",
    "client_secret",
    "api_key",
    "private_key",
    "access_token",
    "password",
    // Tables, all of them; a text in their place is what should have been in them.
    "klaviyo",
    "shopify",
];

/// Where a secret may be said to be; their values are places, not secrets.
pub(super) const PLACES: [&str; 3] = ["credential", "file", "env"];

/// The one table where `key` is a name.
const METAFIELD: &str = "shopify_metafield";

const HELP: &str = "put it into a file of mode 0600 and write `{ file = \"/path/to/it\" }`, or name a \
    systemd credential: `{ credential = \"name\" }`; then replace the secret at its vendor, it has \
    been read here";

/// Reports every secret in the file: values of keys named like one, and words that look like one.
pub(super) fn refuse(reader: &Reader<'_>, root: &DeTable<'_>) {
    let mut found = Vec::new();
    walk(root, "", &mut found);
    for (path, span) in &found {
        let message = "a secret must not stand in the config";
        reader.fault(span.clone(), path, message, Some(HELP));
    }
    for word in secret_words(reader.text()) {
        if !found.iter().any(|(_, span)| overlap(span, &word)) {
            let message = "this looks like a secret, which must not stand in the config";
            reader.fault(word, "", message, Some(HELP));
        }
    }
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

fn walk(table: &DeTable<'_>, path: &str, found: &mut Vec<(String, Range<usize>)>) {
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let path = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        };
        let is_secret = SECRET_KEYS.contains(&name) && path != format!("{METAFIELD}.key");
        walk_value(value, &path, is_secret, found);
    }
}

fn walk_value(
    value: &Spanned<DeValue<'_>>,
    path: &str,
    is_secret: bool,
    found: &mut Vec<(String, Range<usize>)>,
) {
    match value.get_ref() {
        DeValue::String(text) if is_secret || !secret_words(text).is_empty() => {
            found.push((path.to_owned(), value.span()));
        }
        DeValue::Array(items) => {
            for item in items.iter() {
                walk_value(item, path, is_secret, found);
            }
        }
        DeValue::Table(table) => walk(table, path, found),
        _ => {}
    }
}

/// Byte ranges of words that look like a vendor's secret.
fn secret_words(text: &str) -> Vec<Range<usize>> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut words = Vec::new();
    let mut at = 0;
    for word in text.split(|c: char| !is_word(c)) {
        let start = at + text.get(at..).and_then(|rest| rest.find(word)).unwrap_or(0);
        at = start + word.len();
        let tail = PREFIXES.iter().find_map(|prefix| word.strip_prefix(prefix));
        let long = tail.is_some_and(|tail| tail.len() >= SHORTEST);
        if long && word.bytes().any(|b| b.is_ascii_digit()) {
            words.push(start..at);
        }
    }
    words
}

/// The text with every word that looks like a secret masked, and control characters, which could
/// steer a terminal, replaced.
pub(super) fn mask_words(text: &str) -> String {
    let mut masked = text.to_owned();
    for word in secret_words(text) {
        // A word is ASCII, so the mask has its length in bytes too.
        masked.replace_range(word.clone(), &"*".repeat(word.len()));
    }
    let plain = |c: char| {
        if c.is_control() && c != '\t' {
            '\u{fffd}'
        } else {
            c
        }
    };
    masked.chars().map(plain).collect()
}

/// Every line fit to be shown, character for character as long as the original.
pub(super) fn masked_lines(text: &str) -> Vec<String> {
    let mut metafield = false;
    let mut fence: Option<&str> = None;
    let mut lines = Vec::new();
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.trim_start().starts_with('[') {
            metafield = line.trim() == format!("[{METAFIELD}]");
        }
        lines.push(match fence {
            Some(_) => "*".repeat(line.chars().count()),
            None if metafield => mask_words(line),
            None => mask_words(&mask_assignment(line)),
        });
        fence = match fence {
            Some(open) => (!line.contains(open)).then_some(open),
            None => open_fence(line),
        };
    }
    lines
}

/// The triple quotes that a line opens for a secret and leaves open.
fn open_fence(line: &str) -> Option<&'static str> {
    let (key, value) = line.split_once('=')?;
    let name = key.trim().rsplit('.').next().unwrap_or_default();
    let value = value.trim_start();
    let fence = ["\"\"\"", "'''"]
        .into_iter()
        .find(|open| value.starts_with(open))?;
    let open = SECRET_KEYS.contains(&name) && value.matches(fence).count() == 1;
    open.then_some(fence)
}

/// Masks what is assigned to keys named like secrets, whole or not, except the places where a
/// secret may be said to be.
fn mask_assignment(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let (mut name, mut in_value, mut quote) = (String::new(), false, None);
    // Inside `key = { … }` only the three places may be shown.
    let mut within_secret = false;
    for c in line.chars() {
        // A bare secret hides all that follows it: its line may be broken in any way.
        let bare = SECRET_KEYS.contains(&name.as_str());
        let ends = quote.is_none() && !bare && (c == ',' || c == '}');
        let hide = in_value && !ends && hidden(&name, within_secret) && !c.is_whitespace();
        shown.push(if hide && c != '{' { '*' } else { c });
        match c {
            _ if ends => (in_value, name) = (false, String::new()),
            '{' if in_value && quote.is_none() => {
                within_secret |= bare;
                (in_value, name) = (false, String::new());
            }
            '"' | '\'' if in_value => {
                quote = match quote {
                    Some(open) if open == c => None,
                    None => Some(c),
                    open => open,
                }
            }
            '=' if !in_value => in_value = true,
            _ if in_value => {}
            c if c.is_ascii_alphanumeric() || c == '_' || c == '-' => name.push(c),
            '.' | '#' => name.clear(),
            _ => {}
        }
    }
    shown
}

fn hidden(name: &str, within_secret: bool) -> bool {
    SECRET_KEYS.contains(&name) || (within_secret && !PLACES.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assigned_secrets_are_masked_even_in_broken_lines() {
        for (line, shown) in [
            (r#"key = "hunter2""#, "key = *********"),
            (r#"key = hunter2"#, "key = *******"),
            (r#"key = "hunter2"#, "key = ********"),
            (
                r#"klaviyo.key = 'hunter2' # x"#,
                "klaviyo.key = ********* * *",
            ),
            (r#"token = ["hunter2", 1]"#, "token = *********** **"),
            (
                r#"key = { value = "hunter2" }"#,
                "key = { value = ********* }",
            ),
            (
                r#"key = { file = "/etc/key", value = "a" }"#,
                r#"key = { file = "/etc/key", value = *** }"#,
            ),
            (r#""key" = "hunter2""#, r#""key" = *********"#),
            (r#"name = "hunter2""#, r#"name = "hunter2""#),
            (r#"shopify = "hunter2""#, "shopify = *********"),
            (r#"#secret = "hunter2""#, "#secret = *********"),
        ] {
            assert_eq!(masked_lines(line), [shown], "{line}");
        }
    }

    #[test]
    fn a_secret_over_several_lines_is_masked_to_its_end() {
        let text = "key = \"\"\"\nhunter2\nhunter3\"\"\"\nname = \"acme\"";
        assert_eq!(
            masked_lines(text),
            ["key = ***", "*******", "**********", "name = \"acme\""]
        );
    }

    #[test]
    fn words_that_look_like_keys_are_masked_and_names_are_not() {
        let key = format!("pk_{}", "0a".repeat(17));
        assert_eq!(
            mask_words(&format!("was {key}, see /etc/pk_production.key")),
            format!("was {}, see /etc/pk_production.key", "*".repeat(key.len()))
        );
        assert_eq!(mask_words("a\u{1b}[2J"), "a\u{fffd}[2J");
    }
}
