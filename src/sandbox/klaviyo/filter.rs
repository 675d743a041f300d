//! The API's filter grammar: `op(field,value)`, several joined by commas or inside `and(…)`.

use super::failure::Failure;
use crate::model::Moment;

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// Such as `greater-than`.
    pub(super) op: String,
    /// Such as `updated`.
    pub(super) field: String,
    /// The value, or the elements of a list; empty for `has`.
    pub(super) values: Vec<String>,
    /// Whether the value was written as a list.
    pub(super) list: bool,
    /// The first value as an instant, if it is one: it is compared with row after row.
    instant: Option<Moment>,
}

impl Condition {
    /// Whether a text is the value or among the values.
    pub(super) fn names(&self, text: Option<&str>) -> bool {
        text.is_some_and(|text| self.values.iter().any(|value| value == text))
    }

    /// Whether an instant compares as asked; `None` never does.
    pub(super) fn admits(&self, at: Option<Moment>) -> bool {
        let (Some(at), Some(bound)) = (at, self.instant) else {
            return false;
        };
        match self.op.as_str() {
            "greater-than" => at > bound,
            "greater-or-equal" => at >= bound,
            "less-than" => at < bound,
            "less-or-equal" => at <= bound,
            _ => at == bound,
        }
    }
}

fn instant(field: &str, values: &[String]) -> Option<Moment> {
    let value = values.first()?;
    match value.parse::<i64>() {
        Ok(seconds) if field == "timestamp" => Some(Moment::from_secs(seconds)),
        _ => Moment::parse(value),
    }
}

/// Fields that an endpoint filters by, each with its operators; an operator with `[]` behind it takes a
/// list, one with `@` before it an instant.
pub(super) type Allowed = [(&'static str, &'static [&'static str])];

/// Reads a filter and checks it against what the endpoint documents.
pub(super) fn parse(text: &str, allowed: &Allowed) -> Result<Vec<Condition>, Failure> {
    let mut reader = Reader { rest: text };
    let conditions = reader.series().filter(|_| reader.peek().is_none());
    let Some(conditions) = conditions else {
        return Err(wrong("The filter is malformed."));
    };
    for condition in &conditions {
        check(condition, allowed)?;
    }
    Ok(conditions)
}

fn wrong(detail: &str) -> Failure {
    Failure::parameter(detail, "filter")
}

fn check(condition: &Condition, allowed: &Allowed) -> Result<(), Failure> {
    let operators = allowed.iter().find(|(field, _)| *field == condition.field);
    let Some((_, operators)) = operators else {
        let detail = format!("'{}' cannot be filtered by.", condition.field);
        return Err(wrong(&detail));
    };
    let suffix = if condition.list { "[]" } else { "" };
    let spelled = format!("{}{suffix}", condition.op);
    let instant = format!("@{spelled}");
    let found = operators
        .iter()
        .find(|operator| **operator == spelled || **operator == instant);
    let Some(operator) = found else {
        let detail = format!("'{spelled}' is no operator of '{}'.", condition.field);
        return Err(wrong(&detail));
    };
    let readable = |value: &String| value.parse::<i64>().is_ok() || Moment::parse(value).is_some();
    if operator.starts_with('@') && !condition.values.iter().all(readable) {
        let detail = format!("'{}' is compared with an instant.", condition.field);
        return Err(wrong(&detail));
    }
    Ok(())
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start_matches(' ');
        self.rest.chars().next()
    }

    fn expect(&mut self, wanted: char) -> Option<()> {
        (self.peek()? == wanted).then(|| self.rest = &self.rest[wanted.len_utf8()..])
    }

    fn word(&mut self, fits: impl Fn(char) -> bool) -> Option<&'a str> {
        self.peek()?;
        let end = self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then(|| word.trim_end())
    }

    fn series(&mut self) -> Option<Vec<Condition>> {
        let mut found = Vec::new();
        loop {
            let op = self.word(|c| c.is_ascii_alphabetic() || c == '-')?;
            self.expect('(')?;
            if op == "and" {
                found.extend(self.series()?);
            } else {
                found.push(self.condition(op)?);
            }
            self.expect(')')?;
            if self.peek() != Some(',') {
                return Some(found);
            }
            self.expect(',')?;
        }
    }

    fn condition(&mut self, op: &str) -> Option<Condition> {
        let field = self.word(|c| c.is_ascii_alphanumeric() || "._$-".contains(c))?;
        let (mut values, mut list) = (Vec::new(), false);
        if op != "has" {
            self.expect(',')?;
            list = self.peek()? == '[';
            if list {
                self.expect('[')?;
                while self.peek()? != ']' {
                    values.push(self.value()?);
                    if self.peek()? == ',' {
                        self.expect(',')?;
                    }
                }
                self.expect(']')?;
            } else {
                values.push(self.value()?);
            }
        }
        let (op, field) = (op.to_owned(), field.to_owned());
        Some(Condition {
            instant: instant(&field, &values),
            op,
            field,
            values,
            list,
        })
    }

    fn value(&mut self) -> Option<String> {
        let quote = self.peek()?;
        if quote != '"' && quote != '\'' {
            let bare = self.word(|c| !",()[]'\"".contains(c))?;
            return Some(bare.to_owned());
        }
        self.expect(quote)?;
        let mut text = String::new();
        let mut escaped = false;
        for (at, c) in self.rest.char_indices() {
            match c {
                _ if escaped => {
                    text.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                _ if c == quote => {
                    self.rest = &self.rest[at + c.len_utf8()..];
                    return Some(text);
                }
                _ => text.push(c),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: &Allowed = &[
        ("id", &["equals", "any[]"]),
        ("updated", &["@greater-than", "@less-than"]),
        ("profile", &["has"]),
    ];

    #[test]
    fn commas_and_and_mean_the_same() {
        let flat = "any(id,['a',\"b\"]),greater-than(updated,2026-01-01T00:00:00Z),has(profile)";
        let nested = format!("and({flat})");
        let conditions = parse(flat, ALLOWED).unwrap();
        assert_eq!(conditions, parse(&nested, ALLOWED).unwrap());
        assert_eq!(conditions[0].values, ["a", "b"]);
        assert!(conditions[1].admits(Moment::parse("2026-01-01T00:00:01Z")));
        assert!(!conditions[1].admits(Moment::parse("2026-01-01T00:00:00Z")));
    }

    #[test]
    fn what_the_endpoint_does_not_document_is_refused() {
        for wrong in [
            "",
            "equals(id,'a'",
            "equals(id,'a')x",
            "or(equals(id,'a'),equals(id,'b'))",
            "equals(email,'a')",
            "any(id,'a')",
            "less-than(id,'a')",
            "greater-than(updated,yesterday)",
            "equals(id,'a)",
        ] {
            assert!(parse(wrong, ALLOWED).is_err(), "{wrong}");
        }
    }
}
