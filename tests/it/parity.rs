//! Our evaluation beside Klaviyo's own members.

use crate::house::{Edit, House, crowd, hours, morning};
use driftless::model::{Cause, Code, ProfileId, SegmentId};
use driftless::pass::{Options, Summary};
use driftless::sandbox::faults::FaultKind;
use driftless::sandbox::{self, Speed, plant};
use std::collections::BTreeMap;
use std::time::Duration;

/// Everything is read and probed, however much it is.
const ALL: [Edit<'static>; 3] = [
    ("parity", "read", "\"all\""),
    ("parity", "members_per_pass", "1000000"),
    ("parity", "probes", "1000000"),
];

fn total(summary: &Summary) -> u64 {
    summary
        .parity
        .iter()
        .flat_map(|row| row.causes.values())
        .sum()
}

fn evaluable(summary: &Summary) -> u64 {
    let causes = summary.parity.iter().flat_map(|row| &row.causes);
    let causes = causes.filter(|(cause, _)| **cause != Cause::NotEvaluable);
    causes.map(|(_, count)| count).sum()
}

#[tokio::test]
async fn an_undisturbed_shop_shows_no_disagreement_that_can_be_judged() {
    let mut house = House::of(1_500, &ALL).await;
    let summary = house.pass().await;
    assert!(
        summary.parity.len() > 20,
        "{} segments",
        summary.parity.len()
    );
    for row in &summary.parity {
        let compared = row
            .compared
            .unwrap_or_else(|| panic!("{} was not compared", row.segment));
        assert!(compared.whole, "{}", row.segment);
        let other: Vec<_> = row
            .causes
            .keys()
            .filter(|cause| **cause != Cause::NotEvaluable)
            .collect();
        assert!(other.is_empty(), "{}: {:?}", row.segment, row.causes);
    }
    assert_eq!(evaluable(&summary), 0);
    assert!(
        summary
            .parity
            .iter()
            .any(|row| row.local > 0 && row.causes.is_empty())
    );
}

#[tokio::test]
async fn segments_that_nobody_edits_are_not_touched_unless_the_config_says_so() {
    let state = {
        let mut state = crowd(300);
        for segment in state.klaviyo.segments.values_mut() {
            segment.updated = morning().minus(hours(24 * 46));
        }
        state
    };
    let recent = [("parity", "read", "\"recent\"")];
    let mut house = House::build(state, morning(), Speed::Fast, &recent).await;
    let summary = house.pass().await;
    assert!(summary.parity.iter().all(|row| row.compared.is_none()));
    let untouched = house
        .world
        .state()
        .klaviyo
        .segments
        .values()
        .all(|s| s.last_read.is_none());
    assert!(untouched, "a member listing kept a segment alive");
    house.edit(&[("parity", "read", "\"all\"")]);
    let summary = house.pass().await;
    assert!(summary.parity.iter().any(|row| row.compared.is_some()));
}

#[tokio::test]
async fn a_comparison_that_klaviyo_refuses_holds_nothing_else_up() {
    let none = [("parity", "read", "\"none\"")];
    let mut house = House::of(300, &none).await;
    let (before, _) = house.requests();
    house.pass().await;
    let filling = u32::try_from(house.requests().0 - before).unwrap();
    house.edit(&ALL);
    house.move_to("compared");
    // The last request of the fill has been answered; this one asks for members.
    house
        .world
        .state()
        .faults
        .plan_after(filling + 2, FaultKind::Status(400));
    let summary = house.pass().await;
    let compared = |row: &driftless::pass::Parity| row.compared.is_some();
    let active = summary.parity.len();
    let reached = summary.parity.iter().filter(|row| compared(row)).count();
    assert!(
        reached > active / 2 && reached < active,
        "{reached} of {active}"
    );
    // The one that was refused is due at once.
    let summary = house.pass().await;
    assert!(summary.parity.iter().filter(|row| compared(row)).count() > reached);
}

#[tokio::test]
async fn a_large_segment_is_spot_checked() {
    let edits = [
        ("parity", "read", "\"all\""),
        ("parity", "members_per_pass", "10"),
    ];
    let mut house = House::of(800, &edits).await;
    let summary = house.pass().await;
    let sampled = summary.parity.iter().filter_map(|row| row.compared);
    let sampled: Vec<_> = sampled.filter(|compared| !compared.whole).collect();
    assert!(!sampled.is_empty());
    assert!(
        sampled
            .iter()
            .all(|compared| (1..=100).contains(&compared.profiles))
    );
    assert_eq!(evaluable(&summary), 0);
}

#[tokio::test]
async fn a_disagreement_that_outlives_a_refresh_is_drift() {
    let mut house = House::of(1_000, &ALL).await;
    house.pass().await;
    let planted = plant(&house.world, sandbox::Cause::Unexplained, 20, 5);
    assert_eq!(planted.len(), 20);
    house.clock.advance(hours(7));
    let first = house.pass().await;
    assert_eq!(first.findings.get(&Code::SegmentDrifting), None);
    assert!(total(&first) >= 20);
    house.clock.advance(hours(26));
    let later = house.pass().await;
    assert!(
        later.findings.get(&Code::SegmentDrifting) > Some(&0),
        "{:?}",
        later.findings
    );
}

/// What the daemon says of each planted pair; `None` where it sees no disagreement.
fn told(house: &mut House, planted: &[sandbox::Planted]) -> Vec<(sandbox::Planted, Option<Cause>)> {
    let mirror = house.shop().mirror();
    let mut known = BTreeMap::new();
    let one = |pair: &sandbox::Planted| {
        let id = SegmentId::from(pair.segment.as_str());
        let disagreements = known
            .entry(pair.segment.clone())
            .or_insert_with(|| mirror.disagreements(&id).unwrap());
        let slot = mirror
            .slot_of_profile(&ProfileId::from(pair.profile.as_str()))
            .unwrap();
        let cause = slot
            .and_then(|slot| disagreements.get(&slot))
            .map(|found| found.cause);
        (pair.clone(), cause)
    };
    planted.iter().map(one).collect()
}

fn same(planted: sandbox::Cause, told: Option<Cause>) -> bool {
    let expected = match planted {
        sandbox::Cause::DailyRefresh => Cause::DailyRefresh,
        sandbox::Cause::LateEvent => Cause::LateEvent,
        sandbox::Cause::UnsetProperty => Cause::UnsetProperty,
        sandbox::Cause::TimeZone => Cause::TimeZone,
        sandbox::Cause::IdentityMerge => Cause::IdentityMerge,
        sandbox::Cause::DefinitionEdited => Cause::DefinitionEdited,
        sandbox::Cause::ListRemovalUnseen => Cause::ListRemovalUnseen,
        sandbox::Cause::DataMissing => Cause::DataMissing,
        sandbox::Cause::NotEvaluable => Cause::NotEvaluable,
        sandbox::Cause::Unexplained => Cause::Unexplained,
    };
    told == Some(expected)
}

/// Plants so many of each cause, lets the daemon look, and counts: planted, right, and what was said
/// instead.
async fn judged(profiles: usize, each: usize) -> BTreeMap<sandbox::Cause, (usize, usize)> {
    let mut house = House::of(profiles, &[("parity", "read", "\"none\"")]).await;
    house.pass().await;
    // Counting would find late events before anybody asks for the cause.
    {
        let faults = &mut house.world.state().faults;
        let path = "/api/metric-aggregates";
        faults.plan(path, None, u32::MAX, FaultKind::Status(200));
    }
    // Soon enough that no large list is read again: its size alone would have it read.
    house.clock.advance(Duration::from_secs(600));
    let mut planted = Vec::new();
    // What differs in a segment that was edited differs for that reason: the edits come first.
    let edited = sandbox::Cause::DefinitionEdited;
    let others = sandbox::Cause::ALL.into_iter().map(|(cause, _)| cause);
    for cause in std::iter::once(edited).chain(others.filter(|cause| *cause != edited)) {
        planted.extend(plant(&house.world, cause, each, 11));
    }
    house.edit(&ALL);
    // What is written shows who was merged away, and then they differ no more.
    let observe = Options {
        observe: true,
        ..Options::default()
    };
    house.run(&observe).await.unwrap();
    let mut score: BTreeMap<sandbox::Cause, (usize, usize)> = BTreeMap::new();
    let mut wrong: BTreeMap<String, usize> = BTreeMap::new();
    for (pair, told) in told(&mut house, &planted) {
        let row = score.entry(pair.cause).or_default();
        row.0 += 1;
        row.1 += usize::from(same(pair.cause, told));
        if !same(pair.cause, told) {
            let segment = house.world.state().klaviyo.segments[&pair.segment]
                .name
                .clone();
            *wrong
                .entry(format!("{} as {told:?} in {segment}", pair.cause))
                .or_default() += 1;
        }
    }
    println!("{score:?}\nwrong: {wrong:#?}");
    score
}

#[tokio::test]
async fn planted_disagreements_get_their_cause() {
    // Enough people for a list that is too large to be read in every pass.
    expect_right(7_000, 60).await;
}

/// The figure of the README: some 10,000 disagreements. Takes minutes.
#[tokio::test]
#[ignore = "run by hand: cargo nextest run --release --run-ignored only ten_thousand"]
async fn ten_thousand_disagreements_get_their_cause() {
    expect_right(30_000, 1_300).await;
}

async fn expect_right(profiles: usize, each: usize) {
    let score = judged(profiles, each).await;
    let (planted, right) = score
        .values()
        .fold((0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1));
    assert_eq!(score.len(), sandbox::Cause::ALL.len(), "{score:?}");
    assert!(
        right * 100 >= planted * 99,
        "{right} of {planted} right: {score:?}"
    );
}
