//! What a write-back costs, as the vendors count it.

use crate::house::{Edit, House, ROOMY, crowd, morning};
use driftless::model::EffectKind;
use driftless::sandbox::Speed;
use driftless::sandbox::world::{Profile, State};
use std::collections::BTreeMap;

/// Requests by method and endpoint.
type Requests = BTreeMap<(String, String), u64>;

const MANY: usize = 10_000;
const JOBS: &str = "/api/profile-bulk-import-jobs";
const JOB: &str = "/api/profile-bulk-import-jobs/{job_id}";
const MEMBERS: &str = "/api/lists/{id}/relationships/profiles";

/// An account with so many leads, and nothing else that has to be read.
pub fn leads(count: usize) -> State {
    let mut state = crowd(1);
    let account = &mut state.klaviyo;
    account.profiles.clear();
    account.lists.clear();
    account.segments.clear();
    account.changed.clear();
    account.events.values_mut().for_each(Vec::clear);
    let created = morning();
    for number in 0..count {
        let profile = Profile {
            email: Some(format!("lead-{number}@example.com")),
            created,
            updated: created,
            consent: "SUBSCRIBED",
            ..Profile::default()
        };
        account
            .profiles
            .insert(format!("01LEAD{number:020}"), profile);
    }
    state.shopify.customers.clear();
    state.shopify.orders.clear();
    state
}

fn requests(house: &House) -> Requests {
    let counts = house.sandbox.requests().into_iter();
    counts.map(|(endpoint, (all, _))| (endpoint, all)).collect()
}

/// What the pass asked that gives all of them a property and puts all of them on one list.
async fn written(canary: Edit<'_>) -> impl Fn(&str, &str) -> u64 {
    let everybody = ("[list]", "who", r#"{ stage = ["new_lead", "lead"] }"#);
    let edits = [&ROOMY[..], &[everybody, canary]].concat();
    let mut house = House::build(leads(MANY), morning(), Speed::Fast, &edits).await;
    house.pass().await;
    let before = requests(&house);
    let applied = house.pass().await;
    assert_eq!(applied.trips, []);
    for kind in [EffectKind::Property, EffectKind::ListAdd] {
        assert_eq!(applied.planned[&kind], MANY as u64, "{kind:?}");
    }
    assert_eq!(house.members("Lapsed customers").len(), MANY);
    let after = requests(&house);
    move |method, endpoint| {
        let endpoint = (method.to_owned(), endpoint.to_owned());
        let count = |requests: &Requests| requests.get(&endpoint).copied().unwrap_or_default();
        count(&after) - count(&before)
    }
}

/// Where everything goes at once, and is read back then, every call is as full as the vendor allows:
/// 10,000 rows to a job, 1,000 members to a call. A job of two seconds is looked at when it was
/// accepted, a second later and two seconds after that.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_properties_and_members_are_one_job_and_ten_calls() {
    let count = written(("guards", "canary", "{ share = 1.0 }")).await;
    assert_eq!(count("POST", JOBS), 1);
    assert_eq!(count("POST", MEMBERS), 10);
    assert_eq!(count("GET", JOB), 3);
}

/// The usual canary, a hundredth, is a batch of its own for each kind: one more job, with its looks,
/// and one more call. That is what it costs to send the other 9,900 only once it read back.
#[tokio::test(flavor = "multi_thread")]
async fn the_canary_adds_one_job_and_one_call() {
    let count = written(("guards", "canary", "{ share = 0.01 }")).await;
    assert_eq!(count("POST", JOBS), 2);
    assert_eq!(count("POST", MEMBERS), 11);
    assert_eq!(count("GET", JOB), 6);
}
