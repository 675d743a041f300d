//! Tags, metafields and their definitions.

use super::*;

fn tags_of(shop: &Shop, number: u64) -> Vec<String> {
    shop.world.state().shopify.customers[&number].tags.clone()
}

async fn add(shop: &Shop, number: u64, tags: &[&str]) -> Json {
    let variables = json!({"id": gid(number), "tags": tags});
    shop.data("TagsAdd", variables).await["tagsAdd"].take()
}

fn entry(number: u64, key: &str, value: &str) -> Json {
    json!({"ownerId": gid(number), "namespace": "$app", "key": key, "type": "json", "value": value})
}

#[tokio::test]
async fn tags_take_the_shops_spelling_and_are_compared_without_case() {
    let shop = Shop::open(peopled(3)).await;
    shop.world
        .state()
        .shopify
        .customers
        .get_mut(&2)
        .unwrap()
        .tags = vec!["a".to_owned()];
    let reply = add(&shop, 1, &["A", " two , Beta", "vip", ""]).await;
    assert_eq!(reply["userErrors"], json!([]));
    assert_eq!(reply["node"]["id"], gid(1));
    assert_eq!(tags_of(&shop, 1), ["a", "Beta", "two", "VIP"]);
    shop.data("TagsRemove", json!({"id": gid(1), "tags": ["TWO", "none"]}))
        .await;
    assert_eq!(tags_of(&shop, 1), ["a", "Beta", "VIP"]);
}

#[tokio::test]
async fn removing_and_adding_in_one_request_happen_in_order() {
    let shop = Shop::open(peopled(3)).await;
    let variables = json!({"id": gid(1), "remove": ["vip"], "add": ["df:stage:lead"]});
    let data = shop.data("TagsReplaceOwned", variables).await;
    assert_eq!(data["added"]["node"]["tags"], json!(["df:stage:lead"]));
    assert_eq!(data["removed"]["userErrors"], json!([]));
}

#[tokio::test]
async fn a_write_moves_the_customer_and_enters_the_history() {
    let shop = Shop::open(peopled(3)).await;
    shop.pass(5_000);
    add(&shop, 1, &["new"]).await;
    let state = shop.world.state();
    assert_eq!(
        state.shopify.customers[&1].updated,
        start().plus(Duration::from_secs(5))
    );
    let write = &state.history[0];
    assert_eq!((write.kind, write.target.as_str()), ("tagsAdd", "new"));
    assert_eq!(write.subjects, [gid(1)]);
}

#[tokio::test]
async fn a_tag_that_is_there_changes_nothing() {
    let shop = Shop::open(peopled(3)).await;
    let before = shop.world.state().shopify.customers[&1].updated;
    add(&shop, 1, &["vip"]).await;
    assert_eq!(shop.world.state().shopify.customers[&1].updated, before);
}

#[tokio::test]
async fn the_251st_tag_is_refused_and_none_is_added() {
    let shop = Shop::open(peopled(3)).await;
    let many: Vec<String> = (0..249).map(|n| format!("t{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(add(&shop, 1, &many).await["userErrors"], json!([]));
    let refused = add(&shop, 1, &["one-more"]).await;
    let error = json!([{"field": ["tags"], "message": "Tags cannot be more than 250"}]);
    assert_eq!(refused["userErrors"], error);
    assert_eq!(tags_of(&shop, 1).len(), 250);
    assert_eq!(shop.world.state().history.len(), 1);
}

#[tokio::test]
async fn an_unknown_customer_is_a_user_error_and_another_kind_of_id_a_fault() {
    let shop = Shop::open(peopled(3)).await;
    let error = json!([{"field": ["id"], "message": "Customer does not exist"}]);
    assert_eq!(add(&shop, 99, &["a"]).await["userErrors"], error);
    let other = json!({"id": "gid://shopify/Order/1", "tags": ["a"]});
    let reply = shop.run("TagsAdd", other).await;
    assert_eq!(code(&reply), "RESOURCE_NOT_FOUND");
    assert_eq!(reply["data"], json!({"tagsAdd": null}));
}

#[tokio::test]
async fn metafields_are_set_for_many_owners_at_once() {
    let shop = Shop::open(peopled(30)).await;
    let entries: Vec<Json> = (1..=25)
        .map(|n| entry(n, "driftless", "{\"stage\":\"lead\"}"))
        .collect();
    let data = shop
        .data("MetafieldsSet", json!({"metafields": entries}))
        .await;
    let written = data["metafieldsSet"]["metafields"].as_array().unwrap();
    assert_eq!(written.len(), 25);
    assert_eq!(written[24]["value"], "{\"stage\":\"lead\"}");
    let state = shop.world.state();
    assert_eq!(state.history.len(), 1);
    assert_eq!(state.history[0].target, "$app.driftless");
    assert_eq!(state.history[0].subjects.len(), 25);
    assert_eq!(state.shopify.customers[&25].updated, start());
}

#[tokio::test]
async fn one_bad_entry_refuses_all_and_is_named_by_its_index() {
    let shop = Shop::open(peopled(3)).await;
    let entries = [
        entry(1, "driftless", "{}"),
        entry(2, "driftless", "{"),
        entry(99, "driftless", "{}"),
    ];
    let data = shop
        .data("MetafieldsSet", json!({"metafields": entries}))
        .await;
    let errors = &data["metafieldsSet"]["userErrors"];
    assert_eq!(errors[0]["elementIndex"], 1);
    assert_eq!(errors[0]["code"], "INVALID_VALUE");
    assert_eq!(errors[0]["field"], json!(["metafields", "1", "value"]));
    assert_eq!(errors[1]["elementIndex"], 2);
    assert_eq!(data["metafieldsSet"]["metafields"], json!([]));
    let state = shop.world.state();
    assert!(state.history.is_empty());
    assert_eq!(state.shopify.customers[&1].metafields.len(), 1);
}

#[tokio::test]
async fn more_than_25_entries_are_refused() {
    let shop = Shop::open(peopled(30)).await;
    let entries: Vec<Json> = (1..=26).map(|n| entry(n, "driftless", "{}")).collect();
    let data = shop
        .data("MetafieldsSetQuiet", json!({"metafields": entries}))
        .await;
    let error = &data["metafieldsSet"]["userErrors"][0];
    assert_eq!(error["code"], "LESS_THAN_OR_EQUAL_TO");
    assert!(shop.world.state().history.is_empty());
}

#[tokio::test]
async fn a_compare_digest_guards_against_lost_updates() {
    let shop = Shop::open(peopled(3)).await;
    let with = |digest: Json, value: &str| {
        let mut entry = entry(1, "driftless", value);
        entry["compareDigest"] = digest;
        let variables = json!({"metafields": [entry]});
        async { shop.data("MetafieldsSet", variables).await["metafieldsSet"].take() }
    };
    let created = with(Json::Null, "1").await;
    let digest = created["metafields"][0]["compareDigest"].clone();
    assert_eq!(
        with(Json::Null, "2").await["userErrors"][0]["code"],
        "STALE_OBJECT"
    );
    assert_eq!(
        with("abc".into(), "2").await["userErrors"][0]["code"],
        "INVALID_COMPARE_DIGEST"
    );
    assert_eq!(with(digest.clone(), "2").await["userErrors"], json!([]));
    assert_eq!(
        with(digest, "3").await["userErrors"][0]["code"],
        "STALE_OBJECT"
    );
}

#[tokio::test]
async fn the_same_value_again_is_no_change() {
    let shop = Shop::open(peopled(3)).await;
    let variables = json!({"metafields": [entry(1, "driftless", "{}")]});
    let first = shop.data("MetafieldsSet", variables.clone()).await;
    shop.pass(60_000);
    let again = shop.data("MetafieldsSet", variables).await;
    assert_eq!(first, again);
    assert_eq!(shop.world.state().shopify.customers[&1].updated, start());
}

#[tokio::test]
async fn a_definition_settles_the_type_and_is_taken_the_second_time() {
    let shop = Shop::open(peopled(3)).await;
    let definition = json!({"definition": {"name": "Driftless", "namespace": "$app", "key": "driftless",
        "type": "json", "ownerType": "CUSTOMER", "access": {"admin": "MERCHANT_READ"}}});
    let run = || shop.data("MetafieldDefinition", definition.clone());
    let created = run().await;
    let definition = &created["metafieldDefinitionCreate"];
    assert_eq!(definition["createdDefinition"]["key"], "driftless");
    assert_eq!(definition["userErrors"], json!([]));
    let again = run().await;
    let again = &again["metafieldDefinitionCreate"];
    assert_eq!(again["userErrors"][0]["code"], "TAKEN");
    assert_eq!(again["createdDefinition"], Json::Null);
    let mut untyped = entry(1, "driftless", "{}");
    untyped.as_object_mut().unwrap().remove("type");
    let data = shop
        .data("MetafieldsSet", json!({"metafields": [untyped]}))
        .await;
    assert_eq!(data["metafieldsSet"]["userErrors"], json!([]));
    let mut other = entry(1, "driftless", "1");
    other["type"] = "number_integer".into();
    let data = shop
        .data("MetafieldsSet", json!({"metafields": [other]}))
        .await;
    assert_eq!(
        data["metafieldsSet"]["userErrors"][0]["code"],
        "INVALID_TYPE"
    );
}

#[tokio::test]
async fn deleting_a_metafield_twice_names_it_once() {
    let shop = Shop::open(peopled(3)).await;
    let name = json!({"ownerId": gid(1), "namespace": "$app", "key": "klaviyo_profile_id"});
    let variables = json!({"metafields": [name]});
    let first = shop.data("MetafieldsDelete", variables.clone()).await;
    let deleted = &first["metafieldsDelete"]["deletedMetafields"];
    assert_eq!(deleted[0]["ownerId"], gid(1));
    let again = shop.data("MetafieldsDelete", variables).await;
    assert_eq!(
        again["metafieldsDelete"]["deletedMetafields"],
        json!([null])
    );
    assert!(
        shop.world.state().shopify.customers[&1]
            .metafields
            .is_empty()
    );
}
