//! A shop in which nothing happens is left alone.

use crate::house::{Edit, House, ROOMY, hours, morning};
use crate::requests::leads;
use driftless::model::Money;
use driftless::sandbox::Speed;
use driftless::sandbox::world::{Customer, Metafield, Order, State};
use serde_json::{Value as Json, json};

/// People who bought, and as many who did not.
const BUYERS: u64 = 20;

const EDITS: [Edit<'static>; 2] = [
    ("shopify_tags", "facts", r#"["stage"]"#),
    (
        "shopify_metafield",
        "facts",
        r#"["stage", "orders", "spent", "last_order"]"#,
    ),
];

/// Everybody came, bought and fell silent so long ago that a week changes nothing about them.
fn silent() -> State {
    let mut state = leads(2 * BUYERS as usize);
    let (came, bought) = (
        morning().minus(hours(24 * 800)),
        morning().minus(hours(24 * 700)),
    );
    for (number, profile) in (1..).zip(state.klaviyo.profiles.values_mut()) {
        (profile.created, profile.updated) = (came, came);
        let customer = Customer {
            email: profile.email.clone(),
            created: came,
            updated: came,
            email_state: "SUBSCRIBED",
            ..Customer::default()
        };
        state.shopify.customers.insert(number, customer);
        if number <= BUYERS {
            let order = Order {
                customer: Some(number),
                email: profile.email.clone(),
                created: bought,
                processed: bought,
                updated: bought,
                total: Money(3_000),
                ..Order::default()
            };
            state.shopify.orders.insert(number, order);
        }
    }
    state
}

/// Four passes a day for a week.
async fn assert_quiet_for_a_week(house: &mut House) {
    let written = house.writes();
    for pass in 1..=28 {
        house.clock.advance(hours(6));
        let summary = house.pass().await;
        assert!(summary.is_quiet(), "pass {pass}: {:?}", summary.planned);
    }
    assert_eq!(house.writes(), written);
}

/// What was written comes back as the vendors may store it: tags in another spelling, numbers and JSON in
/// another form, and what is not set as null.
fn spell_anew(state: &mut State, house: &House) -> [usize; 4] {
    let now = house.clock.now();
    let [mut numbers, mut nulls, mut tags, mut metafields] = [0; 4];
    for profile in state.klaviyo.profiles.values_mut() {
        profile.updated = now;
        for value in profile.properties.values_mut() {
            if let Some(number) = value.as_f64() {
                let whole = number.fract() == 0.0 && !value.is_f64();
                *value = if whole {
                    json!(number)
                } else {
                    json!(number as i64)
                };
                numbers += 1;
            }
        }
        let unset = "driftless_last_order".to_owned();
        let unset = profile.properties.entry(unset).or_insert(Json::Null);
        nulls += usize::from(unset.is_null());
    }
    for customer in state.shopify.customers.values_mut() {
        customer.updated = now;
        for tag in &mut customer.tags {
            *tag = tag.to_uppercase();
            tags += 1;
        }
        for Metafield { value, .. } in customer.metafields.values_mut() {
            let parsed: Json = serde_json::from_str(value).unwrap();
            *value = serde_json::to_string_pretty(&parsed).unwrap();
            metafields += 1;
        }
    }
    [numbers, nulls, tags, metafields]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_week_in_which_nothing_happens_writes_nothing_however_it_is_spelled() {
    let edits = [&ROOMY[..], &EDITS].concat();
    let mut house = House::build(silent(), morning(), Speed::Fast, &edits).await;
    house.settle().await;
    assert_quiet_for_a_week(&mut house).await;

    let world = house.world.clone();
    let spelled = spell_anew(&mut world.state(), &house);
    assert!(spelled.iter().all(|count| *count > 0), "{spelled:?}");
    assert_quiet_for_a_week(&mut house).await;
}
