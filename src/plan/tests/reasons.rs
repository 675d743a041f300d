//! Why a plan wants what it wants.

use super::*;
use crate::model::{Code, Evidence, Finding, Subject};

#[test]
fn whoever_joins_leaves_or_changes_has_a_reason_and_nobody_else() {
    let policy = lapsed_list(Mode::Full);
    let members: RoaringBitmap = [2, 3, 9].into_iter().collect();
    let seen = Seen {
        lists: vec![SeenList {
            exists: true,
            members,
        }],
        known: (1..=3).collect(),
        absent_twice: [9].into_iter().collect(),
    };
    let mut draft = against(&policy, seen);
    for (slot, stage) in [(1, Stage::Lapsed), (2, Stage::Lapsed), (3, Stage::Active)] {
        let dossier = person(vec![profile(slot, &format!("{slot}@x.org"))], Vec::new());
        draft.person(&dossier, &facts(stage), Verdicts::default());
    }
    let plan = draft.finish();
    let told: Vec<(u32, String)> = plan
        .effects
        .iter()
        .map(|planned| (planned.effect.who().unwrap().0, planned.why(&policy)))
        .collect();
    let evidence = |stage: &str| {
        format!(
            "list `Lapsed`: stage {stage}, tier dormant, orders 2 (last 2023-05-23), last act \
             2023-05-23, reachable"
        )
    };
    let gone = "list `Lapsed`: no record of the profile".to_owned();
    assert_eq!(
        told,
        [(1, evidence("lapsed")), (3, evidence("active")), (9, gone)]
    );
}

#[test]
fn nobody_joins_a_list_that_may_not_be_created() {
    let mut policy = lapsed_list(Mode::Full);
    policy.modes.insert(EffectKind::ListCreate, Mode::Observe);
    let nothing = Seen {
        lists: vec![SeenList::default()],
        ..Seen::default()
    };
    let mut draft = against(&policy, nothing);
    let dossier = person(vec![profile(1, "a@x.org")], Vec::new());
    draft.person(&dossier, &facts(Stage::Lapsed), Verdicts::default());
    let plan = draft.finish();
    assert_eq!(effects(&plan), []);
    let held = plan.held_back.iter().map(|held| (held.kind, held.reason));
    assert_eq!(
        held.collect::<Vec<_>>(),
        [EffectKind::ListCreate, EffectKind::ListAdd].map(|kind| (kind, HoldReason::Mode))
    );
}

#[test]
fn what_was_found_is_part_of_the_reason() {
    let evidence = Evidence::Silence {
        since: None,
        mails: 12,
    };
    let verdicts = Verdicts {
        findings: vec![Finding {
            code: Code::StaleNeverEngaged,
            subject: Subject::Person(PersonId(1), Slot(1)),
            evidence,
        }],
        ..Verdicts::default()
    };
    let policy = lapsed_list(Mode::Full);
    let mut draft = against(
        &policy,
        Seen {
            lists: vec![SeenList::default()],
            ..Seen::default()
        },
    );
    let dossier = person(vec![profile(1, "a@x.org")], Vec::new());
    let nothing_bought = Facts {
        orders: 0,
        last_order: None,
        last_human: None,
        reachable: false,
        ..facts(Stage::Lapsed)
    };
    draft.person(&dossier, &nothing_bought, verdicts);
    let plan = draft.finish();
    let expected = "stage lapsed, tier dormant, orders 0, no human act, out of reach; \
                    stale-never-engaged: no human act over 12 mails";
    let reasons = plan.effects.iter().filter_map(|planned| planned.evidence);
    assert_eq!(reasons.collect::<Vec<_>>(), [expected]);
}
