//! Made-up people, and what the evaluator says of them.

use crate::model::{
    Atom, Channel, ChannelState, EmailMarketing, Event, Metric, MetricId, MetricNo, Moment, Money,
    Profile, PropertyNo, TextNo, Value, Vocabulary,
};
use crate::segment::{
    Definition, FactName, Facts, Inputs, OnList, Path, Program, Span, Subject, Verdict,
};
use std::collections::BTreeMap;

/// A person made up to show that something is possible: only facts that matter. Everything else
/// about the person was looked for and is not there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Witness {
    /// Profile properties by their path, as definitions spell it.
    pub properties: BTreeMap<String, Value>,
    /// What the person did.
    pub events: Vec<Deed>,
    /// Lists the person is on, and since when, if that is known.
    pub lists: BTreeMap<String, Option<Moment>>,
    /// E-mail marketing state.
    pub email: Option<EmailMarketing>,
    /// Other channels.
    pub channels: BTreeMap<Channel, ChannelState>,
    /// Klaviyo's predictions, by key.
    pub predictions: BTreeMap<String, Value>,
    /// Our own facts; `None` is one that the person does not have.
    pub facts: BTreeMap<FactName, Option<Value>>,
    /// What nobody here can evaluate and the witness rests on: conditions as JSON, and whether they
    /// are taken to hold.
    pub assumed: BTreeMap<String, bool>,
}

/// An event of a [`Witness`].
#[derive(Clone, Debug, PartialEq)]
pub struct Deed {
    /// Its metric.
    pub metric: MetricId,
    /// When.
    pub at: Moment,
    /// Its properties, `$value` among them.
    pub properties: BTreeMap<String, Value>,
}

impl Witness {
    /// With the facts of another dimension added.
    pub(super) fn add(&mut self, other: &Self) {
        let Self {
            properties,
            events,
            lists,
            email,
            channels,
            predictions,
            facts,
            assumed,
        } = other.clone();
        self.properties.extend(properties);
        self.events.extend(events);
        self.lists.extend(lists);
        self.email = email.or(self.email.take());
        self.channels.extend(channels);
        self.predictions.extend(predictions);
        self.facts.extend(facts);
        self.assumed.extend(assumed);
    }

    /// As the mirror would keep the person's profile. Subscriptions and predictions were fetched.
    pub(super) fn profile(&self) -> Profile {
        let mut profile = Profile {
            email_marketing: self.email.clone(),
            channels: Some(self.channels.clone()),
            predictions: Some(self.predictions.clone()),
            ..Profile::new("WITNESS")
        };
        for (path, value) in &self.properties {
            match (Path::parse(path), value) {
                (Some(Path::Custom(name)), _) => {
                    profile.properties.insert(name.to_owned(), value.clone());
                }
                (Some(Path::Attribute("email")), Value::Text(text)) => {
                    profile.email = Some(text.clone());
                }
                (Some(Path::Attribute("location['country']")), Value::Text(text)) => {
                    profile.country = Some(text.clone());
                }
                (Some(Path::Attribute(path)), _) => {
                    profile.attributes.insert(path.to_owned(), value.clone());
                }
                (None, _) => {}
            }
        }
        profile
    }

    /// Where the person stands with lists.
    pub(super) fn on_lists(&self, lists: &[String]) -> Vec<OnList> {
        let one = |list| {
            self.lists
                .get(list)
                .map_or(OnList::No, |at| OnList::Since(*at))
        };
        lists.iter().map(one).collect()
    }

    /// What the evaluator says.
    pub fn verdicts(&self, definitions: &[&Definition], now: i64) -> Vec<Verdict> {
        let mut vocabulary = Vocabulary::default();
        let deeds = self.events.iter().zip(0..);
        let events: Vec<Event> = deeds
            .filter_map(|(deed, id)| deed.event(id, &mut vocabulary))
            .collect();
        let inputs = Inputs {
            vocabulary: vocabulary.into(),
            ..Inputs::default()
        };
        let program = Program::compile(definitions.iter().copied(), &inputs);
        let facts = Facts(self.facts.clone());
        let subject = Subject {
            profile: &self.profile(),
            events: &events,
            lists: &self.on_lists(program.lists()),
            facts: Some(&facts),
        };
        let mut verdicts = Vec::with_capacity(definitions.len());
        let mut evaluator = program.evaluator(Span::at(now));
        evaluator.verdicts(&subject, |_, verdict| verdicts.push(verdict));
        verdicts
    }
}

impl Deed {
    /// As the mirror would keep it; `None` when it has more names than fit.
    fn event(&self, id: u32, vocabulary: &mut Vocabulary) -> Option<Event> {
        let metrics = &mut vocabulary.metrics;
        let metric = position(
            metrics,
            |known| known.id == self.metric,
            || Metric {
                id: self.metric.clone(),
                name: String::new(),
                integration: None,
            },
        );
        let value = self.properties.get("$value").and_then(Value::to_money);
        let properties = self.properties.iter().filter_map(|(name, value)| {
            let known = &mut vocabulary.properties;
            let number = position(known, |known| known == name, || name.clone());
            let atom = atom(value, &mut vocabulary.texts)?;
            Some((PropertyNo(u16::try_from(number).ok()?), atom))
        });
        Some(Event {
            at: self.at.secs(),
            millis: u16::try_from(self.at.0.rem_euclid(1000)).ok()?,
            properties: properties.collect(),
            metric: MetricNo(u16::try_from(metric).ok()?),
            id,
            value,
        })
    }
}

/// Values that may be amounts.
pub(super) trait Amount {
    /// The amount.
    fn to_money(&self) -> Option<Money>;
}

impl Amount for Value {
    /// Of a number with at most three decimals.
    fn to_money(&self) -> Option<Money> {
        match self {
            Self::Int(int) => int.to_string().parse().ok(),
            Self::Float(float) => float.to_string().parse().ok(),
            _ => None,
        }
    }
}

/// What events keep of a value; nothing of `null` and of objects.
fn atom(value: &Value, texts: &mut Vec<String>) -> Option<Atom> {
    let mut interned = |text: String| {
        let number = position(texts, |known| *known == text, || text.clone());
        u32::try_from(number).ok().map(TextNo)
    };
    match value {
        Value::Bool(flag) => Some(Atom::Bool(*flag)),
        Value::Int(int) => Some(Atom::Number(*int as f64)),
        Value::Float(float) => Some(Atom::Number(*float)),
        Value::Text(text) => interned(text.clone()).map(Atom::Text),
        Value::List(_) => interned(value.to_json().to_string()).map(Atom::List),
        Value::Object(_) | Value::Null => None,
    }
}

fn position<T>(all: &mut Vec<T>, is_it: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> usize {
    all.iter().position(is_it).unwrap_or_else(|| {
        all.push(new());
        all.len() - 1
    })
}
