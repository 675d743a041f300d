//! Why somebody belongs, or not: every condition with its verdict, its evidence and its next flip.

use super::condition::{Condition, Measurement};
use super::definition::Definition;
use super::evaluator::{Evaluator, course};
use super::leaf::{Leaf, coordinates, great_circle};
use super::number::Num;
use super::program::Program;
use super::subject::{OnList, Subject};
use super::verdict::{Course, Span, Verdict};
use super::words::{Names, describe, events};
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
    /// The nearest way to another verdict: the conditions that would have to turn, by group and place
    /// in it.
    pub way_out: Vec<(usize, usize)>,
}

/// What it would take to turn a condition's verdict. The earlier, the nearer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// So many more events of a kind.
    Events(i64, String),
    /// Another value of what the condition reads.
    Change,
    /// Nothing but time.
    Wait(Moment),
    /// Nothing that can still happen.
    Never,
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
    /// What it would take to turn it.
    pub turn: Turn,
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
                turn: evaluator.turn(condition, *leaf, &courses[*leaf], names),
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

/// Out of a segment leads any group all of whose holding conditions turn; into it, one condition of
/// every group that fails. Of several ways the one whose hardest step is the nearest.
fn way_out(verdict: Verdict, groups: &[Reasons]) -> Vec<(usize, usize)> {
    let with = |group: usize, wanted: Verdict| {
        let conditions = groups[group].conditions.iter().enumerate();
        let those = conditions.filter(move |(_, reason)| reason.verdict == wanted);
        those
            .map(move |(place, _)| (group, place))
            .collect::<Vec<_>>()
    };
    let turn = |step: &(usize, usize)| &groups[step.0].conditions[step.1].turn;
    let way = match verdict {
        Verdict::In => {
            let ways = (0..groups.len()).map(|group| with(group, Verdict::In));
            ways.min_by_key(|way| (way.iter().map(turn).max(), way.len()))
        }
        Verdict::Out => {
            let failing = (0..groups.len()).filter(|group| groups[*group].verdict == Verdict::Out);
            let nearest = |group: usize| with(group, Verdict::Out).into_iter().min_by_key(turn);
            Some(failing.filter_map(nearest).collect())
        }
        Verdict::Unknown => None,
    };
    let way = way.unwrap_or_default();
    let is_blocked = way.iter().any(|step| *turn(step) == Turn::Never);
    match is_blocked || (verdict == Verdict::Out && undoes_itself(&way, groups)) {
        true => Vec::new(),
        false => way,
    }
}

/// Whether events that a way asks for would also turn a condition that another group rests on.
fn undoes_itself(way: &[(usize, usize)], groups: &[Reasons]) -> bool {
    let reasons = way
        .iter()
        .map(|(group, place)| &groups[*group].conditions[*place].turn);
    let asked = reasons.filter_map(|turn| match turn {
        Turn::Events(_, kind) => Some(kind),
        _ => None,
    });
    let asked: Vec<&String> = asked.collect();
    let breaks = |reason: &Reason| match &reason.turn {
        Turn::Events(_, kind) => asked.contains(&kind),
        _ => false,
    };
    let holding = groups.iter().filter(|group| group.verdict == Verdict::In);
    holding.into_iter().any(|group| {
        let holds = |reason: &&Reason| reason.verdict == Verdict::In;
        group.conditions.iter().filter(holds).all(breaks)
    })
}

/// No more events than this are told as a way.
const MOST_EVENTS: i64 = 1_000;

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

    fn turn(
        &self,
        condition: &Condition,
        leaf: usize,
        course: &Course,
        names: &impl Names,
    ) -> Turn {
        let waiting = next(course).map_or(Turn::Never, |(at, _)| Turn::Wait(at));
        match (self.leaf_of(leaf), condition) {
            (
                Leaf::Metric {
                    counter,
                    measurement: Measurement::Count,
                    test,
                },
                Condition::ProfileMetric(metric),
            ) if self.counts_now(*counter) => {
                let (count, _) = self.tally(*counter);
                let turned =
                    |more: &i64| Verdict::of(test.holds(Num::Int(count + more))) != course.initial;
                match (1..=MOST_EVENTS).find(turned) {
                    Some(more) => {
                        let kind = events(&metric.metric_id, &metric.metric_filters, names);
                        Turn::Events(more, kind)
                    }
                    None => waiting,
                }
            }
            (
                Leaf::Metric {
                    measurement: Measurement::Count,
                    ..
                }
                | Leaf::Funnel(_),
                _,
            ) => waiting,
            (Leaf::Unknown(_) | Leaf::Sample(_), _) => Turn::Never,
            _ => Turn::Change,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Event, Metric, MetricId, MetricNo, Profile, Vocabulary};
    use crate::segment::{Inputs, catalogue, names};

    const DAY: i64 = 86_400;
    /// 1998-01-15T12:00:00Z.
    const NOW: i64 = 884_865_600;

    struct Shop;

    impl Names for Shop {
        fn metric(&self, _: &MetricId) -> Option<String> {
            Some("Placed Order".to_owned())
        }
        fn list(&self, _: &str) -> Option<String> {
            None
        }
    }

    /// Why somebody with orders so many days ago is, or is not, at risk of leaving.
    fn churn_risk(days_ago: &[i64]) -> Explanation {
        let metric = Metric {
            id: "PLcOrd".into(),
            name: "Placed Order".to_owned(),
            integration: None,
        };
        let entry = catalogue::find("churn_risk").unwrap();
        let named = entry.expand(&entry.defaults());
        let definition = names::resolve(&named, std::slice::from_ref(&metric), &[]).definition;
        let inputs = Inputs {
            vocabulary: Vocabulary {
                metrics: vec![metric],
                ..Vocabulary::default()
            }
            .into(),
            ..Inputs::default()
        };
        let program = Program::compile([&definition], &inputs);
        let order = |days: &i64| Event {
            at: NOW - days * DAY,
            metric: MetricNo(0),
            ..Event::default()
        };
        let events: Vec<Event> = days_ago.iter().map(order).collect();
        let profile = Profile::new("01A");
        let subject = Subject {
            profile: &profile,
            events: &events,
            lists: &[],
            facts: None,
        };
        let span = Span {
            now: NOW,
            until: NOW + 400 * DAY,
        };
        program.explain(0, &definition, &subject, span, &Shop)
    }

    fn turns(explanation: &Explanation) -> Vec<Turn> {
        let steps = explanation.way_out.iter();
        steps
            .map(|(group, place)| explanation.groups[*group].conditions[*place].turn.clone())
            .collect()
    }

    #[test]
    fn a_quiet_regular_is_told_why_until_when_and_the_way_out() {
        let why = churn_risk(&[300, 200]);
        assert_eq!(why.verdict, Verdict::In);
        let conditions = why.groups.iter().flat_map(|group| &group.conditions);
        let told: Vec<(&str, &str)> = conditions
            .map(|reason| (reason.text.as_str(), reason.evidence.as_str()))
            .collect();
        let expected = [
            (
                "Placed Order at least 2 times ever",
                "2 times, last on 1997-06-29",
            ),
            (
                "Placed Order at least once in the last 365 days",
                "2 times, last on 1997-06-29",
            ),
            ("no Placed Order in the last 120 days", "none"),
        ];
        assert_eq!(told, expected);
        // The last order is 366 days old on this midnight.
        let leaves = Moment::parse("1998-06-30").unwrap();
        assert_eq!(why.flip, Some((leaves, Verdict::Out)));
        assert_eq!(turns(&why), [Turn::Events(1, "Placed Order".to_owned())]);
    }

    #[test]
    fn an_order_that_would_end_the_quiet_is_no_way_in() {
        // The last of two orders is too long ago, and a new one would not be quiet.
        let why = churn_risk(&[500, 400]);
        assert_eq!(why.verdict, Verdict::Out);
        assert_eq!(turns(&why), []);
        assert_eq!(why.flip, None);
        // Whoever ordered just now waits.
        let quiet = Moment::parse("1998-05-06").unwrap();
        let why = churn_risk(&[500, 10]);
        assert_eq!(turns(&why), [Turn::Wait(quiet)]);
        assert_eq!(why.flip, Some((quiet, Verdict::In)));
    }

    #[test]
    fn what_nothing_can_turn_is_no_way() {
        let never = Reasons {
            verdict: Verdict::Out,
            conditions: vec![Reason {
                text: String::new(),
                verdict: Verdict::Out,
                evidence: String::new(),
                flip: None,
                turn: Turn::Never,
            }],
        };
        assert_eq!(way_out(Verdict::Out, &[never]), []);
    }
}
