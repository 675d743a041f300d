//! The same world and the same config give the same plan, byte for byte.

use crate::house::{House, ROOMY, hours};
use crate::modes::suppress_at_risk;
use driftless::pass::Summary;
use driftless::policy::Guard;
use std::path::PathBuf;

/// Everything a shop's history leaves behind: summaries, journal, findings, mirror.
async fn story() -> Vec<String> {
    let act = ("rules.bounce", "act", "true");
    let tags = ("shopify_tags", "facts", "[\"stage\"]");
    let mut house = House::of(300, &[ROOMY[0], ROOMY[1], ROOMY[2], act, tags]).await;
    let mut told = Vec::new();
    for _ in 0..2 {
        told.push(shown(house.pass().await));
    }
    house.clock.advance(hours(24 * 20));
    suppress_at_risk(&house, 3);
    told.push(shown(house.allowing(Guard::SegmentJump, 100).await));
    told.push(format!("{:#?}", house.journal()));
    let findings = house.state_dir().join("findings.jsonl");
    told.push(std::fs::read_to_string(findings).unwrap());
    told.push(house.mirror().join("\n"));
    let history = house.history();
    told.push(format!("{history:#?}"));
    told
}

/// Everything but the folder, which is another one in every run.
fn shown(summary: Summary) -> String {
    let state_dir = PathBuf::new();
    format!(
        "{:#?}",
        Summary {
            state_dir,
            ..summary
        }
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_world_twice_gives_the_same_plan_byte_for_byte() {
    let (one, other) = (story().await, story().await);
    assert_eq!(one.len(), other.len());
    for (one, other) in one.iter().zip(&other) {
        assert!(one.len() > 500);
        let differing = one.lines().zip(other.lines()).find(|(a, b)| a != b);
        assert_eq!(differing, None);
        assert!(one == other, "one is longer");
    }
}
