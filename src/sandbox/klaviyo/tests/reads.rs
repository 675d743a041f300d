use super::*;
use serde_json::json;
use std::collections::BTreeSet;

#[tokio::test]
async fn profiles_are_paged_in_every_order() {
    let shop = Shop::open(Speed::Fast).await;
    let suppressed = "subscriptions.email.marketing.suppression.timestamp";
    for (sort, key) in [
        ("id", "id"),
        ("-id", "id"),
        ("created", "created"),
        ("-updated", "updated"),
        ("email", "email"),
        (suppressed, ""),
    ] {
        let all = shop
            .all(&format!("/api/profiles?sort={sort}&page[size]=37"))
            .await;
        assert_eq!(all.len(), 240, "{sort}");
        assert_eq!(
            ids(&all).iter().collect::<BTreeSet<_>>().len(),
            240,
            "{sort}"
        );
        let keys: Vec<String> = all
            .iter()
            .map(|known| match key {
                "id" => known["id"].as_str().unwrap().to_owned(),
                _ => known["attributes"][key].as_str().unwrap_or("").to_owned(),
            })
            .collect();
        let mut sorted = keys.clone();
        sorted.sort();
        if sort.starts_with('-') {
            sorted.reverse();
        }
        assert_eq!(keys, sorted, "{sort}");
    }
    assert_eq!(
        shop.get("/api/profiles").await.body["data"]
            .as_array()
            .unwrap()
            .len(),
        20
    );
}

#[tokio::test]
async fn a_cursor_is_a_place_and_not_a_count() {
    let shop = Shop::open(Speed::Fast).await;
    let first = shop.get("/api/profiles?sort=id&page[size]=100").await;
    let seen = ids(first.body["data"].as_array().unwrap());
    shop.world.state().klaviyo.profiles.remove(&seen[3]);
    let rest = shop
        .all(first.body["links"]["next"].as_str().unwrap())
        .await;
    assert_eq!(rest.len(), 140);
    let other = first.body["links"]["next"]
        .as_str()
        .unwrap()
        .replace("/api/profiles", "/api/lists");
    assert_eq!(shop.get(&other).await.status, 400);
}

#[tokio::test]
async fn profiles_are_filtered_by_identity_time_and_suppression() {
    let shop = Shop::open(Speed::Fast).await;
    let (id, email) = {
        let id = shop.profile(|known| known.email.is_some());
        let state = shop.world.state();
        (
            id.clone(),
            state.klaviyo.profiles[&id].email.clone().unwrap(),
        )
    };
    for filter in [
        format!("equals(id,\"{id}\")"),
        format!("any(id,[\"{id}\",\"nobody\",\"{id}\"])"),
        format!("and(any(email,['{email}','x@y.z']),equals(id,'{id}'))"),
    ] {
        let found = shop.all(&format!("/api/profiles?filter={filter}")).await;
        assert_eq!(ids(&found), std::slice::from_ref(&id), "{filter}");
    }
    let bound = "2026-09-01T00:00:00Z";
    let later = |at: Moment| at > Moment::parse(bound).unwrap();
    let expected = |fits: &dyn Fn(&crate::sandbox::world::Profile) -> bool| -> BTreeSet<String> {
        let state = shop.world.state();
        let found = state
            .klaviyo
            .profiles
            .iter()
            .filter(|(_, known)| fits(known));
        found.map(|(id, _)| id.clone()).collect()
    };
    let path =
        format!("/api/profiles?sort=updated&filter=greater-than(updated,{bound})&page[size]=10");
    let found: BTreeSet<String> = ids(&shop.all(&path).await).into_iter().collect();
    assert_eq!(found, expected(&|known| later(known.updated)));
    assert!(found.len() > 10);

    let field = "subscriptions.email.marketing.suppression";
    let path = format!(
        "/api/profiles?filter=greater-or-equal({field}.timestamp,{bound}),equals({field}.reason,'HARD_BOUNCE')"
    );
    let found: BTreeSet<String> = ids(&shop.all(&path).await).into_iter().collect();
    assert_eq!(
        found,
        expected(&|known| {
            let hit =
                |s: &crate::sandbox::world::Suppression| s.reason == "HARD_BOUNCE" && later(s.at);
            known.suppressions.iter().any(hit)
        })
    );
    assert!(!found.is_empty());
}

#[tokio::test]
async fn fields_are_cut_and_added_as_asked() {
    let shop = Shop::open(Speed::Fast).await;
    let id = shop.profile(|known| known.consent == "SUBSCRIBED" && known.suppressions.is_empty());
    let whole = shop.get(&format!("/api/profiles/{id}")).await.body;
    assert!(whole["data"]["attributes"]["properties"].is_object());
    assert!(whole["data"]["attributes"].get("subscriptions").is_none());
    let path = format!(
        "/api/profiles/{id}?fields[profile]=email,location.country,subscriptions.email.marketing.consent\
         &additional-fields[profile]=subscriptions"
    );
    let cut = shop.get(&path).await.body;
    let attributes = cut["data"]["attributes"].as_object().unwrap();
    let names: Vec<&String> = attributes.keys().collect();
    assert_eq!(names, ["email", "location", "subscriptions"]);
    assert_eq!(attributes["location"].as_object().unwrap().len(), 1);
    let email = &attributes["subscriptions"]["email"];
    assert_eq!(email, &json!({ "marketing": { "consent": "SUBSCRIBED" } }));
    assert_eq!(shop.get("/api/profiles/nobody").await.status, 404);
}

#[tokio::test]
async fn events_are_paged_by_metric_time_and_profile() {
    let shop = Shop::open(Speed::Fast).await;
    let received = shop.metric("Received Email");
    let opened = shop.metric("Opened Email");
    let count = |metric: &str| shop.world.state().klaviyo.events[metric].len();
    for sort in ["datetime", "-datetime", "timestamp"] {
        let path = format!(
            "/api/events?filter=equals(metric_id,\"{received}\")&sort={sort}&page[size]=171"
        );
        let all = shop.all(&path).await;
        assert_eq!(all.len(), count(&received));
        let times: Vec<i64> = all
            .iter()
            .map(|event| event["attributes"]["timestamp"].as_i64().unwrap())
            .collect();
        let mut sorted = times.clone();
        sorted.sort_unstable();
        if sort.starts_with('-') {
            sorted.reverse();
        }
        assert_eq!(times, sorted);
        assert_eq!(ids(&all).iter().collect::<BTreeSet<_>>().len(), all.len());
    }
    let both = format!(
        "/api/events?filter=equals(metric_id,[\"{received}\",\"{opened}\"])&page[size]=1000"
    );
    assert_eq!(
        shop.all(&both).await.len(),
        count(&received) + count(&opened)
    );

    let (from, to) = ("2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z");
    let span = Moment::parse(from).unwrap().secs()..Moment::parse(to).unwrap().secs();
    let expected = {
        let state = shop.world.state();
        let events = state.klaviyo.events[&received].iter();
        events
            .filter(|event| span.contains(&event.timestamp))
            .count()
    };
    for sort in ["datetime", "-datetime"] {
        let path = format!(
            "/api/events?filter=equals(metric_id,'{received}'),greater-or-equal(datetime,{from}),\
             less-than(timestamp,{})&sort={sort}&page[size]=20",
            span.end
        );
        assert_eq!(shop.all(&path).await.len(), expected);
    }
    assert!(expected > 20);

    let profile = shop.world.state().klaviyo.events[&opened][0]
        .profile
        .clone()
        .unwrap();
    let path = format!("/api/events?filter=equals(profile_id,'{profile}')&sort=datetime");
    let mine = shop.all(&path).await;
    assert!(
        mine.iter()
            .all(|event| event["relationships"]["profile"]["data"]["id"] == profile)
    );
    let metrics: BTreeSet<&str> = mine
        .iter()
        .map(|event| {
            event["relationships"]["metric"]["data"]["id"]
                .as_str()
                .unwrap()
        })
        .collect();
    assert!(metrics.len() > 1);
    let bare = shop
        .get("/api/events?fields[event]=datetime&page[size]=1")
        .await
        .body;
    assert_eq!(bare["data"][0]["attributes"].as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn lists_segments_and_metrics_have_catalogues() {
    let shop = Shop::open(Speed::Fast).await;
    let lists = shop.all("/api/lists?sort=name&page[size]=4").await;
    let names: Vec<&str> = lists
        .iter()
        .map(|list| list["attributes"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 6);
    assert!(names.is_sorted());
    let segments = shop.all("/api/segments?page[size]=3").await;
    assert_eq!(segments.len(), 29);
    let groups = &segments[0]["attributes"]["definition"]["condition_groups"];
    assert!(groups[0]["conditions"][0]["type"].is_string());
    assert_eq!(shop.all("/api/metrics").await.len(), 13);
    let shopify = shop
        .all("/api/metrics?filter=equals(integration.name,'Shopify')")
        .await;
    assert_eq!(shopify.len(), 2);

    let id = shop.list("Newsletter");
    let members = shop.world.state().klaviyo.lists[&id].members.len();
    let path = format!("/api/lists/{id}?additional-fields[list]=profile_count");
    assert_eq!(
        shop.get(&path).await.body["data"]["attributes"]["profile_count"],
        members
    );
    let named = shop
        .all("/api/lists?filter=equals(name,['Newsletter'])")
        .await;
    assert_eq!(ids(&named), [id]);
    assert_eq!(shop.get("/api/lists/nolist").await.status, 404);
    assert_eq!(shop.get("/api/segments/noseg").await.status, 404);
}

#[tokio::test]
async fn members_come_with_the_time_they_joined() {
    let shop = Shop::open(Speed::Fast).await;
    let id = shop.list("Newsletter");
    let members = shop.world.state().klaviyo.lists[&id].members.clone();
    let bare = shop
        .all(&format!(
            "/api/lists/{id}/relationships/profiles?page[size]=50"
        ))
        .await;
    assert_eq!(ids(&bare), members.keys().cloned().collect::<Vec<_>>());
    assert_eq!(bare[0].as_object().unwrap().len(), 2);
    let path = format!("/api/lists/{id}/profiles?sort=-joined_group_at&page[size]=50");
    let whole = shop.all(&path).await;
    assert_eq!(whole.len(), members.len());
    let joined: Vec<&str> = whole
        .iter()
        .map(|known| known["attributes"]["joined_group_at"].as_str().unwrap())
        .collect();
    assert!(joined.is_sorted_by(|a, b| a >= b));
    let path = format!(
        "/api/lists/{id}/profiles?fields[profile]=joined_group_at&filter=greater-than(joined_group_at,{})",
        "2026-06-01T00:00:00Z"
    );
    let bound = Moment::parse("2026-06-01T00:00:00Z").unwrap();
    let recent = members.values().filter(|at| **at > bound).count();
    let found = shop.all(&path).await;
    assert_eq!(found.len(), recent);
    assert_eq!(found[0]["attributes"].as_object().unwrap().len(), 1);

    let (segment, member) = {
        let state = shop.world.state();
        let (id, known) = state
            .klaviyo
            .segments
            .iter()
            .find(|(_, s)| !s.members.is_empty())
            .unwrap();
        (id.clone(), known.members.keys().next().unwrap().clone())
    };
    let path =
        format!("/api/segments/{segment}/profiles?filter=any(profile_id,['{member}','nobody'])");
    assert_eq!(ids(&shop.all(&path).await), [member]);
}

#[tokio::test]
async fn reports_agree_with_sizes_and_movements() {
    let shop = Shop::open(Speed::Fast).await;
    let report = |timeframe: Json| {
        json!({ "data": { "type": "segment-values-report", "attributes": {
            "statistics": ["total_members", "members_added", "members_removed", "net_members_changed"],
            "timeframe": timeframe,
        }}})
    };
    let path = "/api/segment-values-reports";
    let month = shop
        .send(Method::POST, path, report(json!({ "key": "last_30_days" })))
        .await;
    assert_eq!(month.status, 200, "{}", month.body);
    let past = json!({ "start": "2026-11-01T00:00:00Z", "end": "2026-11-10T00:00:00Z" });
    let past = shop.send(Method::POST, path, report(past)).await;
    let segments = shop.world.state().klaviyo.segments.clone();
    let of = |answer: &Answer, id: &str| {
        let results = answer.body["data"]["attributes"]["results"]
            .as_array()
            .unwrap()
            .clone();
        let mine = results
            .into_iter()
            .find(|result| result["groupings"]["segment_id"] == *id);
        mine.unwrap()["statistics"].clone()
    };
    for (id, segment) in &segments {
        let figures = of(&month, id);
        assert_eq!(figures["total_members"], segment.members.len());
        let net: i64 = segment
            .moves
            .iter()
            .map(|(_, came, went)| *came as i64 - *went as i64)
            .sum();
        assert_eq!(figures["net_members_changed"], net);
        let end = Moment::parse("2026-11-10T00:00:00Z").unwrap();
        let later: i64 = segment
            .moves
            .iter()
            .filter(|(at, ..)| *at >= end)
            .map(|(_, came, went)| *came as i64 - *went as i64)
            .sum();
        assert_eq!(
            of(&past, id)["total_members"],
            segment.members.len() as i64 - later
        );
    }
    for wrong in [
        json!({ "key": "someday" }),
        json!({ "start": "2026-02-02", "end": "2026-02-01" }),
    ] {
        assert_eq!(
            shop.send(Method::POST, path, report(wrong)).await.status,
            400
        );
    }
}
