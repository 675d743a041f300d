//! Lists and rules that name segments: what is unknown is never acted on.

use super::*;
use crate::model::{Code, Evidence, Finding, HeldBack, Subject};

fn members(inside: &[u32], unknown: &[u32]) -> SegmentMembers {
    SegmentMembers {
        inside: inside.iter().copied().collect(),
        unknown: unknown.iter().copied().collect(),
    }
}

fn memberships(segments: &[(&str, SegmentMembers)]) -> Memberships {
    let named = segments.iter().cloned();
    Memberships(
        named
            .map(|(name, members)| (name.to_owned(), members))
            .collect(),
    )
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn policy(who: Where) -> Policy {
    let name = "List".to_owned();
    Policy {
        mode: Mode::Full,
        lists: vec![ManagedList { name, who }],
        ..Policy::default()
    }
}

/// A plan over people with a profile each, `1..=5`, against a list that holds 2, 4 and 5.
fn plan(policy: &Policy, segments: Memberships, verdicts: &Verdicts) -> Plan {
    let mut draft = Draft::new(policy, segments, seen(&[2, 4, 5]), NOW);
    for slot in 1..=5 {
        let dossier = person(vec![profile(slot, &format!("{slot}@x.org"))], Vec::new());
        draft.person(&dossier, &facts(Stage::Lapsed), verdicts.clone());
    }
    draft.finish()
}

fn seen(members: &[u32]) -> Seen {
    let list = SeenList {
        exists: true,
        members: members.iter().copied().collect(),
    };
    Seen {
        lists: vec![list],
        known: (1..=9).collect(),
        absent_twice: RoaringBitmap::new(),
    }
}

fn changes(plan: &Plan) -> (Vec<u32>, Vec<u32>) {
    let of = |kind| plan.people(&[kind]).iter().collect();
    (of(EffectKind::ListAdd), of(EffectKind::ListRemove))
}

/// Additions and removals that wait until the segment is known.
fn held(plan: &Plan) -> (u64, u64) {
    let of = |kind| {
        let held = plan.held_back.iter();
        let held =
            held.filter(|held| held.kind == kind && held.reason == HoldReason::SegmentUnknown);
        held.map(|held| held.count).sum()
    };
    (of(EffectKind::ListAdd), of(EffectKind::ListRemove))
}

#[test]
fn no_list_is_created_for_a_segment_that_nobody_knows() {
    let rule = policy(Where {
        segment: Some(names(&["Nope"])),
        ..Where::default()
    });
    let nothing = Seen {
        lists: vec![SeenList::default()],
        ..seen(&[])
    };
    let mut draft = Draft::new(&rule, memberships(&[]), nothing, NOW);
    let dossier = person(vec![profile(1, "1@x.org")], Vec::new());
    draft.person(&dossier, &facts(Stage::Lapsed), Verdicts::default());
    let plan = draft.finish();
    assert_eq!(effects(&plan), []);
    let create = |held: &&HeldBack| held.kind == EffectKind::ListCreate;
    let reasons: Vec<HoldReason> = plan
        .held_back
        .iter()
        .filter(create)
        .map(|held| held.reason)
        .collect();
    assert_eq!(reasons, [HoldReason::SegmentUnknown]);
}

#[test]
fn only_what_is_known_joins_and_leaves() {
    let segment = policy(Where {
        segment: Some(names(&["VIP"])),
        ..Where::default()
    });
    let not_segment = policy(Where {
        not_segment: Some(names(&["VIP"])),
        ..Where::default()
    });
    let vip = || memberships(&[("VIP", members(&[1, 2], &[3, 4]))]);
    let quiet = Verdicts::default();
    let found = plan(&segment, vip(), &quiet);
    assert_eq!(changes(&found), (vec![1], vec![5]));
    assert_eq!(held(&found), (1, 1));
    assert_eq!((found.lists[0].wanted, found.lists[0].leave), (3, 1));
    let found = plan(&not_segment, vip(), &quiet);
    assert_eq!(changes(&found), (vec![], vec![2]));
    assert_eq!(held(&found), (1, 1));
}

#[test]
fn a_segment_that_cannot_be_evaluated_freezes_its_lists_and_no_others() {
    let mut policy = policy(Where {
        segment: Some(names(&["VIP"])),
        ..Where::default()
    });
    let everybody = Where {
        reachable: Some(true),
        ..Where::default()
    };
    policy.lists.push(ManagedList {
        name: "Everybody".to_owned(),
        who: everybody,
    });
    let found = plan(&policy, Memberships::default(), &Verdicts::default());
    assert_eq!((found.lists[0].join, found.lists[0].leave), (0, 0));
    assert_eq!(held(&found), (2, 3));
    assert_eq!(found.lists[1].join, 5);
}

#[test]
fn what_is_certain_without_the_segment_is_done() {
    let who = |orders, names| Where {
        orders_at_least: Some(orders),
        segment: Some(names),
        ..Where::default()
    };
    let quiet = Verdicts::default();
    // Nobody has three orders: all leave, whatever the segment says.
    let found = plan(
        &policy(who(3, names(&["VIP"]))),
        Memberships::default(),
        &quiet,
    );
    assert_eq!(
        (changes(&found), held(&found)),
        ((vec![], vec![2, 4, 5]), (0, 0))
    );
    // One of two is enough.
    let all = memberships(&[("All", members(&[1, 2, 3, 4, 5], &[]))]);
    let found = plan(&policy(who(2, names(&["VIP", "All"]))), all, &quiet);
    assert_eq!(
        (changes(&found), held(&found)),
        ((vec![1, 3], vec![]), (0, 0))
    );
}

#[test]
fn a_person_is_in_a_segment_when_one_profile_is() {
    let policy = policy(Where {
        segment: Some(names(&["VIP"])),
        ..Where::default()
    });
    let found = |inside: &[u32], unknown: &[u32], on_list: &[u32]| {
        let segments = memberships(&[("VIP", members(inside, unknown))]);
        let mut draft = Draft::new(&policy, segments, seen(on_list), NOW);
        let both = vec![profile(1, "a@x.org"), profile(2, "A@x.org")];
        draft.person(
            &person(both, Vec::new()),
            &facts(Stage::Lapsed),
            Verdicts::default(),
        );
        changes(&draft.finish())
    };
    assert_eq!(found(&[2], &[1], &[]), (vec![1], vec![]));
    assert_eq!(found(&[], &[2], &[]), (vec![], vec![]));
    // Whichever profile upstream has on the list stays on it.
    assert_eq!(found(&[], &[1], &[2]), (vec![], vec![]));
    assert_eq!(found(&[], &[], &[2]), (vec![], vec![2]));
}

/// A verdict with its finding, for either rule.
fn condemned() -> Verdicts {
    let finding = |code| Finding {
        code,
        subject: Subject::Person(PersonId(1), Slot(1)),
        evidence: Evidence::Silence {
            since: None,
            mails: 9,
        },
    };
    Verdicts {
        stale: Some(Code::StaleQuiet),
        bouncing: true,
        findings: vec![finding(Code::StaleQuiet), finding(Code::BounceChronic)],
    }
}

fn exempting() -> Policy {
    let mut policy = policy(Where {
        stale: Some(false),
        ..Where::default()
    });
    policy.stale.unless_segment = names(&["VIP"]);
    policy.bounce.unless_segment = names(&["VIP"]);
    policy.bounce.act = true;
    policy
}

#[test]
fn the_exempt_are_neither_suppressed_nor_reported() {
    let policy = exempting();
    let outcome = |segments| {
        let mut draft = Draft::new(&policy, segments, seen(&[]), NOW);
        let one = person(vec![profile(1, "1@x.org")], Vec::new());
        let findings = draft.person(&one, &facts(Stage::Lapsed), condemned());
        let plan = draft.finish();
        let suppressed = plan.people(&[EffectKind::Suppression]).len();
        (findings.len(), suppressed, changes(&plan).0)
    };
    let vip = |inside: &[u32], unknown: &[u32]| memberships(&[("VIP", members(inside, unknown))]);
    assert_eq!(outcome(vip(&[], &[])), (2, 1, vec![]));
    assert_eq!(outcome(vip(&[1], &[])), (0, 0, vec![1]));
    // On a guess nobody is suppressed, reported, or put on a list for those who are not stale.
    assert_eq!(outcome(vip(&[], &[1])), (0, 0, vec![]));
    assert_eq!(outcome(Memberships::default()), (0, 0, vec![]));
}

#[test]
fn what_hangs_on_an_unknown_exemption_stays_as_it_is() {
    let policy = exempting();
    let found = plan(&policy, Memberships::default(), &condemned());
    assert_eq!(changes(&found), (vec![], vec![]));
    assert_eq!(held(&found), (2, 3));
    let suppression = found
        .held_back
        .iter()
        .find(|held| held.kind == EffectKind::Suppression);
    let suppression = suppression.map(|held| (held.count, held.reason));
    assert_eq!(suppression, Some((5, HoldReason::SegmentUnknown)));
}

#[test]
fn a_fact_in_doubt_is_not_written_back() {
    let facts_kept = vec![Fact::Stale, Fact::Stage];
    let fields = [
        (Fact::Stale, "stale".to_owned()),
        (Fact::Stage, "stage".to_owned()),
    ];
    let mut policy = exempting();
    policy.lists.clear();
    policy.properties = PropertyMap {
        prefix: "d_".to_owned(),
        fields: fields.to_vec(),
    };
    policy.tags = TagMap {
        prefix: "d:".to_owned(),
        facts: facts_kept.clone(),
    };
    policy.metafield = Some(MetafieldMap {
        namespace: "$app".to_owned(),
        key: "driftless".to_owned(),
        facts: facts_kept,
    });
    let effects = |segments| {
        let (slot, mut profile) = profile(1, "1@x.org");
        profile
            .properties
            .insert("d_stale".to_owned(), Value::Bool(true));
        let (number, mut customer) = customer(2, &["d:stale", "d:stage:lapsed"]);
        customer.metafield = Some(r#"{"stale":true,"stage":"active"}"#.to_owned());
        let mut draft = Draft::new(&policy, segments, Seen::default(), NOW);
        let dossier = person(vec![(slot, profile)], vec![(number, customer)]);
        draft.person(&dossier, &facts(Stage::Lapsed), condemned());
        effects(&draft.finish())
    };
    let text = |effects: &[Effect]| format!("{effects:?}");
    let doubtful = effects(Memberships::default());
    let properties = |effect: &Effect| match effect {
        Effect::Properties { changes, .. } => Some(
            changes
                .iter()
                .map(|change| change.key.clone())
                .collect::<Vec<_>>(),
        ),
        _ => None,
    };
    assert_eq!(
        doubtful.iter().find_map(properties),
        Some(names(&["d_stage"]))
    );
    assert!(
        !doubtful
            .iter()
            .any(|effect| matches!(effect, Effect::Tags { .. }))
    );
    assert!(text(&doubtful).contains(r#"{\"stage\":\"lapsed\",\"stale\":true}"#));
    let exempt = effects(memberships(&[("VIP", members(&[1], &[]))]));
    assert!(
        text(&exempt).contains(r#"remove: ["d:stale"]"#),
        "{exempt:?}"
    );
    assert!(text(&exempt).contains(r#"{\"stage\":\"lapsed\",\"stale\":false}"#));
}
