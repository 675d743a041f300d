//! `/api/accounts`.

use super::failure::{Failure, Failures};
use super::paging::self_link;
use super::query::{NOTHING, Query, Spec};
use super::{Call, Reply, resource, world};
use axum::http::StatusCode;
use serde_json::{Value as Json, json};

const SPEC: Spec = Spec {
    fields: &[(
        "account",
        &[
            "contact_information",
            "id",
            "industry",
            "locale",
            "preferred_currency",
            "public_api_key",
            "test_account",
            "timezone",
        ],
    )],
    ..NOTHING
};

/// The one account that a key belongs to.
pub(super) fn list(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &SPEC)?;
    let data = [query.cut(render(state, call))];
    let links = json!({ "self": self_link(call), "next": null, "prev": null });
    let document = json!({ "data": data, "links": links });
    Ok((StatusCode::OK, Some(document)))
}

/// The account by its id.
pub(super) fn one(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &SPEC)?;
    if call.id() != state.klaviyo.account {
        return Err(Failure::missing("No such account.").into());
    }
    Ok(resource::one(
        StatusCode::OK,
        call,
        &query,
        render(state, call),
    ))
}

fn render(state: &world::State, call: &Call) -> Json {
    let id = &state.klaviyo.account;
    json!({
        "type": "account",
        "id": id,
        "attributes": {
            "test_account": true,
            "contact_information": {
                "default_sender_name": "Sandbox",
                "default_sender_email": format!("hello@{}", state.shopify.domain),
                "website_url": format!("https://{}", state.shopify.domain),
                "organization_name": state.shopify.domain,
                "street_address": { "country": "US" },
            },
            "industry": null,
            "timezone": state.klaviyo.timezone,
            "preferred_currency": state.shopify.currency,
            "public_api_key": id,
            "locale": "en-US",
        },
        "links": { "self": call.link(&format!("/api/accounts/{id}")) },
    })
}
