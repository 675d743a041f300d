//! `[[segment]]`, and the places that name one.

use super::*;
use crate::policy::{LocalSegment, SegmentSource};
use std::os::unix::fs::PermissionsExt;

/// A config with one segment whose only condition is this.
fn with_condition(condition: &str) -> String {
    format!(
        "{SMALL}[[segment]]\nname = \"A\"\n[[segment.definition.condition_groups]]\n\
         conditions = [\n  {condition},\n]\n"
    )
}

fn segments(text: &str) -> Vec<LocalSegment> {
    shop(&format!("{SMALL}{text}")).policy.segments
}

/// Key and message of every fault.
fn said(text: &str) -> Vec<(String, String)> {
    let found = faults(text);
    let said = found
        .iter()
        .map(|fault| (fault.key.clone(), fault.message.clone()));
    said.collect()
}

/// A metric condition with one part exchanged.
fn metric(from: &str, to: &str) -> String {
    let whole = r#"{ type = "profile-metric", metric_id = "Placed Order", measurement = "count", measurement_filter = { type = "numeric", operator = "greater-than", value = 0 }, timeframe_filter = { type = "date", operator = "in-the-last", unit = "day", quantity = 30 }, metric_filters = [{ property = "Items", filter = { type = "list", operator = "contains-any", value = ["Hat"] } }] }"#;
    assert!(whole.contains(from), "{from}");
    whole.replace(from, to)
}

#[test]
fn a_definition_in_toml_is_klaviyos_own_json() {
    let toml = r#"{ property = "created", type = "profile-property", filter = { operator = "between-static", type = "date", start = 2026-01-01, end = 2026-02-01T12:00:00+01:00 } }"#;
    let found = shop(&with_condition(toml)).policy.segments;
    let json = r#"{"condition_groups":[{"conditions":[{"type":"profile-property","property":"created","filter":{"type":"date","operator":"between-static","start":"2026-01-01T00:00:00Z","end":"2026-02-01T12:00:00+01:00"}}]}]}"#;
    assert_eq!(found[0].definition.as_str(), json);
    assert_eq!(found[0].source, SegmentSource::Inline);
    let numbers = shop(&with_condition(&metric("value = 0", "value = 0x10")))
        .policy
        .segments;
    assert!(numbers[0].definition.as_str().contains(r#""value":16}"#));
    let numbers = shop(&with_condition(&metric("value = 0", "value = 99.95")))
        .policy
        .segments;
    assert!(numbers[0].definition.as_str().contains(r#""value":99.95}"#));
}

#[test]
fn what_the_grammar_does_not_know_is_a_fault_at_its_place() {
    for (condition, place, message) in [
        (metric("profile-metric", "profile-metrics"), ".type", "there is no type `profile-metrics`"),
        (metric("type = \"profile-metric\", ", ""), "", "`type` is missing"),
        (metric("measurement = \"count\", ", ""), "", "`measurement` is missing"),
        (metric("\"count\"", "\"counts\""), ".measurement", "there is no measurement `counts`"),
        (metric("\"Placed Order\"", "7"), ".metric_id", "a string is wanted here, not integer `7`"),
        (metric("\"greater-than\"", "\"greater\""), ".measurement_filter.operator", "there is no operator `greater`"),
        (metric("\"numeric\"", "\"number\""), ".measurement_filter.type", "there is no type `number`"),
        (metric("value = 0", "value = \"0\""), ".measurement_filter.value", "a number is wanted here, not string \"0\""),
        (metric(", value = 0", ""), ".measurement_filter", "`value` is missing"),
        (metric("\"day\"", "\"month\""), ".timeframe_filter.unit", "there is no unit `month`"),
        (metric("quantity = 30", "quantity = 3.5"), ".timeframe_filter.quantity", "a whole number is wanted here, not floating point `3.5`"),
        (metric("quantity = 30", "quantity = -3"), ".timeframe_filter.quantity", "-3 is not between 0 and 900000"),
        (metric("type = \"date\", operator = \"in-the-last\", unit = \"day\", quantity = 30", "type = \"existence\", operator = \"is-set\""), ".timeframe_filter.type", "a `date` filter is wanted here"),
        (metric("contains-any", "contains-all-of"), ".metric_filters[0].filter.operator", "there is no operator `contains-all-of`"),
        (metric("metric_filters", "metric_filter"), ".metric_filter", "there is no key `metric_filter` here"),
        (metric("[\"Hat\"]", "[[\"Hat\"]]"), ".metric_filters[0].filter.value", "a text, a number, true or false is wanted here"),
        (r#"{ type = "profile-property", property = "Email", filter = { type = "existence", operator = "is-set" } }"#.into(), ".property", "`Email` is no property"),
        (r#"{ type = "profile-property", property = "email", filter = { type = "string", operator = "regex", value = "(" } }"#.into(), ".filter.value", "`(` is not a regular expression"),
        (r#"{ type = "profile-property", property = "created", filter = { type = "date", operator = "after", date = "01/02/2026" } }"#.into(), ".filter.date", "`01/02/2026` is not a date"),
        (r#"{ type = "profile-group-membership", is_member = true, group_ids = [] }"#.into(), ".group_ids", "this list is empty: name at least one list"),
        (r#"{ type = "profile-predictive-analytics", dimension = "total_clvs", filter = { type = "numeric", operator = "equals", value = 1 } }"#.into(), ".dimension", "there is no dimension `total_clvs`"),
        (r#"{ type = "profile-marketing-consent", consent = { channel = "email", can_receive_marketing = true, consent_status = { subscription = "subscribed", filters = [{ field = "status_dat", filter = { type = "existence", operator = "is-set" } }] } } }"#.into(), ".consent.consent_status.filters[0].field", "there is no field `status_dat`"),
        (r#"{ type = "profile-marketing-consent", consent = { channel = "mail", can_receive_marketing = true, consent_status = { subscription = "any" } } }"#.into(), ".consent.channel", "there is no channel `mail`"),
        (r#"{ type = "driftless-radius", latitude = 95, longitude = 1.5, unit = "miles", filter = { type = "numeric", operator = "less-than", value = 5 } }"#.into(), ".latitude", "95 is not between -90 and 90"),
        (r#"{ type = "driftless-sample", salt = "a", from = 5, to = 5 }"#.into(), ".to", "there is no bucket from 5 to 5"),
        ("7".into(), "", "a table is wanted here, not 7"),
    ] {
        let key = format!("segment[0].definition.condition_groups[0].conditions[0]{place}");
        let found = said(&with_condition(&condition));
        assert_eq!(found, [(key, message.to_owned())], "{condition}");
    }
}

#[test]
fn a_fault_points_at_the_very_word_and_suggests_another() {
    let found = faults(&with_condition(&metric("\"day\"", "\"days\"")));
    let fault = found.iter().next().unwrap();
    assert_eq!(
        (fault.line, fault.help.as_deref()),
        (
            13,
            Some("did you mean `day`? known here: `hour`, `day`, `week`")
        )
    );
    assert!(found.to_string().contains("^^^^^^\n"), "{found}");
    // Both of two mistakes are told at once.
    let twice = metric("\"day\"", "\"days\"").replace("\"list\"", "\"lists\"");
    assert_eq!(faults(&with_condition(&twice)).len(), 2);
}

#[test]
fn an_empty_list_or_two_places_for_a_definition_are_faults() {
    for (text, key) in [
        (
            "name = \"A\"\ndefinition = { condition_groups = [] }",
            "segment[0].definition.condition_groups",
        ),
        (
            "name = \"A\"\ndefinition = { condition_groups = [{ conditions = [] }] }",
            "segment[0].definition.condition_groups[0].conditions",
        ),
        ("name = \"A\"\ndefinition = {}", "segment[0].definition"),
        (
            "name = \"A\"\ndefinition = { condition_groups = 3 }",
            "segment[0].definition.condition_groups",
        ),
        ("name = \"A\"\ndefinition = 3", "segment[0].definition"),
        ("name = \"A\"", "segment[0]"),
        (
            "name = \"A\"\nready = \"churn_risk\"\nfile = \"a.json\"",
            "segment[0].ready",
        ),
        ("ready = \"churn_risk\"", "segment[0].name"),
        (
            "name = \"A\"\nready = \"churn_risk\"\n[[segment]]\nname = \"a\"\nready = \"churn_risk\"",
            "segment[1].name",
        ),
        ("name = \"A\"\nfile = \"absent.json\"", "segment[0].file"),
        (
            "name = \"A\"\nfile = \"absent.json\"\nparams = { x = 1 }",
            "segment[0].params",
        ),
    ] {
        let found = said(&format!("{SMALL}[[segment]]\n{text}\n"));
        assert!(
            found.iter().any(|(found, _)| found == key),
            "{text}\n{found:?}"
        );
    }
}

#[test]
fn a_ready_made_segment_is_told_what_it_needs_to_know() {
    let found = segments(
        "[[segment]]\nname = \"Quiet\"\nready = \"churn_risk\"\nparams = { quiet_days = 90 }\n",
    );
    assert_eq!(found[0].source, SegmentSource::Ready("churn_risk"));
    assert!(found[0].definition.as_str().contains("\"quantity\":90}"));
    for (text, key, message) in [
        (
            "ready = \"churnrisk\"",
            "ready",
            "there is no ready-made segment `churnrisk`",
        ),
        (
            "ready = \"cross_sell\"",
            "ready",
            "`cross_sell` needs to be told `bought`, `not_bought`",
        ),
        (
            "ready = \"cross_sell\"\nparams = { bought = [\"x\"] }",
            "params.not_bought",
            "`segment[0].params.not_bought` is missing",
        ),
        (
            "ready = \"churn_risk\"\nparams = { quite_days = 9 }",
            "params.quite_days",
            "there is no key `quite_days` here",
        ),
        (
            "ready = \"churn_risk\"\nparams = { quiet_days = 0 }",
            "params.quiet_days",
            "0 is not between 1 and 3650",
        ),
        (
            "ready = \"churn_risk\"\nparams = { quiet_days = 400 }",
            "params",
            "`gone_days` must be more than `quiet_days`, or nobody is at risk",
        ),
        (
            "ready = \"engagement_tier\"\nparams = { tier = \"45\" }",
            "params.tier",
            "there is no tier `45`",
        ),
        (
            "ready = \"holiday_shoppers\"\nparams = { from = \"2-30\" }",
            "params.from",
            "`2-30` is not a day of the year such as `11-20`",
        ),
        (
            "ready = \"radius\"\nparams = { latitude = 91, longitude = 0 }",
            "params.latitude",
            "91 is not between -90 and 90",
        ),
        (
            "ready = \"cross_channel\"\nparams = { channels = [\"email\", \"mail\"] }",
            "params.channels[1]",
            "there is no channel `mail`",
        ),
    ] {
        let found = said(&format!("{SMALL}[[segment]]\nname = \"A\"\n{text}\n"));
        let key = format!("segment[0].{key}");
        assert!(
            found.contains(&(key, message.to_owned())),
            "{text}\n{found:?}"
        );
    }
}

/// What becomes of a config whose segment is in `vip.json`.
fn with_file(json: &str) -> Result<Shop, Faults> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        path
    };
    write("vip.json", json);
    let text = format!("{SMALL}[[segment]]\nname = \"VIP\"\nfile = \"vip.json\"\n");
    let path = write("shop.toml", &text);
    load(&[path], &environment()).map(|mut shops| shops.remove(0))
}

const VIP: &str = r#"{"condition_groups": [{"conditions": [
  {"type": "profile-property", "property": "email", "filter": {"type": "existence", "operator": "is-set"}}
]}]}"#;

#[test]
fn a_file_may_hold_a_definition_or_what_the_api_answers() {
    for json in [
        VIP.to_owned(),
        format!(r#"{{"definition": {VIP}}}"#),
        format!(
            r#"{{"data": {{"type": "segment", "attributes": {{"name": "V", "definition": {VIP}}}}}}}"#
        ),
        format!(r#"{{"data": [{{"attributes": {{"definition": {VIP}}}}}]}}"#),
    ] {
        let shop = with_file(&json).unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(shop.policy.segments[0].definition.as_str(), VIP, "{json}");
    }
}

#[test]
fn a_fault_in_a_file_has_the_files_line_and_column() {
    let found = |json: &str| {
        let faults = with_file(json).unwrap_err();
        assert_eq!(faults.len(), 1, "{faults}");
        let fault = faults.iter().next().unwrap().clone();
        assert!(fault.file.ends_with("vip.json"), "{fault}");
        (fault.line, fault.column, fault.key, fault.message)
    };
    let (line, column, key, message) = found(&VIP.replace("is-set", "is-sett"));
    assert_eq!(
        (line, column, message.as_str()),
        (2, 97, "there is no operator `is-sett`")
    );
    assert_eq!(key, "condition_groups[0].conditions[0].filter.operator");
    let (line, _, _, message) = found(&VIP.replace("]}]}", "]}]"));
    assert_eq!((line, message.contains("this is not JSON: EOF")), (3, true));
    let (.., message) = found(r#"{"data": {"attributes": {"definition": null}}}"#);
    assert!(message.contains("cannot express this segment"), "{message}");
    let (.., message) = found(r#"{"data": [{"a": 1}, {"b": 2}]}"#);
    assert_eq!(message, "there are several segments here, or none");
    let (.., message) = found(r#"{"data": {"id": 1}}"#);
    assert!(
        message.contains("`condition_groups` is missing"),
        "{message}"
    );
}

#[test]
fn lists_and_rules_name_segments() {
    let ready = "[[segment]]\nname = \"VIP\"\nready = \"lifetime_value\"\n";
    let text = format!(
        "{SMALL}{ready}[[list]]\nname = \"L\"\nwho = {{ segment = [\"VIP\", \"SgAbc1\"], \
         not_segment = [\"VPI\"] }}\n[rules.stale]\nunless_segment = [\"VIP\"]\n\
         [rules.bounce]\nunless_segment = [\"Staff\"]\n"
    );
    let shop = shop(&text);
    let named: Vec<&str> = shop.policy.segment_names().into_iter().collect();
    assert_eq!(named, ["SgAbc1", "Staff", "VIP", "VPI"]);
    let slips = shop
        .warnings
        .iter()
        .filter(|warning| warning.starts_with("segment: "));
    let slips: Vec<_> = slips.collect();
    assert_eq!(
        slips,
        ["segment: none is called `VPI`, so it is looked for in Klaviyo; did you mean `VIP`?"]
    );
    let both = text.replace("[\"VPI\"]", "[\"VIP\"]");
    assert_eq!(
        said(&both),
        [(
            "list[0].who.not_segment".to_owned(),
            "`VIP` is wanted and unwanted".to_owned()
        )]
    );
}

#[test]
fn what_can_never_be_known_is_a_warning() {
    let postal = r#"{ type = "profile-postal-code-distance", country_code = "USA", postal_code = "02141", unit = "miles", filter = { type = "numeric", operator = "less-than", value = 10 } }"#;
    let warnings = shop(&with_condition(postal)).warnings;
    let wanted = "segment[0].definition: condition_groups[0].conditions[0]: this is unknown of \
                  everybody: only Klaviyo knows where postal codes lie";
    assert!(
        warnings.iter().any(|warning| warning == wanted),
        "{warnings:?}"
    );
}
