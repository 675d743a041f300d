//! Klaviyo's limits: fixed windows of a second, a minute and a day for each endpoint, and quotas of
//! expensive parameters that stack on top and are shared by all endpoints.

use crate::model::Moment;
use axum::http::Method;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The vendor's published table; one row per operation and per parameter quota.
const TABLE: &str = include_str!("ratelimits.tsv");

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60_000;
const DAY: i64 = 86_400_000;

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Method.
    pub method: Method,
    /// Path with `{placeholders}`.
    pub path: &'static str,
    /// Requests per second.
    pub burst: u32,
    /// Requests per minute.
    pub steady: u32,
    /// Requests per day.
    pub daily: Option<u32>,
    /// The row counts only requests with this `parameter=value`.
    pub when: Option<&'static str>,
    /// Scopes that a key needs.
    pub scopes: Vec<&'static str>,
    /// The revision it is documented for.
    pub revision: &'static str,
}

/// An operation: its own row and those of the parameters it was called with.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The row without a parameter.
    pub base: &'static Row,
    /// Values of the placeholders, in order.
    pub parameters: Vec<String>,
}

/// The rows, in the table's order.
pub fn table() -> &'static [Row] {
    static ROWS: LazyLock<Vec<Row>> =
        LazyLock::new(|| TABLE.lines().skip(1).filter_map(row).collect());
    &ROWS
}

fn row(line: &'static str) -> Option<Row> {
    let mut cells = line.split('\t');
    let mut cell = || cells.next().unwrap_or_default();
    let count = |text: &'static str| text.split('/').next()?.parse().ok();
    Some(Row {
        method: cell().parse().ok()?,
        path: cell(),
        burst: count(cell())?,
        steady: count(cell())?,
        daily: count(cell()),
        when: Some(cell()).filter(|when| !when.is_empty()),
        scopes: {
            cell(); // the operation's id
            cell().split(' ').collect()
        },
        revision: cell(),
    })
}

/// Why a request is no operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmatched {
    /// No operation has this path.
    Path,
    /// Operations with this path have other methods.
    Method,
}

/// The operation of a request; a literal segment wins over a placeholder.
pub fn operation(method: &Method, path: &str) -> Result<Operation, Unmatched> {
    let mut why = Unmatched::Path;
    let mut best: Option<Operation> = None;
    for base in table().iter().filter(|row| row.when.is_none()) {
        let Some(parameters) = placeholders(base.path, path) else {
            continue;
        };
        why = Unmatched::Method;
        let better = best
            .as_ref()
            .is_none_or(|found| parameters.len() < found.parameters.len());
        if base.method == *method && better {
            best = Some(Operation { base, parameters });
        }
    }
    best.ok_or(why)
}

fn placeholders(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut parts = path.trim_end_matches('/').split('/');
    for expected in pattern.split('/') {
        let part = parts.next()?;
        if expected.starts_with('{') && !part.is_empty() {
            found.push(part.to_owned());
        } else if expected != part {
            return None;
        }
    }
    parts.next().is_none().then_some(found)
}

/// What the windows say to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on; figures of the endpoint's minute for the headers.
    Pass {
        /// Requests a minute.
        limit: u32,
        /// Left in this minute.
        remaining: u32,
        /// Whole seconds until the minute ends.
        reset: i64,
    },
    /// Wait this many whole seconds.
    Throttled(i64),
}

/// Counters of all windows, by quota and length of the window: the window's start and its count.
#[derive(Debug, Default)]
pub struct Limiter {
    windows: BTreeMap<(String, i64), (i64, u32)>,
    /// Shifts every window but the days; on the clock's own seconds and minutes without.
    phases: Option<u64>,
}

impl Limiter {
    /// Windows that begin at instants which nobody can know: other ones for every seed, quota and length.
    pub fn with_phases(seed: u64) -> Self {
        Self {
            phases: Some(seed),
            ..Self::default()
        }
    }

    /// `now`, as the windows of that quota and length count it.
    fn shifted(&self, quota: &str, length: i64, now: Moment) -> Moment {
        let Some(seed) = self.phases.filter(|_| length < DAY) else {
            return now;
        };
        let name = u64::from(crc32c::crc32c(format!("{quota} {length}").as_bytes()));
        let phase = fastrand::Rng::with_seed(seed ^ name << 8).i64(0..length);
        Moment(now.0 + phase)
    }

    /// Counts a request with the given query pairs. A refused request counts nowhere.
    pub fn admit(
        &mut self,
        base: &'static Row,
        query: &[(String, String)],
        now: Moment,
        enforce: bool,
    ) -> Verdict {
        let quotas = quotas(base, query);
        if enforce {
            let mut waits = quotas.iter().filter_map(|(quota, length, limit)| {
                let full = self.used(quota, *length, now) >= *limit;
                full.then(|| seconds_left(self.shifted(quota, *length, now), *length))
            });
            if let Some(first) = waits.next() {
                return Verdict::Throttled(waits.fold(first, i64::max));
            }
        }
        for (quota, length, _) in &quotas {
            let start = self.shifted(quota, *length, now).0.div_euclid(*length);
            let window = self.windows.entry((quota.clone(), *length)).or_default();
            if window.0 != start {
                *window = (start, 0);
            }
            window.1 += 1;
        }
        self.figures(base, now)
    }

    /// What the headers say of an endpoint, without counting a request.
    pub fn figures(&self, base: &'static Row, now: Moment) -> Verdict {
        let quota = quota_of(base);
        let used = self.used(&quota, MINUTE, now);
        Verdict::Pass {
            limit: base.steady,
            remaining: base.steady.saturating_sub(used),
            reset: seconds_left(self.shifted(&quota, MINUTE, now), MINUTE),
        }
    }

    fn used(&self, quota: &str, length: i64, now: Moment) -> u32 {
        let now = self.shifted(quota, length, now);
        let window = self.windows.get(&(quota.to_owned(), length));
        window
            .filter(|(start, _)| *start == now.0.div_euclid(length))
            .map_or(0, |(_, count)| *count)
    }
}

/// Every (quota, length of window, limit) that a request draws on.
fn quotas(base: &'static Row, query: &[(String, String)]) -> Vec<(String, i64, u32)> {
    let mut parameters: BTreeMap<&str, &Row> = BTreeMap::new();
    for row in table() {
        let Some(when) = row.when else { continue };
        // Parameters are shared by all endpoints; `include` belongs to its own.
        let mine = !when.starts_with("include=") || row.path == base.path;
        if mine && asks_for(query, when) {
            parameters.entry(when).or_insert(row);
        }
    }
    let own = (quota_of(base), base);
    let shared = parameters
        .into_iter()
        .map(|(when, row)| (when.to_owned(), row));
    let mut found = Vec::new();
    for (quota, row) in std::iter::once(own).chain(shared) {
        found.push((quota.clone(), SECOND, row.burst));
        found.push((quota.clone(), MINUTE, row.steady));
        found.extend(row.daily.map(|daily| (quota, DAY, daily)));
    }
    found
}

fn quota_of(row: &Row) -> String {
    format!("{} {}", row.method, row.path)
}

/// Whether a query has `name=value` among its comma separated values; the table writes `include=list`
/// for the plural that requests use.
fn asks_for(query: &[(String, String)], when: &str) -> bool {
    let Some((name, value)) = when.split_once('=') else {
        return false;
    };
    let fits = |item: &str| item == value || item.strip_suffix('s') == Some(value);
    query
        .iter()
        .any(|(key, values)| key == name && values.split(',').any(fits))
}

fn seconds_left(now: Moment, length: i64) -> i64 {
    let left = length - now.0.rem_euclid(length);
    (left + SECOND - 1).div_euclid(SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn row_of(method: Method, path: &str) -> &'static Row {
        operation(&method, path).unwrap().base
    }

    fn admitted(limiter: &mut Limiter, row: &'static Row, at: i64) -> bool {
        matches!(
            limiter.admit(row, &[], Moment(at), true),
            Verdict::Pass { .. }
        )
    }

    #[test]
    fn the_embedded_table_equals_the_reference() {
        let reference = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../shared/reference/klaviyo-ratelimits.tsv");
        let reference = std::env::var_os("DRIFTLESS_GOLDEN").map_or(reference, |golden| {
            PathBuf::from(golden).join("../reference/klaviyo-ratelimits.tsv")
        });
        assert_eq!(table().len(), TABLE.lines().count() - 1);
        match std::fs::read_to_string(&reference) {
            Ok(text) => assert_eq!(text, TABLE),
            Err(_) => eprintln!("skipped: {} is absent", reference.display()),
        }
    }

    #[test]
    fn a_literal_segment_wins_over_a_placeholder() {
        let found = operation(&Method::GET, "/api/lists/Y6nRLr/relationships/profiles").unwrap();
        assert_eq!(found.base.path, "/api/lists/{id}/relationships/profiles");
        assert_eq!(found.parameters, ["Y6nRLr"]);
        let why = |method, path| operation(&method, path).unwrap_err();
        assert_eq!(why(Method::PUT, "/api/lists"), Unmatched::Method);
        assert_eq!(why(Method::GET, "/api/nothing"), Unmatched::Path);
    }

    #[test]
    fn a_second_and_a_minute_are_fixed_windows() {
        let row = row_of(Method::GET, "/api/accounts");
        let mut limiter = Limiter::default();
        assert!(admitted(&mut limiter, row, 59_900));
        assert_eq!(
            limiter.admit(row, &[], Moment(59_950), true),
            Verdict::Throttled(1)
        );
        // A fixed window forgets at its edge, so two may pass within a tenth of a second.
        assert!(admitted(&mut limiter, row, 60_000));
        for second in 1..15 {
            assert!(admitted(&mut limiter, row, 60_000 + second * 1_000));
        }
        assert_eq!(
            limiter.admit(row, &[], Moment(75_500), true),
            Verdict::Throttled(45)
        );
        assert!(admitted(&mut limiter, row, 120_000));
    }

    #[test]
    fn windows_of_unknown_phase_begin_elsewhere_for_every_seed() {
        let row = row_of(Method::GET, "/api/accounts");
        let phases: Vec<i64> = (0..4)
            .map(|seed| {
                let mut limiter = Limiter::with_phases(seed);
                let mut at = (0..).filter(|at| limiter.figures(row, Moment(at * 1_000)) == FULL);
                let edge = at.next().unwrap();
                assert!((0..15).all(|one| admitted(&mut limiter, row, edge * 1_000 + one * 1_200)));
                assert!(!admitted(&mut limiter, row, edge * 1_000 + 59_000));
                assert!(admitted(&mut limiter, row, edge * 1_000 + 60_000));
                edge
            })
            .collect();
        assert!(phases.windows(2).any(|two| two[0] != two[1]), "{phases:?}");
    }

    /// The first second of a minute in which nothing was asked yet.
    const FULL: Verdict = Verdict::Pass {
        limit: 15,
        remaining: 15,
        reset: 60,
    };

    #[test]
    fn a_daily_cap_asks_to_wait_until_midnight() {
        let row = row_of(Method::POST, "/api/segment-values-reports");
        let mut limiter = Limiter::default();
        for call in 0..225 {
            assert!(admitted(&mut limiter, row, call * 30_000), "call {call}");
        }
        let now = Moment(225 * 30_000);
        let left = (DAY - now.0) / 1_000;
        assert_eq!(limiter.admit(row, &[], now, true), Verdict::Throttled(left));
        assert!(admitted(&mut limiter, row, DAY));
    }

    #[test]
    fn an_expensive_parameter_has_a_quota_of_its_own_across_endpoints() {
        let counted = |kind: &str| {
            let name = format!("additional-fields[{kind}]");
            vec![(name, "profile_count".to_owned())]
        };
        let list = row_of(Method::GET, "/api/lists/AAAAAA");
        let mut limiter = Limiter::default();
        let now = Moment(0);
        let pass = |verdict| matches!(verdict, Verdict::Pass { .. });
        assert!(pass(limiter.admit(list, &counted("list"), now, true)));
        assert!(!pass(limiter.admit(list, &counted("list"), now, true)));
        assert!(pass(limiter.admit(list, &[], now, true)));

        let predicted = [(
            "additional-fields[profile]".to_owned(),
            "subscriptions,predictive_analytics".to_owned(),
        )];
        let profiles = row_of(Method::GET, "/api/profiles");
        let members = row_of(Method::GET, "/api/segments/AAAAAA/profiles");
        for _ in 0..5 {
            assert!(pass(limiter.admit(profiles, &predicted, now, true)));
            assert!(pass(limiter.admit(members, &predicted, now, true)));
        }
        assert!(!pass(limiter.admit(profiles, &predicted, now, true)));
    }

    #[test]
    fn headers_count_down_and_nothing_is_refused_without_enforcement() {
        let row = row_of(Method::GET, "/api/accounts");
        let mut limiter = Limiter::default();
        for call in 0..40_u32 {
            let verdict = limiter.admit(row, &[], Moment(1_000), false);
            let remaining = 15_u32.saturating_sub(call + 1);
            assert_eq!(
                verdict,
                Verdict::Pass {
                    limit: 15,
                    remaining,
                    reset: 59
                }
            );
        }
    }
}
