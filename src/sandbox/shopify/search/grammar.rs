//! The grammar of search strings, as far as it is served.

use crate::sandbox::shopify::fault::Fault;

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// One term as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) field: String,
    pub(super) op: Op,
    pub(super) value: String,
    pub(super) quoted: bool,
}

/// Splits a search into terms. What the sandbox leaves out of the grammar is an error, for a
/// misread search would return rows that nobody asked for.
pub(super) fn parse(text: &str) -> Result<Vec<Term>, Fault> {
    let mut terms = Vec::new();
    let mut rest = text.trim_start();
    let mut cut = false;
    while !rest.is_empty() {
        let (field, after) = split_name(rest);
        let grammar = rest.starts_with(['(', ')', '-']) || ["OR", "NOT"].contains(&field);
        if grammar || field.is_empty() {
            return Err(Fault::not_served(format_args!("this search: {text}")));
        }
        let Some(after) = after.strip_prefix(':') else {
            if cut {
                // The tail of a time that was cut at its first colon.
                terms.push(bare(field));
            } else if field != "AND" {
                return Err(Fault::not_served("free words in a search"));
            }
            rest = after.trim_start();
            continue;
        };
        let (op, after) = split_op(after.trim_start());
        let (value, quoted, after) = split_value(after.trim_start());
        terms.push(Term {
            field: field.to_owned(),
            op,
            value,
            quoted,
        });
        cut = after.starts_with(':');
        rest = after.trim_start_matches(':').trim_start();
    }
    Ok(terms)
}

fn bare(field: &str) -> Term {
    Term {
        field: field.to_owned(),
        op: Op::Equal,
        value: String::new(),
        quoted: false,
    }
}

fn split_name(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_alphanumeric() || "_.$".contains(c)));
    text.split_at(end.unwrap_or(text.len()))
}

fn split_op(text: &str) -> (Op, &str) {
    let known = [
        (">=", Op::GreaterEqual),
        ("<=", Op::LessEqual),
        (">", Op::Greater),
        ("<", Op::Less),
        ("=", Op::Equal),
    ];
    let found = known
        .iter()
        .find_map(|(sign, op)| Some((*op, text.strip_prefix(sign)?)));
    found.unwrap_or((Op::Equal, text))
}

/// The value, whether it was quoted, and what follows.
fn split_value(text: &str) -> (String, bool, &str) {
    let Some(quote) = text.chars().next().filter(|c| ['\'', '"'].contains(c)) else {
        let end = text.find(|c: char| c.is_whitespace() || c == ':' || c == ')');
        let (value, rest) = text.split_at(end.unwrap_or(text.len()));
        return (value.to_owned(), false, rest);
    };
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            c if c == quote => return (value, true, text.get(at + 1..).unwrap_or_default()),
            c => value.push(c),
        }
    }
    (value, true, "")
}
