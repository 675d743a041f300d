//! What is wrong with a definition that the operator wrote.
//!
//! The grammar's own types decide what is right; this only finds out where and why they did not
//! understand something, and what they ignored.

use super::place::{Place, Step};
use super::shape::{self, Trouble};
use crate::config::reader::Complaint;
use crate::config::suggest::nearest;
use crate::config::value::quoted;
use crate::model::micros;
use crate::segment::catalogue::is_year_day;
use crate::segment::{
    AffinityMeasure, Condition, ConsentFilter, DateFilter, Filter, Path, PermissionFilter,
    Predictive, Radius, Sample, StringFilter,
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub place: Place,
    pub complaint: Complaint,
}

/// What came of reading a definition with strict eyes.
#[derive(Debug, Default)]
pub(super) struct Review {
    pub flaws: Vec<Flaw>,
    /// What is right, but can never be known.
    pub warnings: Vec<String>,
}

/// Finds everything that is wrong with a definition.
pub(super) fn review(definition: &Value) -> Review {
    let mut critic = Critic::default();
    critic.definition(definition);
    critic.review
}

#[derive(Default)]
struct Critic {
    place: Place,
    review: Review,
}

impl Critic {
    fn within(&mut self, step: impl Into<Step>, look: impl FnOnce(&mut Self)) {
        self.place.0.push(step.into());
        look(self);
        self.place.0.pop();
    }

    fn flaw(&mut self, complaint: Complaint) {
        let place = self.place.clone();
        self.review.flaws.push(Flaw { place, complaint });
    }

    fn flaw_at(&mut self, key: &str, message: impl Into<String>) {
        self.within(key, |critic| critic.flaw(Complaint::new(message)));
    }

    /// Something that the grammar's types did not understand.
    fn trouble(&mut self, noun: &str, trouble: &Trouble) {
        let depth = self.place.0.len();
        self.place.0.extend(trouble.place.0.iter().cloned());
        let key = match self.place.0.last() {
            Some(Step::Key(key)) if self.place.0.len() > depth => key.clone(),
            _ => noun.to_owned(),
        };
        self.flaw(trouble.explain(&key));
        self.place.0.truncate(depth);
    }

    fn definition(&mut self, value: &Value) {
        let Some(groups) = self.only_field(value, "condition_groups") else {
            return;
        };
        self.within("condition_groups", |critic| {
            critic.items(groups, |critic, group| {
                if let Some(conditions) = critic.only_field(group, "conditions") {
                    critic.within("conditions", |critic| {
                        critic.items(conditions, Self::condition);
                    });
                }
            });
        });
    }

    /// The one field that an object must have, and have alone.
    fn only_field<'v>(&mut self, value: &'v Value, key: &str) -> Option<&'v Value> {
        let Value::Object(fields) = value else {
            let message = format!("a table with `{key}` is wanted here");
            self.flaw(Complaint::new(message));
            return None;
        };
        for stray in fields.keys().filter(|field| *field != key) {
            self.stray(stray, &[key]);
        }
        if !fields.contains_key(key) {
            self.flaw(Complaint::new(format!("`{key}` is missing")));
        }
        fields.get(key)
    }

    fn stray(&mut self, key: &str, known: &[&str]) {
        let complaint = Complaint::new(format!("there is no key {} here", quoted(key)));
        let complaint = match nearest(key, known.iter().copied()) {
            Some(meant) => complaint.help(format!("did you mean `{meant}`?")),
            None => complaint.help("it would be ignored"),
        };
        self.within(key, |critic| critic.flaw(complaint));
    }

    fn items(&mut self, value: &Value, look: impl Fn(&mut Self, &Value)) {
        match value.as_array().map(Vec::as_slice) {
            None => self.flaw(Complaint::new("a list in [ ] is wanted here")),
            Some([]) => self.flaw(
                Complaint::new("this list is empty: nothing could be said of anybody")
                    .help("name at least one condition"),
            ),
            Some(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.within(Step::Index(index), |critic| look(critic, item));
                }
            }
        }
    }

    fn condition(&mut self, value: &Value) {
        let flaws = self.review.flaws.len();
        if let Err(trouble) = shape::condition(value) {
            self.trouble("condition type", &trouble);
        }
        self.parts(value);
        if self.review.flaws.len() > flaws {
            return;
        }
        // Only what is understood can be ignored in part, and can make sense or not.
        if let Ok(condition) = Condition::deserialize(value) {
            if let Ok(understood) = serde_json::to_value(&condition) {
                self.ignored(value, &understood);
            }
            self.meaning(&condition);
        }
    }

    /// Filters, wherever they stand below a condition.
    fn parts(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (key, inner) in fields {
                    self.within(key.as_str(), |critic| critic.part(key, inner));
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.within(Step::Index(index), |critic| critic.parts(item));
                }
            }
            _ => {}
        }
    }

    fn part(&mut self, key: &str, value: &Value) {
        match (key, value) {
            (_, Value::Null) => {}
            ("filter", _) => self.filter(value, None),
            ("measurement_filter", _) => self.filter(value, Some("numeric")),
            ("timeframe_filter", _) => self.filter(value, Some("date")),
            ("consent_status", Value::Object(fields)) => {
                self.details(fields, shape::CONSENT_FIELDS, |value| {
                    !matches!(value, ConsentFilter::Unknown(_))
                });
            }
            ("permission", Value::Object(fields)) => {
                self.details(fields, shape::PERMISSION_FIELDS, |value| {
                    !matches!(value, PermissionFilter::Unknown(_))
                });
            }
            _ => self.parts(value),
        }
    }

    /// `filters` of consents and permissions: each is known by its `field`.
    fn details<T: for<'de> Deserialize<'de>>(
        &mut self,
        fields: &Map<String, Value>,
        known: &[&str],
        is_known: impl Fn(&T) -> bool,
    ) {
        let Some(Value::Array(items)) = fields.get("filters") else {
            return;
        };
        self.within("filters", |critic| {
            for (index, item) in items.iter().enumerate() {
                critic.within(Step::Index(index), |critic| {
                    let understood = T::deserialize(item).is_ok_and(|item| is_known(&item));
                    if !understood {
                        critic.trouble("field", &shape::detail(item, known));
                    }
                    critic.parts(item);
                });
            }
        });
    }

    fn filter(&mut self, value: &Value, wanted: Option<&'static str>) {
        if let Err(trouble) = shape::filter(value) {
            self.trouble("filter", &trouble);
            return;
        }
        let found = value.get("type").and_then(Value::as_str);
        if let Some(wanted) = wanted
            && found != Some(wanted)
        {
            self.flaw_at("type", format!("a `{wanted}` filter is wanted here"));
            return;
        }
        match Filter::deserialize(value) {
            Ok(Filter::Date(date)) => self.date(&date),
            Ok(Filter::String(StringFilter::Regex(text) | StringFilter::Nregex(text))) => {
                let pattern = text.value.unwrap_or_default();
                if regex::Regex::new(&pattern).is_err() {
                    let message = format!("{} is not a regular expression", quoted(&pattern));
                    let help = "without look-around and back-references";
                    let complaint = Complaint::new(message).help(help);
                    self.within("value", |critic| critic.flaw(complaint));
                }
            }
            _ => {}
        }
    }

    fn date(&mut self, filter: &DateFilter) {
        match filter {
            DateFilter::After { date } | DateFilter::Before { date } => self.instant("date", date),
            DateFilter::BetweenStatic { start, end } => {
                self.instant("start", start);
                self.instant("end", end);
            }
            DateFilter::InTheLast(span)
            | DateFilter::InTheNext(span)
            | DateFilter::AtLeast(span)
            | DateFilter::AnniversaryLast(span)
            | DateFilter::AnniversaryNext(span) => self.count("quantity", span.quantity),
            DateFilter::Between { start, end, .. } => {
                self.count("start", *start);
                self.count("end", *end);
            }
            DateFilter::CalendarMonth { value } if !(1..=12).contains(value) => {
                self.flaw_at("value", format!("{value} is not a month from 1 to 12"));
            }
            DateFilter::DriftlessLastSeason { from, to } => {
                for (key, day) in [("from", from), ("to", to)] {
                    if !is_year_day(day) {
                        let message = "is not a day of the year such as `11-20`";
                        self.flaw_at(key, format!("{} {message}", quoted(day)));
                    }
                }
            }
            DateFilter::Anniversary
            | DateFilter::AnniversaryMonth
            | DateFilter::CalendarMonth { .. }
            | DateFilter::Alltime => {}
        }
    }

    fn instant(&mut self, key: &str, text: &str) {
        if micros(text).is_none() {
            let complaint = Complaint::new(format!("{} is not a date", quoted(text)));
            let complaint = complaint.help("such as `2026-01-31` or `2026-01-31T12:00:00Z`");
            self.within(key, |critic| critic.flaw(complaint));
        }
    }

    fn count(&mut self, key: &str, number: i64) {
        // A century of hours; beyond it no calendar follows.
        if !(0..=900_000).contains(&number) {
            self.flaw_at(key, format!("{number} is not between 0 and 900000"));
        }
    }

    /// Keys that the grammar does not have: a slip among them would widen the segment in silence.
    fn ignored(&mut self, written: &Value, understood: &Value) {
        match (written, understood) {
            (Value::Object(written), Value::Object(understood)) => {
                for (key, value) in written {
                    match understood.get(key) {
                        Some(inner) => self.within(key.as_str(), |c| c.ignored(value, inner)),
                        None => self.stray(key, shape::OPTIONAL_KEYS),
                    }
                }
            }
            (Value::Array(written), Value::Array(understood)) => {
                for (index, pair) in written.iter().zip(understood).enumerate() {
                    self.within(Step::Index(index), |critic| critic.ignored(pair.0, pair.1));
                }
            }
            _ => {}
        }
    }

    /// What is well formed and still says nothing.
    fn meaning(&mut self, condition: &Condition) {
        match condition {
            Condition::ProfileProperty(property) if Path::parse(&property.property).is_none() => {
                let message = format!("{} is no property", quoted(&property.property));
                let help = "such as `email`, `location['city']` or `properties['Name']`";
                let complaint = Complaint::new(message).help(help);
                self.within("property", |critic| critic.flaw(complaint));
            }
            Condition::ProfileGroupMembership(membership) if membership.group_ids.is_empty() => {
                self.flaw_at("group_ids", "this list is empty: name at least one list");
            }
            Condition::ProfileMetricFunnel(funnel) if funnel.steps.is_empty() => {
                self.flaw_at("steps", "this list is empty: name at least one step");
            }
            Condition::DriftlessRadius(radius) => self.radius(radius),
            Condition::DriftlessSample(sample) => self.sample(sample),
            Condition::ProfilePredictiveAnalytics(Predictive::Gender { .. }) => {
                self.never_known("Klaviyo does not tell the predicted gender");
            }
            Condition::ProfilePredictiveAnalytics(Predictive::Affinity(affinity))
                if affinity.measurement == AffinityMeasure::Rank =>
            {
                self.never_known("Klaviyo does not tell the rank of a channel");
            }
            Condition::ProfilePostalCodeDistance(_) => {
                self.never_known("only Klaviyo knows where postal codes lie");
            }
            Condition::ProfileHasCustomObject(_) => {
                self.never_known("Klaviyo does not tell the records of custom objects");
            }
            _ => {}
        }
    }

    fn never_known(&mut self, why: &str) {
        let warning = format!("{}: this is unknown of everybody: {why}", self.place);
        self.review.warnings.push(warning);
    }

    fn radius(&mut self, radius: &Radius) {
        for (key, degrees, most) in [
            ("latitude", radius.latitude, 90.0),
            ("longitude", radius.longitude, 180.0),
        ] {
            if degrees.abs() > most {
                let message = format!("{degrees} is not between -{most} and {most}");
                self.flaw_at(key, message);
            }
        }
    }

    fn sample(&mut self, sample: &Sample) {
        if sample.to > 10_000 {
            self.flaw_at(
                "to",
                format!("{} is more than all 10000 buckets", sample.to),
            );
        } else if sample.from >= sample.to {
            let message = format!("there is no bucket from {} to {}", sample.from, sample.to);
            self.flaw_at("to", message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use crate::segment::catalogue::catalogue;

    fn flaws(definition: &Value) -> Vec<String> {
        let flaws = review(definition).flaws.into_iter();
        let flaws = flaws.map(|flaw| format!("{}: {:?}", flaw.place, flaw.complaint));
        flaws.collect()
    }

    #[test]
    fn every_golden_definition_that_can_be_evaluated_is_sound_and_no_other() {
        let Some(golden) = golden::json("segments/definitions.json") else {
            return;
        };
        let wrong = [
            "consent_sms_rcs_unknown",
            "empty_conditions",
            "empty_groups",
            "prop_regex_invalid",
            "prop_regex_lookahead",
            "prop_unknown_path",
            "whatsapp_method_unknown",
            "x_legacy_attribute",
            "x_unknown_operator",
            "x_unknown_operator_in_event",
            "x_unknown_type",
            "x_unknown_unit",
        ];
        for name in wrong {
            assert_ne!(flaws(&golden[name]), [""; 0], "{name}");
        }
        let others = golden.as_object().unwrap().iter();
        let is_sound = |name: &str| !name.starts_with("x_") && !wrong.contains(&name);
        for (name, definition) in others.filter(|(name, _)| is_sound(name)) {
            assert_eq!(flaws(definition), [""; 0], "{name}");
        }
    }

    #[test]
    fn the_whole_catalogue_is_sound() {
        for entry in catalogue() {
            let definition = entry.expand(&entry.defaults());
            let json = serde_json::from_str(definition.as_str()).unwrap();
            assert_eq!(flaws(&json), [""; 0], "{}", entry.name);
        }
    }
}
