//! One operation goes wrong, and the passes after it.

use super::flaky::{Damage, Flaky};
use super::scenario::{Base, Scenario, upstream};
use crate::house::House;
use crate::invariants::{self, Evidence, Rest};
use driftless::disk::{Disk, Operation};
use driftless::journal::audit;
use driftless::pass::Options;
use driftless::sandbox::faults::{FaultKind, Faults};
use std::collections::BTreeMap;
use std::slice;
use std::sync::Arc;

/// Passes until nothing is left: one may finish what the fault left undone, one finds nothing to do.
const PASSES_TO_REST: usize = 2;

/// Longer than a client is stubborn.
const STUBBORN: u32 = 5;

/// How many of each kind a pass takes, its shop being opened first.
#[derive(Debug, Default)]
pub struct Operations {
    pub disk: BTreeMap<Operation, u64>,
    pub requests: u64,
}

/// What goes wrong, counted from 0.
#[derive(Clone, Copy, Debug)]
pub enum Mishap {
    Disk(Operation, u64, Damage),
    Request(u64, Trouble),
}

/// How a request goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The connection is gone before the vendor did anything.
    Unheard,
    /// The vendor did it, and its answer is lost.
    Unanswered,
    /// The vendor fails as often as it is asked.
    Down,
    /// The vendor wants to be asked later.
    Throttled,
}

impl Trouble {
    const ALL: [Trouble; 4] = [Self::Unheard, Self::Unanswered, Self::Down, Self::Throttled];

    fn kind(self) -> FaultKind {
        match self {
            Self::Unheard => FaultKind::Hangup,
            Self::Unanswered => FaultKind::Reset,
            Self::Down => FaultKind::Status(500),
            Self::Throttled => FaultKind::Status(429),
        }
    }

    fn times(self) -> u32 {
        match self {
            Self::Down => STUBBORN,
            _ => 1,
        }
    }
}

impl Mishap {
    /// Everything that can go wrong; of any four in a row each goes wrong in another way.
    pub fn all(operations: &Operations) -> Vec<Self> {
        let mut all = Vec::new();
        for (operation, count) in &operations.disk {
            for nth in 0..*count {
                all.extend(Damage::ALL.map(|damage| Self::Disk(*operation, nth, damage)));
            }
        }
        for nth in 0..operations.requests {
            all.extend(Trouble::ALL.map(|trouble| Self::Request(nth, trouble)));
        }
        all
    }

    /// Whether an answer may be lost, so that a request is sent more than once.
    fn loses_answers(&self) -> bool {
        matches!(
            self,
            Self::Request(_, Trouble::Unanswered | Trouble::Unheard)
        )
    }
}

/// Opens the shop and makes a pass in which something goes wrong, or nothing.
pub async fn apply(house: &mut House, mishap: Option<&Mishap>) -> Arc<Flaky> {
    let flaky = Arc::new(Flaky {
        strikes: match mishap {
            Some(Mishap::Disk(operation, nth, damage)) => Some((*operation, *nth, *damage)),
            _ => None,
        },
        world: house.world.clone(),
        journal: house.state_dir().join("journal/00000001.log"),
        seen: Default::default(),
        stopped: Default::default(),
    });
    house.world.state().faults = troubles(mishap);
    let silence = house.world.state().faults.silence.clone();
    house.disk = Disk::flawed(flaky.clone());
    let options = Options::default();
    if let Ok(shop) = house.open() {
        tokio::select! {
            biased;
            () = silence.notified() => {}
            _ = shop.pass(&options) => {}
        }
    }
    house.disk = Disk::default();
    flaky
}

fn troubles(mishap: Option<&Mishap>) -> Faults {
    let mut faults = Faults::default();
    if let Some(Mishap::Request(nth, trouble)) = mishap {
        faults.plan_after(u32::try_from(*nth).unwrap(), trouble.kind());
        faults.planned[0].times = trouble.times();
    }
    faults
}

/// Lets something go wrong, and proves that the passes after it end where they should.
pub async fn suffer(base: &Base, mishap: &Mishap) {
    let mut house = base.house().await;
    let flaky = apply(&mut house, Some(mishap)).await;
    let faults = std::mem::take(&mut house.world.state().faults);
    match mishap {
        Mishap::Disk(operation, nth, _) => {
            // A shop whose disk failed is opened again.
            house.close();
            assert!(flaky.seen()[operation] > *nth, "never struck");
        }
        Mishap::Request(..) => assert_eq!(faults.planned[0].skip, 0, "never struck"),
    }
    check(&house, base, mishap, None);
    for _ in 0..PASSES_TO_REST {
        let summary = house.unreleased(&Options::default()).await.unwrap();
        assert!(summary.failure.is_none(), "{:?}", summary.failure);
        check(&house, base, mishap, None);
    }
    assert_eq!(effects(&house.planned()), effects(&base.plan));
    assert!(upstream(&house) == base.upstream, "upstream is another one");
    let mirror = house.mirror();
    let undisturbed = house.undisturbed().await;
    let rest = Rest {
        // The first sync is released by nobody, so that all of its plan is left.
        plan: match base.scenario {
            Scenario::FirstSync => "",
            _ => &house.planned(),
        },
        mirror: &mirror,
        undisturbed: &undisturbed,
    };
    check(&house, base, mishap, Some(&rest));
    audit(&house.state_dir().join("journal")).unwrap();
}

/// A plan's effects. They are planned in the order in which their subjects arrived, and what was read of one
/// vendor while the other failed arrived earlier.
fn effects(plan: &str) -> Vec<&str> {
    let mut effects: Vec<&str> = plan.lines().collect();
    effects.sort_unstable();
    effects
}

/// Reads the vendors' history and the journal together.
fn check(house: &House, base: &Base, mishap: &Mishap, rest: Option<&Rest<'_>>) {
    let (journal, asked) = (
        house.journal(),
        house.sandbox.requests().into_keys().collect(),
    );
    let world = house.world.state();
    // Nobody has released the rules of a first sync.
    let stopped = match base.scenario {
        Scenario::FirstSync => 0..usize::MAX,
        _ => 0..0,
    };
    let evidence = Evidence {
        world: &world,
        journal: &journal,
        resent: mishap.loses_answers(),
        asked: &asked,
        consents: &base.consents,
        others: &base.others,
        stopped: slice::from_ref(&stopped),
    };
    assert_eq!(invariants::broken(&evidence, rest), None);
}
