//! What a merchant would expect of pairs that a merchant writes.

use super::super::{Answer, Relation, pair, single};
use super::{NOW, check_pair, check_single, definition, of, property};
use crate::segment::Definition;
use serde_json::{Value, json};

fn text(operator: &str, value: Value) -> Value {
    json!({"type": "string", "operator": operator, "value": value})
}

fn number(operator: &str, value: Value) -> Value {
    json!({"type": "numeric", "operator": operator, "value": value})
}

fn date(operator: &str, quantity: i64) -> Value {
    json!({"type": "date", "operator": operator, "unit": "day", "quantity": quantity})
}

fn metric(measurement: &str, operator: &str, value: Value, frame: Value, filters: Value) -> Value {
    json!({
        "type": "profile-metric", "metric_id": "PLACED", "measurement": measurement,
        "measurement_filter": number(operator, value), "timeframe_filter": frame,
        "metric_filters": filters,
    })
}

fn count(operator: &str, value: i64, frame: Value) -> Value {
    metric("count", operator, json!(value), frame, json!(null))
}

fn alltime() -> Value {
    json!({"type": "date", "operator": "alltime"})
}

fn relation(first: &Definition, second: &Definition) -> Relation {
    let found = pair(first, second, NOW);
    check_pair(first, second, &found);
    let mirrored = pair(second, first, NOW);
    assert_eq!(
        mirrored.first_in_second.is_proven(),
        found.second_in_first.is_proven()
    );
    assert_eq!(mirrored.disjoint.is_proven(), found.disjoint.is_proven());
    found.relation()
}

fn related(first: Value, second: Value) -> Relation {
    relation(&of(first), &of(second))
}

fn tier(operator: &str, value: Value) -> Value {
    property("properties['tier']", text(operator, value))
}

#[test]
fn texts_are_told_apart_by_what_they_must_hold() {
    use Relation::{Disjoint, Equal, FirstInSecond, Overlapping, SecondInFirst};
    let cases = [
        (("equals", json!("gold")), ("in", json!(["gold"])), Equal),
        (
            ("equals", json!("gold")),
            ("in", json!(["silver", "gold"])),
            FirstInSecond,
        ),
        (
            ("equals", json!("gold")),
            ("equals", json!("Gold")),
            Disjoint,
        ),
        (
            ("equals", json!("gold")),
            ("not-equals", json!("gold")),
            Disjoint,
        ),
        (
            ("not-equals", json!("gold")),
            ("equals", json!("silver")),
            SecondInFirst,
        ),
        (
            ("starts-with", json!("go")),
            ("starts-with", json!("gold")),
            SecondInFirst,
        ),
        (
            ("starts-with", json!("go")),
            ("starts-with", json!("si")),
            Disjoint,
        ),
        (
            ("starts-with", json!("go")),
            ("ends-with", json!("go")),
            Overlapping,
        ),
        (
            ("starts-with", json!("go")),
            ("contains", json!("go")),
            FirstInSecond,
        ),
        // Of a list it asks for a whole element.
        (
            ("contains", json!("gold")),
            ("contains", json!("ol")),
            Overlapping,
        ),
        (
            ("contains", json!("gold")),
            ("not-contains", json!("gold")),
            Disjoint,
        ),
        (
            ("ends-with", json!("gold")),
            ("not-ends-with", json!("old")),
            Disjoint,
        ),
        (
            ("contains", json!("a")),
            ("not-contains", json!("b")),
            Overlapping,
        ),
        (
            ("equals", json!("gold")),
            ("regex", json!("^g")),
            FirstInSecond,
        ),
    ];
    for ((one, operand), (other, other_operand), expected) in cases {
        let case = format!("{one} {operand} / {other} {other_operand}");
        assert_eq!(
            related(tier(one, operand), tier(other, other_operand)),
            expected,
            "{case}"
        );
    }
}

#[test]
fn numbers_dates_lists_and_presence_are_told_apart() {
    use Relation::{Disjoint, FirstInSecond, Overlapping, SecondInFirst};
    let points = |filter| property("properties['points']", filter);
    let list =
        |operator: &str, value| json!({"type": "list", "operator": operator, "value": value});
    let is_set = || json!({"type": "existence", "operator": "is-set"});
    let truth = json!({"type": "boolean", "operator": "equals", "value": false});
    let cases = [
        (
            number("greater-than", json!(3)),
            number("greater-than-or-equal", json!(3)),
            FirstInSecond,
        ),
        (
            number("greater-than", json!(3)),
            number("less-than", json!(3.5)),
            Overlapping,
        ),
        (
            number("greater-than", json!(3)),
            number("less-than-or-equal", json!(3)),
            Disjoint,
        ),
        (number("equals", json!(3)), is_set(), FirstInSecond),
        (
            number("equals", json!(3)),
            text("equals", json!("3")),
            Disjoint,
        ),
        (truth, is_set(), Overlapping),
        (
            date("in-the-last", 30),
            date("in-the-last", 90),
            FirstInSecond,
        ),
        (date("in-the-last", 30), date("at-least", 90), Disjoint),
        (
            date("anniversary-next", 7),
            json!({"type": "date", "operator": "anniversary"}),
            Overlapping,
        ),
        (
            list("contains-all", json!(["a", "b"])),
            list("contains", json!("a")),
            FirstInSecond,
        ),
        (
            list("contains", json!("a")),
            list("length-equals", json!(0)),
            Disjoint,
        ),
        (
            list("contains-substring", json!("a")),
            list("contains", json!("cat")),
            SecondInFirst,
        ),
        (
            list("contains-all", json!(["a", "b"])),
            list("length-less-than", json!(2)),
            Disjoint,
        ),
    ];
    for (first, second, expected) in cases {
        let case = format!("{first} / {second}");
        assert_eq!(related(points(first), points(second)), expected, "{case}");
    }
}

#[test]
fn counts_follow_from_frames_and_filters() {
    use Relation::{Disjoint, Equal, FirstInSecond, Overlapping, SecondInFirst};
    let last = |days| date("in-the-last", days);
    let soft = json!([{"property": "Type", "filter": text("equals", json!("Soft"))}]);
    let filtered = |operator: &str, value: i64, filters| {
        metric("count", operator, json!(value), alltime(), filters)
    };
    let cases = [
        (
            count("greater-than", 2, last(30)),
            count("greater-than", 1, last(90)),
            FirstInSecond,
        ),
        (
            count("greater-than", 1, last(30)),
            count("greater-than", 2, last(90)),
            Overlapping,
        ),
        (
            count("equals", 0, alltime()),
            count("greater-than", 0, last(30)),
            Disjoint,
        ),
        (
            count("greater-than", 0, alltime()),
            count("not-equals", 0, alltime()),
            Equal,
        ),
        (
            count("greater-than", 1, alltime()),
            filtered("equals", 3, json!([])),
            SecondInFirst,
        ),
        (
            filtered("greater-than", 0, soft.clone()),
            count("greater-than", 0, alltime()),
            FirstInSecond,
        ),
        (
            filtered("greater-than", 1, soft),
            count("less-than", 2, alltime()),
            Disjoint,
        ),
        (
            count("less-than", 90, last(30)),
            count("less-than", 90, last(90)),
            SecondInFirst,
        ),
    ];
    for (at, (first, second, expected)) in cases.into_iter().enumerate() {
        assert_eq!(related(first, second), expected, "case {at}");
    }
}

#[test]
fn sums_may_fall_and_need_events() {
    let sum = |operator: &str, value, frame| metric("sum", operator, value, frame, json!(null));
    let last = |days| date("in-the-last", days);
    let over = |value| sum("greater-than", value, alltime());
    assert_eq!(
        related(over(json!(100.005)), over(json!(100))),
        Relation::FirstInSecond
    );
    // A refund in between may undo the older orders.
    let pair = (
        sum("greater-than", json!(10), last(30)),
        sum("greater-than", json!(10), last(90)),
    );
    assert_eq!(related(pair.0, pair.1), Relation::Overlapping);
    let none = || count("equals", 0, alltime());
    assert_eq!(related(over(json!(0)), none()), Relation::Disjoint);
    assert_eq!(
        related(none(), sum("equals", json!(0), last(30))),
        Relation::FirstInSecond
    );
    let parts = definition(json!([
        {"conditions": [sum("equals", json!(1), last(30))]},
        {"conditions": [sum("equals", json!(2), date("at-least", 30))]},
    ]));
    assert_eq!(
        relation(&parts, &of(over(json!(2.5)))),
        Relation::Open,
        "sums that add up"
    );
}

#[test]
fn lists_consents_regions_and_predictions_are_told_apart() {
    use Relation::{Disjoint, FirstInSecond, Overlapping, SecondInFirst};
    let list = |member, ids: Value, frame: Value| {
        json!({
            "type": "profile-group-membership", "is_member": member, "group_ids": ids,
            "timeframe_filter": frame,
        })
    };
    let consent = |can, subscription: &str, filters: Value| {
        json!({
            "type": "profile-marketing-consent",
            "consent": {"channel": "email", "can_receive_marketing": can,
                "consent_status": {"subscription": subscription, "filters": filters}},
        })
    };
    let bounced = |filter| json!([{"field": "bounce_date", "filter": filter}]);
    let is_set = json!({"type": "existence", "operator": "is-set"});
    let region =
        |name: &str, inside| json!({"type": "profile-region", "region": name, "in_region": inside});
    let country = |value: &str| property("location['country']", text("equals", json!(value)));
    let clv = |operator: &str| {
        json!({
            "type": "profile-predictive-analytics", "dimension": "predicted_clv",
            "filter": number(operator, json!(100)),
        })
    };
    let affinity = |channel: &str, place| {
        json!({
            "type": "profile-predictive-analytics", "dimension": "channel_affinity",
            "measurement": "priority", "predicted_channel": channel, "filter": number("equals", json!(place)),
        })
    };
    let null = || json!(null);
    let cases = [
        (
            list(true, json!(["A"]), date("in-the-last", 9)),
            list(true, json!(["A"]), null()),
            FirstInSecond,
        ),
        (
            list(true, json!(["A"]), null()),
            list(true, json!(["A", "B"]), null()),
            FirstInSecond,
        ),
        (
            list(true, json!(["A"]), null()),
            list(false, json!(["A", "B"]), null()),
            Disjoint,
        ),
        (
            list(true, json!(["A"]), null()),
            list(true, json!(["B"]), null()),
            Overlapping,
        ),
        (
            consent(true, "any", null()),
            consent(true, "subscribed", null()),
            SecondInFirst,
        ),
        (
            consent(true, "any", null()),
            consent(false, "any", null()),
            Disjoint,
        ),
        (
            consent(false, "any", bounced(date("in-the-last", 9))),
            consent(false, "any", bounced(is_set)),
            FirstInSecond,
        ),
        (
            region("european_union", true),
            region("united_states", true),
            Disjoint,
        ),
        (
            region("european_union", true),
            region("united_states", false),
            FirstInSecond,
        ),
        (
            country("Germany"),
            region("european_union", true),
            FirstInSecond,
        ),
        (
            country("Deutschland"),
            region("european_union", true),
            Disjoint,
        ),
        (clv("greater-than"), clv("less-than"), Disjoint),
        (affinity("email", 1), affinity("sms", 1), Disjoint),
        (affinity("email", 1), affinity("sms", 2), Overlapping),
        (affinity("email", 1), clv("less-than"), Overlapping),
    ];
    for (first, second, expected) in cases {
        let case = format!("{first} / {second}");
        assert_eq!(related(first, second), expected, "{case}");
    }
}

#[test]
fn a_definition_can_contradict_itself_or_ask_nothing() {
    let lone = |condition| {
        let definition = of(condition);
        let found = single(&definition, NOW);
        check_single(&definition, &found);
        found
    };
    assert!(lone(count("less-than", 0, alltime())).empty.is_proven());
    assert!(
        lone(count("greater-than-or-equal", 0, alltime()))
            .always
            .is_proven()
    );
    assert!(lone(tier("in", json!([]))).empty.is_proven());
    let gold = lone(tier("equals", json!("gold")));
    assert!(gold.empty.is_refuted() && gold.always.is_refuted());
    let torn = definition(json!([
        {"conditions": [tier("equals", json!("gold"))]},
        {"conditions": [tier("equals", json!("silver")), count("less-than", 0, alltime())]},
    ]));
    assert!(single(&torn, NOW).empty.is_proven());
    let is = |operator: &str| property("email", json!({"type": "existence", "operator": operator}));
    let whole = definition(json!([{"conditions": [is("is-set"), is("not-set")]}]));
    assert!(single(&whole, NOW).always.is_proven());
}

#[test]
fn groups_and_conditions_have_no_order() {
    let (a, b) = (tier("equals", json!("gold")), count("equals", 0, alltime()));
    let one = definition(json!([{"conditions": [a, b]}, {"conditions": [b]}]));
    let other = definition(json!([{"conditions": [b]}, {"conditions": [b, a]}]));
    assert_eq!(relation(&one, &other), Relation::Equal);
    assert_eq!(relation(&one, &of(b)), Relation::Equal, "absorbed");
}

#[test]
fn what_cannot_be_evaluated_is_equal_to_itself_and_assumed_openly() {
    let unknown = || json!({"type": "profile-zodiac", "sign": "leo"});
    let gold = || tier("equals", json!("gold"));
    assert_eq!(related(unknown(), unknown()), Relation::Equal);
    let found = single(&of(unknown()), NOW);
    let Answer::Refuted(witness) = &found.empty else {
        panic!("{found:?}")
    };
    assert_eq!(witness.assumed.values().collect::<Vec<_>>(), [&true]);
    let both = definition(json!([{"conditions": [unknown()]}, {"conditions": [gold()]}]));
    assert_eq!(relation(&both, &of(gold())), Relation::FirstInSecond);
    let either = definition(json!([{"conditions": [unknown(), gold()]}]));
    assert_eq!(relation(&of(gold()), &either), Relation::FirstInSecond);
    let found = pair(&of(gold()), &either, NOW);
    let Answer::Refuted(witness) = &found.disjoint else {
        panic!("{found:?}")
    };
    assert!(witness.assumed.is_empty(), "gold is enough: {witness:?}");
}

#[test]
fn patterns_prove_only_what_they_share() {
    let matching = |pattern: &str| tier("regex", json!(pattern));
    let not = |pattern: &str| tier("nregex", json!(pattern));
    assert_eq!(
        related(matching("^g.+d$"), not("^g.+d$")),
        Relation::Disjoint
    );
    assert_eq!(related(matching("^g"), matching("^gold")), Relation::Open);
    assert_eq!(related(matching("^g"), matching("^s")), Relation::Open);
    let narrowed = definition(json!([
        {"conditions": [matching("^g.+d$")]},
        {"conditions": [count("greater-than", 0, alltime())]},
    ]));
    assert_eq!(
        relation(&narrowed, &of(matching("^g.+d$"))),
        Relation::FirstInSecond
    );
    let starts = tier("starts-with", json!("x"));
    let found = pair(&of(matching("^g.+d$")), &of(starts), NOW);
    assert!(
        matches!(&found.disjoint, Answer::Open(why) if why.contains("^g.+d$")),
        "{found:?}"
    );
    assert!(found.first_in_second.is_refuted() && found.second_in_first.is_refuted());
}

#[test]
fn who_lacks_a_property_falls_between_two_halves() {
    let shared = json!({"conditions": [count("greater-than", 0, alltime())]});
    let with = |condition| definition(json!([shared.clone(), {"conditions": [condition]}]));
    let (gold, not) = (
        with(tier("equals", json!("gold"))),
        with(tier("not-equals", json!("gold"))),
    );
    let found = pair(&gold, &not, NOW);
    check_pair(&gold, &not, &found);
    let leak = found.leak.unwrap();
    assert_eq!(leak.property, "properties['tier']");
    assert_eq!(leak.witness.events.len(), 1, "the shared condition holds");
    let other = with(tier("not-equals", json!("silver")));
    assert_eq!(pair(&gold, &other, NOW).leak, None);
}

#[test]
fn a_funnel_holds_with_its_steps_and_is_open_with_their_counts() {
    let step = |metric: &str, exists| json!({"metric_exists": exists, "metric_id": metric});
    let funnel = || {
        json!({
            "type": "profile-metric-funnel", "timeframe_filter": date("in-the-last", 30),
            "completion_window_seconds": "DAYS_1", "steps": [step("VIEWED", true), step("PLACED", true)],
        })
    };
    let found = single(&of(funnel()), NOW);
    check_single(&of(funnel()), &found);
    assert!(
        found.empty.is_refuted() && found.always.is_refuted(),
        "{found:?}"
    );
    assert_eq!(related(funnel(), funnel()), Relation::Equal);
    let none = count("equals", 0, alltime());
    let found = pair(&of(funnel()), &of(none), NOW);
    assert!(matches!(found.disjoint, Answer::Open(_)), "{found:?}");
}
