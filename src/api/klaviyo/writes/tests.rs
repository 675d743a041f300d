use super::*;
use crate::api::fake::{Fake, answer, body};
use crate::api::klaviyo::client::tests_support::client;

fn sent(fake: &Fake) -> Json {
    let (media, body) = fake.seen()[0].body.clone().unwrap();
    assert_eq!(media, "application/vnd.api+json");
    serde_json::from_slice(&body).unwrap()
}

fn row(id: &str, text: &str) -> ImportRow {
    ImportRow {
        id: id.into(),
        set: [("driftless_note".to_owned(), Value::Text(text.to_owned()))].into(),
        unset: Vec::new(),
    }
}

#[tokio::test]
async fn a_list_is_created_once_and_never_by_a_repeat() {
    let fake = Fake::new([body(
        r#"{"data":{"type":"list","id":"Y6nRLr","attributes":{}}}"#,
    )]);
    let made = client(&fake)
        .create_list(&WriteGrant::mint(), "Lapsed")
        .await;
    assert_eq!(made, Ok("Y6nRLr".into()));
    assert_eq!(sent(&fake)["data"]["attributes"]["name"], "Lapsed");
    assert!(!fake.seen()[0].idempotent);
}

#[tokio::test]
async fn members_are_named_by_id_and_leave_by_a_delete_with_a_body() {
    let fake = Fake::new([answer(204)]);
    let who = ["01A".into(), "01B".into()];
    let grant = WriteGrant::mint();
    let (klaviyo, list) = (client(&fake), "Y6nRLr".into());
    let left = klaviyo.remove_from_list(&grant, &list, &who).await;
    left.unwrap();
    let call = &fake.seen()[0];
    assert_eq!(call.method, Method::DELETE);
    assert_eq!(
        call.path_and_query,
        "/api/lists/Y6nRLr/relationships/profiles"
    );
    let expected =
        json!({"data": [{"type": "profile", "id": "01A"}, {"type": "profile", "id": "01B"}]});
    assert_eq!(sent(&fake), expected);
}

#[tokio::test]
async fn an_import_sets_and_unsets_properties() {
    let fake = Fake::new([body(r#"{"data":{"id":"job"}}"#)]);
    let mut changed = row("01A", "x");
    changed.unset = vec!["driftless_old".to_owned()];
    let grant = WriteGrant::mint();
    let job = client(&fake).import_profiles(&grant, &[changed]).await;
    assert_eq!(job, Ok("job".into()));
    assert_eq!(
        sent(&fake)["data"]["attributes"]["profiles"]["data"],
        json!([{"type": "profile", "id": "01A",
            "attributes": {"properties": {"driftless_note": "x"}},
            "meta": {"patch_properties": {"unset": ["driftless_old"]}}}])
    );
}

#[tokio::test]
async fn a_row_error_points_at_its_row_and_carries_no_payload() {
    let reply = r#"{"data":[
        {"id":"1","attributes":{"code":"invalid","title":"Invalid input","detail":"jane@example.com",
         "source":{"pointer":"/data/attributes/profiles/data/7/attributes/phone_number"},"original_payload":{}}},
        {"id":"2","attributes":{"code":"server_error","title":"jane@example.com","source":{"pointer":null}}}]}"#;
    let fake = Fake::new([body(reply)]);
    let page = client(&fake)
        .import_errors(&"job".into(), None)
        .await
        .unwrap();
    let rows: Vec<_> = page.items.iter().map(|error| error.row).collect();
    assert_eq!(rows, [Some(7), None]);
    assert!(!format!("{page:?}").contains("jane"));
}

#[tokio::test]
async fn a_job_of_unknown_status_is_neither_done_nor_lost() {
    let reply = |status: &str| {
        body(&format!(
            r#"{{"data":{{"id":"j","attributes":{{"status":"{status}","total_count":10,"completed_count":8,"failed_count":2,"skipped_count":null}}}}}}"#
        ))
    };
    let fake = Fake::new([reply("complete"), reply("paused")]);
    let klaviyo = client(&fake);
    let done = klaviyo.import_job(&"j".into()).await.unwrap();
    assert_eq!((done.status, done.failed), (JobStatus::Complete, 2));
    let paused = klaviyo.suppression_job(&"j".into()).await.unwrap();
    assert_eq!(paused.status, JobStatus::Other("paused".to_owned()));
}

#[tokio::test]
async fn a_suppression_names_addresses_and_at_most_a_hundred() {
    let fake = Fake::new([body(r#"{"data":{"id":"job"}}"#)]);
    let klaviyo = client(&fake);
    let grant = WriteGrant::mint();
    let emails = vec!["a@example.org".to_owned()];
    klaviyo.suppress(&grant, &emails).await.unwrap();
    let first = &sent(&fake)["data"]["attributes"]["profiles"]["data"][0];
    assert_eq!(first["attributes"]["email"], "a@example.org");
    let error = klaviyo.suppress(&grant, &vec![String::new(); 101]).await;
    assert!(matches!(
        error.unwrap_err().fault,
        Fault::TooMany {
            limit: 100,
            got: 101
        }
    ));
}

#[tokio::test]
async fn a_deletion_names_one_profile_by_one_identifier() {
    let fake = Fake::new([answer(202)]);
    let grant = WriteGrant::mint();
    let asked = client(&fake).delete_profile(&grant, &"01A".into()).await;
    asked.unwrap();
    let call = &fake.seen()[0];
    assert_eq!(call.path_and_query, "/api/data-privacy-deletion-jobs");
    assert_eq!((call.method.as_str(), call.idempotent), ("POST", true));
    let expected = json!({"data": {"type": "data-privacy-deletion-job", "attributes": {
        "profile": {"data": {"type": "profile", "id": "01A", "attributes": {}}}}}});
    assert_eq!(sent(&fake), expected);
}
