//! Conditions on what somebody did: counts, sums and funnels (klaviyo.md, section 11.3; assumptions A18 to A21).

use super::Subject;
use super::dates::{Micros, When, Window};
use super::values::{NumberRelation, Test, Value, segmentable};
use serde_json::Value as Json;

/// One event as conditions see it.
#[derive(Clone, Copy)]
pub(super) struct Occurrence<'a> {
    pub(super) at: Micros,
    pub(super) properties: &'a Json,
}

/// How often something happened, or the sum of its values.
pub(super) struct Metric {
    events: Events,
    sum: bool,
    measure: NumberRelation,
}

/// Something that happened, or did not, one after the other.
pub(super) struct Funnel {
    steps: Vec<(bool, Events)>,
    /// From the first event on.
    limit: Option<Micros>,
}

/// Events of a metric in a window that pass all filters.
struct Events {
    metric: String,
    window: Window,
    filters: Vec<(String, Test)>,
}

impl Events {
    fn read(json: &Json, window: &Json, when: &When) -> Option<Self> {
        let filters = match &json["metric_filters"] {
            Json::Null => Vec::new(),
            filters => {
                let filters = filters.as_array()?.iter();
                // A property without a test constrains nothing.
                let tested = filters.filter(|filter| !filter["filter"].is_null());
                let read = |filter: &Json| {
                    let property = filter["property"].as_str()?.to_owned();
                    Some((property, Test::read(&filter["filter"], when)?))
                };
                tested.map(read).collect::<Option<Vec<_>>>()?
            }
        };
        Some(Self {
            metric: json["metric_id"].as_str()?.to_owned(),
            window: Window::read(window, when)?,
            filters,
        })
    }

    fn of<'s>(&'s self, subject: &Subject<'s>) -> impl Iterator<Item = &'s Occurrence<'s>> {
        let mine = subject
            .events
            .iter()
            .find(|(metric, _)| *metric == self.metric);
        let events = mine.map_or(&[][..], |(_, events)| events.as_slice());
        let passes = |event: &Occurrence<'_>| {
            let mut filters = self.filters.iter();
            filters.all(|(name, test)| test.holds(property(event.properties, name)))
        };
        events
            .iter()
            .filter(move |event| self.window.holds(event.at) && passes(event))
    }
}

/// What an event holds under a name. Zeros, nulls and empty texts were dropped when it came in; both names of the
/// flag for machine opens are in use.
fn property<'a>(properties: &'a Json, name: &str) -> Value<'a> {
    let named = |name: &str| segmentable(properties.get(name)).filter(|value| !is_dropped(value));
    match name {
        "$extra" | "extra" | "Details" => None,
        "machine_open" => named(name).or_else(|| named("Apple Privacy Open")),
        "Apple Privacy Open" => named(name).or_else(|| named("machine_open")),
        _ => named(name),
    }
}

fn is_dropped(value: &Json) -> bool {
    value.is_null() || value == "" || value.as_f64() == Some(0.0)
}

impl Metric {
    pub(super) fn read(json: &Json, when: &When) -> Option<Self> {
        let measure = &json["measurement_filter"];
        let numeric = measure["type"] == "numeric";
        Some(Self {
            events: Events::read(json, &json["timeframe_filter"], when)?,
            sum: match json["measurement"].as_str()? {
                "count" => false,
                "sum" => true,
                _ => return None,
            },
            measure: numeric
                .then(|| NumberRelation::read(measure["operator"].as_str()?, measure))??,
        })
    }

    pub(super) fn holds(&self, subject: &Subject<'_>) -> bool {
        let events = self.events.of(subject);
        let measured = match self.sum {
            false => events.count() as f64,
            true => {
                let sum: f64 = events
                    .filter_map(|event| event.properties["$value"].as_f64())
                    .sum();
                // Money adds up exactly; what binary fractions leave behind is cut off.
                (sum * 1e6).round() / 1e6
            }
        };
        self.measure.holds(Some(measured))
    }
}

const SECOND: Micros = 1_000_000;

impl Funnel {
    pub(super) fn read(json: &Json, when: &When) -> Option<Self> {
        let limit = match &json["completion_window_seconds"] {
            Json::Null => None,
            name => {
                let days = match name.as_str()? {
                    "HOURS_1" => return Self::within(json, when, Some(3_600 * SECOND)),
                    "DAYS_1" => 1,
                    "DAYS_3" => 3,
                    "DAYS_5" => 5,
                    "WEEKS_1" => 7,
                    "DAYS_30" => 30,
                    "DAYS_90" => 90,
                    "DAYS_180" => 180,
                    "YEARS_1" => 365,
                    _ => return None,
                };
                Some(days * 86_400 * SECOND)
            }
        };
        Self::within(json, when, limit)
    }

    fn within(json: &Json, when: &When, limit: Option<Micros>) -> Option<Self> {
        let step = |step: &Json| {
            let events = Events::read(step, &json["timeframe_filter"], when)?;
            Some((step["metric_exists"].as_bool()?, events))
        };
        let steps: Option<Vec<(bool, Events)>> =
            json["steps"].as_array()?.iter().map(step).collect();
        let steps = steps.filter(|steps| !steps.is_empty())?;
        Some(Self { steps, limit })
    }

    pub(super) fn holds(&self, subject: &Subject<'_>) -> bool {
        let steps: Vec<(bool, Vec<Micros>)> = self
            .steps
            .iter()
            .map(|(wanted, events)| (*wanted, events.of(subject).map(|event| event.at).collect()))
            .collect();
        let Some(first) = steps.iter().position(|(wanted, _)| *wanted) else {
            return steps.iter().all(|(_, times)| times.is_empty());
        };
        let (before, from) = steps.split_at(first);
        let (start, after) = (&from[0].1, &from[1..]);
        before.iter().all(|(_, times)| times.is_empty())
            && start.iter().any(|start| {
                let end = self
                    .limit
                    .map_or(i64::MAX, |limit| start.saturating_add(limit));
                completes(*start, end, after)
            })
    }
}

/// Whether the steps can be taken from a first event on. What matters of all choices so far is only when the last
/// chosen event was.
fn completes(start: Micros, end: Micros, steps: &[(bool, Vec<Micros>)]) -> bool {
    let mut reached = vec![start];
    for (wanted, times) in steps {
        let inside = |at: &Micros, last: &Micros| at > last && *at <= end;
        if *wanted {
            let Some(earliest) = reached.iter().min().copied() else {
                return false;
            };
            reached = times
                .iter()
                .filter(|at| inside(at, &earliest))
                .copied()
                .collect();
        } else {
            reached.retain(|last| !times.iter().any(|at| inside(at, last)));
        }
    }
    !reached.is_empty()
}
