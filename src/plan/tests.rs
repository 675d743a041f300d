//! Plans from hand-made people.

mod lists;
mod reasons;
mod segments;

use super::guard::check;
use super::members::Judged;
use super::*;
use crate::detect::Verdicts;
use crate::model::{
    Consent, Customer, CustomerId, Dossier, Effect, EffectKind, EmailMarketing, HoldReason, Moment,
    Money, PersonId, Profile, PropertyChange, Slot, Value,
};
use crate::policy::{
    Allowances, Fact, Guard, Guards, ManagedList, MetafieldMap, Mode, Policy, PropertyMap, Stage,
    TagMap, Tier, Where,
};
use crate::score::Facts;
use roaring::RoaringBitmap;
use std::collections::BTreeMap;

const NOW: Moment = Moment::from_day(20_000);

fn facts(stage: Stage) -> Facts {
    Facts {
        orders: 2,
        spent: Money(40_000),
        first_order: Some(Moment::from_day(19_000)),
        last_order: Some(Moment::from_day(19_500)),
        previous_order: Some(Moment::from_day(19_000)),
        average_order_value: Some(Money(20_000)),
        mails: 9,
        first_mail: None,
        last_mail: None,
        last_human: Some(Moment::from_day(19_500)),
        ever_human: true,
        tier: Tier::Dormant,
        stage,
        created: None,
        reachable: true,
        suppressed: false,
    }
}

fn profile(slot: u32, email: &str) -> (Slot, Profile) {
    let marketing = EmailMarketing {
        can_receive: Some(true),
        ..EmailMarketing::new(Consent::Subscribed)
    };
    let profile = Profile {
        email: Some(email.to_owned()),
        email_marketing: Some(marketing),
        ..Profile::new(format!("P{slot}"))
    };
    (Slot(slot), profile)
}

fn customer(slot: u32, tags: &[&str]) -> (Slot, Customer) {
    let customer = Customer {
        id: CustomerId(u64::from(slot)),
        email: None,
        phone: None,
        country: None,
        email_consent: None,
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        metafield: None,
        created: None,
        updated: None,
    };
    (Slot(slot), customer)
}

fn person(profiles: Vec<(Slot, Profile)>, customers: Vec<(Slot, Customer)>) -> Dossier {
    let first = profiles.first().map(|(slot, _)| *slot);
    let first = first.or(customers.first().map(|(slot, _)| *slot)).unwrap();
    Dossier {
        id: PersonId(first.0),
        profiles,
        customers,
        guests: Vec::new(),
        events: Vec::new(),
        orders: Vec::new(),
    }
}

fn lapsed_list(mode: Mode) -> Policy {
    let who = Where {
        stage: Some(vec![Stage::Lapsed]),
        ..Where::default()
    };
    let lists = vec![ManagedList {
        name: "Lapsed".to_owned(),
        who,
    }];
    Policy {
        mode,
        lists,
        ..Policy::default()
    }
}

/// A draft for rules that name no segment.
fn draft(policy: &Policy) -> Draft<'_> {
    against(policy, Seen::default())
}

fn against(policy: &Policy, seen: Seen) -> Draft<'_> {
    Draft::new(policy, Memberships::default(), seen, NOW)
}

/// A plan over people `1..=wanted` who lapsed, against a list that holds `seen`.
fn plan_against(policy: &Policy, wanted: u32, seen: &[u32]) -> Plan {
    let members: RoaringBitmap = seen.iter().copied().collect();
    let known = (1..=wanted.max(200)).collect();
    let lists = vec![SeenList {
        exists: true,
        members,
    }];
    let mut draft = against(
        policy,
        Seen {
            lists,
            known,
            absent_twice: RoaringBitmap::new(),
        },
    );
    for slot in 1..=wanted {
        let dossier = person(vec![profile(slot, &format!("{slot}@x.org"))], Vec::new());
        draft.person(&dossier, &facts(Stage::Lapsed), Verdicts::default());
    }
    draft.finish()
}

fn effects(plan: &Plan) -> Vec<Effect> {
    plan.effects.iter().map(|planned| planned.effect).collect()
}

fn observed() -> Circumstances {
    Circumstances {
        profiles: 10_000,
        customers: 10_000,
        released: true,
        moved: 0,
        ..Default::default()
    }
}

#[test]
fn a_list_gains_and_loses_exactly_the_difference() {
    let plan = plan_against(&lapsed_list(Mode::Full), 3, &[2, 3, 7]);
    let on = Effect::OnList {
        list: 0,
        who: Slot(1),
    };
    let off = Effect::OffList {
        list: 0,
        who: Slot(7),
    };
    assert_eq!(effects(&plan), [on, off]);
    assert_eq!(plan.held_back, []);
}

#[test]
fn each_mode_allows_what_the_one_before_does_and_more() {
    let properties = PropertyMap {
        prefix: "d_".to_owned(),
        fields: vec![(Fact::Stage, "stage".to_owned())],
    };
    let kinds = |mode| {
        let policy = Policy {
            properties: properties.clone(),
            ..lapsed_list(mode)
        };
        let plan = plan_against(&policy, 1, &[7]);
        plan.counts().into_keys().collect::<Vec<_>>()
    };
    use EffectKind::{ListAdd, ListRemove, Property};
    assert_eq!(kinds(Mode::Observe), []);
    assert_eq!(kinds(Mode::Enrich), [Property]);
    assert_eq!(kinds(Mode::Additive), [ListAdd, Property]);
    assert_eq!(kinds(Mode::Full), [ListAdd, ListRemove, Property]);
}

#[test]
fn a_member_without_a_record_leaves_only_after_two_scans() {
    let policy = lapsed_list(Mode::Full);
    let stranger = 900;
    let plan = plan_against(&policy, 1, &[1, stranger]);
    assert_eq!(effects(&plan), []);
    assert_eq!(plan.held_back[0].reason, HoldReason::SecondScan);

    let lists = vec![SeenList {
        exists: true,
        members: RoaringBitmap::from([stranger]),
    }];
    let absent_twice = RoaringBitmap::from([stranger]);
    let seen = Seen {
        lists,
        known: RoaringBitmap::new(),
        absent_twice,
    };
    let plan = against(&policy, seen).finish();
    assert_eq!(
        effects(&plan),
        [Effect::OffList {
            list: 0,
            who: Slot(stranger)
        }]
    );
}

#[test]
fn only_the_profile_that_mail_reaches_stands_for_a_person_with_two() {
    let policy = lapsed_list(Mode::Full);
    let mut draft = draft(&policy);
    let (slot, mut silent) = profile(1, "a@x.org");
    silent.email_marketing = None;
    let dossier = person(vec![(slot, silent), profile(2, "A@x.org")], Vec::new());
    draft.person(&dossier, &facts(Stage::Lapsed), Verdicts::default());
    let plan = draft.finish();
    let expected = [
        Effect::ListExists { list: 0 },
        Effect::OnList {
            list: 0,
            who: Slot(2),
        },
    ];
    assert_eq!(effects(&plan), expected);
}

#[test]
fn a_property_is_written_only_where_its_value_changed() {
    let fields = [
        (Fact::Orders, "orders"),
        (Fact::Spent, "spent"),
        (Fact::Stage, "stage"),
    ];
    let fields = fields.map(|(fact, name)| (fact, name.to_owned())).to_vec();
    let properties = PropertyMap {
        prefix: "d_".to_owned(),
        fields,
    };
    let policy = Policy {
        mode: Mode::Enrich,
        properties,
        ..Policy::default()
    };
    let (slot, mut profile) = profile(1, "a@x.org");
    // Klaviyo may give a whole number back as a float and the other way round.
    profile
        .properties
        .insert("d_orders".to_owned(), Value::Float(2.0));
    profile
        .properties
        .insert("d_spent".to_owned(), Value::Int(40));
    profile
        .properties
        .insert("d_stage".to_owned(), Value::Text("active".to_owned()));
    let mut draft = draft(&policy);
    let dossier = person(vec![(slot, profile)], Vec::new());
    draft.person(&dossier, &facts(Stage::Lapsed), Verdicts::default());
    let change = PropertyChange {
        key: "d_stage".to_owned(),
        from: Some(Value::Text("active".to_owned())),
        to: Some(Value::Text("lapsed".to_owned())),
    };
    let plan = draft.finish();
    assert_eq!(
        effects(&plan),
        [Effect::Properties {
            who: slot,
            changes: vec![change]
        }]
    );
}

#[test]
fn a_dead_mailbox_is_suppressed_only_when_rule_and_mode_allow_it() {
    let verdicts = Verdicts {
        bouncing: true,
        ..Verdicts::default()
    };
    let outcome = |mode, act, profiles| {
        let mut policy = Policy {
            mode,
            ..Policy::default()
        };
        policy.bounce.act = act;
        let mut draft = draft(&policy);
        draft.person(
            &person(profiles, Vec::new()),
            &facts(Stage::Lapsed),
            verdicts.clone(),
        );
        let plan = draft.finish();
        (
            plan.people(&[EffectKind::Suppression]).len(),
            plan.held_back.first().map(|held| held.reason),
        )
    };
    let one = || vec![profile(1, "a@x.org")];
    assert_eq!(outcome(Mode::Full, true, one()), (1, None));
    assert_eq!(
        outcome(Mode::Additive, true, one()),
        (0, Some(HoldReason::Mode))
    );
    assert_eq!(
        outcome(Mode::Full, false, one()),
        (0, Some(HoldReason::RuleOnlyReports))
    );
    let two = vec![profile(1, "a@x.org"), profile(2, "b@x.org")];
    assert_eq!(
        outcome(Mode::Full, true, two),
        (0, Some(HoldReason::SeveralMailboxes))
    );
}

#[test]
fn tags_are_compared_without_regard_to_case_and_only_under_our_prefix() {
    let tags = TagMap {
        prefix: "driftless:".to_owned(),
        facts: vec![Fact::Stage],
    };
    let policy = Policy {
        mode: Mode::Enrich,
        tags,
        ..Policy::default()
    };
    let changes = |have: &[&str]| {
        let mut draft = draft(&policy);
        let dossier = person(Vec::new(), vec![customer(1, have)]);
        draft.person(&dossier, &facts(Stage::Lapsed), Verdicts::default());
        effects(&draft.finish())
    };
    assert_eq!(changes(&["VIP", "Driftless:Stage:LAPSED"]), []);
    let tag = |text: &str| vec![text.to_owned()];
    let expected = Effect::Tags {
        who: Slot(1),
        add: tag("driftless:stage:lapsed"),
        remove: tag("DRIFTLESS:stage:active"),
    };
    assert_eq!(changes(&["VIP", "DRIFTLESS:stage:active"]), [expected]);
}

#[test]
fn a_metafield_is_compared_as_json_not_as_text() {
    let metafield = MetafieldMap {
        namespace: "$app".to_owned(),
        key: "driftless".to_owned(),
        facts: vec![Fact::Stage, Fact::Orders],
    };
    let policy = Policy {
        mode: Mode::Enrich,
        metafield: Some(metafield),
        ..Policy::default()
    };
    let effects = |stored: Option<&str>| {
        let (slot, mut customer) = customer(1, &[]);
        customer.metafield = stored.map(str::to_owned);
        let mut draft = draft(&policy);
        let dossier = person(Vec::new(), vec![(slot, customer)]);
        draft.person(&dossier, &facts(Stage::Lapsed), Verdicts::default());
        draft.finish().effects.len()
    };
    assert_eq!(effects(Some(r#"{ "stage": "lapsed", "orders": 2 }"#)), 0);
    assert_eq!(effects(Some(r#"{"orders":1,"stage":"lapsed"}"#)), 1);
    assert_eq!(effects(Some("not JSON")), 1);
    assert_eq!(effects(None), 1);
}

#[test]
fn people_in_any_order_are_wished_the_same() {
    let policy = lapsed_list(Mode::Full);
    let plan = |slots: &[u32]| {
        let mut draft = draft(&policy);
        for slot in slots {
            let dossier = person(vec![profile(*slot, "a@x.org")], Vec::new());
            draft.person(&dossier, &facts(Stage::Lapsed), Verdicts::default());
        }
        let Plan {
            effects,
            held_back,
            lists,
        } = draft.finish();
        let mut effects: Vec<Planned> = effects.iter().collect();
        effects.sort_by_key(|planned| planned.effect.who());
        (effects, held_back, lists)
    };
    assert_eq!(plan(&[5, 1, 9]), plan(&[9, 5, 1]));
}

#[test]
fn new_rules_write_once_they_are_released() {
    let plan = plan_against(&lapsed_list(Mode::Full), 3, &[]);
    let unreleased = Circumstances {
        released: false,
        ..observed()
    };
    let tripped = |allowed: &Allowances| {
        let trips = check(&plan, &unreleased, &Guards::default(), allowed);
        trips
            .into_iter()
            .map(|trip| (trip.guard, trip.count))
            .collect::<Vec<_>>()
    };
    assert_eq!(tripped(&Allowances::default()), [(Guard::FirstRun, 3)]);
    assert_eq!(
        tripped(&Allowances(BTreeMap::from([(Guard::FirstRun, 2)]))).len(),
        1
    );
    assert_eq!(
        tripped(&Allowances(BTreeMap::from([(Guard::FirstRun, 3)]))),
        []
    );
}

#[test]
fn people_changed_in_the_last_day_count_against_the_budget() {
    let seen: Vec<u32> = (1..=40).collect();
    let plan = plan_against(&lapsed_list(Mode::Full), 0, &seen);
    let guards = Guards {
        segment_jump_floor: 1_000,
        ..Guards::default()
    };
    let trips = |changed: u32, unknown: u64| {
        // The forty of the plan are among the changed.
        let people = (0..changed).collect();
        let spent = BTreeMap::from([(Guard::MaxListRemovals, Spent { people, unknown })]);
        let now = Circumstances {
            spent,
            ..observed()
        };
        check(&plan, &now, &guards, &Allowances::default())
    };
    // 5 % of 10,000 profiles are 500.
    assert_eq!(trips(500, 0), []);
    assert_eq!(trips(501, 0)[0].count, 501);
    assert_eq!(trips(41, 459), []);
    assert_eq!(trips(41, 460)[0].guard, Guard::MaxListRemovals);
}

#[test]
fn a_customer_whose_tags_and_metafield_change_is_one_person() {
    let tag = |who| Effect::Tags {
        who: Slot(who),
        add: vec!["d:stage:lapsed".to_owned()],
        remove: Vec::new(),
    };
    let metafield = |who| Effect::Metafield {
        who: Slot(who),
        from: None,
        to: Some("{}".to_owned()),
    };
    let mut plan = Plan::default();
    for effect in (0..26).map(tag).chain((0..26).map(metafield)) {
        plan.effects.push(&effect.into());
    }
    let trips = |customers| {
        let now = Circumstances {
            customers,
            ..observed()
        };
        check(&plan, &now, &Guards::default(), &Allowances::default())
    };
    // 10 % of the customers, and never less than 25.
    assert_eq!(trips(260), []);
    assert_eq!(
        (trips(250)[0].guard, trips(250)[0].count),
        (Guard::MaxTagChanges, 26)
    );
}

#[test]
fn a_listing_that_shrank_or_broke_off_stops_everything() {
    let plan = plan_against(&lapsed_list(Mode::Full), 3, &[]);
    let guards_on = |count, before, complete| {
        let listing = Listing {
            name: "customers".to_owned(),
            count,
            before,
            complete,
        };
        let now = Circumstances {
            listings: vec![listing],
            ..observed()
        };
        let trips = check(&plan, &now, &Guards::default(), &Allowances::default());
        trips.into_iter().map(|trip| trip.guard).collect::<Vec<_>>()
    };
    assert_eq!(guards_on(80, Some(100), true), []);
    assert_eq!(guards_on(79, Some(100), true), [Guard::EmptySource]);
    assert_eq!(guards_on(0, Some(100), true), [Guard::EmptySource]);
    assert_eq!(guards_on(0, Some(0), true), []);
    assert_eq!(guards_on(100, Some(100), false), [Guard::CompleteListing]);
}

#[test]
fn a_list_that_would_be_turned_over_is_not() {
    let seen: Vec<u32> = (101..=200).collect();
    let plan = plan_against(&lapsed_list(Mode::Full), 1, &seen);
    let trips = check(
        &plan,
        &observed(),
        &Guards::default(),
        &Allowances::default(),
    );
    assert_eq!(trips[0].guard, Guard::SegmentJump);
    assert_eq!(trips[0].count, 101);
}

#[test]
fn an_empty_plan_trips_nothing() {
    let plan = Plan::default();
    let now = Circumstances {
        missing_sentinels: 3,
        ..Circumstances::default()
    };
    assert_eq!(
        check(&plan, &now, &Guards::default(), &Allowances::default()),
        []
    );
}

#[test]
fn every_condition_of_a_list_is_asked() {
    let facts = facts(Stage::Lapsed);
    let judged = Judged::default();
    let holds = |who: Where| who.holds(&facts, &judged, NOW, |_| None) == Some(true);
    assert!(holds(Where::default()));
    assert!(holds(Where {
        orders_at_least: Some(2),
        ..Where::default()
    }));
    assert!(!holds(Where {
        orders_at_least: Some(3),
        ..Where::default()
    }));
    assert!(!holds(Where {
        orders_at_most: Some(1),
        ..Where::default()
    }));
    assert!(!holds(Where {
        stage: Some(vec![Stage::Active]),
        ..Where::default()
    }));
    assert!(holds(Where {
        tier: Some(vec![Tier::Never, Tier::Dormant]),
        ..Where::default()
    }));
    assert!(!holds(Where {
        reachable: Some(false),
        ..Where::default()
    }));
    assert!(!holds(Where {
        stale: Some(true),
        ..Where::default()
    }));
    assert!(!holds(Where {
        bouncing: Some(true),
        ..Where::default()
    }));
    assert!(holds(Where {
        spent_at_least: Some(Money(40_000)),
        ..Where::default()
    }));
    assert!(!holds(Where {
        spent_at_most: Some(Money(39_999)),
        ..Where::default()
    }));
    assert!(holds(Where {
        last_order_days_at_least: Some(500),
        ..Where::default()
    }));
    assert!(!holds(Where {
        last_order_days_at_most: Some(499),
        ..Where::default()
    }));
}
