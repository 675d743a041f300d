//! `tagsAdd` and `tagsRemove` (shopify.md, section 7.1).

use super::{Payload, UserError, record, text};
use crate::model::Moment;
use crate::sandbox::shopify::compile::Field;
use crate::sandbox::shopify::fault::Fault;
use crate::sandbox::shopify::value::number_of;
use crate::sandbox::world::{ShopifyWorld, State};
use serde_json::Value as Json;

/// A customer has this many tags at most.
const MAX_TAGS: usize = 250;

pub(super) fn add(state: &mut State, now: Moment, field: &Field<'_>) -> Result<Payload, Fault> {
    change(state, now, field, |shopify, has, given| {
        let mut tags = has.to_vec();
        for tag in given {
            if !tags.iter().any(|known| same(known, tag)) {
                tags.push(spelling(shopify, tag));
            }
        }
        if tags.len() > MAX_TAGS {
            let message = format!("Tags cannot be more than {MAX_TAGS}");
            return Err(UserError::new(&["tags"], message));
        }
        tags.sort_by_cached_key(|tag| tag.to_lowercase());
        Ok(tags)
    })
}

pub(super) fn remove(state: &mut State, now: Moment, field: &Field<'_>) -> Result<Payload, Fault> {
    change(state, now, field, |_, has, given| {
        let kept = has
            .iter()
            .filter(|tag| !given.iter().any(|gone| same(tag, gone)));
        Ok(kept.cloned().collect())
    })
}

/// Replaces the tags of the customer that the field names by what `decide` makes of them.
fn change(
    state: &mut State,
    now: Moment,
    field: &Field<'_>,
    decide: impl FnOnce(&mut ShopifyWorld, &[String], &[String]) -> Result<Vec<String>, UserError>,
) -> Result<Payload, Fault> {
    let id = text(field, "id");
    let number =
        number_of(id, "Customer").ok_or_else(|| Fault::new("RESOURCE_NOT_FOUND", "invalid id"))?;
    let mut payload = Payload::default();
    let Some(customer) = state.shopify.customers.get(&number) else {
        let error = UserError::new(&["id"], "Customer does not exist");
        payload.errors.push(error);
        return Ok(payload);
    };
    let has = customer.tags.clone();
    if state.faults.unwilling.contains(&number) {
        let error = UserError::new(&["tags"], "Tags cannot be changed");
        payload.errors.push(error);
        return Ok(payload);
    }
    let given = split(field.args.get("tags"));
    payload.customer = Some(number);
    let tags = match decide(&mut state.shopify, &has, &given) {
        Ok(tags) => tags,
        Err(error) => {
            payload.errors.push(error);
            return Ok(payload);
        }
    };
    if tags != has
        && let Some(customer) = state.shopify.customers.get_mut(&number)
    {
        customer.tags = tags;
        customer.updated = now;
    }
    let kind = if field.name() == "tagsAdd" {
        "tagsAdd"
    } else {
        "tagsRemove"
    };
    record(state, now, kind, given.join(","), vec![id.to_owned()]);
    Ok(payload)
}

/// A comma splits one text into two tags; blanks around a tag go.
fn split(given: Option<&Json>) -> Vec<String> {
    let texts = given.and_then(Json::as_array).into_iter().flatten();
    let tags = texts
        .filter_map(Json::as_str)
        .flat_map(|text| text.split(','));
    let tags = tags.map(str::trim).filter(|tag| !tag.is_empty());
    tags.map(str::to_owned).collect()
}

fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
        || !one.is_ascii() && !other.is_ascii() && one.to_lowercase() == other.to_lowercase()
}

/// The spelling of a new tag: that of another customer who has it, else as sent.
fn spelling(shopify: &mut ShopifyWorld, tag: &str) -> String {
    let folded = tag.to_lowercase();
    if let Some(known) = shopify.spellings.get(&folded) {
        return known.clone();
    }
    let all = shopify.customers.values().flat_map(|c| &c.tags);
    let used = all.into_iter().find(|known| same(known, tag)).cloned();
    let spelling = used.unwrap_or_else(|| tag.to_owned());
    shopify.spellings.insert(folded, spelling.clone());
    spelling
}
