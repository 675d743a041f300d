//! Why somebody belongs, or not: every condition with its verdict, its evidence and its next flip.

use super::condition::{Condition, Measurement};
use super::definition::Definition;
use super::evaluator::{Evaluator, course};
use super::leaf::{Leaf, coordinates, great_circle};
use super::program::Program;
use super::subject::{OnList, Subject};
use super::verdict::{Course, Span, Verdict};
use super::words::{Names, describe};
use crate::model::{Moment, Value};

/// Why one subject belongs to one segment, or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Now.
    pub verdict: Verdict,
    /// When it changes next if nothing new happens, and to what; `None` within the span asked for.
    pub flip: Option<(Moment, Verdict)>,
    /// All of them must hold.
    pub groups: Vec<Reasons>,
    /// The fewest conditions that would have to turn, by group and place in it, to change the verdict.
    pub way_out: Vec<(usize, usize)>,
}

/// Of these, one must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Reasons {
    /// Of the group.
    pub verdict: Verdict,
    /// Its conditions.
    pub conditions: Vec<Reason>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// In plain words.
    pub text: String,
    /// Now.
    pub verdict: Verdict,
    /// What the verdict rests on: counts, dates, values; or why it cannot be said.
    pub evidence: String,
    /// When this condition changes next.
    pub flip: Option<(Moment, Verdict)>,
}

impl Program {
    /// Explains one segment of the program. `definition` is the one it was compiled from.
    pub fn explain(
        &self,
        segment: usize,
        definition: &Definition,
        subject: &Subject<'_>,
        span: Span,
        names: &impl Names,
    ) -> Explanation {
        let mut evaluator = self.evaluator(span);
        let courses = evaluator.leaves(subject);
        let compiled = &self.segments[segment];
        let groups = definition.groups().unwrap_or_default();
        let groups = groups.iter().zip(&compiled.groups).map(|(group, leaves)| {
            let conditions = group.conditions().iter().zip(leaves);
            let conditions = conditions.map(|(condition, leaf)| Reason {
                text: describe(condition, names),
                verdict: courses[*leaf].initial,
                evidence: evaluator.evidence(condition, &self.leaves[*leaf], subject),
                flip: next(&courses[*leaf]),
            });
            let conditions: Vec<Reason> = conditions.collect();
            let verdict = conditions.iter().map(|reason| reason.verdict).max();
            Reasons {
                verdict: verdict.unwrap_or(Verdict::Unknown),
                conditions,
            }
        });
        let groups: Vec<Reasons> = groups.collect();
        let course = course(compiled, &courses);
        Explanation {
            verdict: course.initial,
            flip: next(&course),
            way_out: way_out(course.initial, &groups),
            groups,
        }
    }
}

fn next(course: &Course) -> Option<(Moment, Verdict)> {
    let (at, verdict) = course.flips.first()?;
    Some((Moment::from_secs(*at), *verdict))
}

/// Out of a segment leads the group with the fewest conditions that hold; into it, one condition of
/// every group that fails.
fn way_out(verdict: Verdict, groups: &[Reasons]) -> Vec<(usize, usize)> {
    let with = |group: usize, wanted: Verdict| {
        let conditions = groups[group].conditions.iter().enumerate();
        let those = conditions.filter(move |(_, reason)| reason.verdict == wanted);
        those
            .map(move |(place, _)| (group, place))
            .collect::<Vec<_>>()
    };
    match verdict {
        Verdict::In => {
            let ways = (0..groups.len()).map(|group| with(group, Verdict::In));
            ways.min_by_key(Vec::len).unwrap_or_default()
        }
        Verdict::Out => {
            let failing = (0..groups.len()).filter(|group| groups[*group].verdict == Verdict::Out);
            failing
                .filter_map(|group| with(group, Verdict::Out).into_iter().next())
                .collect()
        }
        Verdict::Unknown => Vec::new(),
    }
}

impl Evaluator<'_> {
    /// What a condition's verdict rests on. Call it after the walk.
    fn evidence(&self, condition: &Condition, leaf: &Leaf, subject: &Subject<'_>) -> String {
        match leaf {
            Leaf::Unknown(why) => why.clone(),
            Leaf::Metric {
                counter,
                measurement,
                ..
            } => self.counted(*counter, *measurement),
            Leaf::Funnel(_) => "looked for in the timeline".to_owned(),
            Leaf::Property { place, .. } => shown(place.value(subject.profile).as_ref()),
            Leaf::Lists { lists, .. } => on_lists(subject, lists),
            Leaf::Consent(_) | Leaf::Permission(_) => consent(condition, subject),
            Leaf::Region { .. } => match &subject.profile.country {
                Some(country) => format!("country is {country}"),
                None => "no country on record".to_owned(),
            },
            Leaf::Prediction { key, .. } => match &subject.profile.predictions {
                None => "predictions have not been fetched".to_owned(),
                Some(all) => shown(all.get(*key)),
            },
            Leaf::Affinity { .. } => match &subject.profile.predictions {
                None => "predictions have not been fetched".to_owned(),
                Some(all) => shown(all.get("ranked_channel_affinity")),
            },
            Leaf::Fact { name, .. } => match subject.facts.and_then(|facts| facts.0.get(name)) {
                None => "driftless does not work this out yet".to_owned(),
                Some(value) => shown(value.as_ref()),
            },
            Leaf::Radius {
                latitude,
                longitude,
                metres_to_a_unit,
                ..
            } => match coordinates(subject.profile) {
                None => "no coordinates on record".to_owned(),
                Some(place) => {
                    let distance = great_circle((*latitude, *longitude), place) / metres_to_a_unit;
                    format!("{distance:.1} away")
                }
            },
            Leaf::Sample(_) => "by the hash of the profile's id".to_owned(),
        }
    }

    fn counted(&self, counter: usize, measurement: Measurement) -> String {
        let (count, sum) = self.tally(counter);
        let last = match self.last_counted(counter) {
            Some(at) => format!(", last on {}", Moment::from_secs(at).date()),
            None => String::new(),
        };
        match (measurement, count) {
            (_, 0) => "none".to_owned(),
            (Measurement::Count, 1) => format!("once{}", last.replace(", last", "")),
            (Measurement::Count, _) => format!("{count} times{last}"),
            (Measurement::Sum, _) => format!("{sum} in {count}{last}"),
        }
    }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "not set".to_owned(),
        Some(Value::Text(text)) => format!("is \"{text}\""),
        Some(other) => format!("is {other}"),
    }
}

fn on_lists(subject: &Subject<'_>, lists: &[usize]) -> String {
    let mut joined = None;
    for list in lists {
        match subject.lists.get(*list) {
            Some(OnList::Since(Some(at))) => return format!("joined on {}", at.date()),
            Some(OnList::Since(None)) => joined = Some("on it"),
            Some(OnList::Unknown) | None => joined = joined.or(Some("members are not known")),
            Some(OnList::No) => {}
        }
    }
    joined.unwrap_or("not on it").to_owned()
}

fn consent(condition: &Condition, subject: &Subject<'_>) -> String {
    let told = |can: Option<bool>, consent: &str, at: Option<Moment>| {
        let reach = if can == Some(true) { "can" } else { "cannot" };
        let consent = match consent {
            "" => "never subscribed".to_owned(),
            word => word.to_lowercase().replace('_', " "),
        };
        let since = at
            .map(|at| format!(" since {}", at.date()))
            .unwrap_or_default();
        format!("{reach} receive, {consent}{since}")
    };
    let profile = subject.profile;
    let channel = match condition {
        Condition::ProfileMarketingConsent(condition) => condition.consent.channel.mirrored(),
        Condition::ProfilePermissions(condition) => Some(condition.channel.mirrored()),
        _ => None,
    };
    match (channel, &profile.email_marketing, &profile.channels) {
        (None, Some(email), _) => {
            let told = told(email.can_receive, email.consent.as_str(), email.consent_at);
            let suppressed = email.suppressions.iter().filter_map(|one| one.at).max();
            match suppressed {
                Some(at) => format!("{told}; suppressed on {}", at.date()),
                None => told,
            }
        }
        (Some(channel), _, Some(channels)) => match channels.get(&channel) {
            Some(state) => {
                let consent = state.consent.as_deref().unwrap_or_default();
                told(state.can_receive, consent, state.consent_at)
            }
            None => told(None, "", None),
        },
        (None, None, Some(_)) => told(None, "", None),
        (_, _, None) => "subscriptions have not been fetched".to_owned(),
    }
}
