//! What Klaviyo shows and what a mirror knows before anything is planted.

use super::definition::{EventIndex, Judge, Record, When};
use crate::model::Moment;
use crate::sandbox::world::{KlaviyoWorld, Segment};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The zone of the account once time zones are planted.
pub(super) const ZONE: &str = "America/New_York";
/// Hours of the past that may explain a membership by the daily refresh.
const HOURS: u64 = 25;

/// Verdicts by segment; `None` where nobody but Klaviyo can tell.
pub(super) type Verdicts<'s> = BTreeMap<&'s str, Option<bool>>;

/// The account before anything is planted, and ways to judge its people.
pub(super) struct Survey<'a> {
    pub(super) klaviyo: &'a KlaviyoWorld,
    events: EventIndex<'a>,
    now: Judge,
    /// Definitions that look at relative times, an hour earlier each.
    earlier: Vec<Judge>,
    /// The same with days of the account's time zone, by its rules and by its distance from UTC today.
    abroad: Vec<Judge>,
    /// Relative times as they were last refreshed.
    served: Vec<Judge>,
    taken: BTreeSet<String>,
}

/// A person before anything is planted on them.
pub(super) struct Person<'a> {
    pub(super) id: &'a str,
    pub(super) record: Record<'a>,
    pub(super) verdicts: BTreeMap<String, Option<bool>>,
}

impl<'a> Survey<'a> {
    pub(super) fn new(klaviyo: &'a KlaviyoWorld, now: Moment, taken: BTreeSet<String>) -> Self {
        let everywhere = |_: &str, _: &Segment| true;
        let relative = |_: &str, segment: &Segment| looks_at_relative_times(segment);
        let hour = |ago: u64| now.minus(Duration::from_secs(3600 * ago));
        let earlier = (1..=HOURS).map(|ago| Judge::new(klaviyo, &When::utc(hour(ago)), relative));
        let zones = zone(klaviyo).into_iter().flat_map(|zone| {
            let at = Timestamp::from_millisecond(now.0).unwrap_or_default();
            let fixed = TimeZone::fixed(zone.to_offset(at));
            [zone, fixed]
        });
        let abroad = zones.map(|zone| Judge::new(klaviyo, &When::in_zone(now, zone), relative));
        let states: BTreeSet<Moment> = klaviyo
            .segments
            .values()
            .map(|known| known.refreshed)
            .collect();
        let served = states.iter().map(|at| {
            Judge::new(klaviyo, &When::utc(*at), |_, segment| {
                segment.refreshed == *at
            })
        });
        Self {
            klaviyo,
            events: EventIndex::new(klaviyo, Moment(i64::MAX), |_| true),
            now: Judge::new(klaviyo, &When::utc(now), everywhere),
            earlier: earlier.collect(),
            abroad: abroad.collect(),
            served: served.collect(),
            taken,
        }
    }

    /// The profiles that nothing was planted on.
    pub(super) fn free(&self) -> impl Iterator<Item = &'a str> {
        let ids = self.klaviyo.profiles.keys().map(String::as_str);
        ids.filter(|id| !self.taken.contains(*id))
    }

    /// A profile, if Klaviyo shows what the mirror knows of it, wherever the mirror can know.
    pub(super) fn agreed(&self, id: &'a str) -> Option<Person<'a>> {
        let record = Record::of(self.klaviyo, &self.events, id)?;
        let verdicts: BTreeMap<String, Option<bool>> = self
            .now
            .verdicts(&record)
            .into_iter()
            .map(|(segment, verdict)| (segment.to_owned(), verdict))
            .collect();
        let agrees = |(segment, verdict): (&String, &Option<bool>)| {
            verdict.is_none_or(|verdict| verdict == self.shows(segment, id))
                || self.is_frozen(segment)
        };
        verdicts.iter().all(agrees).then_some(Person {
            id,
            record,
            verdicts,
        })
    }

    /// Whether Klaviyo shows the profile as a member.
    pub(super) fn shows(&self, segment: &str, profile: &str) -> bool {
        let segment = self.klaviyo.segments.get(segment);
        segment.is_some_and(|segment| segment.members.contains_key(profile))
    }

    /// Whether the segment is being counted anew.
    pub(super) fn is_frozen(&self, segment: &str) -> bool {
        let segment = self.klaviyo.segments.get(segment);
        segment.is_none_or(|segment| segment.recount.is_some())
    }

    /// What the mirror can know of a record now.
    pub(super) fn verdicts(&self, record: &Record<'_>) -> Verdicts<'_> {
        self.now.verdicts(record)
    }

    /// What it would have known some hours ago; segments without relative times are left out.
    pub(super) fn hours_ago(&self, record: &Record<'_>, hours: usize) -> Verdicts<'_> {
        let judge = self.earlier.get(hours.saturating_sub(1));
        judge.map_or_else(Verdicts::new, |judge| judge.verdicts(record))
    }

    /// What it would have known at each hour of the last day.
    pub(super) fn earlier(&self, record: &Record<'_>) -> Vec<Verdicts<'_>> {
        (1..=self.earlier.len())
            .map(|hours| self.hours_ago(record, hours))
            .collect()
    }

    /// What days of the account's time zone would say. The two ways of counting them differ near a change of
    /// the clocks.
    pub(super) fn abroad(&self, record: &Record<'_>) -> Vec<Verdicts<'_>> {
        self.abroad
            .iter()
            .map(|judge| judge.verdicts(record))
            .collect()
    }

    /// The segments that neither the last day nor another time zone would have seen otherwise.
    fn steady<'s>(&self, person: &'s Person<'_>) -> BTreeSet<&'s str> {
        let mut others = self.earlier(&person.record);
        others.extend(self.abroad(&person.record));
        let same = |segment: &str, verdict: bool| {
            let mut known = others.iter().filter_map(|known| known.get(segment));
            known.all(|other| *other == Some(verdict))
        };
        let known = person
            .verdicts
            .iter()
            .filter_map(|(id, verdict)| Some((id.as_str(), (*verdict)?)));
        known
            .filter(|(id, verdict)| same(id, *verdict))
            .map(|(id, _)| id)
            .collect()
    }

    /// The segments of the person that can be told apart: steady, and not being counted anew.
    pub(super) fn firm<'s>(&self, person: &'s Person<'_>) -> BTreeSet<&'s str> {
        let steady = self.steady(person).into_iter();
        steady.filter(|segment| !self.is_frozen(segment)).collect()
    }

    /// The segments that Klaviyo will show a record in.
    pub(super) fn memberships(&self, record: &Record<'_>) -> BTreeSet<String> {
        let of = |judge: &Judge| {
            judge
                .memberships(record)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        self.served.iter().flat_map(of).collect()
    }

    /// The segments that Klaviyo and the mirror disagree about once Klaviyo shows the person in others, as long
    /// as only that can be the reason; `None` when something else could be, too, or when nothing moves.
    pub(super) fn set_apart<'s>(
        &self,
        person: &'s Person<'_>,
        after: &BTreeSet<String>,
    ) -> Option<Vec<&'s str>> {
        let moved = self.moved(person, after);
        let firm = self.firm(person);
        let told = !moved.is_empty() && moved.iter().all(|segment| firm.contains(segment));
        told.then_some(moved)
    }

    /// The segments that the person will be shown in and was not known to be in, or the other way around.
    pub(super) fn moved<'s>(
        &self,
        person: &'s Person<'_>,
        after: &BTreeSet<String>,
    ) -> Vec<&'s str> {
        let moved = |(segment, verdict): &(&'s String, &Option<bool>)| {
            let before = verdict.unwrap_or_else(|| self.shows(segment, person.id));
            before != after.contains(*segment)
        };
        let moved = person.verdicts.iter().filter(moved);
        moved.map(|(id, _)| id.as_str()).collect()
    }
}

/// The account's time zone, or the one that it will have.
pub(super) fn zone(klaviyo: &KlaviyoWorld) -> Option<TimeZone> {
    let name = match klaviyo.timezone.as_str() {
        "" | "UTC" => ZONE,
        other => other,
    };
    TimeZone::get(name).ok()
}

/// Whether time alone may move the members. Every relative time has a unit.
pub(super) fn looks_at_relative_times(segment: &Segment) -> bool {
    segment.definition.to_string().contains("\"unit\"")
}
