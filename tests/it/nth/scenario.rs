//! What goes wrong somewhere: a first sync, a steady poll, five hundred effects.

use super::case::{Operations, apply};
use crate::house::{Edit, House, ROOMY, crowd, morning, scratch};
use crate::invariants::{self, Consents};
use crate::merchant;
use crate::plans;
use driftless::model::Moment;
use driftless::sandbox::Speed;
use driftless::sandbox::world::State;
use fastrand::Rng;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const EDITS: [Edit<'static>; 6] = [
    ROOMY[0],
    ROOMY[1],
    ROOMY[2],
    ("rules.bounce", "act", "true"),
    ("shopify_metafield", "facts", "[\"orders\"]"),
    // Whoever is looked at for a comparison is known in more detail afterwards, and mirrors would differ.
    ("parity", "read", "\"none\""),
];

/// Each customer's tags are a call of their own: a few of them are enough.
const TAGS: Edit<'static> = ("shopify_tags", "facts", "[\"stage\"]");

/// Others change the world so long before a poll.
const A_WHILE: Duration = Duration::from_secs(900);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Everything is read for the first time; nothing may be written yet.
    FirstSync,
    /// A little has changed since the last pass.
    SteadyPoll,
    /// Everything is written for the first time.
    FiveHundred,
}

/// Where a scenario begins, and how it ends undisturbed.
pub struct Base {
    pub scenario: Scenario,
    now: Moment,
    state: State,
    dir: TempDir,
    pub consents: BTreeMap<String, Consents>,
    pub others: Vec<(Moment, String)>,
    /// What the pass does.
    pub operations: Operations,
    /// What is upstream in the end.
    pub upstream: Json,
    /// What is planned in the end.
    pub plan: String,
}

impl Scenario {
    pub const ALL: [Scenario; 3] = [Self::FirstSync, Self::SteadyPoll, Self::FiveHundred];

    fn edits(self) -> Vec<Edit<'static>> {
        let tags = (self != Self::FiveHundred).then_some(TAGS);
        EDITS.into_iter().chain(tags).collect()
    }

    /// Everything before the pass, and the pass undisturbed.
    pub async fn prepare(self) -> Base {
        let profiles = match self {
            Self::FirstSync => 40,
            Self::SteadyPoll => 80,
            Self::FiveHundred => 280,
        };
        let mut house = House::build(crowd(profiles), morning(), Speed::Fast, &self.edits()).await;
        let mut others = Vec::new();
        match self {
            Self::FirstSync => {}
            Self::SteadyPoll => {
                house.settle().await;
                others = go_on(&house);
            }
            Self::FiveHundred => drop(house.pass().await),
        }
        house.close();
        let dir = scratch();
        if self != Self::FirstSync {
            copy(&house.state_dir(), dir.path());
        }
        let state = house.world.state().clone();
        let mut base = Base {
            scenario: self,
            now: house.clock.now(),
            consents: invariants::consents(&state),
            state,
            dir,
            others,
            operations: Operations::default(),
            upstream: Json::Null,
            plan: String::new(),
        };
        base.run_undisturbed().await;
        base
    }
}

impl Base {
    /// The shop as it is before the pass.
    pub async fn house(&self) -> House {
        let (state, edits) = (self.state.clone(), self.scenario.edits());
        let house = House::build(state, self.now, Speed::Fast, &edits).await;
        copy(self.dir.path(), &house.state_dir());
        house
    }

    /// Writes before the pass.
    pub fn written(&self) -> usize {
        self.state.history.len()
    }

    async fn run_undisturbed(&mut self) {
        let mut house = self.house().await;
        let (before, _) = house.requests();
        let flaky = apply(&mut house, None).await;
        self.operations = Operations {
            disk: flaky.seen(),
            requests: house.requests().0 - before,
        };
        let effects = house.intents().len();
        match self.scenario {
            Scenario::FirstSync => assert_eq!(effects, 0),
            Scenario::SteadyPoll => assert!(house.writes() > self.written()),
            Scenario::FiveHundred => assert!(effects >= 500, "only {effects}"),
        }
        house.unreleased(&Default::default()).await.unwrap();
        self.plan = house.planned();
        let has_rested = self.scenario == Scenario::FirstSync || self.plan.is_empty();
        assert!(has_rested, "{}", self.plan);
        self.upstream = upstream(&house);
    }
}

/// What was written to: what can be taken back, and suppressions.
pub fn upstream(house: &House) -> Json {
    let state = house.world.state();
    let profiles = state.klaviyo.profiles.iter();
    let suppressed: BTreeMap<_, BTreeSet<_>> = profiles
        .map(|(id, one)| {
            (
                id,
                one.suppressions.iter().map(|known| known.reason).collect(),
            )
        })
        .collect();
    json!({"rest": plans::upstream(&state), "suppressed": suppressed})
}

/// A few orders, clicks and bounces, somebody new, and edits by hand.
fn go_on(house: &House) -> Vec<(Moment, String)> {
    house.clock.advance(A_WHILE);
    let now = house.clock.now();
    let mut random = Rng::with_seed(3);
    let mut state = house.world.state();
    let mut others = Vec::new();
    for _ in 0..6 {
        let customer = *random.choice(state.shopify.customers.keys()).unwrap();
        merchant::buy(&mut state, customer, now);
        let profiles = state.klaviyo.profiles.keys();
        let profile = random.choice(profiles).unwrap().clone();
        merchant::click(&mut state, &profile, now);
    }
    merchant::join(&mut state, now);
    for edit in merchant::Edit::ALL {
        let touched = edit.make(&mut state, &mut random, now);
        others.extend(touched.map(|id| (now, id)));
    }
    drop(state);
    house.clock.advance(A_WHILE);
    others
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let there = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &there),
            false => drop(fs::copy(entry.path(), there).unwrap()),
        }
    }
}
