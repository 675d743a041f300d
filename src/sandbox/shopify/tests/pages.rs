//! Paging and searching.

use super::*;
use std::collections::BTreeSet;

/// Walks a connection to its end; ids in the order in which they came.
async fn walk(shop: &Shop, document: &str, root: &str, query: Json, first: u64) -> Vec<String> {
    let mut ids = Vec::new();
    let mut after = Json::Null;
    loop {
        let variables = json!({"query": query, "after": after, "first": first});
        let data = shop.data(document, variables).await;
        let page = &data[root];
        let nodes = page["nodes"].as_array().unwrap();
        ids.extend(nodes.iter().map(|n| n["id"].as_str().unwrap().to_owned()));
        if page["pageInfo"]["hasNextPage"] == false {
            return ids;
        }
        assert_eq!(nodes.len() as u64, first);
        after = page["pageInfo"]["endCursor"].clone();
    }
}

async fn found(shop: &Shop, query: &str) -> usize {
    walk(shop, "CustomersPage", "customers", query.into(), 250)
        .await
        .len()
}

#[tokio::test]
async fn walking_to_the_end_shows_every_row_once() {
    let shop = Shop::at_speed(peopled(610), Speed::Fast).await;
    for first in [7, 100, 250] {
        let ids = walk(&shop, "CustomersPage", "customers", Json::Null, first).await;
        assert_eq!(ids.len(), 610);
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 610);
    }
    let orders = walk(&shop, "OrdersPage", "orders", Json::Null, 9).await;
    assert_eq!(orders.iter().collect::<BTreeSet<_>>().len(), 406);
    assert_eq!(orders.len(), 406);
}

#[tokio::test]
async fn a_record_touched_during_a_walk_is_seen_again_and_hides_no_other() {
    let shop = Shop::open(peopled(40)).await;
    let page = |after: Json| shop.data("CustomersPage", json!({"after": after, "first": 20}));
    let first = page(Json::Null).await;
    let seen = first["customers"]["nodes"][0]["id"].as_str().unwrap();
    shop.data("TagsAdd", json!({"id": seen, "tags": ["new"]}))
        .await;
    let second = page(first["customers"]["pageInfo"]["endCursor"].clone()).await;
    assert_eq!(second["customers"]["pageInfo"]["hasNextPage"], true);
    let cursor = second["customers"]["pageInfo"]["endCursor"].clone();
    let third = page(cursor).await;
    assert_eq!(third["customers"]["nodes"][0]["id"], seen);
}

#[tokio::test]
async fn reverse_turns_the_list_around() {
    let shop = Shop::open(peopled(30)).await;
    let query = "query($a: String) { customers(first: 20, after: $a, reverse: true) {
        nodes { id } pageInfo { endCursor hasNextPage hasPreviousPage } } }";
    let first = shop.ask(query).await;
    assert_eq!(first["data"]["customers"]["nodes"][0]["id"], gid(30));
    let cursor = &first["data"]["customers"]["pageInfo"]["endCursor"];
    let body = json!({"query": query, "variables": {"a": cursor}});
    let rest = shop.post(body).await;
    assert_eq!(rest["data"]["customers"]["nodes"][0]["id"], gid(10));
    assert_eq!(rest["data"]["customers"]["pageInfo"]["hasNextPage"], false);
    assert_eq!(
        rest["data"]["customers"]["pageInfo"]["hasPreviousPage"],
        true
    );
}

#[tokio::test]
async fn a_cursor_of_another_sort_is_refused() {
    let shop = Shop::open(peopled(30)).await;
    let by_id = shop
        .ask("{ customers(first: 2) { pageInfo { endCursor } } }")
        .await;
    let cursor = &by_id["data"]["customers"]["pageInfo"]["endCursor"];
    let variables = json!({"after": cursor});
    let reply = shop.run("CustomersPage", variables).await;
    assert_eq!(code(&reply), "BAD_REQUEST");
    assert_eq!(reply["data"], Json::Null);
}

#[tokio::test]
async fn a_quoted_time_filters_to_the_second() {
    let shop = Shop::open(peopled(100)).await;
    assert_eq!(
        found(&shop, "updated_at:>='2026-11-11T00:00:00Z'").await,
        10
    );
    assert_eq!(found(&shop, "updated_at:>='2026-11-11T00:00:01Z'").await, 9);
    assert_eq!(found(&shop, "updated_at:>'2026-11-11T00:00:00Z'").await, 9);
    let window = "updated_at:>='2026-11-11T00:00:00Z' updated_at:<'2026-11-13T00:00:00Z'";
    assert_eq!(found(&shop, window).await, 2);
}

#[tokio::test]
async fn an_unquoted_time_is_cut_at_its_colon_and_read_as_a_day_of_the_shop() {
    let shop = Shop::open(peopled(100)).await;
    let variables = json!({"query": "updated_at:>=2026-11-11T10:00:00Z"});
    let reply = shop.run("CustomersPage", variables).await;
    // Midnight in New York is 05:00 UTC, after the rows of the 11th.
    let nodes = reply["data"]["customers"]["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 9);
    let search = &reply["extensions"]["search"][0];
    assert_eq!(search["path"], json!(["customers"]));
    assert_eq!(search["warnings"][0]["field"], "00");
    assert_eq!(search["warnings"][0]["code"], "invalid_field");
}

#[tokio::test]
async fn an_unknown_search_field_returns_the_whole_shop_with_a_warning() {
    let shop = Shop::open(peopled(20)).await;
    let reply = shop
        .run(
            "CustomersPage",
            json!({"query": "updatedat:>='2026-11-20'"}),
        )
        .await;
    let nodes = reply["data"]["customers"]["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 20);
    let warning = &reply["extensions"]["search"][0]["warnings"][0];
    assert_eq!(warning["code"], "invalid_field");
    let counted = shop
        .ask(r#"{ customersCount(query: "email:p1@example.com") { count } }"#)
        .await;
    assert_eq!(counted["data"]["customersCount"]["count"], 20);
    assert!(counted["extensions"]["search"].is_array());
}

#[tokio::test]
async fn an_invalid_value_returns_nothing_with_a_warning() {
    let shop = Shop::open(peopled(20)).await;
    let reply = shop
        .run(
            "CustomersPage",
            json!({"query": "updated_at:>='yesterday'"}),
        )
        .await;
    assert_eq!(reply["data"]["customers"]["nodes"], json!([]));
    let warning = &reply["extensions"]["search"][0]["warnings"][0];
    assert_eq!(warning["code"], "invalid_value");
}

#[tokio::test]
async fn texts_tags_and_numbers_are_searched_whole() {
    let shop = Shop::open(peopled(20)).await;
    assert_eq!(found(&shop, "email:'P3@example.com'").await, 1);
    assert_eq!(found(&shop, "tag:vip").await, 20);
    assert_eq!(found(&shop, "tag_not:vip").await, 0);
    assert_eq!(found(&shop, "id:>15").await, 5);
    assert_eq!(found(&shop, r"first_name:'P\'1'").await, 0);
}

#[tokio::test]
async fn what_the_sandbox_leaves_out_of_the_grammar_is_an_error_and_no_answer() {
    let shop = Shop::open(peopled(20)).await;
    for query in [
        "tag:a OR tag:b",
        "(tag:a)",
        "-tag:a",
        "somebody",
        "orders_count:>2",
        "email:p*",
    ] {
        let reply = shop.run("CustomersPage", json!({"query": query})).await;
        assert_eq!(code(&reply), "SANDBOX_NOT_SERVED", "{query}");
        assert_eq!(reply["data"], Json::Null, "{query}");
    }
}
