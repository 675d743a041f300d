//! One pass as one JSON object. Field names are stable; see the README.

use crate::journal::DataRequest;
use crate::model::Moment;
use crate::pass::{Parity, Summary};
use crate::pull::Freshness;
use serde_json::{Map, Value as Json, json};
use std::fmt::Display;

/// Requests for data that wait for an answer.
pub fn data_requests(requests: &[DataRequest]) -> Json {
    let requests = requests.iter().map(|request| {
        json!({
            "request": request.request,
            "customer": request.customer,
            "since": request.at.to_string(),
            "due": request.due.to_string(),
        })
    });
    requests.collect()
}

/// The whole summary.
pub fn summary(summary: &Summary) -> Json {
    let people = &summary.people;
    let ends = summary.effects.ends.iter();
    let ends = ends.map(
        |((kind, end), count)| json!({"kind": kind.as_str(), "end": end.as_str(), "count": count}),
    );
    json!({
        "shop": summary.shop,
        "state_dir": summary.state_dir,
        "now": summary.now.to_string(),
        "mode": summary.mode.as_str(),
        "dry_run": summary.dry_run,
        "pulled": counts(&summary.pulled),
        "quarantined": summary.quarantined,
        "people": {
            "persons": people.persons,
            "profiles": people.profiles,
            "customers": people.customers,
            "buyers": people.buyers,
            "repeat_buyers": people.repeat_buyers,
            "orders": people.orders,
            "spent": people.spent.to_string(),
            "stages": counts(people.stages.iter().map(|(stage, n)| (stage.as_str(), n))),
            "tiers": counts(people.tiers.iter().map(|(tier, n)| (tier.as_str(), n))),
        },
        "findings": counts(&summary.findings),
        "segments": summary.parity.iter().map(segment).collect::<Vec<_>>(),
        "plan": {
            "effects": counts(&summary.planned),
            "lists": summary.lists.iter().map(|list| json!({
                "name": list.name, "seen": list.seen, "wanted": list.wanted,
                "join": list.join, "leave": list.leave,
            })).collect::<Vec<_>>(),
            "held_back": summary.held_back.iter().map(|held| json!({
                "kind": held.kind.as_str(), "count": held.count, "reason": held.reason,
            })).collect::<Vec<_>>(),
            "suppression_lock": summary.lock,
            "guards": summary.trips,
        },
        "effects": ends.collect::<Vec<_>>(),
        "sweeps": sweeps(summary),
        "freshness": summary.freshness.iter().map(|row| freshness(row, summary)).collect::<Vec<_>>(),
        "run": summary.effects.run,
        "unknown": summary.effects.unknown,
        "unkept": counts(summary.effects.unkept.iter().map(|(kind, n)| (kind.as_str(), n))),
        "recovered": summary.effects.recovered,
        "failure": summary.failure.as_ref().map(|failure| failure.to_string()),
        "refusals": counts(&summary.effects.refusals),
        "data_requests": data_requests(&summary.data_requests),
        "requests": counts(summary.traffic.requests.iter().map(|(api, n)| (api.as_str(), n))),
        "requests_by_endpoint": counts(summary.traffic.by_endpoint.iter().map(
            |((api, endpoint), n)| (format!("{} {endpoint}", api.as_str()), n),
        )),
        "throttled": summary.traffic.throttled,
        "parked": summary.traffic.parked.iter()
            .map(|(class, until)| (class.clone(), json!(until.to_string())))
            .collect::<Map<_, _>>(),
        "waited_seconds": summary.traffic.waited.iter()
            .map(|(api, span)| (api.as_str().to_owned(), json!(span.as_secs_f64())))
            .collect::<Map<_, _>>(),
        "took_seconds": summary.took.as_secs_f64(),
    })
}

/// One of Klaviyo's segments beside our evaluation.
fn segment(parity: &Parity) -> Json {
    let causes = parity.causes.iter();
    json!({
        "id": parity.id.as_str(),
        "name": parity.segment,
        "local": parity.local,
        "klaviyo": parity.compared.filter(|compared| compared.whole).map(|compared| compared.members),
        "compared_at": parity.compared.map(|compared| compared.at.to_string()),
        "compared_profiles": parity.compared.map(|compared| compared.profiles),
        "agreement": parity.agreement(),
        "differing": causes.map(|(cause, count)| json!({"cause": cause, "count": count}))
            .collect::<Vec<_>>(),
    })
}

fn sweeps(summary: &Summary) -> Map<String, Json> {
    let sweeps = summary.sweeps.iter().map(|(name, swept)| {
        let told = json!({
            "complete": swept.complete.map(|at| at.to_string()),
            "began": swept.began.map(|at| at.to_string()),
            "seen": swept.seen,
            "of": swept.of,
        });
        ((*name).to_owned(), told)
    });
    sweeps.collect()
}

fn freshness(row: &Freshness, summary: &Summary) -> Json {
    let gaps = row.latest.iter().map(|(day, gap)| {
        json!({
            "day": Moment::from_day(*day).date(),
            "stored": gap.stored,
            "klaviyo": gap.theirs,
            "missing": gap.missing(),
            "reason": gap.reason(),
            "since": gap.since.to_string(),
        })
    });
    json!({
        "name": row.name,
        "complete": row.complete.map(|at| at.to_string()),
        "lag_seconds": row.complete.map(|at| summary.now.since(at).as_secs()),
        "proven": row.proven.map(|at| at.to_string()),
        "next": row.next.map(|at| at.to_string()),
        "missing": row.missing,
        "gaps": row.gaps,
        "latest_gaps": gaps.collect::<Vec<_>>(),
        "note": row.note,
    })
}

fn counts<'n, K: Display>(pairs: impl IntoIterator<Item = (K, &'n u64)>) -> Json {
    let pairs = pairs
        .into_iter()
        .map(|(key, count)| (key.to_string(), json!(count)));
    Json::Object(pairs.collect())
}
