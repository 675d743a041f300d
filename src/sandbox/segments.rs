//! The segments that every account of the sandbox has, in Klaviyo's definition language.

use super::ids;
use super::standard::{
    BOUNCED, CHECKOUT, CLICKED, ON_SITE, OPENED, ORDERED, RECEIVED, VIEWED, metric,
};
use super::world::{KlaviyoWorld, Segment};
use crate::model::{DAY_MS, Moment};
use fastrand::Rng;
use serde_json::{Value as Json, json};

/// A conjunction of disjunctions.
type Groups = Vec<Vec<Json>>;
type Named = (&'static str, Groups);

/// Adds the segments; their members are computed by a refresh.
pub(super) fn add(klaviyo: &mut KlaviyoWorld, rng: &mut Rng, newsletter: &str, created: Moment) {
    let make = Make(klaviyo);
    let mut definitions = mail_and_orders(&make, newsletter);
    definitions.extend(windows(&make, created));
    definitions.extend(people(&make, newsletter));
    for (name, groups) in definitions {
        let groups = groups.into_iter().map(|any| json!({ "conditions": any }));
        let segment = Segment {
            name: name.to_owned(),
            definition: json!({ "condition_groups": groups.collect::<Vec<Json>>() }),
            created,
            updated: created,
            is_active: true,
            ..Segment::default()
        };
        klaviyo.segments.insert(ids::short(rng), segment);
    }
}

/// Makes conditions on the metrics of an account.
struct Make<'a>(&'a KlaviyoWorld);

impl Make<'_> {
    fn count(&self, name: &str, measure: (&str, f64), window: Json, filters: Json) -> Json {
        json!({
            "type": "profile-metric",
            "metric_id": metric(self.0, name),
            "measurement": "count",
            "measurement_filter": { "type": "numeric", "operator": measure.0, "value": measure.1 },
            "timeframe_filter": window,
            "metric_filters": filters,
        })
    }

    fn some(&self, name: &str, window: Json) -> Json {
        self.count(name, ("greater-than", 0.0), window, Json::Null)
    }

    fn none(&self, name: &str, window: Json) -> Json {
        self.count(name, ("equals", 0.0), window, Json::Null)
    }

    fn at_least(&self, name: &str, count: f64, window: Json) -> Json {
        self.count(name, ("greater-than-or-equal", count), window, Json::Null)
    }

    fn opened(&self, days: u32) -> Json {
        let human = json!({ "type": "boolean", "operator": "equals", "value": false });
        let filters = json!([{ "property": "machine_open", "filter": human }]);
        self.count(OPENED, ("greater-than", 0.0), last(days), filters)
    }

    fn soft_bounces(&self) -> Json {
        let soft = json!({ "type": "string", "operator": "equals", "value": "Soft" });
        let soft = json!([{ "property": "Bounce Type", "filter": soft }]);
        self.count(BOUNCED, ("greater-than-or-equal", 4.0), last(90), soft)
    }

    fn spent(&self, amount: f64) -> Json {
        let mut spent = self.at_least(ORDERED, amount, alltime());
        spent["measurement"] = json!("sum");
        spent
    }

    fn step(&self, name: &str) -> Json {
        json!({ "metric_exists": true, "metric_id": metric(self.0, name) })
    }
}

fn mail_and_orders(make: &Make<'_>, newsletter: &str) -> Vec<Named> {
    vec![
        (
            "Engaged 30 days",
            vec![
                vec![make.opened(30), make.some(CLICKED, last(30))],
                vec![reachable("any")],
            ],
        ),
        (
            "Engaged 90 days",
            vec![
                vec![make.opened(90), make.some(CLICKED, last(90))],
                vec![reachable("any")],
            ],
        ),
        (
            "Unengaged 180 days",
            vec![
                vec![make.at_least(RECEIVED, 5.0, alltime())],
                vec![make.none(OPENED, last(180))],
                vec![make.none(CLICKED, last(180))],
                vec![make.none(ORDERED, last(180))],
            ],
        ),
        (
            "Repeat buyers",
            vec![vec![make.at_least(ORDERED, 2.0, alltime())]],
        ),
        ("Big spenders", vec![vec![make.spent(400.0)]]),
        (
            "Lapsed buyers",
            vec![
                vec![make.some(ORDERED, ago(365))],
                vec![make.none(ORDERED, last(365))],
            ],
        ),
        (
            "Cooling off",
            vec![
                vec![make.some(ORDERED, between_days(91, 180))],
                vec![make.none(ORDERED, last(90))],
            ],
        ),
        (
            "Looked but did not buy",
            vec![
                vec![make.some(ON_SITE, last(14)), make.some(VIEWED, last(14))],
                vec![make.none(ORDERED, last(30))],
            ],
        ),
        (
            "Chronic soft bounces",
            vec![vec![make.soft_bounces()], vec![reachable("any")]],
        ),
        (
            "Newsletter readers in the United States",
            vec![
                vec![on_list(newsletter)],
                vec![located("country", "United States")],
                vec![reachable("subscribed")],
            ],
        ),
    ]
}

/// Segments that time alone moves.
fn windows(make: &Make<'_>, created: Moment) -> Vec<Named> {
    vec![
        (
            "Visitors of 7 days",
            vec![vec![make.some(ON_SITE, last(7))]],
        ),
        (
            "Visitors of 60 days",
            vec![vec![make.some(ON_SITE, last(60))]],
        ),
        (
            "Away for 30 days",
            vec![
                vec![make.some(ON_SITE, ago(30)), make.some(VIEWED, ago(30))],
                vec![make.none(ON_SITE, last(30))],
                vec![make.none(VIEWED, last(30))],
            ],
        ),
        (
            "Looked 10 to 40 days ago",
            vec![vec![make.some(VIEWED, between_days(10, 40))]],
        ),
        (
            "Received mail in 14 days",
            vec![vec![make.some(RECEIVED, last(14))]],
        ),
        (
            "Ordered in 120 days",
            vec![vec![make.some(ORDERED, last(120))]],
        ),
        (
            "Visitors of 48 hours",
            vec![vec![make.some(ON_SITE, hours(48))]],
        ),
        (
            "Checkout given up",
            vec![
                vec![make.some(CHECKOUT, hours(240))],
                vec![make.none(ORDERED, hours(72))],
            ],
        ),
        (
            "Ordered in the first year",
            vec![vec![make.some(ORDERED, year_from(created))]],
        ),
        (
            "From a look to an order",
            vec![vec![json!({
                "type": "profile-metric-funnel",
                "timeframe_filter": last(365),
                "completion_window_seconds": "DAYS_90",
                "steps": [make.step(VIEWED), make.step(ORDERED)],
            })]],
        ),
    ]
}

/// Segments by who somebody is and what they agreed to.
fn people(make: &Make<'_>, newsletter: &str) -> Vec<Named> {
    let europe = json!({ "type": "profile-region", "region": "european_union", "in_region": true });
    let near = json!({
        "type": "profile-postal-code-distance", "country_code": "USA", "postal_code": "97201",
        "unit": "miles", "filter": { "type": "numeric", "operator": "less-than", "value": 25 },
    });
    vec![
        (
            "Not gold in the tea club",
            vec![vec![custom("Tea club", "not-equals", json!("gold"))]],
        ),
        (
            "Brews hot",
            vec![vec![custom("Brewing", "not-contains", json!("iced"))]],
        ),
        (
            "Neither vegan nor fasting",
            vec![vec![custom("Diet", "not-in", json!(["vegan", "fasting"]))]],
        ),
        ("On the newsletter", vec![vec![on_list(newsletter)]]),
        (
            "On the newsletter without an order",
            vec![
                vec![on_list(newsletter)],
                vec![make.none(ORDERED, alltime())],
            ],
        ),
        (
            "Reachable in the European Union",
            vec![vec![europe], vec![reachable("any")]],
        ),
        (
            "Near the shop",
            vec![vec![near], vec![located("city", "Portland")]],
        ),
        ("Text messages", vec![vec![texted()]]),
        ("Confirmed subscribers", vec![vec![confirmed()]]),
    ]
}

fn last(days: u32) -> Json {
    json!({ "type": "date", "operator": "in-the-last", "unit": "day", "quantity": days })
}

fn ago(days: u32) -> Json {
    json!({ "type": "date", "operator": "at-least", "unit": "day", "quantity": days })
}

fn alltime() -> Json {
    json!({ "type": "date", "operator": "alltime" })
}

fn reachable(subscription: &str) -> Json {
    json!({
        "type": "profile-marketing-consent",
        "consent": {
            "channel": "email",
            "can_receive_marketing": true,
            "consent_status": { "subscription": subscription },
        },
    })
}

fn on_list(list: &str) -> Json {
    json!({
        "type": "profile-group-membership",
        "is_member": true,
        "group_ids": [list],
        "timeframe_filter": null,
    })
}

fn located(part: &str, name: &str) -> Json {
    json!({
        "type": "profile-property",
        "property": format!("location['{part}']"),
        "filter": { "type": "string", "operator": "equals", "value": name },
    })
}

fn custom(name: &str, operator: &str, value: Json) -> Json {
    json!({
        "type": "profile-property",
        "property": format!("properties['{name}']"),
        "filter": { "type": "string", "operator": operator, "value": value },
    })
}

fn between_days(start: u32, end: u32) -> Json {
    json!({ "type": "date", "operator": "between", "unit": "day", "start": start, "end": end })
}

fn hours(count: u32) -> Json {
    json!({ "type": "date", "operator": "in-the-last", "unit": "hour", "quantity": count })
}

fn year_from(start: Moment) -> Json {
    let end = Moment(start.0 + 364 * DAY_MS);
    let day = |at: Moment| format!("{}T00:00:00+00:00", at.date());
    json!({ "type": "date", "operator": "between-static", "start": day(start), "end": day(end) })
}

fn texted() -> Json {
    json!({
        "type": "profile-marketing-consent",
        "consent": {
            "channel": "sms",
            "can_receive_marketing": true,
            "consent_status": { "subscription": "subscribed", "filters": [] },
        },
    })
}

fn confirmed() -> Json {
    let mut condition = reachable("subscribed");
    condition["consent"]["consent_status"]["filters"] = json!([{
        "field": "is_double_opt_in",
        "filter": { "type": "boolean", "operator": "equals", "value": true },
    }]);
    condition
}
