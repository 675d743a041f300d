//! Tokens, scopes, versions, and what is refused before it runs.

use super::*;
use reqwest::StatusCode;

async fn grant(shop: &Shop, secret: &str) -> (StatusCode, Json) {
    let url = format!("{}/admin/oauth/access_token", shop.url);
    let form = format!("grant_type=client_credentials&client_id=client-id&client_secret={secret}");
    let request = shop.http.post(url).body(form);
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    let response = request.send().await.unwrap();
    let status = response.status();
    let body = response.text().await.unwrap();
    (status, serde_json::from_str(&body).unwrap())
}

async fn status_with(shop: &Shop, token: &str) -> StatusCode {
    let url = format!("{}/admin/api/2026-10/graphql.json", shop.url);
    let request = shop
        .http
        .post(url)
        .header("Content-Type", "application/json");
    let request = request.header("X-Shopify-Access-Token", token);
    let request = request.body(r#"{"query": "{ shop { id } }"}"#);
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn a_wrong_token_is_401_with_the_words_of_the_real_api() {
    let shop = Shop::open(peopled(1)).await;
    for wrong in ["", "shpat_other"] {
        assert_eq!(status_with(&shop, wrong).await, 401, "{wrong}");
    }
    let url = format!("{}/admin/api/2026-10/graphql.json", shop.url);
    let response = shop.http.post(url).send().await.unwrap();
    let words = "{\"errors\":\"[API] Invalid API key or access token (unrecognized login or wrong \
                 password)\"}";
    assert_eq!(response.text().await.unwrap(), words);
}

#[tokio::test]
async fn a_granted_token_opens_the_shop_for_a_day() {
    let shop = Shop::open(peopled(1)).await;
    let (status, reply) = grant(&shop, "client-secret").await;
    assert_eq!(status, 200);
    assert_eq!(reply["expires_in"], 86_399);
    assert_eq!(reply["scope"], SCOPES.join(","));
    let token = reply["access_token"].as_str().unwrap();
    assert_eq!(status_with(&shop, token).await, 200);
    let (_, other) = grant(&shop, "client-secret").await;
    assert_ne!(other["access_token"], reply["access_token"]);
    assert_eq!(status_with(&shop, token).await, 200);
    shop.pass(86_399_000);
    assert_eq!(status_with(&shop, token).await, 401);
    let (status, _) = grant(&shop, "guess").await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn replies_carry_the_version_an_id_and_the_worlds_date() {
    let shop = Shop::open(peopled(1)).await;
    let request = shop.request().body(r#"{"query": "{ shop { id } }"}"#);
    let response = request.send().await.unwrap();
    let headers = response.headers();
    assert_eq!(headers["x-shopify-api-version"], "2026-10");
    assert_eq!(headers["date"], "Sat, 21 Nov 2026 10:00:00 GMT");
    assert!(headers.contains_key("x-request-id"));
}

#[tokio::test]
async fn retired_versions_are_answered_in_another_and_unborn_ones_not_found() {
    let shop = Shop::open(peopled(1)).await;
    for (version, status) in [("2024-01", 200), ("2027-01", 404), ("2026-11", 404)] {
        let url = format!("{}/admin/api/{version}/graphql.json", shop.url);
        let request = shop
            .http
            .post(url)
            .header("Content-Type", "application/json");
        let request = request.header("X-Shopify-Access-Token", TOKEN);
        let request = request.body(r#"{"query": "{ shop { id } }"}"#);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{version}");
        assert_eq!(response.headers()["x-shopify-api-version"], "2026-10");
    }
}

#[tokio::test]
async fn bodies_that_are_no_request_are_refused() {
    let shop = Shop::open(peopled(1)).await;
    for body in [
        "",
        "{}",
        "[]",
        r#"{"query": 7}"#,
        r#"{"query": "{ shop { id } }", "variables": 7}"#,
    ] {
        let response = shop.request().body(body).send().await.unwrap();
        assert_eq!(response.status(), 400, "{body}");
    }
    let url = format!("{}/admin/api/2026-10/graphql.json", shop.url);
    let request = shop.http.post(url).header("X-Shopify-Access-Token", TOKEN);
    let response = request.body("{ shop { id } }").send().await.unwrap();
    assert_eq!(response.status(), 415);
}

#[tokio::test]
async fn what_the_schema_does_not_know_is_refused_without_data() {
    let shop = Shop::open(peopled(1)).await;
    for (query, expected) in [
        ("{ shop { id nonsense } }", "undefinedField"),
        (
            "{ customers(first: 1) { nodes { tags ... on Node { tags } } } }",
            "undefinedField",
        ),
        (
            "{ customers(first: 1) { nodes { lifetimeDuration } } }",
            "undefinedField",
        ),
        (
            "{ customers(last: 1) { nodes { id } } }",
            "argumentNotAccepted",
        ),
        ("{ customers { nodes { id } } }", "BAD_REQUEST"),
        ("{ customers(first: 251) { nodes { id } } }", "BAD_REQUEST"),
        (
            "{ customers(first: \"1\") { nodes { id } } }",
            "argumentLiteralsIncompatible",
        ),
        (
            "{ customers(first: 1, sortKey: LOCATION) { nodes { id } } }",
            "argumentLiteralsIncompatible",
        ),
        (
            "{ customers(first: 1, sortKey: \"ID\") { nodes { id } } }",
            "argumentLiteralsIncompatible",
        ),
        ("{ customers(first: 1) }", "selectionMismatch"),
        ("{ shop { id { x } } }", "selectionMismatch"),
        ("{ node { id } }", "missingRequiredArguments"),
        ("{ shop { ... on Order { id } } }", "cannotSpread"),
        ("{ shop { ... on Nobody { id } } }", "undefinedType"),
        ("{ shop { ...missing } }", "useAndDefineFragment"),
        (
            "{ shop { ...f } } fragment f on Shop { ...f }",
            "infiniteLoop",
        ),
        ("{ shop { a: id a: name } }", "fieldConflict"),
        ("{ shop { id @defer } }", "undefinedDirective"),
        (
            "query($a: String!) { node(id: $a) { id } }",
            "INVALID_VARIABLE",
        ),
        (
            "query($a: String) { node(id: $a) { id } }",
            "variableMismatch",
        ),
        (
            "query($a: Order) { node(id: $a) { id } }",
            "variableRequiresValidType",
        ),
        ("{ node(id: $a) { id } }", "variableNotDefined"),
        ("{ shop {", "parseError"),
        (
            "subscription { shop { id } }",
            "missingSubscriptionConfiguration",
        ),
    ] {
        let reply = shop.ask(query).await;
        assert_eq!(code(&reply), expected, "{query}");
        assert_eq!(reply.get("data"), None, "{query}");
    }
}

#[tokio::test]
async fn include_and_skip_are_honoured() {
    let shop = Shop::open(peopled(1)).await;
    let query = "query($yes: Boolean = true) { shop {
        id @include(if: $yes) name @skip(if: $yes) ... on Shop @skip(if: $yes) { url } } }";
    let reply = shop.ask(query).await;
    let members = reply["data"]["shop"].as_object().unwrap();
    assert_eq!(members.keys().collect::<Vec<_>>(), ["id"]);
}

#[tokio::test]
async fn a_list_of_more_than_250_ids_is_refused() {
    let shop = Shop::open(peopled(1)).await;
    let ids: Vec<String> = (1..=251).map(gid).collect();
    let reply = shop.run("CustomersById", json!({"ids": ids})).await;
    assert_eq!(code(&reply), "MAX_INPUT_SIZE_EXCEEDED");
}

#[tokio::test]
async fn a_missing_scope_is_access_denied_with_its_path() {
    let mut world = peopled(3);
    world.scopes = vec!["read_orders".to_owned()];
    let shop = Shop::open(world).await;
    let customers = shop.run("CustomersPage", json!({})).await;
    assert_eq!(code(&customers), "ACCESS_DENIED");
    assert_eq!(customers["errors"][0]["path"], json!(["customers"]));
    assert_eq!(customers["data"], Json::Null);
    // An order is readable, its customer is not: partly null, and said so.
    let orders = shop
        .ask("{ orders(first: 1) { nodes { id customer { id } } } }")
        .await;
    assert_eq!(
        orders["errors"][0]["path"],
        json!(["orders", "nodes", 0, "customer"])
    );
    assert_eq!(orders["data"]["orders"]["nodes"][0]["customer"], Json::Null);
    assert!(orders["data"]["orders"]["nodes"][0]["id"].is_string());
    let tags = shop
        .run("TagsAdd", json!({"id": gid(1), "tags": ["a"]}))
        .await;
    assert_eq!(code(&tags), "ACCESS_DENIED");
    assert_eq!(tags["data"], json!({"tagsAdd": null}));
    assert!(shop.world.state().history.is_empty());
}

#[tokio::test]
async fn without_read_all_orders_older_orders_do_not_exist() {
    let all = Shop::open(peopled(300)).await;
    let count = "{ ordersCount(limit: null) { count } }";
    assert_eq!(all.ask(count).await["data"]["ordersCount"]["count"], 200);
    let mut world = peopled(300);
    world.scopes.retain(|scope| scope != "read_all_orders");
    let recent = world
        .orders
        .values()
        .filter(|order| order.created >= start().minus(Duration::from_secs(60 * 86_400)));
    let recent = recent.count();
    assert!(0 < recent && recent < 200);
    let shop = Shop::open(world).await;
    let reply = shop.ask(count).await;
    assert_eq!(reply["data"]["ordersCount"]["count"], recent);
    assert_eq!(reply.get("errors"), None);
}
