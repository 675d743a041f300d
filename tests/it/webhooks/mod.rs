//! Webhooks wake and never tell: whatever becomes of deliveries, the mirror ends as the truth.

mod privacy;

use crate::house::{Edit, House, ROOMY, hours, only, records};
use crate::merchant;
use driftless::hooks::Hooks;
use driftless::listen::{Listen, Server};
use driftless::model::CustomerId;
use driftless::pass::{Options, Summary};
use driftless::sandbox::courier::{Courier, Habits, Letter, deliver};
use driftless::sandbox::faults::FaultKind;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::time::Duration;

pub const SECRET: &str = "what-both-vendors-sign-with";

/// A listener at any free port.
const HEARING: [Edit<'static>; 3] = [
    ("webhooks", "listen", "\"127.0.0.1:0\""),
    ("webhooks", "shopify", "{ secret = { env = \"SIGN\" } }"),
    ("webhooks", "klaviyo", "{ secret = { env = \"SIGN\" } }"),
];

/// A shop that hears webhooks.
pub struct Ear {
    pub house: House,
    pub courier: Courier,
    hooks: Hooks,
    server: Server,
}

impl Ear {
    pub async fn new(profiles: usize, habits: Habits) -> Self {
        let mut house = House::of(profiles, &[&ROOMY[..], &HEARING].concat()).await;
        house.settle().await;
        house.clock.advance(hours(1));
        Self::of(house, habits).await
    }

    async fn of(mut house: House, habits: Habits) -> Self {
        let courier = Courier::new(house.world.clone(), SECRET, habits, 11);
        let hooks = house.shop().hooks().unwrap();
        let server = hooks.serve().await.unwrap();
        Self {
            house,
            courier,
            hooks,
            server,
        }
    }

    pub async fn hear(&self, letters: &[Letter]) {
        let Listen::Tcp(address) = &self.server.listen else {
            panic!("it listens on loopback");
        };
        let answers = deliver(&format!("http://{address}"), letters).await;
        assert!(
            answers.iter().all(|answer| *answer == Some(200)),
            "{answers:?}"
        );
    }

    pub async fn told(&mut self, topic: &str, body: &Json) {
        let letter = self.courier.shopify_letter(topic, body);
        self.hear(&[letter]).await;
    }

    /// A pass that only reads, and the mirror after it.
    async fn mirror(&mut self) -> Vec<String> {
        observe(&mut self.house).await;
        self.house.mirror()
    }

    /// What an empty mirror gets to know.
    async fn truth(mut self) -> Vec<String> {
        drop(self.server);
        self.house.move_to("truth");
        observe(&mut self.house).await;
        self.house.mirror()
    }
}

async fn observe(house: &mut House) -> Summary {
    let options = Options {
        observe: true,
        ..Options::default()
    };
    house.unreleased(&options).await.unwrap()
}

/// Orders, clicks and changes of customers, all over the shop.
fn trade(house: &House) {
    let now = house.clock.now();
    let mut state = house.world.state();
    let customers: Vec<u64> = state.shopify.customers.keys().copied().collect();
    let profiles: Vec<String> = state.klaviyo.profiles.keys().cloned().collect();
    for id in customers.iter().step_by(5) {
        merchant::buy(&mut state, *id, now);
    }
    for id in customers.iter().step_by(3) {
        let customer = state.shopify.customers.get_mut(id).unwrap();
        (customer.phone, customer.updated) = (Some(format!("+4930{id}")), now);
    }
    for id in profiles.iter().step_by(4) {
        merchant::click(&mut state, id, now);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shuffled_repeated_and_dropped_deliveries_end_in_the_mirror_of_the_truth() {
    let habits = Habits {
        shuffle: true,
        repeat: 0.3,
        drop: 0.1,
    };
    let mut ear = Ear::new(120, habits).await;
    let mut late = Vec::new();
    for round in 0..3 {
        trade(&ear.house);
        let mut letters = ear.courier.collect();
        assert!(letters.len() > 20, "{}", letters.len());
        // Some come with the next round.
        let behind = letters.split_off(letters.len() * 2 / 3);
        letters.extend(std::mem::replace(&mut late, behind));
        ear.hear(&letters).await;
        ear.house.clock.advance(Duration::from_mins(7));
        ear.mirror().await;
        assert_eq!(ear.hooks.due(None), None, "round {round}");
    }
    ear.hear(&late).await;
    let status = ear.hooks.status();
    assert!(
        status["sources"]["shopify"]["repeated"].as_u64() > Some(5),
        "{status}"
    );
    ear.house.clock.advance(Duration::from_mins(7));
    let heard = ear.mirror().await;
    assert!(heard == ear.truth().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_single_delivery_the_pull_finds_the_same() {
    let habits = Habits {
        drop: 1.0,
        ..Habits::default()
    };
    let mut ear = Ear::new(120, habits).await;
    trade(&ear.house);
    assert_eq!(ear.courier.collect(), []);
    ear.house.clock.advance(Duration::from_mins(7));
    let found = ear.mirror().await;
    assert!(found == ear.truth().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_brings_what_no_feed_shows_whatever_its_order() {
    let mut ear = Ear::new(120, Habits::default()).await;
    let now = ear.house.clock.now();
    let (lost, kept, source, into) = {
        let mut state = ear.house.world.state();
        let buyers = state
            .shopify
            .orders
            .values()
            .filter_map(|order| order.customer);
        let lost = buyers.max().unwrap();
        let kept = *state
            .shopify
            .customers
            .keys()
            .find(|id| **id != lost)
            .unwrap();
        // A merge moves the orders without touching them.
        state.shopify.customers.remove(&lost);
        for order in state.shopify.orders.values_mut() {
            if order.customer == Some(lost) {
                order.customer = Some(kept);
            }
        }
        let mut mailed = state.klaviyo.profiles.keys().cloned();
        let (source, into) = (mailed.nth(40).unwrap(), mailed.next().unwrap());
        (lost, kept, source, into)
    };
    let order = {
        let mut state = ear.house.world.state();
        merchant::click(&mut state, &source, now);
        let mut owned = state.shopify.orders.iter().rev();
        let unsold = owned.find(|(_, order)| order.customer.is_some());
        let unsold = *unsold.unwrap().0;
        state.shopify.orders.remove(&unsold);
        unsold
    };
    let mut letters = ear.courier.collect();
    letters.retain(|letter| letter.path == "klaviyo");
    {
        let mut state = ear.house.world.state();
        merchant::merge(&mut state, &source, &into, now);
    }
    ear.hear(&letters).await;
    let gid = |id: u64| format!("gid://shopify/Customer/{id}");
    let merged = json!({"admin_graphql_api_customer_kept_id": gid(kept),
        "admin_graphql_api_customer_deleted_id": gid(lost), "status": "completed"});
    ear.told("customers/merge", &merged).await;
    // It was sent before, and comes later.
    ear.told("customers/update", &json!({"id": lost})).await;
    ear.told("orders/delete", &json!({"id": order})).await;
    ear.house.clock.advance(Duration::from_mins(7));
    let heard = ear.mirror().await.join("\n");
    let mirror = ear.house.shop().mirror();
    let slot = mirror.slot_of_customer(CustomerId(lost)).unwrap().unwrap();
    assert!(mirror.gone_since(slot).unwrap().is_some());
    assert_eq!(mirror.orders(slot).unwrap(), []);
    assert_eq!(mirror.audit().unwrap().faults, [""; 0]);
    assert!(!heard.contains(&source) && !heard.contains(&format!("\"id\":{order},")));
    let heard = records(ear.house.mirror());
    let truth = records(ear.truth().await);
    assert_eq!(
        (only(&heard, &truth), only(&truth, &heard)),
        (vec![], vec![])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_delivery_told_is_found_within_the_sweep_and_counted_apart() {
    let mut ear = Ear::new(120, Habits::default()).await;
    let quiet = {
        let shopify = &mut ear.house.world.state().shopify;
        let orders = shopify.orders.values().filter_map(|order| order.customer);
        let buyers: BTreeSet<u64> = orders.collect();
        let all = shopify.customers.keys().copied();
        let quiet: Vec<u64> = all.filter(|id| !buyers.contains(id)).take(3).collect();
        quiet
            .iter()
            .for_each(|id| drop(shopify.customers.remove(id)));
        quiet
    };
    assert_eq!(quiet.len(), 3);
    ear.told("customers/delete", &json!({"id": quiet[0]})).await;
    ear.house.clock.advance(Duration::from_mins(7));
    let told = observe(&mut ear.house).await.gone;
    assert_eq!((told.named, told.swept), (1, 0));
    // As long as a sweep takes.
    ear.house.clock.advance(hours(24 * 7));
    let found = observe(&mut ear.house).await.gone;
    assert_eq!((found.named, found.swept), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_file_that_is_older_than_a_deletion_does_not_bring_it_back() {
    let mut house = House::of(120, &[&ROOMY[..], &HEARING].concat()).await;
    let interrupt = |house: &House| {
        let faults = &mut house.world.state().faults;
        faults.plan("/bulk/", None, 1, FaultKind::Reset);
    };
    interrupt(&house);
    house.refused().await;
    let lost = {
        let shopify = &mut house.world.state().shopify;
        let buys = |id: &u64| {
            shopify
                .orders
                .values()
                .any(|order| order.customer == Some(*id))
        };
        let lost = *shopify.customers.keys().find(|id| !buys(id)).unwrap();
        shopify.customers.remove(&lost);
        lost
    };
    let mut ear = Ear::of(house, Habits::default()).await;
    ear.told("customers/delete", &json!({"id": lost})).await;
    observe(&mut ear.house).await;
    observe(&mut ear.house).await;
    let mirror = ear.house.shop().mirror();
    let slot = mirror.slot_of_customer(CustomerId(lost)).unwrap();
    let slot = slot.expect("the file was older");
    assert_eq!(mirror.customer(slot).unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_named_is_read_and_only_once() {
    let mut ear = Ear::new(120, Habits::default()).await;
    // The first passes compare what they filled.
    for _ in 0..4 {
        ear.mirror().await;
    }
    let asked = |house: &House| house.requests().0;
    let before = asked(&ear.house);
    ear.mirror().await;
    let quiet = asked(&ear.house) - before;
    let some: Vec<u64> = ear
        .house
        .world
        .state()
        .shopify
        .customers
        .keys()
        .copied()
        .take(40)
        .collect();
    for id in &some {
        ear.told("customers/update", &json!({ "id": id })).await;
    }
    for more in [1, 0] {
        let before = asked(&ear.house);
        ear.mirror().await;
        assert_eq!(asked(&ear.house) - before, quiet + more);
    }
}
