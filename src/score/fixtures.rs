//! Persons and events for the tests of scores and detectors, made with few words.

use crate::model::Vocabulary;
use crate::model::{
    Atom, Consent, Dossier, EmailMarketing, Event, Metric, MetricNo, Moment, Money,
};
use crate::model::{Order, OrderId, OrderOwner, PersonId, Profile, PropertyNo, Slot, TextNo};

/// Names things as they come up, like the mirror does.
#[derive(Default)]
pub(crate) struct Vendor {
    pub(crate) vocabulary: Vocabulary,
    events: u32,
}

impl Vendor {
    /// An event; texts stay texts.
    pub(crate) fn event(&mut self, metric: &str, at: Moment, properties: &[(&str, &str)]) -> Event {
        self.events += 1;
        let properties = properties
            .iter()
            .map(|(name, text)| (self.property(name), Atom::Text(self.text(text))))
            .collect();
        Event {
            at: at.secs(),
            millis: 0,
            metric: self.metric(metric),
            id: self.events,
            value: None,
            properties,
        }
    }

    fn metric(&mut self, name: &str) -> MetricNo {
        let known = &mut self.vocabulary.metrics;
        let at = known.iter().position(|metric| metric.name == name);
        let at = at.unwrap_or_else(|| {
            known.push(Metric {
                id: name.into(),
                name: name.to_owned(),
                integration: None,
            });
            known.len() - 1
        });
        MetricNo(u16::try_from(at).unwrap())
    }

    fn property(&mut self, name: &str) -> PropertyNo {
        PropertyNo(u16::try_from(number(&mut self.vocabulary.properties, name)).unwrap())
    }

    /// The number of a text.
    pub(crate) fn text(&mut self, text: &str) -> TextNo {
        TextNo(u32::try_from(number(&mut self.vocabulary.texts, text)).unwrap())
    }
}

fn number(known: &mut Vec<String>, text: &str) -> usize {
    let at = known.iter().position(|other| other == text);
    at.unwrap_or_else(|| {
        known.push(text.to_owned());
        known.len() - 1
    })
}

/// Noon of a day since 1970.
pub(crate) fn day(day: i64) -> Moment {
    Moment(Moment::from_day(day).0 + 43_200_000)
}

/// A subscribed profile that e-mail reaches.
pub(crate) fn profile(email: &str, created: Option<Moment>) -> Profile {
    Profile {
        email: Some(email.to_owned()),
        created,
        email_marketing: Some(EmailMarketing {
            can_receive: Some(true),
            ..EmailMarketing::new(Consent::Subscribed)
        }),
        ..Profile::new("01H")
    }
}

/// A person with one profile; events are put in order.
pub(crate) fn person(email: &str, created: Option<Moment>, mut events: Vec<Event>) -> Dossier {
    events.sort_by_key(|event| (event.at, event.metric, event.id));
    Dossier {
        id: PersonId(5),
        profiles: vec![(Slot(5), profile(email, created))],
        customers: Vec::new(),
        guests: Vec::new(),
        events,
        orders: Vec::new(),
    }
}

/// A paid order.
pub(crate) fn order(at: Moment, total: i64) -> Order {
    Order {
        id: OrderId(1),
        owner: OrderOwner::Nobody,
        processed: at,
        updated: at,
        total: Money(total),
        refunded: Money::ZERO,
        cancelled: false,
        test: false,
    }
}
