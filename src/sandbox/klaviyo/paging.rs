//! Cursor paging. A cursor is the position of the last item seen, never an offset: rows that come or go
//! before it do not shift what follows.

use super::Call;
use super::query::Query;
use crate::model::Moment;
use serde_json::{Value as Json, json};
use std::cmp::Ordering;
use url::form_urlencoded::Serializer;

/// Where an item stands in a sorted listing: a number and a text of the sort key, and the id that breaks
/// ties.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) number: i64,
    pub(super) text: String,
    pub(super) id: String,
}

/// A [`Position`] that borrows from the world.
pub(super) type Key<'a> = (i64, &'a str, &'a str);

impl Position {
    fn key(&self) -> Key<'_> {
        (self.number, &self.text, &self.id)
    }

    fn of(key: Key<'_>) -> Self {
        let (number, text, id) = (key.0, key.1.to_owned(), key.2.to_owned());
        Self { number, text, id }
    }

    /// The cursor of this position on a path. The checksum binds it to the path, so that garbage and
    /// cursors of other listings are refused.
    pub(super) fn encode(&self, path: &str) -> String {
        let plain = format!("{}\n{}\n{}", self.number, self.text, self.id);
        let hex: String = plain.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("{hex}{:08x}", checksum(path, plain.as_bytes()))
    }

    /// Reads a cursor of a path.
    pub(super) fn decode(cursor: &str, path: &str) -> Option<Self> {
        let (hex, sum) = cursor.split_at_checked(cursor.len().checked_sub(8)?)?;
        if !hex.is_ascii() || hex.len() % 2 != 0 {
            return None;
        }
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).ok();
        let plain: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(byte).collect();
        let plain = String::from_utf8(plain?).ok()?;
        let genuine = u32::from_str_radix(sum, 16).ok()? == checksum(path, plain.as_bytes());
        let mut parts = plain.splitn(3, '\n').filter(|_| genuine);
        Some(Self {
            number: parts.next()?.parse().ok()?,
            text: parts.next()?.to_owned(),
            id: parts.next()?.to_owned(),
        })
    }
}

fn checksum(path: &str, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(path.as_bytes()), bytes)
}

/// One page, and the position after which the next one begins.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    next: Option<Position>,
}

/// The page of a listing in any order: only the rows of the page are sorted.
pub(super) fn page<'a, T>(rows: impl Iterator<Item = (Key<'a>, T)>, query: &Query) -> Page<T> {
    let order = |a: &Key<'a>, b: &Key<'a>| match query.descending {
        false => a.cmp(b),
        true => b.cmp(a),
    };
    let after = query.after.as_ref();
    let beyond = |key: &Key<'_>| {
        after.is_none_or(|position| {
            let wanted = if query.descending {
                Ordering::Less
            } else {
                Ordering::Greater
            };
            key.cmp(&position.key()) == wanted
        })
    };
    let mut rows: Vec<(Key<'a>, T)> = rows.filter(|(key, _)| beyond(key)).collect();
    if rows.len() > query.size + 1 {
        rows.select_nth_unstable_by(query.size, |a, b| order(&a.0, &b.0));
        rows.truncate(query.size + 1);
    }
    rows.sort_unstable_by(|a, b| order(&a.0, &b.0));
    finish(rows, query.size)
}

/// The rows behind the cursor and within the bounds of an instant, of rows that are sorted by the key of their
/// cursors, ascending, and by that instant. `fields` are its names in filters.
pub(super) fn window<'a, T>(
    rows: &'a [T],
    query: &Query,
    fields: &[&str],
    key: impl Fn(&T) -> Key<'_>,
    at: impl Fn(&T) -> Moment,
) -> &'a [T] {
    let (mut start, mut end) = (0, rows.len());
    if let Some(position) = &query.after {
        if query.descending {
            end = rows.partition_point(|row| key(row) < position.key());
        } else {
            start = rows.partition_point(|row| key(row) <= position.key());
        }
    }
    let bounds = query.filters.iter();
    for bound in bounds.filter(|bound| fields.contains(&bound.field.as_str())) {
        let inside = |row: &T| bound.admits(Some(at(row)));
        if bound.op.starts_with("greater") {
            start = start.max(rows.partition_point(|row| !inside(row)));
        } else {
            end = end.min(rows.partition_point(inside));
        }
    }
    rows.get(start..end).unwrap_or_default()
}

/// Instants and ids, in the order that is asked for, behind the cursor and within the bounds of `field`.
pub(super) fn dated<'a>(
    order: &'a [(Moment, String)],
    query: &Query,
    field: &str,
) -> Box<dyn Iterator<Item = &'a (Moment, String)> + 'a> {
    let window = window(order, query, &[field], key_of_dated, |row| row.0);
    directed(window, query)
}

/// The key of what is listed by an instant.
pub(super) fn key_of_dated((at, id): &(Moment, String)) -> Key<'_> {
    (at.0, "", id)
}

/// Rows in the order that is asked for.
pub(super) fn directed<'a, T>(
    rows: &'a [T],
    query: &Query,
) -> Box<dyn Iterator<Item = &'a T> + 'a> {
    match query.descending {
        false => Box::new(rows.iter()),
        true => Box::new(rows.iter().rev()),
    }
}

/// The page of a listing whose rows come in order and begin behind the cursor.
pub(super) fn page_in_order<'a, T>(
    rows: impl Iterator<Item = (Key<'a>, T)>,
    query: &Query,
) -> Page<T> {
    finish(rows.take(query.size + 1).collect(), query.size)
}

fn finish<T>(mut rows: Vec<(Key<'_>, T)>, size: usize) -> Page<T> {
    let more = rows.len() > size;
    rows.truncate(size);
    let next = rows
        .last()
        .filter(|_| more)
        .map(|(key, _)| Position::of(*key));
    let items = rows.into_iter().map(|(_, item)| item).collect();
    Page { items, next }
}

impl<T> Page<T> {
    /// The document of this page.
    pub(super) fn document(self, call: &Call, query: &Query, render: impl Fn(T) -> Json) -> Json {
        let next = self.next.map(|position| next_link(call, &position));
        let data: Vec<Json> = self
            .items
            .into_iter()
            .map(|item| query.cut(render(item)))
            .collect();
        let own = self_link(call);
        json!({ "data": data, "links": { "self": own, "next": next, "prev": null } })
    }
}

/// The link to what was asked for.
pub(super) fn self_link(call: &Call) -> String {
    if call.query.is_empty() {
        return call.link(&call.path);
    }
    let mut encoder = Serializer::new(String::new());
    encoder.extend_pairs(&call.query);
    call.link(&format!("{}?{}", call.path, encoder.finish()))
}

fn next_link(call: &Call, position: &Position) -> String {
    let mut encoder = Serializer::new(String::new());
    let kept = call.query.iter().filter(|(name, _)| name != "page[cursor]");
    encoder.extend_pairs(kept);
    encoder.append_pair("page[cursor]", &position.encode(&call.path));
    call.link(&format!("{}?{}", call.path, encoder.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_on_its_own_path_only() {
        let position = Position {
            number: -5,
            text: "ä b".to_owned(),
            id: "01H\nX".to_owned(),
        };
        let cursor = position.encode("/api/profiles");
        assert_eq!(Position::decode(&cursor, "/api/profiles"), Some(position));
        assert_eq!(Position::decode(&cursor, "/api/events"), None);
        for garbage in ["", "x", "00000000", "zz00000000", "ä0000000", "0000000000"] {
            assert_eq!(
                Position::decode(garbage, "/api/profiles"),
                None,
                "{garbage}"
            );
        }
    }
}
