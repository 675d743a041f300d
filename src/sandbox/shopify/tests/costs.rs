//! Prices and the bucket.

use super::*;

async fn requested(shop: &Shop, name: &str, variables: Json) -> Json {
    let reply = shop.run(name, variables).await;
    reply["extensions"]["cost"]["requestedQueryCost"].clone()
}

#[tokio::test]
async fn documents_cost_what_the_reference_says() {
    let shop = Shop::at_speed(peopled(3), Speed::Fast).await;
    let page = |first: u64| json!({"query": null, "first": first});
    for (first, cost) in [(50, 37), (250, 57)] {
        assert_eq!(requested(&shop, "CustomersPage", page(first)).await, cost);
    }
    for (first, cost) in [(50, 156), (250, 244)] {
        assert_eq!(requested(&shop, "OrdersPage", page(first)).await, cost);
    }
    let three = json!({"id": gid(3), "tags": ["a"]});
    assert_eq!(requested(&shop, "TagsAdd", three).await, 10);
    let both = json!({"id": gid(3), "add": ["a"], "remove": ["b"]});
    assert_eq!(requested(&shop, "TagsReplaceOwned", both).await, 20);
    let none = json!({"metafields": []});
    assert_eq!(requested(&shop, "MetafieldsSet", none).await, 10);
    let ids = json!({"ids": [gid(1), gid(2), gid(3)]});
    assert_eq!(requested(&shop, "CustomersById", ids).await, 5);
    let email = json!({"email": "p1@example.com"});
    assert_eq!(requested(&shop, "CustomerByEmail", email).await, 2);
    let id = json!({"id": "gid://shopify/BulkOperation/1"});
    assert_eq!(requested(&shop, "BulkPoll", id).await, 1);
    assert_eq!(requested(&shop, "BulkList", json!({})).await, 6);
}

#[tokio::test]
async fn a_page_that_is_not_full_costs_less_than_asked_for() {
    let shop = Shop::open(peopled(2)).await;
    let cost = &shop.run("CustomersPage", json!({})).await["extensions"]["cost"];
    assert_eq!(cost["requestedQueryCost"], 57);
    // Two nodes: 2 + 1 x (node, address, metafield); one of them has no phone, none has two.
    assert_eq!(cost["actualQueryCost"], 5);
    assert_eq!(cost["throttleStatus"]["currentlyAvailable"], 1_995);
    assert_eq!(cost["throttleStatus"]["maximumAvailable"], 2_000.0);
    let nobody = json!({"query": "updated_at:>='2030-01-01T00:00:00Z'"});
    let cost = &shop.run("CustomersPage", nobody).await["extensions"]["cost"];
    assert_eq!(cost["actualQueryCost"], 2);
}

#[tokio::test]
async fn an_empty_bucket_throttles_and_fills_by_the_clock() {
    let shop = Shop::open(peopled(260)).await;
    let page = || shop.run("CustomersPage", json!({}));
    let mut pages = 0;
    let throttled = loop {
        let reply = page().await;
        if reply.get("errors").is_some() {
            break reply;
        }
        assert_eq!(reply["extensions"]["cost"]["actualQueryCost"], 57);
        pages += 1;
    };
    assert_eq!(pages, 2_000 / 57);
    assert_eq!(code(&throttled), "THROTTLED");
    assert_eq!(throttled.get("data"), None);
    let cost = &throttled["extensions"]["cost"];
    assert_eq!(cost["actualQueryCost"], Json::Null);
    assert_eq!(cost["throttleStatus"]["currentlyAvailable"], 2_000 % 57);
    // 52 points are missing: 520 ms at 100 a second.
    shop.pass(519);
    assert_eq!(code(&page().await), "THROTTLED");
    shop.pass(1);
    assert_eq!(page().await.get("errors"), None);
}

#[tokio::test]
async fn a_fast_server_tells_costs_and_never_throttles() {
    let shop = Shop::at_speed(peopled(260), Speed::Fast).await;
    for _ in 0..80 {
        let reply = shop.run("CustomersPage", json!({})).await;
        assert_eq!(reply["extensions"]["cost"]["actualQueryCost"], 57);
    }
}

#[tokio::test]
async fn a_query_above_a_thousand_points_is_refused() {
    let shop = Shop::open(peopled(3)).await;
    let query = "{ orders(first: 250) { nodes { lineItems(first: 250) { nodes { id
        product { id } variant { id } a: product { id } b: product { id } c: product { id }
        d: product { id } e: product { id } f: product { id } } } } } }";
    let reply = shop.ask(query).await;
    assert_eq!(code(&reply), "MAX_COST_EXCEEDED");
    assert_eq!(reply.get("data"), None);
}
