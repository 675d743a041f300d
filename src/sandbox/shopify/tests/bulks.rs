//! The life of a bulk operation.

use super::*;
use reqwest::StatusCode;
use std::collections::{BTreeMap, BTreeSet};

const CUSTOMERS: &str = include_str!("bulk_customers.graphql");
const ORDERS: &str = include_str!("bulk_orders.graphql");
const SWEEP: &str = include_str!("bulk_sweep.graphql");

async fn begin(shop: &Shop, query: &str) -> Json {
    let data = shop.data("BulkQueryRun", json!({"query": query})).await;
    let payload = &data["bulkOperationRunQuery"];
    assert_eq!(payload["userErrors"], json!([]));
    assert_eq!(payload["bulkOperation"]["status"], "CREATED");
    payload["bulkOperation"]["id"].clone()
}

async fn poll(shop: &Shop, id: &Json) -> Json {
    shop.data("BulkPoll", json!({"id": id})).await["bulkOperation"].take()
}

/// Polls once a second until the operation ends.
async fn finish(shop: &Shop, id: &Json) -> Json {
    for _ in 0..1_000 {
        let operation = poll(shop, id).await;
        if operation["completedAt"].is_string() {
            return operation;
        }
        shop.pass(1_000);
    }
    panic!("the operation never ends");
}

async fn fetch(shop: &Shop, operation: &Json) -> Vec<Json> {
    let url = operation["url"].as_str().expect("a result");
    let response = shop.http.get(url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let text = response.text().await.unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn an_operation_is_created_runs_and_completes_by_the_clock() {
    let shop = Shop::open(peopled(10_000)).await;
    let id = begin(&shop, SWEEP).await;
    shop.pass(99);
    let queued = poll(&shop, &id).await;
    assert_eq!(queued["status"], "CREATED");
    assert_eq!(queued["objectCount"], "0");
    // 400 ms to start, then 5,000 rows a second: 2.4 s.
    shop.pass(1_101);
    let half = poll(&shop, &id).await;
    assert_eq!(half["status"], "RUNNING");
    assert_eq!(half["objectCount"], "5000");
    assert_eq!(half["url"], Json::Null);
    shop.pass(1_199);
    assert_eq!(poll(&shop, &id).await["status"], "RUNNING");
    shop.pass(1);
    let done = poll(&shop, &id).await;
    assert_eq!(done["status"], "COMPLETED");
    assert_eq!(done["objectCount"], "10000");
    assert_eq!(done["rootObjectCount"], "10000");
    assert_eq!(done["completedAt"], "2026-11-21T10:00:02Z");
    let rows = fetch(&shop, &done).await;
    let ids: BTreeSet<_> = rows.iter().map(|row| row["id"].as_str()).collect();
    assert_eq!(ids.len(), 10_000);
}

#[tokio::test]
async fn bulk_rows_say_what_pages_say() {
    let shop = Shop::open(peopled(120)).await;
    let id = begin(&shop, CUSTOMERS).await;
    let rows = fetch(&shop, &finish(&shop, &id).await).await;
    let page = shop.data("CustomersPage", json!({})).await;
    let by_id = |row: &Json| (row["id"].to_string(), row.clone());
    let bulk: BTreeMap<String, Json> = rows.iter().map(by_id).collect();
    assert_eq!(bulk.len(), 120);
    for node in page["customers"]["nodes"].as_array().unwrap() {
        let mut node = node.clone();
        // The page asks for the short number too.
        node.as_object_mut().unwrap().remove("legacyResourceId");
        assert_eq!(bulk[&node["id"].to_string()], node);
    }
}

#[tokio::test]
async fn lines_of_orders_follow_their_parents_by_id_and_not_at_once() {
    let mut world = peopled(30);
    // The window of the document.
    for (number, order) in &mut world.orders {
        let month = if number % 4 == 0 { "06" } else { "02" };
        order.created = Moment::parse(&format!("2026-{month}-01")).unwrap();
    }
    let wanted = world
        .orders
        .keys()
        .filter(|number| *number % 4 != 0)
        .count();
    let shop = Shop::open(world).await;
    let id = begin(&shop, ORDERS).await;
    let done = finish(&shop, &id).await;
    assert_eq!(done["rootObjectCount"], wanted.to_string());
    assert_eq!(done["objectCount"], (wanted * 3).to_string());
    let rows = fetch(&shop, &done).await;
    assert_eq!(rows.len(), wanted * 3);
    let mut seen = BTreeSet::new();
    for row in &rows {
        if let Some(parent) = row.get("__parentId") {
            assert!(
                seen.contains(&parent.to_string()),
                "a child before its parent"
            );
            assert!(row["product"]["id"].is_string());
        }
        seen.insert(row["id"].to_string());
    }
    assert_eq!(
        rows[1].get("__parentId"),
        None,
        "parents of a chunk come first"
    );
}

#[tokio::test]
async fn grouped_children_follow_their_parent_directly() {
    let shop = Shop::open(peopled(9)).await;
    let query = "mutation($q: String!) { bulkOperationRunQuery(query: $q, groupObjects: true) {
        bulkOperation { id } userErrors { field message code } } }";
    let inner = "{ orders { edges { node { id lineItems { edges { node { id } } } } } } }";
    let body = json!({"query": query, "variables": {"q": inner}});
    let reply = shop.post(body).await;
    let id = &reply["data"]["bulkOperationRunQuery"]["bulkOperation"]["id"];
    let rows = fetch(&shop, &finish(&shop, id).await).await;
    let children: Vec<bool> = rows
        .iter()
        .map(|row| row.get("__parentId").is_some())
        .collect();
    assert_eq!(children, [false, true, true].repeat(6));
}

#[tokio::test]
async fn an_empty_result_completes_without_a_url() {
    let shop = Shop::open(empty()).await;
    let id = begin(&shop, SWEEP).await;
    let done = finish(&shop, &id).await;
    assert_eq!(done["status"], "COMPLETED");
    assert_eq!(done["url"], Json::Null);
    assert_eq!(done["objectCount"], "0");
}

#[tokio::test]
async fn a_result_wants_its_signature_and_no_token() {
    let shop = Shop::open(peopled(5)).await;
    let id = begin(&shop, SWEEP).await;
    let done = finish(&shop, &id).await;
    let url = done["url"].as_str().unwrap();
    assert!(
        url.starts_with(&shop.url),
        "the URL leads through the host that was asked"
    );
    let with_token = shop.http.get(url).header("X-Shopify-Access-Token", TOKEN);
    assert_eq!(with_token.send().await.unwrap().status(), 400);
    let unsigned = url.split('?').next().unwrap();
    let response = shop.http.get(unsigned).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let raw = shop
        .http
        .get(url)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        raw.contains("gid:\\/\\/shopify\\/Customer\\/1\""),
        "slashes are escaped"
    );
    shop.pass(8 * 86_400_000);
    let response = shop.http.get(url).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_broken_download_is_resumed_where_it_stopped() {
    let shop = Shop::open(peopled(250)).await;
    let id = begin(&shop, SWEEP).await;
    let done = finish(&shop, &id).await;
    let url = done["url"].as_str().unwrap();
    let whole = shop
        .http
        .get(url)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(done["fileSize"], whole.len().to_string());
    for start in [0, 1, whole.len() / 2, whole.len() - 1] {
        let request = shop
            .http
            .get(url)
            .header("Range", format!("bytes={start}-"));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 206);
        assert_eq!(response.text().await.unwrap(), whole[start..]);
    }
    let beyond = shop
        .http
        .get(url)
        .header("Range", format!("bytes={}-", whole.len()));
    assert_eq!(beyond.send().await.unwrap().status(), 416);
}

#[tokio::test]
async fn five_run_at_a_time_and_the_sixth_is_told_which() {
    let shop = Shop::open(peopled(5)).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(begin(&shop, SWEEP).await);
    }
    let data = shop.data("BulkQueryRun", json!({"query": SWEEP})).await;
    let payload = &data["bulkOperationRunQuery"];
    assert_eq!(payload["bulkOperation"], Json::Null);
    let error = &payload["userErrors"][0];
    assert_eq!(error["code"], "OPERATION_IN_PROGRESS");
    for id in &ids {
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(id.as_str().unwrap()));
    }
    finish(&shop, &ids[0]).await;
    begin(&shop, SWEEP).await;
}

#[tokio::test]
async fn operations_are_listed_newest_first_and_searched() {
    let shop = Shop::open(peopled(5)).await;
    let first = begin(&shop, SWEEP).await;
    finish(&shop, &first).await;
    let second = begin(&shop, CUSTOMERS).await;
    let all = shop.data("BulkList", json!({})).await;
    let ids: Vec<&Json> = all["bulkOperations"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| &n["id"])
        .collect();
    assert_eq!(ids, [&second, &first]);
    shop.pass(150);
    for (query, count) in [
        ("operation_type:query status:running", 1),
        ("status:completed", 1),
        ("status:sleeping", 0),
        ("operation_type:mutation", 0),
        ("colour:red", 2),
    ] {
        let found = shop.data("BulkList", json!({"query": query})).await;
        let nodes = found["bulkOperations"]["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), count, "{query}");
    }
}

#[tokio::test]
async fn a_cancelled_operation_keeps_what_it_read() {
    let shop = Shop::open(peopled(10_000)).await;
    let id = begin(&shop, SWEEP).await;
    shop.pass(1_200);
    let data = shop.data("BulkCancel", json!({"id": id})).await;
    let payload = &data["bulkOperationCancel"];
    assert_eq!(payload["bulkOperation"]["status"], "CANCELING");
    shop.pass(10_000);
    let done = poll(&shop, &id).await;
    assert_eq!(done["status"], "CANCELED");
    assert_eq!(done["objectCount"], "5000");
    assert_eq!(done["url"], Json::Null);
    assert!(done["partialDataUrl"].is_string());
    let again = shop.data("BulkCancel", json!({"id": id})).await;
    let errors = again["bulkOperationCancel"]["userErrors"]
        .as_array()
        .unwrap();
    assert_eq!(errors.len(), 1);
}

#[tokio::test]
async fn without_the_scope_an_operation_fails() {
    let mut world = peopled(5);
    world.scopes = vec!["read_orders".to_owned()];
    let shop = Shop::open(world).await;
    let id = begin(&shop, SWEEP).await;
    let done = finish(&shop, &id).await;
    assert_eq!(done["status"], "FAILED");
    assert_eq!(done["errorCode"], "ACCESS_DENIED");
    assert_eq!(done["partialDataUrl"], Json::Null);
}

#[tokio::test]
async fn queries_that_break_a_bulk_rule_are_refused() {
    let shop = Shop::open(peopled(5)).await;
    for query in [
        "{ shop { id } }",
        "{ node(id: \"gid://shopify/Customer/1\") { id } }",
        "{ customers { nodes { id } } }",
        "{ customers { edges { node { id } } pageInfo { hasNextPage } } }",
        "{ customers { edges { node { orders { edges { node { id } } } } } } }",
        "{ customers { edges { node { id orders { edges { node { id lineItems { edges { node { id } } } } } } } } } }",
        "{ orders { edges { node { id discountApplications { edges { node { index } } } } } } }",
        "{ orders { edges { node { id customer { id orders { edges { node { id } } } } } } } }",
        "query($q: String) { customers(query: $q) { edges { node { id } } } }",
        "{ customers { edges { node { nonsense } } } }",
        "mutation { tagsAdd(id: \"gid://shopify/Customer/1\", tags: [\"a\"]) { userErrors { message } } }",
        "{",
    ] {
        let data = shop.data("BulkQueryRun", json!({"query": query})).await;
        let payload = &data["bulkOperationRunQuery"];
        assert_eq!(payload["bulkOperation"], Json::Null, "{query}");
        assert_eq!(payload["userErrors"][0]["code"], "INVALID", "{query}");
    }
}

#[tokio::test]
async fn a_customer_deleted_meanwhile_has_no_row() {
    let shop = Shop::open(peopled(5)).await;
    let id = begin(&shop, SWEEP).await;
    shop.world.state().shopify.customers.remove(&3);
    let done = finish(&shop, &id).await;
    assert_eq!(done["objectCount"], "4");
    assert_eq!(fetch(&shop, &done).await.len(), 4);
}

const STAGE: &str = r#"mutation { stagedUploadsCreate(input: [{ resource: BULK_MUTATION_VARIABLES,
    filename: "v.jsonl", mimeType: "text/jsonl", httpMethod: POST }]) {
    stagedTargets { url parameters { name value } } userErrors { field message } } }"#;
const TAGGING: &str = "mutation call($id: ID!, $tags: [String!]!) { tagsAdd(id: $id, tags: $tags) { userErrors { field } } }";

/// Asks for a place and sends a file there; says the status and what the file is called.
async fn upload(shop: &Shop, file: &str, change: fn(&str) -> String) -> (StatusCode, String) {
    let reply = shop.ask(STAGE).await;
    let target = &reply["data"]["stagedUploadsCreate"]["stagedTargets"][0];
    let (mut form, mut path) = (String::new(), String::new());
    for parameter in target["parameters"].as_array().unwrap() {
        let text = |member: &str| parameter[member].as_str().unwrap();
        let (name, value) = (text("name"), text("value"));
        if name == "key" {
            value.clone_into(&mut path);
        }
        let value = change(value);
        form +=
            &format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    let head = "Content-Disposition: form-data; name=\"file\"; filename=\"v.jsonl\"";
    form += &format!("--x\r\n{head}\r\n\r\n{file}\r\n--x--\r\n");
    let request = shop.http.post(target["url"].as_str().unwrap()).body(form);
    let request = request.header("Content-Type", "multipart/form-data; boundary=x");
    (request.send().await.unwrap().status(), path)
}

async fn run_mutation(shop: &Shop, path: &str) -> Json {
    let query = "mutation($m: String!, $p: String!) { bulkOperationRunMutation(mutation: $m, stagedUploadPath: $p) {
        bulkOperation { id type status } userErrors { field code } } }";
    let body = json!({"query": query, "variables": {"m": TAGGING, "p": path}});
    shop.post(body).await["data"]["bulkOperationRunMutation"].take()
}

#[tokio::test]
async fn a_bulk_mutation_calls_once_for_each_line_and_says_how_each_ended() {
    let shop = Shop::open(peopled(3)).await;
    let line = |number: u64| json!({"id": gid(number), "tags": ["new"]}).to_string();
    let file = [line(1), line(99), line(2), "{}".to_owned()].join("\n");
    let (status, path) = upload(&shop, &file, str::to_owned).await;
    assert_eq!(status, StatusCode::CREATED);
    let started = run_mutation(&shop, &path).await;
    assert_eq!(started["userErrors"], json!([]));
    assert_eq!(started["bulkOperation"]["type"], "MUTATION");
    let done = finish(&shop, &started["bulkOperation"]["id"]).await;
    assert_eq!(
        (&done["status"], &done["objectCount"]),
        (&json!("COMPLETED"), &json!("4"))
    );
    let rows = fetch(&shop, &done).await;
    let by_line: BTreeMap<u64, &Json> = rows
        .iter()
        .map(|row| (row["__lineNumber"].as_u64().unwrap(), row))
        .collect();
    assert_eq!(by_line[&0]["data"]["tagsAdd"]["userErrors"], json!([]));
    assert_eq!(
        by_line[&1]["data"]["tagsAdd"]["userErrors"][0]["field"],
        json!(["id"])
    );
    assert_eq!(by_line[&2]["data"]["tagsAdd"]["userErrors"], json!([]));
    assert!(by_line[&3]["errors"].is_array());
    let state = shop.world.state();
    let tagged = state.history.iter().filter(|write| write.kind == "tagsAdd");
    assert_eq!(tagged.count(), 2);
    assert_eq!(state.shopify.customers[&2].tags, ["new", "VIP"]);
}

#[tokio::test]
async fn only_what_was_uploaded_as_asked_can_be_run() {
    let shop = Shop::open(peopled(3)).await;
    let forged = |value: &str| format!("{value}x");
    let (status, path) = upload(&shop, "{}", forged).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let code = |reply: Json| reply["userErrors"][0]["code"].clone();
    assert_eq!(code(run_mutation(&shop, &path).await), "NO_SUCH_FILE");
    let (status, path) = upload(&shop, "", str::to_owned).await;
    assert_eq!(status, StatusCode::CREATED);
    let refused = run_mutation(&shop, &path).await;
    assert_eq!(code(refused), "INVALID_STAGED_UPLOAD_FILE");
}
