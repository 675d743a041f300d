//! Statements against the evaluator: no small person contradicts one, and every witness stands.

mod account;
mod cases;
mod models;

use super::{Answer, Pair, Single, Witness};
use crate::segment::{Definition, Verdict};
use serde_json::{Value, json};

/// 2026-11-21T15:00:00Z, as in the golden.
const NOW: i64 = 1_795_273_200;

fn definition(groups: Value) -> Definition {
    Definition::parse(&json!({"condition_groups": groups}).to_string()).unwrap()
}

/// A definition of one condition.
fn of(condition: Value) -> Definition {
    definition(json!([{"conditions": [condition]}]))
}

fn property(path: &str, filter: Value) -> Value {
    json!({"type": "profile-property", "property": path, "filter": filter})
}

/// Checks every witness of two definitions' statements with the evaluator.
fn check_pair(first: &Definition, second: &Definition, pair: &Pair) {
    use Verdict::{In, Out};
    for (answer, wanted) in [
        (&pair.first_in_second, [In, Out]),
        (&pair.second_in_first, [Out, In]),
        (&pair.disjoint, [In, In]),
    ] {
        check(answer, &[first, second], &wanted);
    }
    if let Some(leak) = &pair.leak {
        assert_eq!(leak.witness.verdicts(&[first, second], NOW), [Out, Out]);
        assert!(!leak.witness.properties.contains_key(&leak.property));
    }
}

fn check_single(definition: &Definition, single: &Single) {
    check(&single.empty, &[definition], &[Verdict::In]);
    check(&single.always, &[definition], &[Verdict::Out]);
}

/// A witness that assumes nothing is confirmed as it is; of others the assumptions are only those
/// that the evaluator cannot make itself.
fn check(answer: &Answer, definitions: &[&Definition], wanted: &[Verdict]) {
    let Answer::Refuted(witness) = answer else {
        return;
    };
    let verdicts = witness.verdicts(definitions, NOW);
    for (verdict, wanted) in verdicts.iter().zip(wanted) {
        let agrees = verdict == wanted;
        let assumes = !witness.assumed.is_empty() && *verdict == Verdict::Unknown;
        assert!(
            agrees || assumes,
            "{verdict} instead of {wanted}: {witness:?}"
        );
    }
}

/// Whether a person contradicts what was proven of two definitions.
fn contradicts(verdicts: &[Verdict], pair: &Pair) -> bool {
    let [first, second] = [verdicts[0], verdicts[1]].map(|verdict| verdict == Verdict::In);
    (pair.first_in_second.is_proven() && first && !second)
        || (pair.second_in_first.is_proven() && second && !first)
        || (pair.disjoint.is_proven() && first && second)
}

fn verdicts(person: &Witness, first: &Definition, second: &Definition) -> Vec<Verdict> {
    person.verdicts(&[first, second], NOW)
}
