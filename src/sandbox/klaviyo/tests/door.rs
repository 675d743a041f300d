use super::*;
use crate::sandbox::faults::FaultKind;

#[tokio::test]
async fn key_revision_and_scope_are_checked_in_this_order() {
    let shop = Shop::open(Speed::Real).await;
    let url = format!("{}/api/accounts", shop.sandbox.klaviyo_url);
    assert_eq!(answer(shop.client.get(&url)).await.status, 401);
    let wrong = shop
        .client
        .get(&url)
        .header("authorization", "Klaviyo-API-Key pk_other");
    assert_eq!(answer(wrong).await.status, 401);
    let header = format!("Klaviyo-API-Key {}", shop.key);
    let keyed = || shop.client.get(&url).header("authorization", &header);
    assert_eq!(answer(keyed()).await.status, 400);
    assert_eq!(
        answer(keyed().header("revision", "2020-01-01"))
            .await
            .status,
        400
    );
    assert_eq!(
        answer(keyed().header("revision", "2026-07-15"))
            .await
            .status,
        200
    );
    shop.world
        .state()
        .klaviyo
        .scopes
        .retain(|scope| scope != "accounts:read");
    let refused = shop.get("/api/accounts").await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.body["errors"][0]["status"], 403);
    assert!(refused.headers.contains_key("ratelimit-limit"));
}

#[tokio::test]
async fn unknown_paths_methods_and_unserved_endpoints_differ() {
    let shop = Shop::open(Speed::Real).await;
    assert_eq!(shop.get("/api/nothing").await.status, 404);
    assert_eq!(
        shop.send(Method::DELETE, "/api/accounts", Json::Null)
            .await
            .status,
        405
    );
    assert_eq!(shop.get("/api/tags").await.status, 403);
    shop.world
        .state()
        .klaviyo
        .scopes
        .push("tags:read".to_owned());
    assert_eq!(shop.get("/api/tags").await.status, 501);
}

#[tokio::test]
async fn limits_answer_429_with_retry_after_and_nothing_else() {
    let shop = Shop::open(Speed::Real).await;
    let first = shop.get("/api/accounts").await;
    assert_eq!(first.status, 200);
    assert_eq!(first.headers["ratelimit-limit"], "15");
    assert_eq!(first.headers["ratelimit-remaining"], "14");
    assert_eq!(first.headers["ratelimit-reset"], "60");
    assert_eq!(first.headers["content-type"], "application/vnd.api+json");
    let second = shop.get("/api/accounts").await;
    assert_eq!(second.status, 429);
    assert_eq!(second.headers["retry-after"], "1");
    assert!(!second.headers.contains_key("ratelimit-limit"));
    assert_eq!(second.body["errors"][0]["code"], "throttled");
    shop.wait(1_000);
    assert_eq!(shop.get("/api/accounts").await.status, 200);
    let counted = shop.sandbox.requests();
    let accounts = ("GET".to_owned(), "/api/accounts".to_owned());
    assert_eq!(counted[&accounts], (3, 1));
}

#[tokio::test]
async fn a_fast_sandbox_never_throttles_but_sends_headers() {
    let shop = Shop::open(Speed::Fast).await;
    for _ in 0..20 {
        let reply = shop.get("/api/accounts").await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.headers["ratelimit-limit"], "15");
    }
}

#[tokio::test]
async fn undocumented_parameters_are_refused() {
    let shop = Shop::open(Speed::Fast).await;
    for path in [
        "/api/profiles?page[size]=101",
        "/api/profiles?page[size]=0",
        "/api/profiles?page[number]=1",
        "/api/profiles?sort=name",
        "/api/profiles?fields[profile]=nick",
        "/api/profiles?fields[list]=name",
        "/api/profiles?additional-fields[profile]=wealth",
        "/api/profiles?page[cursor]=garbage",
        "/api/profiles?sort=id&sort=id",
        "/api/profiles?filter=equals(first_name,'x')",
        "/api/profiles?filter=greater-or-equal(updated,2026-01-01)",
        "/api/lists?page[size]=11",
        "/api/metrics?page[size]=10",
        "/api/events?filter=any(metric_id,['x'])",
    ] {
        let reply = shop.get(path).await;
        assert_eq!(reply.status, 400, "{path}");
        assert_eq!(reply.body["errors"][0]["code"], "invalid");
        assert!(
            reply.body["errors"][0]["source"]["parameter"].is_string(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn bodies_must_be_json_api_and_not_too_large() {
    let shop = Shop::open(Speed::Fast).await;
    let plain = shop
        .request(Method::POST, "/api/lists")
        .header("content-type", "text/plain");
    assert_eq!(answer(plain.body("{}")).await.status, 415);
    let broken = shop.request(Method::POST, "/api/lists");
    let broken = broken
        .header("content-type", "application/vnd.api+json")
        .body("{");
    assert_eq!(answer(broken).await.status, 400);
    let huge = Json::String("x".repeat(5 * 1024 * 1024));
    assert_eq!(
        shop.send(Method::POST, "/api/lists", huge).await.status,
        413
    );
}

#[tokio::test]
async fn faults_strike_as_planned_and_no_more() {
    let shop = Shop::open(Speed::Fast).await;
    let plan = |times, kind| {
        let faults = &mut shop.world.state().faults;
        faults.plan("/api/profiles", Some(Method::GET), times, kind);
    };
    plan(2, FaultKind::Status(503));
    assert_eq!(shop.get("/api/profiles").await.status, 503);
    assert_eq!(shop.get("/api/lists").await.status, 200);
    assert_eq!(shop.get("/api/profiles").await.status, 503);
    assert_eq!(shop.get("/api/profiles").await.status, 200);

    plan(1, FaultKind::Reset);
    let reply = shop.request(Method::GET, "/api/profiles").send().await;
    let read = match reply {
        Ok(reply) => reply.bytes().await.map(|_| ()),
        Err(error) => Err(error),
    };
    assert!(read.is_err());

    plan(1, FaultKind::Hangup);
    let unheard = shop.request(Method::GET, "/api/profiles").send().await;
    assert!(unheard.is_err(), "not even a head comes");

    plan(1, FaultKind::Truncate);
    let reply = shop
        .request(Method::GET, "/api/profiles")
        .send()
        .await
        .unwrap();
    let text = reply.text().await.unwrap();
    assert!(text.len() > 100 && serde_json::from_str::<Json>(&text).is_err());

    let until = shop.now().plus(Duration::from_secs(30));
    shop.world.state().faults.storm_until = Some(until);
    let stormy = shop.get("/api/profiles").await;
    assert_eq!(
        (stormy.status, &stormy.headers["retry-after"]),
        (429, &"31".parse().unwrap())
    );
    shop.wait(30_000);
    assert_eq!(shop.get("/api/profiles").await.status, 200);

    shop.world.state().faults.latency = Duration::from_secs(4);
    let before = shop.now();
    assert_eq!(shop.get("/api/profiles").await.status, 200);
    assert_eq!(shop.now().since(before), Duration::from_secs(4));
}
