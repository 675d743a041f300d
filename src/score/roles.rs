//! Which of a shop's metrics and event properties mean what.

use crate::model::{Atom, Event, Metric, MetricNo, Moment, PropertyNo, Role, TextNo, Vocabulary};
use std::collections::{BTreeMap, BTreeSet};

/// Both names of the flag on opens that a machine may have caused (klaviyo.md, section 12).
const MACHINE_OPEN: [&str; 2] = ["machine_open", "Apple Privacy Open"];
const BOT_CLICK: &str = "Bot Click";
const BOUNCE_TYPE: &str = "Bounce Type";
const MESSAGE: &str = "$message";

/// Klaviyo flags machine opens since 2021-11-20, midnight UTC.
const FLAGGED_SINCE: Moment = Moment::from_day(18_951);

/// A shop's vocabulary, read once: numbers instead of names.
#[derive(Clone, Debug, Default)]
pub struct Roles {
    roles: Vec<Role>,
    machine_open: Vec<PropertyNo>,
    bot_click: Option<PropertyNo>,
    bounce_type: Option<PropertyNo>,
    message: Option<PropertyNo>,
    truths: BTreeSet<TextNo>,
    hard: BTreeSet<TextNo>,
    soft: BTreeSet<TextNo>,
}

/// Who was behind an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The person.
    Human,
    /// An open from before machine opens were flagged: the person, if anything else shows one.
    Unsure,
    /// A machine, or the sender.
    Nobody,
}

/// How a mail came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounce {
    /// For now.
    Soft,
    /// For good.
    Hard,
}

impl Roles {
    /// Reads a vocabulary.
    pub fn of(vocabulary: &Vocabulary) -> Self {
        let property = |name: &str| vocabulary.property(name);
        let spelt = |word: &str| {
            let numbered = (0u32..).zip(&vocabulary.texts);
            let equal = numbered.filter(|(_, text)| text.eq_ignore_ascii_case(word));
            equal.map(|(no, _)| TextNo(no)).collect()
        };
        let role = |metric: &Metric| Role::of(&metric.name);
        Self {
            roles: vocabulary.metrics.iter().map(role).collect(),
            machine_open: MACHINE_OPEN.into_iter().filter_map(property).collect(),
            bot_click: property(BOT_CLICK),
            bounce_type: property(BOUNCE_TYPE),
            message: property(MESSAGE),
            truths: spelt("true"),
            hard: spelt("hard"),
            soft: spelt("soft"),
        }
    }

    /// Every role that scores and detectors read, with the event properties they read from it.
    /// Nothing else needs to be stored for them.
    pub fn mentions() -> BTreeMap<Role, BTreeSet<&'static str>> {
        BTreeMap::from([
            (Role::Received, BTreeSet::from([MESSAGE])),
            (Role::Opened, BTreeSet::from(MACHINE_OPEN)),
            (Role::Clicked, BTreeSet::from([BOT_CLICK])),
            (Role::Bounced, BTreeSet::from([BOUNCE_TYPE, MESSAGE])),
            (Role::Dropped, BTreeSet::new()),
            (Role::Complained, BTreeSet::new()),
            (Role::OnSite, BTreeSet::new()),
            (Role::Ordered, BTreeSet::new()),
        ])
    }

    /// The role of a metric; [`Role::Other`] for numbers the vocabulary does not have.
    pub fn role(&self, metric: MetricNo) -> Role {
        let role = self.roles.get(usize::from(metric.0));
        role.copied().unwrap_or(Role::Other)
    }

    /// Who was behind an event.
    pub fn act(&self, event: &Event) -> Act {
        match self.role(event.metric) {
            Role::OnSite | Role::Ordered => Act::Human,
            Role::Clicked if self.is_true(event, self.bot_click) => Act::Nobody,
            Role::Clicked => Act::Human,
            Role::Opened => self.open(event),
            _ => Act::Nobody,
        }
    }

    fn open(&self, event: &Event) -> Act {
        let mut flags = self.machine_open.iter();
        if flags.any(|flag| self.is_true(event, Some(*flag))) {
            return Act::Nobody;
        }
        let flagged = |flag: &PropertyNo| event.property(*flag).is_some();
        let told = self.machine_open.iter().any(flagged);
        match told || Moment::from_secs(event.at) >= FLAGGED_SINCE {
            true => Act::Human,
            false => Act::Unsure,
        }
    }

    /// How a bounce bounced; `None` when the event is none or does not say.
    pub fn bounce(&self, event: &Event) -> Option<Bounce> {
        if self.role(event.metric) != Role::Bounced {
            return None;
        }
        match event.property(self.bounce_type?)? {
            Atom::Text(no) if self.soft.contains(&no) => Some(Bounce::Soft),
            Atom::Text(no) if self.hard.contains(&no) => Some(Bounce::Hard),
            _ => None,
        }
    }

    /// The campaign or flow message that an event is about.
    pub fn message(&self, event: &Event) -> Option<TextNo> {
        match event.property(self.message?)? {
            Atom::Text(no) => Some(no),
            _ => None,
        }
    }

    /// Some senders write booleans as text or as numbers.
    fn is_true(&self, event: &Event, property: Option<PropertyNo>) -> bool {
        match property.and_then(|no| event.property(no)) {
            Some(Atom::Bool(value)) => value,
            Some(Atom::Number(value)) => value == 1.0,
            Some(Atom::Text(no)) => self.truths.contains(&no),
            Some(Atom::List(_)) | None => false,
        }
    }
}

/// Whether an event by itself shows a human act: a click, an open or a visit, by no machine, or an
/// order.
pub fn human(event: &Event, roles: &Roles) -> bool {
    roles.act(event) == Act::Human
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::fixtures::{Vendor, day};

    #[test]
    fn machines_are_told_from_humans_however_the_flag_is_spelt() {
        let mut vendor = Vendor::default();
        let late = day(20_000);
        let cases = [
            (vendor.event("Opened Email", late, &[]), Act::Human),
            (
                vendor.event("Opened Email", late, &[("machine_open", "true")]),
                Act::Nobody,
            ),
            (
                vendor.event("Opened Email", late, &[("Apple Privacy Open", "True")]),
                Act::Nobody,
            ),
            (
                vendor.event("Opened Email", late, &[("machine_open", "False")]),
                Act::Human,
            ),
            (vendor.event("Clicked Email", late, &[]), Act::Human),
            (
                vendor.event("Clicked Email", late, &[("Bot Click", "True")]),
                Act::Nobody,
            ),
            (vendor.event("Active on Site", late, &[]), Act::Human),
            (vendor.event("Placed Order", late, &[]), Act::Human),
            (vendor.event("Received Email", late, &[]), Act::Nobody),
            (vendor.event("Loyalty Points", late, &[]), Act::Nobody),
        ];
        let roles = Roles::of(&vendor.vocabulary);
        for (event, act) in cases {
            assert_eq!(roles.act(&event), act, "{event:?}");
            assert_eq!(human(&event, &roles), act == Act::Human);
        }
    }

    #[test]
    fn an_open_from_before_the_flag_existed_is_unsure() {
        let mut vendor = Vendor::default();
        let before = Moment::parse("2021-11-19T23:59:59Z").unwrap();
        let since = Moment::parse("2021-11-20").unwrap();
        let old = vendor.event("Opened Email", before, &[]);
        let told = vendor.event("Opened Email", before, &[("machine_open", "false")]);
        let new = vendor.event("Opened Email", since, &[]);
        let roles = Roles::of(&vendor.vocabulary);
        assert_eq!(roles.act(&old), Act::Unsure);
        assert_eq!(roles.act(&told), Act::Human);
        assert_eq!(roles.act(&new), Act::Human);
    }

    #[test]
    fn a_bounce_that_does_not_say_how_is_neither_hard_nor_soft() {
        let mut vendor = Vendor::default();
        let hard = vendor.event("Bounced Email", day(1), &[("Bounce Type", "Hard")]);
        let soft = vendor.event("Bounced Email", day(1), &[("Bounce Type", "soft")]);
        let silent = vendor.event("Bounced Email", day(1), &[]);
        let other = vendor.event("Received Email", day(1), &[("Bounce Type", "Hard")]);
        let roles = Roles::of(&vendor.vocabulary);
        assert_eq!(roles.bounce(&hard), Some(Bounce::Hard));
        assert_eq!(roles.bounce(&soft), Some(Bounce::Soft));
        assert_eq!(roles.bounce(&silent), None);
        assert_eq!(roles.bounce(&other), None);
    }

    #[test]
    fn every_property_that_is_read_is_mentioned() {
        let mentioned: BTreeSet<&str> = Roles::mentions().into_values().flatten().collect();
        let [one, other] = MACHINE_OPEN;
        let read = BTreeSet::from([one, other, BOT_CLICK, BOUNCE_TYPE, MESSAGE]);
        assert_eq!(mentioned, read);
        assert!(!Roles::mentions().contains_key(&Role::Other));
    }
}
