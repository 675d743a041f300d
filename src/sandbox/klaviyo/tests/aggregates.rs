//! What a metric's events come to by interval.

use super::{Answer, Method, Shop, Speed};
use serde_json::{Value as Json, json};

fn query(metric: &str, more: Json) -> Json {
    let mut attributes = json!({
        "metric_id": metric,
        "measurements": ["count"],
        "filter": ["greater-or-equal(datetime,2026-11-01T00:00:00)",
            "less-than(datetime,2026-11-22T00:00:00)"],
    });
    for (name, value) in more.as_object().unwrap() {
        attributes[name] = value.clone();
    }
    json!({"data": {"type": "metric-aggregate", "attributes": attributes}})
}

async fn asked(shop: &Shop, metric: &str, more: Json) -> Answer {
    let path = "/api/metric-aggregates";
    shop.send(Method::POST, path, query(metric, more)).await
}

fn metric(shop: &Shop, name: &str) -> String {
    let state = shop.world.state();
    let mut metrics = state.klaviyo.metrics.iter();
    metrics
        .find(|(_, known)| known.name == name)
        .unwrap()
        .0
        .clone()
}

fn counts(answer: &Answer) -> Vec<f64> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let measured = &answer.body["data"]["attributes"]["data"][0]["measurements"];
    let counts = measured["count"].as_array().unwrap();
    counts.iter().map(|count| count.as_f64().unwrap()).collect()
}

#[tokio::test]
async fn days_and_hours_add_up_to_the_events_of_the_span() {
    let shop = Shop::open(Speed::Fast).await;
    let opened = metric(&shop, "Opened Email");
    let range = 1_793_491_200..1_795_305_600;
    let all = {
        let state = shop.world.state();
        let events = state.klaviyo.events[&opened].iter();
        events
            .filter(|event| range.contains(&event.timestamp))
            .count() as f64
    };
    assert!(all > 20.0, "{all}");
    let days = asked(&shop, &opened, json!({"interval": "day"})).await;
    let dates = days.body["data"]["attributes"]["dates"].as_array().unwrap();
    assert_eq!(dates.len(), 21);
    assert_eq!(dates[0], "2026-11-01T00:00:00+00:00");
    assert_eq!(counts(&days).iter().sum::<f64>(), all);
    let hours = counts(&asked(&shop, &opened, json!({"interval": "hour"})).await);
    assert_eq!(hours.len(), 21 * 24);
    assert_eq!(
        hours
            .chunks(24)
            .map(|day| day.iter().sum())
            .collect::<Vec<f64>>(),
        counts(&days)
    );
    // The span's bounds and the days are those of the zone.
    let west =
        json!({"timezone": "America/New_York", "measurements": ["count", "unique", "sum_value"]});
    let west = asked(&shop, &opened, west).await;
    let dates = &west.body["data"]["attributes"]["dates"];
    assert_eq!(dates[0], "2026-11-01T04:00:00+00:00");
    let measured = &west.body["data"]["attributes"]["data"][0]["measurements"];
    assert_eq!(
        measured["unique"].as_array().unwrap().len(),
        counts(&west).len()
    );
}

#[tokio::test]
async fn a_query_without_a_range_or_with_an_unknown_part_is_refused() {
    let shop = Shop::open(Speed::Fast).await;
    let opened = metric(&shop, "Opened Email");
    for (wrong, place) in [
        (
            json!({"filter": ["greater-or-equal(datetime,2026-11-01T00:00:00)"]}),
            "filter",
        ),
        (json!({"interval": "minute"}), "interval"),
        (json!({"measurements": ["median"]}), "measurements"),
        (json!({"metric_id": "NoSuch"}), "metric_id"),
        (json!({"timezone": "Mars/Olympus"}), "timezone"),
        (json!({"by": ["$flow"]}), "by"),
    ] {
        let answer = asked(&shop, &opened, wrong).await;
        assert_eq!(answer.status, 400, "{place}");
        let pointer = &answer.body["errors"][0]["source"]["pointer"];
        assert_eq!(pointer, &json!(format!("/data/attributes/{place}")));
    }
}
