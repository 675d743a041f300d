//! Texts that a pattern might match. They prove nothing; whoever tries them asks the pattern.

use std::iter::Peekable;
use std::str::Chars;

/// Longer patterns are not read, for groups may nest; longer texts are not written.
const LONGEST: usize = 500;

/// A few guesses: for each alternative at the top the shortest reading of its parts, as it is and
/// with repeats taken once.
pub(super) fn examples(pattern: &str) -> Vec<String> {
    if pattern.len() > LONGEST {
        return Vec::new();
    }
    let readings = [false, true].map(|greedy| {
        let mut rest = pattern.chars().peekable();
        let mut all = vec![sequence(&mut rest, greedy)];
        while rest.next().is_some() {
            all.push(sequence(&mut rest, greedy));
        }
        all
    });
    readings.into_iter().flatten().collect()
}

/// Reads up to `|` or `)`; a group gives its first alternative.
fn sequence(rest: &mut Peekable<Chars<'_>>, greedy: bool) -> String {
    let mut text = String::new();
    while let Some(character) = rest.next_if(|c| !matches!(c, '|' | ')')) {
        let piece = match character {
            '^' | '$' => String::new(),
            '.' => "a".to_owned(),
            '\\' => escaped(rest.next()),
            '[' => class(rest),
            '(' => group(rest, greedy),
            other => other.to_string(),
        };
        let times = repeats(rest, greedy);
        let times = if piece.len() * times <= LONGEST {
            times
        } else {
            1
        };
        text.push_str(&piece.repeat(times));
    }
    text
}

fn escaped(character: Option<char>) -> String {
    match character {
        Some('d') => "0".to_owned(),
        Some('w' | 'S' | 'D') => "a".to_owned(),
        Some('s' | 'W') => " ".to_owned(),
        Some('b' | 'B' | 'A' | 'z') | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// The first member of a class, or something that a negated one may well have.
fn class(rest: &mut Peekable<Chars<'_>>) -> String {
    let negated = rest.next_if_eq(&'^').is_some();
    let first = match rest.next() {
        Some('\\') => escaped(rest.next()),
        other => other.map(String::from).unwrap_or_default(),
    };
    for character in rest.by_ref() {
        if character == ']' {
            break;
        }
    }
    if negated { "~".to_owned() } else { first }
}

fn group(rest: &mut Peekable<Chars<'_>>, greedy: bool) -> String {
    if rest.next_if_eq(&'?').is_some() {
        for character in rest.by_ref() {
            if matches!(character, ':' | '>' | ')') {
                if character == ')' {
                    return String::new();
                }
                break;
            }
        }
    }
    let first = sequence(rest, greedy);
    while rest.next_if_eq(&'|').is_some() {
        drop(sequence(rest, greedy));
    }
    rest.next_if_eq(&')');
    first
}

/// How often a quantifier wants the piece before it.
fn repeats(rest: &mut Peekable<Chars<'_>>, greedy: bool) -> usize {
    const MOST: usize = 64;
    let times = match rest.peek() {
        Some('*' | '?') => usize::from(greedy),
        Some('+') => 1,
        Some('{') => {
            let digits: String = rest
                .clone()
                .skip(1)
                .take_while(char::is_ascii_digit)
                .collect();
            while rest.next_if(|c| *c != '}').is_some() {}
            digits.parse().unwrap_or(0)
        }
        _ => return 1,
    };
    rest.next();
    rest.next_if_eq(&'?');
    times.min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex::Regex;

    #[test]
    fn common_patterns_find_a_text_that_they_match() {
        for pattern in [
            "^g.*d$",
            "gold|silver",
            "^(?:a|b)+c{3}$",
            "[A-Z]\\d{4}-\\w+",
            "(?i)sale",
            "[^a]x?",
            "\\.example$",
            "^$",
            "a(b(c|d))?e",
            "",
        ] {
            let compiled = Regex::new(pattern).unwrap();
            let found = examples(pattern);
            assert!(
                found.iter().any(|text| compiled.is_match(text)),
                "{pattern}: {found:?}"
            );
        }
    }

    #[test]
    fn broken_patterns_come_to_an_end() {
        for pattern in [
            "(",
            ")",
            "[",
            "a{",
            "(?",
            "\\",
            "(?P<n",
            "a)b|c)",
            "*",
            "((a{64}){64}){64}",
        ] {
            assert!(!examples(pattern).is_empty(), "{pattern}");
        }
    }
}
