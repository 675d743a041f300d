//! What Klaviyo does not document about its segments, and what is assumed instead.
//!
//! The numbers are those of the reference from which definitions are tested. Each assumption has one
//! place in the code; those that a comparison with a live account could prove wrong are switches of
//! [`Assumptions`], set in the config's section `[assumptions]`.
//!
//! | no. | assumed | where |
//! |---|---|---|
//! | A1, A3 | hours are counted from the second, days and weeks from midnight UTC | `window`; [`Assumptions::utc_offset_minutes`] |
//! | A2 | `in-the-last` has no upper end: the future matches | [`Assumptions::last_includes_future`] |
//! | A4 | which texts are dates | [`crate::model::micros`] |
//! | A5, A6 | static dates mean whole days, the last one included | [`Assumptions::static_dates_are_days`] |
//! | A7 | `alltime` matches the future, too | `window` |
//! | A8 | anniversaries keep the time of day; 29 February exists in leap years only | `season` |
//! | A9 | a value of the wrong type is none; negative operators ask for a value | [`Assumptions::negative_matches_missing`] |
//! | A10 | nothing is coerced; numbers compare exactly, text by code points | `number`, `value` |
//! | A11, A12 | nested lists, objects, `$extra`, and an event's 0, `null` and `""` are none | `value`, `mention`; [`Assumptions::empty_text_is_set`] |
//! | A13 | an explicit `null` is a no, a missing property neither | [`Assumptions::missing_is_no`] |
//! | A14 | a `null` operand equals nothing | `value` |
//! | A15 | patterns search, case-sensitive; what engines do not share is unknown | `value` |
//! | A16 | `phone-country-code-in` compares calling codes | `phone` |
//! | A17 | the paths of properties | `path` |
//! | A18 | `Apple Privacy Open` and `machine_open` are one flag | `mention`, `selection` |
//! | A19 | a metric filter without a filter asks nothing | `selection` |
//! | A20 | a sum adds `$value` where it is a number, exactly, to the thousandth | `number` |
//! | A21 | funnels | `funnel` |
//! | A22 | several lists: on any of them | `leaf` |
//! | A23, A24 | what was not fetched is unknown; no consent is one never given | `consent_test` |
//! | A25, A26 | a consent's filters must all hold; an unknown one is unknown | `consent_test` |
//! | A27 | WhatsApp: explicit is subscribed or unsubscribed | `consent_test` |
//! | A28 | regions by the country's name or code; no country is neither inside nor outside | `region`; [`Assumptions::no_country_is_outside`] |
//! | A29, A31 | what is empty, malformed or unknown is unknown for everybody | `program` |
//! | A30 | evaluation moments are whole seconds | `verdict` |

use serde::Serialize;

/// Switches for what a live account could prove otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assumptions {
    /// Minutes that the days of definitions begin before those of UTC. Klaviyo says zero, whatever the
    /// account's time zone (klaviyo.md, section 11.1).
    pub utc_offset_minutes: i32,
    /// Whether `in-the-last` matches instants in the future (A2).
    pub last_includes_future: bool,
    /// Whether `before`, `after` and `between-static` mean whole days; otherwise the very instants that
    /// they give (A5).
    pub static_dates_are_days: bool,
    /// Whether a negative operator matches where there is no value. Klaviyo says no (klaviyo.md,
    /// section 11.2).
    pub negative_matches_missing: bool,
    /// Whether the empty text of a profile property is set (A12).
    pub empty_text_is_set: bool,
    /// Whether a missing property counts as a no, as an explicit `null` does (A13).
    pub missing_is_no: bool,
    /// Whether somebody without a country lives outside of a region (A28).
    pub no_country_is_outside: bool,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            utc_offset_minutes: 0,
            last_includes_future: true,
            static_dates_are_days: true,
            negative_matches_missing: false,
            empty_text_is_set: true,
            missing_is_no: false,
            no_country_is_outside: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Profile, Value};
    use crate::segment::{Definition, Inputs, Program, Span, Subject, Verdict};
    use serde_json::json;

    /// 2026-11-21T15:00:00Z.
    const NOW: i64 = 1_795_273_200;

    fn verdict(property: &str, filter: &serde_json::Value, assumptions: &Assumptions) -> Verdict {
        let condition = match property {
            "region" => {
                json!({"type": "profile-region", "in_region": false, "region": "united_states"})
            }
            path => json!({"type": "profile-property", "property": path, "filter": filter}),
        };
        let text = json!({"condition_groups": [{"conditions": [condition]}]}).to_string();
        let definition = Definition::parse(&text).unwrap();
        let inputs = Inputs {
            assumptions: assumptions.clone(),
            ..Inputs::default()
        };
        let program = Program::compile([&definition], &inputs);
        let mut profile = Profile::new("01A");
        let texts = [
            ("empty", ""),
            ("late", "2026-11-20T23:30:00Z"),
            ("soon", "2026-12-01"),
            ("noon", "2026-11-20T13:00:00Z"),
        ];
        let texts = texts.map(|(name, text)| (name.to_owned(), Value::Text(text.to_owned())));
        profile.properties.extend(texts);
        let subject = Subject {
            profile: &profile,
            events: &[],
            lists: &[],
            facts: None,
        };
        let mut found = Verdict::Unknown;
        let mut evaluator = program.evaluator(Span::at(NOW));
        evaluator.verdicts(&subject, |_, verdict| found = verdict);
        found
    }

    #[test]
    fn every_switch_turns_what_it_names_and_nothing_else() {
        let days = |quantity: i64| json!({"type": "date", "operator": "in-the-last", "unit": "day", "quantity": quantity});
        let cases = [
            ("properties['late']", days(0)),
            ("properties['soon']", days(1)),
            (
                "properties['noon']",
                json!({"type": "date", "operator": "after", "date": "2026-11-20T12:00:00Z"}),
            ),
            (
                "properties['none']",
                json!({"type": "string", "operator": "not-equals", "value": "gold"}),
            ),
            (
                "properties['empty']",
                json!({"type": "existence", "operator": "is-set"}),
            ),
            (
                "properties['none']",
                json!({"type": "boolean", "operator": "equals", "value": false}),
            ),
            ("region", serde_json::Value::Null),
        ];
        let turned: [fn(&mut Assumptions); 7] = [
            |known| known.utc_offset_minutes = 60,
            |known| known.last_includes_future = false,
            |known| known.static_dates_are_days = false,
            |known| known.negative_matches_missing = true,
            |known| known.empty_text_is_set = false,
            |known| known.missing_is_no = true,
            |known| known.no_country_is_outside = true,
        ];
        let usual = Assumptions::default();
        for (number, turn) in turned.iter().enumerate() {
            let mut other = usual.clone();
            turn(&mut other);
            for (case, (property, filter)) in cases.iter().enumerate() {
                let before = verdict(property, filter, &usual);
                let after = verdict(property, filter, &other);
                assert_eq!(
                    before != after,
                    number == case,
                    "switch {number}, case {case}"
                );
            }
        }
    }
}
