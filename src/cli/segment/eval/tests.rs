use super::*;
use crate::golden;
use serde_json::Value;
use std::collections::BTreeMap;

fn args(folder: &str, transitions: Option<u32>) -> Option<Eval> {
    let now = golden::text(&format!("{folder}/now.txt"))?;
    Some(Eval {
        definitions: golden::path(&format!("{folder}/definitions.json")),
        people: golden::path(&format!("{folder}/people.jsonl")),
        now: Moment::parse(&now).unwrap(),
        transitions,
    })
}

fn evaluated(args: &Eval) -> Vec<Value> {
    let definitions = definitions::read(&args.definitions).unwrap();
    let people = BufReader::new(File::open(&args.people).unwrap());
    let mut out = Vec::new();
    evaluate(args, &definitions, people, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn expected(file: &str) -> Vec<Value> {
    let text = golden::text(file).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn every_golden_person_is_in_every_golden_segment_or_not() {
    let Some(args) = args("segments", None) else {
        return;
    };
    let (found, expected) = (evaluated(&args), expected("segments/expected.jsonl"));
    assert_eq!(found.len(), expected.len());
    let mut wrong: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found["id"], expected["id"]);
        for (name, verdict) in expected["segments"].as_object().unwrap() {
            if found["segments"][name] != *verdict {
                let what = format!(
                    "{} is {verdict}, not {}",
                    found["id"], found["segments"][name]
                );
                wrong.entry(name.clone()).or_default().push(what);
            }
        }
    }
    assert!(wrong.is_empty(), "{} segments: {wrong:#?}", wrong.len());
}

#[test]
fn every_golden_flip_comes_at_its_second() {
    let Some(args) = args("segments", Some(120)) else {
        return;
    };
    let key = |line: &Value| (line["id"].to_string(), line["segment"].to_string());
    let found: BTreeMap<_, _> = evaluated(&args)
        .into_iter()
        .map(|line| (key(&line), line))
        .collect();
    for expected in expected("segments/transitions.jsonl") {
        let flips = expected["flips"]
            .as_array()
            .is_some_and(|flips| !flips.is_empty());
        let wanted = flips.then_some(&expected);
        assert_eq!(found.get(&key(&expected)), wanted, "{expected}");
    }
}
