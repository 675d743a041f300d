use super::*;
use crate::detect::IncidentLog;
use crate::golden;
use crate::model::{Consent, Slot};
use crate::score::fixtures::{Vendor, day, person, profile};

fn send(vendor: &mut Vendor, outcome: char, at: i64, message: &str) -> Event {
    let message = ("$message", message);
    match outcome {
        'D' => vendor.event("Received Email", day(at), &[message]),
        'S' => vendor.event(
            "Bounced Email",
            day(at),
            &[message, ("Bounce Type", "Soft")],
        ),
        'H' => vendor.event(
            "Bounced Email",
            day(at),
            &[message, ("Bounce Type", "Hard")],
        ),
        other => panic!("{other} is no outcome"),
    }
}

/// One send a week, each of its own message.
fn weekly(vendor: &mut Vendor, log: &str) -> Dossier {
    let sends = (0..).zip(log.chars());
    let events = sends.map(|(week, outcome)| send(vendor, outcome, week * 7, &format!("m{week}")));
    person("a@shop.com", None, events.collect())
}

fn judge(dossier: &Dossier, vendor: &Vendor) -> Option<Run> {
    let roles = Roles::of(&vendor.vocabulary);
    chronic(
        dossier,
        &roles,
        &Incidents::default(),
        &BounceRule::default(),
        day(10_000),
    )
}

#[test]
fn steps_and_bounds_are_the_golden_ones() {
    let Some(golden) = golden::json("bounce/posterior_sprt.json") else {
        return;
    };
    let golden = &golden["sprt"];
    let test = Sprt::of(&BounceRule::default());
    let near = |value: f64, expected: &serde_json::Value| {
        let expected = expected.as_f64().unwrap();
        assert!(
            (value - expected).abs() <= 1e-9,
            "{value} is not {expected}"
        );
    };
    near(test.soft, &golden["llr_soft"]);
    near(test.delivered, &golden["llr_delivered"]);
    near(test.alarm, &golden["upper"]);
    near(test.healthy, &golden["lower"]);
    for case in golden["tests"].as_array().unwrap() {
        let sends = case["seq"].as_str().unwrap().chars();
        let path = case["sprt"]["path"].as_array().unwrap();
        let mut score = 0.0;
        for (outcome, expected) in sends.zip(path) {
            score = test.step(score, outcome == 'S');
            near(score, expected);
        }
        let alarmed = case["sprt"]["decision"] == "chronic";
        assert_eq!(score >= test.alarm, alarmed, "{case}");
    }
}

#[test]
fn dead_mailboxes_of_the_golden_logs_are_found_and_nobody_else() {
    let (Some(rows), Some(golden)) = (
        golden::rows("bounce/delivery_logs.csv"),
        golden::json("bounce/delivery_truth.json"),
    ) else {
        return;
    };
    let days: Vec<i64> = serde_json::from_value(golden["campaign_day"].clone()).unwrap();
    let mut vendor = Vendor::default();
    let mut people = Vec::new();
    for row in &rows {
        let sends = days.iter().zip(row[2].chars()).enumerate();
        let sends = sends.filter(|(_, (_, outcome))| *outcome != '.');
        let events =
            sends.map(|(n, (at, outcome))| send(&mut vendor, outcome, *at, &format!("m{n}")));
        people.push(person(
            &format!("a@domain{}.com", row[1]),
            None,
            events.collect(),
        ));
    }
    let (roles, rule) = (Roles::of(&vendor.vocabulary), BounceRule::default());
    let mut log = IncidentLog::default();
    let end = day(10_000);
    for person in &people {
        log.observe_person(person, &roles, end);
    }
    let incidents = log.judge(&rule);
    for outage in golden["domain_outages"].as_array().unwrap() {
        let message = vendor.text(&format!("m{}", outage[1]));
        let domain = format!("domain{}.com", outage[0]);
        assert!(incidents.is_incident(&domain, message), "{outage}");
    }

    let (mut right, mut wrong, mut dead) = (0.0, 0.0, 0.0);
    for (person, truth) in people.iter().zip(golden["truth"].as_array().unwrap()) {
        let first_alarm = (0..days.len())
            .find(|n| chronic(person, &roles, &incidents, &rule, day(days[*n])).is_some());
        let died = (truth["kind"] == "dead_soft").then(|| truth["since"].as_u64().unwrap());
        dead += f64::from(u8::from(died.is_some()));
        match (first_alarm, died) {
            (Some(alarm), Some(died)) if alarm as u64 >= died => right += 1.0,
            (Some(_), _) => wrong += 1.0,
            (None, _) => {}
        }
    }
    assert!(dead > 100.0);
    assert!(
        right / (right + wrong) >= 0.97,
        "precision: {right} right, {wrong} wrong"
    );
    assert!(right / dead >= 0.99, "recall: {right} of {dead}");
}

#[test]
fn three_bounces_in_a_week_are_no_dead_mailbox_and_over_three_weeks_they_are() {
    let mut vendor = Vendor::default();
    let sends = |vendor: &mut Vendor, gap: i64| {
        let events = (0..4).map(|n| send(vendor, 'S', n * gap, &format!("m{n}")));
        person("a@shop.com", None, events.collect())
    };
    let hasty = sends(&mut vendor, 2);
    assert_eq!(judge(&hasty, &vendor), None);
    let slow = sends(&mut vendor, 7);
    let run = judge(&slow, &vendor).unwrap();
    assert_eq!((run.bounces, run.days()), (4, 21));
    assert_eq!((run.first, run.last), (day(0), day(21)));
}

#[test]
fn a_delivery_ends_the_run_and_a_human_open_clears_it() {
    let mut vendor = Vendor::default();
    assert!(judge(&weekly(&mut vendor, "DDSSSSSS"), &vendor).is_some());
    assert_eq!(judge(&weekly(&mut vendor, "DDSSSSSSD"), &vendor), None);
    assert_eq!(
        judge(&weekly(&mut vendor, "SSSHSS"), &vendor)
            .unwrap()
            .bounces,
        5
    );

    let with_open = |vendor: &mut Vendor, flag: &str| {
        let mut dossier = weekly(vendor, "DDSSSSSS");
        let open = vendor.event("Opened Email", day(60), &[("machine_open", flag)]);
        dossier.events.push(open);
        judge(&dossier, vendor)
    };
    assert_eq!(with_open(&mut vendor, "false"), None);
    assert!(with_open(&mut vendor, "true").is_some());
}

#[test]
fn bounces_before_the_latest_subscription_do_not_count() {
    let mut vendor = Vendor::default();
    let mut dossier = weekly(&mut vendor, "SSSSSSSSSS");
    let mut run_after = |consent: Consent, at: Moment| {
        let marketing = dossier.profiles[0].1.email_marketing.as_mut().unwrap();
        (marketing.consent, marketing.consent_at) = (consent, Some(at));
        judge(&dossier, &vendor).map(|run| (run.bounces, run.first))
    };
    let whole = Some((10, day(0)));
    assert_eq!(run_after(Consent::Subscribed, day(-30)), whole);
    assert_eq!(run_after(Consent::Subscribed, day(64)), None);
    // Three bounces are too few to be sure; a fourth, sent when the person subscribed, is not.
    assert_eq!(run_after(Consent::Subscribed, day(43)), None);
    let anew = Some((4, day(42)));
    assert_eq!(run_after(Consent::Subscribed, day(42)), anew);
    assert_eq!(run_after(Consent::Unsubscribed, day(64)), whole);
    assert_eq!(run_after(Consent::NeverSubscribed, day(64)), whole);
    let future = day(20_000);
    assert_eq!(run_after(Consent::Subscribed, future), whole);
}

#[test]
fn of_several_profiles_of_a_mailbox_the_latest_subscription_counts() {
    let mut vendor = Vendor::default();
    let mut dossier = weekly(&mut vendor, "SSSSSSSSSS");
    let mut twin = profile("A@shop.com", None);
    twin.email_marketing.as_mut().unwrap().consent_at = Some(day(64));
    dossier.profiles.push((Slot(6), twin));
    assert_eq!(judge(&dossier, &vendor), None);
    let earlier = dossier.profiles[0].1.email_marketing.as_mut().unwrap();
    earlier.consent_at = Some(day(-30));
    assert_eq!(judge(&dossier, &vendor), None);
}

#[test]
fn what_has_not_happened_yet_is_not_judged() {
    let mut vendor = Vendor::default();
    let dossier = weekly(&mut vendor, "SSSSSS");
    let roles = Roles::of(&vendor.vocabulary);
    let at = |now: i64| {
        let rule = BounceRule::default();
        chronic(&dossier, &roles, &Incidents::default(), &rule, day(now))
    };
    assert_eq!(at(20), None);
    assert_eq!(at(21).unwrap().bounces, 4);
}

#[test]
fn an_outage_is_held_against_nobody() {
    let mut vendor = Vendor::default();
    let dossier = weekly(&mut vendor, "SSSSSS");
    let mut log = IncidentLog::default();
    for week in 0..4 {
        let message = vendor.text(&format!("m{week}"));
        (0..10).for_each(|n| log.observe("shop.com", message, n < 5));
    }
    let (roles, rule) = (Roles::of(&vendor.vocabulary), BounceRule::default());
    let incidents = log.judge(&rule);
    assert_eq!(chronic(&dossier, &roles, &incidents, &rule, day(100)), None);
}

#[test]
fn two_mailboxes_in_one_timeline_cannot_be_judged() {
    let mut vendor = Vendor::default();
    let mut dossier = weekly(&mut vendor, "SSSSSS");
    dossier
        .profiles
        .push((Slot(6), profile("A@shop.com", None)));
    assert!(judge(&dossier, &vendor).is_some());
    dossier
        .profiles
        .push((Slot(7), profile("other@shop.com", None)));
    assert_eq!(judge(&dossier, &vendor), None);
}
