//! The envelope of a GraphQL reply, opened once for all layers above: budget, record and retry.

use crate::api::error::{label, scope_in};
use crate::api::{Answer, ApiError, Call, Exchange, Fault};
use crate::pace::Throttle;
use serde::Deserialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;
use std::ops::Range;
use std::time::Duration;

/// What stands around `data`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Envelope {
    /// Where `data` stands in the body; `None` when it is null or missing.
    data: Option<Range<usize>>,
    errors: Vec<Flaw>,
    warnings: Vec<(Box<str>, Box<str>)>,
    cost: Cost,
}

/// One entry of `errors`, without its message.
#[derive(Clone, Debug, PartialEq)]
struct Flaw {
    code: Box<str>,
    path: Option<Box<str>>,
    scope: Option<Box<str>>,
}

/// `extensions.cost`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// What the request was priced at.
    pub requested: Option<f64>,
    /// The bucket after it.
    pub level: Option<Throttle>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    errors: Json,
    #[serde(default)]
    extensions: Json,
}

impl Envelope {
    /// Opens a body; `None` when it is no JSON object.
    pub fn open(body: &[u8]) -> Option<Self> {
        let wire: Wire = serde_json::from_slice(body).ok()?;
        Some(Self {
            data: wire.data.and_then(|data| range_of(data.get(), body)),
            errors: flaws(&wire.errors),
            warnings: warnings(&wire.extensions),
            cost: cost(&wire.extensions),
        })
    }

    /// The text of `data` in the body that was opened.
    pub fn data<'a>(&self, body: &'a [u8]) -> Option<&'a [u8]> {
        body.get(self.data.clone()?)
    }

    /// What the reply says about cost.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Whether the bucket was too low; nothing was carried out then.
    pub fn is_throttled(&self) -> bool {
        self.errors.iter().any(|flaw| &*flaw.code == "THROTTLED")
    }

    /// Why nothing of the reply may be used, if so (shopify.md, section 9). Data beside errors is
    /// partial and proves nothing.
    pub fn fault(&self) -> Option<Fault> {
        let has = |code: &str| self.errors.iter().find(|flaw| &*flaw.code == code);
        if self.is_throttled() {
            let level = self.cost.level;
            let wait = level.map(|level| level.wait_for(self.cost.requested.unwrap_or(0.0)));
            let least = Duration::from_secs(1);
            let wait = Some(wait.unwrap_or(least).max(least));
            return Some(Fault::Throttled { wait });
        }
        if let Some(denied) = has("ACCESS_DENIED") {
            let scope = denied.scope.clone();
            return Some(Fault::MissingScope { scope });
        }
        if has("SHOP_INACTIVE").is_some() {
            return Some(Fault::Closed);
        }
        if has("INTERNAL_SERVER_ERROR").or(has("TIMEOUT")).is_some() {
            return Some(Fault::VendorDown);
        }
        if let Some(first) = self.errors.first() {
            return Some(Fault::GraphqlErrors {
                codes: self.errors.iter().map(|f| f.code.to_string()).collect(),
                path: first.path.clone(),
            });
        }
        let (field, code) = self.warnings.first()?.clone();
        Some(Fault::SearchWarning { field, code })
    }

    /// The scope that the first error names, if any.
    pub fn scope(&self) -> Option<Box<str>> {
        self.errors.first()?.scope.clone()
    }
}

fn range_of(part: &str, body: &[u8]) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
    Some(start..start + part.len())
}

/// `errors` may be a list of objects, one object, or a plain string.
fn flaws(errors: &Json) -> Vec<Flaw> {
    match errors {
        Json::Null => Vec::new(),
        Json::Array(all) => all.iter().map(flaw).collect(),
        other => vec![flaw(other)],
    }
}

fn flaw(error: &Json) -> Flaw {
    let code = error.pointer("/extensions/code").and_then(Json::as_str);
    let message = error.get("message").unwrap_or(error).as_str();
    let path = error.get("path").and_then(Json::as_array).map(|steps| {
        let step = |step: &Json| {
            step.as_str()
                .map_or_else(|| step.to_string(), str::to_owned)
        };
        steps.iter().map(step).collect::<Vec<_>>().join(".")
    });
    Flaw {
        code: code.and_then(label).unwrap_or_else(|| "no code".into()),
        path: path.and_then(|path| label(&path)),
        scope: message.and_then(scope_in),
    }
}

fn warnings(extensions: &Json) -> Vec<(Box<str>, Box<str>)> {
    let searches = extensions.get("search").and_then(Json::as_array);
    let all = searches.into_iter().flatten();
    let warnings = all.filter_map(|search| search.get("warnings")?.as_array());
    let text = |warning: &Json, name: &str| {
        let value = warning.get(name).and_then(Json::as_str);
        value.and_then(label).unwrap_or_else(|| "unnamed".into())
    };
    warnings
        .flatten()
        .map(|warning| (text(warning, "field"), text(warning, "code")))
        .collect()
}

fn cost(extensions: &Json) -> Cost {
    let number = |path: &str| extensions.pointer(path).and_then(Json::as_f64);
    let level = || {
        Some(Throttle {
            maximum: number("/cost/throttleStatus/maximumAvailable")?,
            available: number("/cost/throttleStatus/currentlyAvailable")?,
            restore: number("/cost/throttleStatus/restoreRate")?,
        })
    };
    Cost {
        requested: number("/cost/requestedQueryCost"),
        level: level(),
    }
}

/// Opens the envelope of every answer of the layer below.
#[derive(Debug)]
pub struct Opened<E>(pub E);

impl<E: Exchange> Exchange for Opened<E> {
    async fn exchange(&self, call: &Call) -> Result<Answer, ApiError> {
        let mut answer = self.0.exchange(call).await?;
        answer.envelope = Envelope::open(&answer.body);
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(body: &str) -> Option<Fault> {
        Envelope::open(body.as_bytes()).unwrap().fault()
    }

    #[test]
    fn data_is_found_where_it_stands() {
        let body = br#" {"extensions":{}, "data" : {"a":[1,2]} }"#;
        let envelope = Envelope::open(body).unwrap();
        assert_eq!(envelope.data(body), Some(&br#"{"a":[1,2]}"#[..]));
        assert_eq!(envelope.fault(), None);
        assert_eq!(Envelope::open(b"<html>"), None);
        let null = Envelope::open(br#"{"data":null}"#).unwrap();
        assert_eq!(null.data, None);
    }

    #[test]
    fn throttling_waits_for_what_is_missing() {
        let body = r#"{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}],
            "extensions":{"cost":{"requestedQueryCost":244,"actualQueryCost":null,"throttleStatus":
            {"maximumAvailable":2000.0,"currentlyAvailable":44,"restoreRate":100.0}}}}"#;
        let wait = Some(Duration::from_secs(2));
        assert_eq!(fault(body), Some(Fault::Throttled { wait }));
    }

    #[test]
    fn errors_in_any_form_refuse_the_whole_reply() {
        let denied = r#"{"data":{"customers":null},"errors":[{"message":"Access denied for customers field. Required access: `read_customers` access scope.",
            "path":["customers","nodes",0],"extensions":{"code":"ACCESS_DENIED"}}]}"#;
        let scope = Some("read_customers".into());
        assert_eq!(fault(denied), Some(Fault::MissingScope { scope }));
        for body in [
            r#"{"errors":"[API] Invalid API key"}"#,
            r#"{"errors":{"base":["x"]}}"#,
            r#"{"data":{"a":1},"errors":[{"message":"jane@example.com"}]}"#,
        ] {
            let fault = fault(body).unwrap();
            assert!(matches!(fault, Fault::GraphqlErrors { .. }), "{body}");
            assert!(!format!("{fault:?}").contains("jane"));
        }
    }

    #[test]
    fn an_ignored_search_term_is_fatal() {
        let body = r#"{"data":{},"extensions":{"search":[{"path":["orders"],"query":"00:x","warnings":
            [{"field":"00","message":"Invalid search field for this query."}]}]}}"#;
        let expected = Fault::SearchWarning {
            field: "00".into(),
            code: "unnamed".into(),
        };
        assert_eq!(fault(body), Some(expected));
        assert_eq!(
            fault(r#"{"data":{},"extensions":{"search":[{"warnings":[]}]}}"#),
            None
        );
    }
}
