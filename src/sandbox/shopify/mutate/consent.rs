//! `customerEmailMarketingConsentUpdate` (shopify.md, section 7.3).

use super::{Payload, UserError, record};
use crate::model::Moment;
use crate::sandbox::shopify::compile::Field;
use crate::sandbox::shopify::fault::Fault;
use crate::sandbox::shopify::value::number_of;
use crate::sandbox::world::State;
use serde_json::Value as Json;

pub(super) fn update(state: &mut State, now: Moment, field: &Field<'_>) -> Result<Payload, Fault> {
    let input = field.args.get("input").unwrap_or(&Json::Null);
    let wanted = &input["emailMarketingConsent"];
    let marketing = match wanted["marketingState"].as_str() {
        Some("SUBSCRIBED") => "SUBSCRIBED",
        Some("UNSUBSCRIBED") => "UNSUBSCRIBED",
        Some("PENDING") => "PENDING",
        other => {
            let other = other.unwrap_or_default();
            let message = format!("Cannot specify {other} as a marketing state input");
            return Err(Fault::new("INVALID", message));
        }
    };
    let mut payload = Payload::default();
    let gid = input["customerId"].as_str().unwrap_or_default();
    let number = number_of(gid, "Customer");
    let number = number.filter(|number| state.shopify.customers.contains_key(number));
    let Some(number) = number else {
        refuse(&mut payload, "customerId", "INVALID", "Customer not found");
        return Ok(payload);
    };
    payload.customer = Some(number);
    let level = wanted["marketingOptInLevel"].as_str();
    let at = wanted["consentUpdatedAt"].as_str().map(Moment::parse);
    let at = match at {
        None => now,
        Some(Some(at)) => at,
        Some(None) => {
            return Err(Fault::new("INVALID_VARIABLE", "invalid DateTime"));
        }
    };
    if marketing == "SUBSCRIBED" && level.is_none() {
        let message = "marketing opt in level is required";
        refuse(
            &mut payload,
            "marketingOptInLevel",
            "MISSING_ARGUMENT",
            message,
        );
    } else if marketing == "PENDING" && level != Some("CONFIRMED_OPT_IN") {
        let message = "pending takes a confirmed opt in";
        refuse(&mut payload, "marketingOptInLevel", "INVALID", message);
    } else if at > now {
        let message = "consent updated at must not be in the future";
        refuse(&mut payload, "consentUpdatedAt", "INVALID", message);
    } else {
        write(state, now, number, (marketing, at), gid);
    }
    Ok(payload)
}

fn refuse(payload: &mut Payload, member: &str, code: &'static str, message: &str) {
    let error = UserError::new(&["input", member], message);
    payload.errors.push(error.code(code));
}

/// A customer without an address stays as they are, without a word.
fn write(
    state: &mut State,
    now: Moment,
    number: u64,
    (marketing, at): (&'static str, Moment),
    gid: &str,
) {
    let customer = state.shopify.customers.get_mut(&number);
    let Some(customer) = customer.filter(|customer| customer.email.is_some()) else {
        return;
    };
    if customer.email_state != marketing {
        customer.email_state = marketing;
        customer.email_state_at = Some(at);
        customer.updated = now;
    }
    let kind = "customerEmailMarketingConsentUpdate";
    record(state, now, kind, marketing.to_owned(), vec![gid.to_owned()]);
}
