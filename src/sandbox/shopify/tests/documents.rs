//! Each document of the reference, as printed.

use super::*;

#[tokio::test]
async fn the_shop_tells_its_zone_currency_and_scopes() {
    let shop = Shop::open(peopled(3)).await;
    let reply = shop.run("ShopInfo", json!({})).await;
    let data = &reply["data"];
    assert_eq!(data["shop"]["myshopifyDomain"], "tea-house.myshopify.com");
    assert_eq!(data["shop"]["ianaTimezone"], "America/New_York");
    // Winter time in November.
    assert_eq!(data["shop"]["timezoneOffsetMinutes"], -300);
    let scopes = data["currentAppInstallation"]["accessScopes"].as_array();
    let handles: Vec<_> = scopes.unwrap().iter().map(|s| &s["handle"]).collect();
    assert_eq!(handles, SCOPES);
    assert_eq!(reply["extensions"]["cost"]["requestedQueryCost"], 4);
}

#[tokio::test]
async fn counts_tell_all_and_what_changed() {
    let shop = Shop::open(peopled(300)).await;
    let changed = "updated_at:>='2026-11-21T00:00:00Z'";
    let variables = json!({"customersChanged": changed, "ordersChanged": changed});
    let reply = shop.run("Counts", variables).await;
    let exactly = |count: u64| json!({"count": count, "precision": "EXACT"});
    assert_eq!(reply["data"]["allCustomers"], exactly(300));
    assert_eq!(reply["data"]["allOrders"], exactly(200));
    // Number 200 alone was changed today.
    assert_eq!(reply["data"]["changedCustomers"], exactly(1));
    // Customers 120 and 240, two orders each.
    assert_eq!(reply["data"]["changedOrders"], exactly(4));
    assert_eq!(reply["extensions"]["cost"]["requestedQueryCost"], 40);
}

#[tokio::test]
async fn a_count_stops_at_its_limit_and_says_so() {
    let shop = Shop::open(peopled(30)).await;
    let reply = shop
        .ask("{ customersCount(limit: 20) { count precision } }")
        .await;
    let count = &reply["data"]["customersCount"];
    assert_eq!(*count, json!({"count": 20, "precision": "AT_LEAST"}));
}

#[tokio::test]
async fn a_page_of_customers_has_every_field_asked_for() {
    let shop = Shop::open(peopled(12)).await;
    let data = shop.data("CustomersPage", json!({"query": null})).await;
    let nodes = data["customers"]["nodes"].as_array().unwrap();
    // Ascending by last change: the highest number changed the longest ago.
    assert_eq!(nodes[0]["id"], gid(12));
    let three = nodes.iter().find(|node| node["id"] == gid(3)).unwrap();
    assert_eq!(three["numberOfOrders"], "2");
    assert_eq!(
        three["amountSpent"],
        json!({"amount": "40.0", "currencyCode": "EUR"})
    );
    assert_eq!(three["defaultEmailAddress"]["marketingState"], "SUBSCRIBED");
    assert_eq!(three["updatedAt"], "2026-11-18T00:00:00Z");
    assert_eq!(three["klaviyoId"]["value"], "01H3");
    assert_eq!(three["defaultPhoneNumber"], Json::Null);
    let seven = nodes.iter().find(|node| node["id"] == gid(7)).unwrap();
    assert_eq!(seven["defaultEmailAddress"], Json::Null);
    let five = nodes.iter().find(|node| node["id"] == gid(5)).unwrap();
    let consent = &five["defaultPhoneNumber"]["smsMarketingConsent"];
    assert_eq!(consent["state"], "NEVER_SUBSCRIBED");
}

#[tokio::test]
async fn a_page_of_orders_has_amounts_refunds_and_lines() {
    let shop = Shop::open(peopled(9)).await;
    let data = shop.data("OrdersPage", json!({"query": null})).await;
    let nodes = data["orders"]["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 6);
    let of = |number: u64, place: u64| {
        let id = format!("gid://shopify/Order/{}", 1_000 + number * 2 + place);
        nodes.iter().find(|node| node["id"] == id).unwrap()
    };
    let kept = of(3, 0);
    assert_eq!(kept["customer"]["id"], gid(3));
    assert_eq!(kept["displayFinancialStatus"], "PAID");
    assert_eq!(kept["totalPriceSet"]["shopMoney"]["amount"], "20.0");
    // Two lines of 9.00 each; the rest is shipping.
    assert_eq!(kept["subtotalPriceSet"]["shopMoney"]["amount"], "18.0");
    assert_eq!(kept["totalShippingPriceSet"]["shopMoney"]["amount"], "2.0");
    assert_eq!(kept["refunds"], json!([]));
    assert_eq!(kept["lineItems"]["nodes"][1]["title"], "Tea 2");
    let given_back = of(6, 0);
    assert_eq!(
        given_back["currentTotalPriceSet"]["shopMoney"]["amount"],
        "0.0"
    );
    let refund = &given_back["refunds"][0]["totalRefundedSet"];
    assert_eq!(refund["shopMoney"]["amount"], "20.0");
    assert_eq!(given_back["lineItems"]["nodes"][0]["currentQuantity"], 0);
    assert_eq!(of(9, 1)["cancelReason"], "OTHER");
}

#[tokio::test]
async fn nodes_keep_the_order_of_ids_with_null_for_what_is_gone() {
    let shop = Shop::open(peopled(5)).await;
    let ids = [gid(4), gid(999), gid(2)];
    let data = shop.data("CustomersById", json!({"ids": ids})).await;
    let nodes = data["nodes"].as_array().unwrap();
    assert_eq!(nodes[0]["id"], gid(4));
    assert_eq!(nodes[0]["__typename"], "Customer");
    assert_eq!(nodes[1], Json::Null);
    assert_eq!(nodes[2]["id"], gid(2));
}

#[tokio::test]
async fn an_id_of_a_wrong_shape_is_an_error_of_the_whole_request() {
    let shop = Shop::open(peopled(5)).await;
    let reply = shop
        .run("CustomersById", json!({"ids": [gid(4), "4"]}))
        .await;
    assert_eq!(code(&reply), "INVALID_VARIABLE");
    assert_eq!(reply.get("data"), None);
    let problem = &reply["errors"][0]["extensions"]["problems"][0];
    assert_eq!(problem["path"], json!([1]));
}

#[tokio::test]
async fn a_customer_is_found_by_the_whole_address_in_any_case() {
    let shop = Shop::open(peopled(5)).await;
    let found = shop
        .data("CustomerByEmail", json!({"email": "P4@Example.com"}))
        .await;
    assert_eq!(found["customerByIdentifier"]["id"], gid(4));
    let part = shop
        .data("CustomerByEmail", json!({"email": "p4@example"}))
        .await;
    assert_eq!(part["customerByIdentifier"], Json::Null);
}
