//! Paging by key: a cursor names the last row, not a place in a list.

use super::fault::Fault;
use super::resolve::{Ctx, Node};
use serde_json::{Map, Value as Json};

/// The value sorted by, and the number that settles ties.
pub(super) type Key = (i64, u64);

/// Some rows of a connection.
#[derive(Debug)]
pub(super) struct Page<'s> {
    /// Cursor and node.
    pub(super) edges: Vec<(String, Node<'s>)>,
    pub(super) has_next: bool,
    pub(super) has_previous: bool,
}

/// Cuts the page that `args` (`first`, `after`, `reverse`, `sortKey`) ask for out of `rows`, which
/// may come in any order.
pub(super) fn cut<'s>(
    ctx: &Ctx<'s>,
    args: &Map<String, Json>,
    rows: impl Iterator<Item = (Key, Node<'s>)>,
) -> Result<Page<'s>, Fault> {
    let ask = Ask::read(ctx, args)?;
    let mut rows: Vec<_> = rows.filter(|(key, _)| ask.is_beyond(key)).collect();
    let order = |a: &(Key, Node<'s>), b: &(Key, Node<'s>)| {
        let ascending = a.0.cmp(&b.0);
        if ask.reverse {
            ascending.reverse()
        } else {
            ascending
        }
    };
    let has_next = rows.len() > ask.first;
    if has_next {
        // Only the page is put in order, not the shop.
        rows.select_nth_unstable_by(ask.first, order);
        rows.truncate(ask.first);
    }
    rows.sort_unstable_by(order);
    // Nobody pages through a bulk result.
    let cursor = |key| match ctx.bulk {
        true => String::new(),
        false => write(ask.sort, key),
    };
    let edge = |(key, node): (Key, Node<'s>)| (cursor(key), node);
    Ok(Page {
        edges: rows.into_iter().map(edge).collect(),
        has_next,
        has_previous: ask.after.is_some(),
    })
}

/// Which part of a list is wanted.
struct Ask<'a> {
    sort: &'a str,
    reverse: bool,
    after: Option<Key>,
    first: usize,
}

impl<'a> Ask<'a> {
    fn read(ctx: &Ctx<'_>, args: &'a Map<String, Json>) -> Result<Self, Fault> {
        let sort = args.get("sortKey").and_then(Json::as_str).unwrap_or("ID");
        let after = match args.get("after").and_then(Json::as_str) {
            Some(cursor) => Some(read(cursor, sort).ok_or_else(|| {
                let message = "Invalid cursor for current pagination sort.";
                Fault::new("BAD_REQUEST", message)
            })?),
            None => None,
        };
        let first = args.get("first").and_then(Json::as_u64);
        let first = first.filter(|_| !ctx.bulk).unwrap_or(u64::MAX);
        Ok(Self {
            sort,
            reverse: args.get("reverse").and_then(Json::as_bool) == Some(true),
            after,
            first: usize::try_from(first).unwrap_or(usize::MAX),
        })
    }

    fn is_beyond(&self, key: &Key) -> bool {
        match self.after {
            Some(after) if self.reverse => *key < after,
            Some(after) => *key > after,
            None => true,
        }
    }
}

/// A cursor. Opaque, and with characters that a careless client would spoil.
fn write(sort: &str, (value, number): Key) -> String {
    format!("{{\"{sort}\":{value},\"last_id\":{number}}}")
}

fn read(cursor: &str, sort: &str) -> Option<Key> {
    let parsed: Map<String, Json> = serde_json::from_str(cursor).ok()?;
    Some((
        parsed.get(sort)?.as_i64()?,
        parsed.get("last_id")?.as_u64()?,
    ))
}
