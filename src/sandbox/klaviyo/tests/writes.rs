use super::*;
use crate::sandbox::world::Write;
use serde_json::json;

fn rows(ids: &[&str]) -> Json {
    let rows: Vec<Json> = ids
        .iter()
        .map(|id| json!({ "type": "profile", "id": id }))
        .collect();
    json!({ "data": rows })
}

fn import(profiles: Json, list: Option<&str>) -> Json {
    let mut data = json!({
        "type": "profile-bulk-import-job",
        "attributes": { "profiles": { "data": profiles } },
    });
    if let Some(list) = list {
        data["relationships"] = json!({ "lists": { "data": [{ "type": "list", "id": list }] } });
    }
    json!({ "data": data })
}

const IMPORTS: &str = "/api/profile-bulk-import-jobs";
const SUPPRESSIONS: &str = "/api/profile-suppression-bulk-create-jobs";

#[tokio::test]
async fn a_list_is_created_renamed_and_filled() {
    let shop = Shop::open(Speed::Fast).await;
    let body = json!({ "data": { "type": "list", "attributes": { "name": "Win-back" } } });
    let created = shop.send(Method::POST, "/api/lists", body).await;
    assert_eq!(created.status, 201);
    let id = created.body["data"]["id"].as_str().unwrap();
    let renamed = json!({ "data": { "type": "list", "id": id, "attributes": { "name": "Back" } } });
    let path = format!("/api/lists/{id}");
    let renamed = shop.send(Method::PATCH, &path, renamed).await;
    assert_eq!(renamed.body["data"]["attributes"]["name"], "Back");

    let members = format!("/api/lists/{id}/relationships/profiles");
    let profile = shop.profile(|_| true);
    let added = shop.send(Method::POST, &members, rows(&[&profile])).await;
    assert_eq!((added.status, added.body), (204, Json::Null));
    assert_eq!(
        ids(&shop.all(&members).await),
        std::slice::from_ref(&profile)
    );
    assert_eq!(
        shop.send(Method::POST, &members, rows(&[&profile]))
            .await
            .status,
        204
    );
    assert_eq!(
        shop.send(Method::DELETE, &members, rows(&[&profile]))
            .await
            .status,
        204
    );
    assert!(shop.all(&members).await.is_empty());

    let unknown = shop
        .send(Method::POST, &members, rows(&[&profile, "nobody"]))
        .await;
    assert_eq!(unknown.status, 400);
    assert_eq!(unknown.body["errors"][0]["source"]["pointer"], "/data/1/id");
    let many: Vec<&str> = std::iter::repeat_n(profile.as_str(), 1_001).collect();
    assert_eq!(
        shop.send(Method::POST, &members, rows(&many)).await.status,
        400
    );
    let kinds: Vec<&str> = shop
        .world
        .state()
        .history
        .iter()
        .map(|write| write.kind)
        .collect();
    assert_eq!(
        kinds,
        [
            "list create",
            "list patch",
            "list add",
            "list add",
            "list remove"
        ]
    );
}

#[tokio::test]
async fn list_changes_show_later_when_the_world_lags() {
    let shop = Shop::open(Speed::Fast).await;
    shop.world.state().faults.lag = Duration::from_secs(5);
    let members = format!(
        "/api/lists/{}/relationships/profiles",
        shop.list("Newsletter")
    );
    let profile = ids(&shop.all(&members).await).remove(0);
    assert_eq!(
        shop.send(Method::DELETE, &members, rows(&[&profile]))
            .await
            .status,
        204
    );
    assert!(ids(&shop.all(&members).await).contains(&profile));
    shop.wait(5_000);
    assert!(!ids(&shop.all(&members).await).contains(&profile));
}

#[tokio::test]
async fn a_patch_merges_unsets_and_moves_updated_once() {
    let shop = Shop::open(Speed::Fast).await;
    let id = shop.profile(|known| known.email.is_some());
    let path = format!("/api/profiles/{id}");
    let body = json!({ "data": { "type": "profile", "id": id,
        "attributes": { "properties": { "driftless_stage": "lapsed" } },
        "meta": { "patch_properties": { "unset": ["Favourite"], "append": { "tags": "a" } } },
    }});
    let patched = shop.send(Method::PATCH, &path, body.clone()).await;
    assert_eq!(patched.status, 200);
    let attributes = &patched.body["data"]["attributes"];
    assert_eq!(attributes["properties"]["driftless_stage"], "lapsed");
    assert_eq!(attributes["properties"]["tags"], json!(["a"]));
    assert!(attributes["properties"].get("Favourite").is_none());
    assert!(attributes["properties"].get("Accepts Marketing").is_some());
    assert_eq!(shop.world.state().klaviyo.profiles[&id].updated, shop.now());
    shop.wait(60_000);
    assert_eq!(shop.send(Method::PATCH, &path, body).await.status, 200);
    assert!(shop.world.state().klaviyo.profiles[&id].updated < shop.now());

    let other = shop.profile(|known| known.email.is_some() && known.first_name.is_some());
    let taken = shop.world.state().klaviyo.profiles[&other].email.clone();
    let third = shop.profile(|known| known.email.is_some() && known.email != taken);
    let steal =
        json!({ "data": { "type": "profile", "id": third, "attributes": { "email": taken } } });
    let refused = shop
        .send(Method::PATCH, &format!("/api/profiles/{third}"), steal)
        .await;
    assert_eq!(refused.status, 409);
    assert_eq!(refused.body["errors"][0]["code"], "duplicate_profile");
    assert!(refused.body["errors"][0]["meta"]["duplicate_profile_id"].is_string());
}

#[tokio::test]
async fn an_import_job_completes_later_and_names_its_bad_rows() {
    let shop = Shop::open(Speed::Fast).await;
    let (id, list) = (shop.profile(|_| true), shop.list("Staff"));
    let profiles = json!([
        { "type": "profile", "id": id, "attributes": { "properties": { "x": 1 } },
          "meta": { "patch_properties": { "unset": "Favourite" } } },
        { "type": "profile", "id": "nobody", "attributes": {} },
        { "type": "profile", "attributes": { "email": "a@driftless.shop", "phone_number": "0171" } },
        { "type": "profile", "attributes": { "email": "new@driftless.shop" } },
        { "type": "profile", "attributes": {} },
        { "type": "profile", "attributes": { "email": "new@driftless.shop", "first_name": "Ada" } },
    ]);
    let created = shop
        .send(Method::POST, IMPORTS, import(profiles, Some(&list)))
        .await;
    assert_eq!(created.status, 202, "{}", created.body);
    assert_eq!(created.body["data"]["attributes"]["status"], "queued");
    let job = created.body["data"]["id"].as_str().unwrap().to_owned();
    let path = format!("{IMPORTS}/{job}");
    shop.wait(1_000);
    assert_eq!(
        shop.get(&path).await.body["data"]["attributes"]["status"],
        "processing"
    );
    assert!(
        !shop.world.state().klaviyo.profiles[&id]
            .properties
            .contains_key("x")
    );
    shop.wait(1_000);
    let done = shop.get(&path).await.body;
    let attributes = &done["data"]["attributes"];
    assert_eq!(attributes["status"], "complete");
    assert_eq!(attributes["total_count"], 6);
    assert_eq!(attributes["completed_count"], 3);
    assert_eq!(attributes["failed_count"], 3);
    let errors = shop
        .all(&format!("{path}/import-errors?page[size]=2"))
        .await;
    let places: Vec<&str> = errors
        .iter()
        .map(|error| error["attributes"]["source"]["pointer"].as_str().unwrap())
        .map(|pointer| pointer.trim_start_matches("/data/attributes/profiles/data"))
        .collect();
    assert_eq!(
        places,
        ["/1/id", "/2/attributes/phone_number", "/4/attributes"]
    );

    let state = shop.world.state();
    let profile = &state.klaviyo.profiles[&id];
    assert_eq!(profile.properties["x"], 1);
    assert!(!profile.properties.contains_key("Favourite"));
    assert_eq!(profile.updated, shop.now());
    assert!(state.klaviyo.lists[&list].members.contains_key(&id));
    let new = |known: &&crate::sandbox::world::Profile| {
        known.email.as_deref() == Some("new@driftless.shop")
    };
    let new: Vec<_> = state.klaviyo.profiles.values().filter(new).collect();
    assert_eq!(new.len(), 1);
    assert_eq!(new[0].first_name.as_deref(), Some("Ada"));
    let expected = Write {
        at: shop.now().minus(Duration::from_secs(2)),
        kind: "import",
        target: job,
        subjects: vec![
            id,
            "nobody".to_owned(),
            "a@driftless.shop".to_owned(),
            "new@driftless.shop".to_owned(),
            "new@driftless.shop".to_owned(),
        ],
    };
    assert_eq!(state.history, [expected]);
}

#[tokio::test]
async fn jobs_are_listed_by_status_and_expire() {
    let shop = Shop::open(Speed::Fast).await;
    let id = shop.profile(|_| true);
    let one = json!([{ "type": "profile", "id": id, "attributes": {} }]);
    for _ in 0..3 {
        shop.send(Method::POST, IMPORTS, import(one.clone(), None))
            .await;
        shop.wait(1_500);
    }
    let named =
        |status: &str| format!("{IMPORTS}?filter=equals(status,'{status}')&sort=-created_at");
    assert_eq!(shop.all(&named("complete")).await.len(), 2);
    let running = shop.all(&named("processing")).await;
    assert_eq!(running.len(), 1);
    let path = format!("{IMPORTS}/{}", running[0]["id"].as_str().unwrap());
    assert_eq!(shop.get(&path).await.status, 200);
    shop.wait(8 * 86_400_000);
    assert_eq!(shop.get(&path).await.status, 404);
    assert_eq!(
        shop.send(Method::POST, IMPORTS, import(json!([]), None))
            .await
            .status,
        400
    );
    let stray = shop
        .send(Method::POST, IMPORTS, import(one, Some("nolist")))
        .await;
    assert_eq!(stray.status, 400);
}

#[tokio::test]
async fn a_suppression_job_suppresses_and_counts_what_it_skipped() {
    let shop = Shop::open(Speed::Fast).await;
    let id = shop.profile(|known| {
        known.email.is_some() && known.suppressions.is_empty() && known.consent == "SUBSCRIBED"
    });
    let email = shop.world.state().klaviyo.profiles[&id]
        .email
        .clone()
        .unwrap();
    let job = |emails: &[&str]| {
        let one = |email: &&str| json!({ "type": "profile", "attributes": { "email": email } });
        let rows: Vec<Json> = emails.iter().map(one).collect();
        json!({ "data": { "type": "profile-suppression-bulk-create-job",
            "attributes": { "profiles": { "data": rows } } } })
    };
    let body = job(&[&email, "stranger@driftless.shop"]);
    let created = shop.send(Method::POST, SUPPRESSIONS, body).await;
    assert_eq!(created.status, 202, "{}", created.body);
    assert!(shop.world.state().klaviyo.profiles[&id].can_receive());
    shop.wait(2_000);
    let path = format!(
        "{SUPPRESSIONS}/{}",
        created.body["data"]["id"].as_str().unwrap()
    );
    let attributes = &shop.get(&path).await.body["data"]["attributes"];
    assert_eq!(attributes["status"], "complete");
    assert_eq!(
        (&attributes["completed_count"], &attributes["skipped_count"]),
        (&json!(1), &json!(1))
    );
    let reply = shop
        .get(&format!(
            "/api/profiles/{id}?additional-fields[profile]=subscriptions"
        ))
        .await;
    let marketing = &reply.body["data"]["attributes"]["subscriptions"]["email"]["marketing"];
    assert_eq!(marketing["can_receive_email_marketing"], false);
    assert_eq!(marketing["consent"], "SUBSCRIBED");
    assert_eq!(marketing["suppression"][0]["reason"], "USER_SUPPRESSED");
    let metric = shop.metric("Manually Suppressed from Email Marketing");
    let events = shop
        .all(&format!(
            "/api/events?filter=equals(metric_id,'{metric}')&sort=-datetime"
        ))
        .await;
    assert_eq!(events[0]["relationships"]["profile"]["data"]["id"], id);
    assert_eq!(
        shop.all(&format!("{SUPPRESSIONS}?filter=equals(status,'complete')"))
            .await
            .len(),
        1
    );

    let many: Vec<&str> = std::iter::repeat_n(email.as_str(), 101).collect();
    assert_eq!(
        shop.send(Method::POST, SUPPRESSIONS, job(&many))
            .await
            .status,
        400
    );
    let group = json!({ "data": { "type": "profile-suppression-bulk-create-job", "attributes": {},
        "relationships": { "list": { "data": { "type": "list", "id": shop.list("Staff") } } } } });
    assert_eq!(
        shop.send(Method::POST, SUPPRESSIONS, group).await.status,
        202
    );
    shop.wait(2_000);
    shop.get("/api/lists").await;
    let state = shop.world.state();
    let staff = state
        .klaviyo
        .lists
        .values()
        .find(|list| list.name == "Staff")
        .unwrap();
    assert!(
        staff
            .members
            .keys()
            .all(|id| !state.klaviyo.profiles[id].can_receive())
    );
}

const DELETIONS: &str = "/api/data-privacy-deletion-jobs";

fn deletion(profile: Json) -> Json {
    json!({ "data": { "type": "data-privacy-deletion-job",
        "attributes": { "profile": { "data": profile } } } })
}

#[tokio::test]
async fn a_deleted_profile_is_gone_everywhere_and_its_events_stay_without_it() {
    let shop = Shop::open(Speed::Fast).await;
    let members = format!(
        "/api/lists/{}/relationships/profiles",
        shop.list("Newsletter")
    );
    let id = ids(&shop.all(&members).await).remove(0);
    let events = |shop: &Shop| {
        let state = shop.world.state();
        let all = state.klaviyo.events.values().flatten();
        let (mut whole, mut theirs) = (0, 0);
        for event in all {
            whole += 1;
            theirs += usize::from(event.profile.as_deref() == Some(&*id));
        }
        (whole, theirs)
    };
    let before = events(&shop);
    assert!(before.1 > 0);

    let body = deletion(json!({ "type": "profile", "id": id, "attributes": {} }));
    let asked = shop.send(Method::POST, DELETIONS, body).await;
    assert_eq!((asked.status, asked.body), (202, Json::Null));
    let path = format!("/api/profiles/{id}");
    assert_eq!(shop.get(&path).await.status, 200, "it takes a while");
    shop.wait(2_000);
    assert_eq!(shop.get(&path).await.status, 404);
    assert!(!ids(&shop.all("/api/profiles").await).contains(&id));
    assert!(!ids(&shop.all(&members).await).contains(&id));
    for segment in shop.world.state().klaviyo.segments.values() {
        assert!(!segment.members.contains_key(&id), "{}", segment.name);
    }
    assert_eq!(events(&shop), (before.0, 0));
    let history = shop.world.state().history.clone();
    let [write] = history.as_slice() else {
        panic!("{history:?}")
    };
    assert_eq!((write.kind, &write.subjects), ("delete", &vec![id]));
}

#[tokio::test]
async fn a_deletion_needs_its_scope_and_exactly_one_identifier() {
    let shop = Shop::open(Speed::Fast).await;
    let id = shop.profile(|known| known.email.is_some());
    for wrong in [
        json!({ "type": "profile", "id": id, "attributes": { "email": "a@example.com" } }),
        json!({ "type": "profile", "attributes": {} }),
    ] {
        let refused = shop.send(Method::POST, DELETIONS, deletion(wrong)).await;
        assert_eq!(refused.status, 400);
    }
    let body = deletion(json!({ "type": "profile", "id": id, "attributes": {} }));
    shop.world
        .state()
        .klaviyo
        .scopes
        .retain(|scope| scope != "data-privacy:write");
    let refused = shop.send(Method::POST, DELETIONS, body).await;
    assert_eq!(refused.status, 403);
    assert!(shop.world.state().history.is_empty());
}
