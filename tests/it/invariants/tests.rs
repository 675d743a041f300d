//! The checker can fail: every promise is broken on purpose, and must be named.

use super::*;
use driftless::journal::{Intent, Outcome, RunId};
use driftless::model::EffectKind;
use driftless::sandbox::world::{Customer, Job, List, Metafield, Write};
use serde_json::{Value as Json, json};
use std::time::Duration;

const GID: &str = "gid://shopify/Customer/1";

fn at(seconds: i64) -> Moment {
    Moment::from_secs(seconds)
}

/// A small world in which one effect of each kind was carried out as it should be.
struct Case {
    world: State,
    journal: Vec<Entry>,
    resent: bool,
    asked: BTreeSet<(String, String)>,
    consents: BTreeMap<String, Consents>,
    others: Vec<(Moment, String)>,
    stopped: Vec<Range<usize>>,
    plan: String,
    mirror: Vec<String>,
}

impl Case {
    fn sound() -> Self {
        let mut case = Self {
            world: world(),
            journal: Vec::new(),
            resent: false,
            asked: BTreeSet::from([("POST".to_owned(), "/api/lists".to_owned())]),
            consents: BTreeMap::new(),
            others: Vec::new(),
            stopped: Vec::new(),
            plan: String::new(),
            mirror: vec!["one".to_owned(), "two".to_owned()],
        };
        case.consents = consents(&case.world);
        let stage = json!({ "driftless_stage": "lapsed" });
        let tags = json!({ "has": ["driftless:stage:lapsed"] });
        for (kind, subject, target, to) in [
            (EffectKind::ListCreate, None, "Win-back", json!(true)),
            (EffectKind::ListAdd, Some("p1"), "L1", json!(true)),
            (EffectKind::Property, Some("p1"), "driftless_stage", stage),
            (
                EffectKind::Suppression,
                Some("p1"),
                "email marketing",
                json!(true),
            ),
            (EffectKind::Tag, Some(GID), "driftless:", tags),
            (
                EffectKind::Metafield,
                Some(GID),
                "$app.driftless",
                json!("{}"),
            ),
        ] {
            case.intend(1, kind, subject, target, to);
        }
        case.write("list create", "L1", &[]);
        case.write("list add", "L1", &["p1"]);
        case.write("import", "J1", &["p1"]);
        case.write("suppress", "J2", &["one@example.org"]);
        case.write("tagsAdd", "driftless:stage:lapsed", &[GID]);
        case.write("metafieldsSet", "app.driftless", &[GID]);
        let profile = case.profile();
        profile.suppressions.push(suppression());
        case
    }

    fn profile(&mut self) -> &mut Profile {
        self.world.klaviyo.profiles.get_mut("p1").unwrap()
    }

    fn list(&mut self) -> &mut List {
        self.world.klaviyo.lists.get_mut("L1").unwrap()
    }

    fn customer(&mut self) -> &mut Customer {
        self.world.shopify.customers.get_mut(&1).unwrap()
    }

    /// An intent at ten times its run, and its confirmation five seconds later.
    fn intend(&mut self, run: u64, kind: EffectKind, who: Option<&str>, target: &str, to: Json) {
        let (who, target) = (who.map(str::to_owned), target.to_owned());
        let moment = at(10 * run as i64);
        let intent = Intent::new(
            "acme",
            RunId(run),
            kind,
            who,
            target,
            Json::Null,
            to,
            moment,
        );
        let end = Outcome {
            effect: intent.id,
            end: End::Confirmed,
            code: None,
            at: moment.plus(Duration::from_secs(5)),
        };
        self.journal.push(Entry::Intent(intent));
        self.journal.push(Entry::Outcome(end));
    }

    fn write(&mut self, kind: &'static str, target: &str, subjects: &[&str]) {
        self.world.history.push(Write {
            at: at(12),
            kind,
            target: target.to_owned(),
            subjects: subjects.iter().map(|&who| who.to_owned()).collect(),
        });
    }

    fn broken(&self) -> Vec<Invariant> {
        let evidence = Evidence {
            world: &self.world,
            journal: &self.journal,
            resent: self.resent,
            asked: &self.asked,
            consents: &self.consents,
            others: &self.others,
            stopped: &self.stopped,
        };
        let rest = Rest {
            plan: &self.plan,
            mirror: &self.mirror,
            undisturbed: &["one".to_owned(), "two".to_owned()],
        };
        let found = at_rest(&evidence, &rest);
        let names: BTreeSet<Invariant> = found.iter().map(|violation| violation.broken).collect();
        names.into_iter().collect()
    }
}

/// Upstream after the six writes, but for the suppression.
fn world() -> State {
    let mut world = State::default();
    let stage = ("driftless_stage".to_owned(), json!("lapsed"));
    let profile = Profile {
        email: Some("one@example.org".to_owned()),
        consent: "UNSUBSCRIBED",
        properties: BTreeMap::from([stage]),
        ..Profile::default()
    };
    let list = List {
        name: "Win-back".to_owned(),
        members: [("p1".to_owned(), at(12))].into_iter().collect(),
        ..List::default()
    };
    let field = Metafield {
        id: 1,
        kind: "json".to_owned(),
        value: "{}".to_owned(),
        updated: at(12),
    };
    let name = ("app".to_owned(), "driftless".to_owned());
    let customer = Customer {
        tags: vec!["Driftless:stage:lapsed".to_owned()],
        metafields: BTreeMap::from([(name, field)]),
        ..Customer::default()
    };
    let row =
        json!({ "id": "p1", "attributes": { "properties": { "driftless_stage": "lapsed" } } });
    world.klaviyo.profiles.insert("p1".to_owned(), profile);
    world.klaviyo.lists.insert("L1".to_owned(), list);
    world.klaviyo.jobs.insert("J1".to_owned(), import(row));
    world.shopify.customers.insert(1, customer);
    world
}

fn import(row: Json) -> Job {
    Job {
        kind: JobKind::Import,
        created: at(12),
        completes: at(14),
        applied: true,
        rows: vec![row],
        lists: Vec::new(),
        errors: Vec::new(),
        skipped: 0,
    }
}

fn suppression() -> Suppression {
    Suppression {
        reason: "USER_SUPPRESSED",
        at: at(14),
    }
}

/// What is found once something was planted in a sound case.
fn planted(plant: impl FnOnce(&mut Case)) -> Vec<Invariant> {
    let mut case = Case::sound();
    plant(&mut case);
    case.broken()
}

fn first_intent(case: &mut Case) -> &mut Intent {
    let mut intents = case.journal.iter_mut().filter_map(|entry| match entry {
        Entry::Intent(intent) => Some(intent),
        _ => None,
    });
    intents.next().unwrap()
}

#[test]
fn where_all_is_well_nothing_is_found() {
    assert_eq!(Case::sound().broken(), []);
}

#[test]
fn a_write_without_an_earlier_intent_of_its_own_is_found() {
    let only = [Invariant::Intended];
    assert_eq!(planted(|case| case.write("list add", "L1", &["p2"])), only);
    assert_eq!(
        planted(|case| case.write("list remove", "L1", &["p1"])),
        only
    );
    assert_eq!(
        planted(|case| case.write("list add", "L1", &["p1"])),
        only,
        "twice"
    );
    assert_eq!(
        planted(|case| case.write("tagsRemove", "vip", &[GID])),
        only
    );
    assert_eq!(
        planted(|case| first_intent(case).at = at(13)),
        only,
        "too late"
    );
    let another = |case: &mut Case| {
        let job = case.world.klaviyo.jobs.get_mut("J1").unwrap();
        job.rows[0]["meta"] = json!({ "patch_properties": { "unset": ["Favourite"] } });
    };
    assert_eq!(planted(another), only);
}

#[test]
fn a_write_is_sent_again_only_until_its_end_is_known_and_where_answers_are_lost() {
    let twice = |at: Moment| {
        move |case: &mut Case| {
            case.resent = true;
            case.write("list add", "L1", &["p1"]);
            case.world.history.last_mut().unwrap().at = at;
        }
    };
    assert_eq!(planted(twice(at(15))), []);
    assert_eq!(planted(twice(at(16))), [Invariant::Intended], "confirmed");
    assert_eq!(planted(twice(at(9))), [Invariant::Intended], "too early");
}

#[test]
fn what_is_wanted_anew_though_nobody_undid_it_is_found() {
    let again = |case: &mut Case| {
        case.intend(2, EffectKind::ListAdd, Some("p1"), "L1", json!(true));
    };
    assert_eq!(planted(again), [Invariant::Lasting]);
    let undone = |case: &mut Case| {
        again(case);
        case.others.push((at(17), "p1".to_owned()));
    };
    assert_eq!(planted(undone), []);
    let moved = |case: &mut Case| {
        case.intend(2, EffectKind::ListRemove, Some("p1"), "L1", json!(false));
        case.intend(3, EffectKind::ListAdd, Some("p1"), "L1", json!(true));
    };
    assert_eq!(planted(moved), []);
}

#[test]
fn another_value_upstream_than_the_last_confirmed_one_is_found() {
    let only = [Invariant::LastWord];
    let vip = |case: &mut Case| {
        let stage = ("driftless_stage".to_owned(), json!("vip"));
        case.profile().properties.extend([stage]);
    };
    assert_eq!(planted(vip), only);
    assert_eq!(planted(|case| case.list().members.clear()), only);
    assert_eq!(planted(|case| case.profile().suppressions.clear()), only);
    assert_eq!(planted(|case| case.customer().tags.clear()), only);
    assert_eq!(planted(|case| case.customer().metafields.clear()), only);
    let twin = |case: &mut Case| {
        let list = case.list().clone();
        case.world.klaviyo.lists.insert("L2".to_owned(), list);
    };
    assert_eq!(planted(twin), only, "a list made twice");
    let by_others = |case: &mut Case| {
        vip(case);
        case.others.push((at(20), "p1".to_owned()));
    };
    assert_eq!(planted(by_others), []);
}

#[test]
fn what_cannot_be_undone_is_found() {
    assert_eq!(
        planted(|case| case.write("patch", "p1", &["p1"])),
        [Invariant::Undoable]
    );
    for path in [
        "/api/profile-subscription-bulk-create-jobs",
        "/api/profile-suppression-bulk-delete-jobs",
        "/api/data-privacy-deletion-jobs",
        "/api/profile-merge",
    ] {
        let asked = ("POST".to_owned(), path.to_owned());
        let plant = |case: &mut Case| case.asked.extend([asked]);
        assert_eq!(planted(plant), [Invariant::Undoable], "{path}");
    }
}

#[test]
fn a_mirror_that_lost_or_made_up_or_doubled_a_line_is_found() {
    let only = [Invariant::SameMirror];
    assert_eq!(planted(|case| drop(case.mirror.pop())), only);
    assert_eq!(planted(|case| case.mirror.push("three".to_owned())), only);
    assert_eq!(planted(|case| case.mirror.push("two".to_owned())), only);
}

#[test]
fn a_write_behind_a_tripped_guard_is_found() {
    let last = |case: &mut Case| {
        let writes = case.world.history.len();
        case.stopped.push(writes - 1..usize::MAX);
    };
    assert_eq!(planted(last), [Invariant::Guarded]);
    let none = |case: &mut Case| {
        let writes = case.world.history.len();
        case.stopped.extend([0..0, writes..usize::MAX]);
    };
    assert_eq!(planted(none), []);
}

#[test]
fn a_consent_that_was_raised_is_found() {
    let only = [Invariant::ConsentKept];
    assert_eq!(planted(|case| case.profile().consent = "SUBSCRIBED"), only);
    assert_eq!(
        planted(|case| case.profile().sms.consent = "SUBSCRIBED"),
        only
    );
    let at_shopify = |case: &mut Case| {
        let buyer = |state| Customer {
            email_state: state,
            ..Customer::default()
        };
        let known = (&buyer("UNSUBSCRIBED")).into();
        case.consents
            .insert("gid://shopify/Customer/9".to_owned(), known);
        case.world.shopify.customers.insert(9, buyer("SUBSCRIBED"));
    };
    assert_eq!(planted(at_shopify), only);
    let lifted = |case: &mut Case| {
        let known = case.consents.get_mut("p1").unwrap();
        let reason = "SPAM_COMPLAINT";
        known.suppressions.push(Suppression { reason, at: at(1) });
    };
    assert_eq!(planted(lifted), only);
    let made = |case: &mut Case| {
        let profiles = &mut case.world.klaviyo.profiles;
        profiles.insert("p2".to_owned(), Profile::default());
    };
    assert_eq!(planted(made), only);
    let listed = |case: &mut Case| {
        let job = case.world.klaviyo.jobs.get_mut("J1").unwrap();
        job.lists.push("L1".to_owned());
    };
    assert_eq!(planted(listed), only);
    let by_address = |case: &mut Case| {
        let row = json!({ "attributes": { "email": "one@example.org" } });
        case.world.klaviyo.jobs.insert("J3".to_owned(), import(row));
    };
    assert_eq!(planted(by_address), only);
}

#[test]
fn an_intent_without_exactly_one_end_is_found() {
    let only = [Invariant::OneEnd];
    let open = |case: &mut Case| {
        // Its write alone does not end it.
        let last = case.journal.pop();
        assert!(matches!(last, Some(Entry::Outcome(_))));
    };
    assert_eq!(planted(open), only);
    let twice = |case: &mut Case| {
        let end = case.journal.last().unwrap().clone();
        case.journal.push(end);
    };
    assert_eq!(planted(twice), only);
    let orphan = |case: &mut Case| {
        let last_intent = case.journal.len() - 2;
        case.journal.remove(last_intent);
        case.world.history.pop();
    };
    assert_eq!(planted(orphan), only);
}

#[test]
fn a_plan_that_never_empties_is_found() {
    let left = "{\"kind\":\"tag\"}\n";
    assert_eq!(
        planted(|case| left.clone_into(&mut case.plan)),
        [Invariant::Settled]
    );
}
