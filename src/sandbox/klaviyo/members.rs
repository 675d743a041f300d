//! Members of lists and segments: `…/profiles` and `…/relationships/profiles`.

use super::failure::{Failure, Failures};
use super::paging::{self, Key, Page};
use super::profiles::{ADDITIONAL, render};
use super::query::{NOTHING, Query, Spec};
use super::resource::instant;
use super::world::{self, Dated, ListChange, Write};
use super::{Call, Reply, lists, segments};
use crate::model::Moment;
use axum::http::StatusCode;
use serde_json::{Value as Json, json};
use std::ops::Bound;

/// Most ids in one write.
const MOST_IDS: usize = 1_000;

const TIMES: &[&str] = &[
    "@greater-than",
    "@greater-or-equal",
    "@less-than",
    "@less-or-equal",
];
const LISTS: &[&str] = &["any[]", "equals[]"];

const IDS_OF_LIST: Spec = Spec {
    filters: &[
        ("email", LISTS),
        ("phone_number", LISTS),
        ("joined_group_at", TIMES),
    ],
    sorts: &["joined_group_at"],
    page: Some((20, 100)),
    sizable: true,
    ..NOTHING
};
const IDS_OF_SEGMENT: Spec = Spec {
    filters: &[
        ("profile_id", LISTS),
        ("email", LISTS),
        ("phone_number", LISTS),
        ("joined_group_at", TIMES),
    ],
    ..IDS_OF_LIST
};
const FIELDS: &[(&str, &[&str])] = &[(
    "profile",
    &[
        "created",
        "email",
        "external_id",
        "first_name",
        "id",
        "image",
        "joined_group_at",
        "last_event_date",
        "last_name",
        "locale",
        "location",
        "organization",
        "phone_number",
        "predictive_analytics",
        "properties",
        "subscriptions",
        "title",
        "updated",
    ],
)];
const OF_LIST: Spec = Spec {
    fields: FIELDS,
    additional: &[("profile", ADDITIONAL)],
    ..IDS_OF_LIST
};
const OF_SEGMENT: Spec = Spec {
    fields: FIELDS,
    additional: &[("profile", ADDITIONAL)],
    ..IDS_OF_SEGMENT
};

type Members = Dated<Moment>;
type Row<'a> = (&'a String, Moment);

/// Members of a list as profiles.
pub(super) fn of_list(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &OF_LIST)?;
    whole(state, call, &query, list_members(state, call)?)
}

/// Members of a list as ids.
pub(super) fn ids_of_list(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &IDS_OF_LIST)?;
    bare(state, call, &query, list_members(state, call)?)
}

/// Members of a segment as profiles.
pub(super) fn of_segment(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &OF_SEGMENT)?;
    note_read(state, call);
    whole(state, call, &query, segment_members(state, call)?)
}

/// Members of a segment as ids.
pub(super) fn ids_of_segment(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &IDS_OF_SEGMENT)?;
    note_read(state, call);
    bare(state, call, &query, segment_members(state, call)?)
}

/// A segment that is read is in use, whoever reads it.
fn note_read(state: &mut world::State, call: &Call) {
    if let Some(segment) = state.klaviyo.segments.get_mut(call.id()) {
        segment.last_read = Some(call.now);
    }
}

fn list_members<'a>(state: &'a world::State, call: &Call) -> Result<&'a Members, Failure> {
    let list = state.klaviyo.lists.get(call.id());
    list.map(|list| &list.members)
        .ok_or_else(|| lists::absent(call.id()))
}

fn segment_members<'a>(state: &'a world::State, call: &Call) -> Result<&'a Members, Failure> {
    let segment = state.klaviyo.segments.get(call.id());
    let members = segment.map(|segment| &segment.members);
    members.ok_or_else(|| segments::absent(call.id()))
}

fn whole(
    state: &world::State,
    call: &Call,
    query: &Query,
    members: &Members,
) -> Result<Reply, Failures> {
    let page = rows(state, query, members);
    let document = page.document(call, query, |(id, joined)| {
        let profile = state.klaviyo.profiles.get(id);
        let mut resource = profile.map_or(Json::Null, |known| render(call, query, id, known));
        resource["attributes"]["joined_group_at"] = json!(instant(joined));
        resource
    });
    Ok((StatusCode::OK, Some(document)))
}

fn bare(
    state: &world::State,
    call: &Call,
    query: &Query,
    members: &Members,
) -> Result<Reply, Failures> {
    let page = rows(state, query, members);
    let document = page.document(
        call,
        query,
        |(id, _)| json!({ "type": "profile", "id": id }),
    );
    Ok((StatusCode::OK, Some(document)))
}

/// A page of members that still are profiles; by id unless sorted by the time of joining.
fn rows<'a>(state: &'a world::State, query: &Query, members: &'a Members) -> Page<Row<'a>> {
    let fits = |(id, joined): &Row<'a>| {
        // Cheaper than looking the profile up, and mostly enough.
        let is_timely = query.admits(|condition| {
            condition.field != "joined_group_at" || condition.admits(Some(*joined))
        });
        if !is_timely {
            return false;
        }
        let Some(profile) = state.klaviyo.profiles.get(*id) else {
            return false;
        };
        query.admits(|condition| match condition.field.as_str() {
            "profile_id" => condition.names(Some(id)),
            "email" => condition.names(profile.email.as_deref()),
            "phone_number" => condition.names(profile.phone_number.as_deref()),
            _ => true,
        })
    };
    if query.sort.is_empty() {
        let after = query.after.as_ref().map(|position| position.id.as_str());
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = members.range::<str, _>((start, Bound::Unbounded));
        let rows = rows.map(|(id, joined)| (id, *joined)).filter(fits);
        return paging::page_in_order(rows.map(|row| (key(row, ""), row)), query);
    }
    let rows = paging::dated(members.order(), query, "joined_group_at")
        .map(|(joined, id)| (id, *joined))
        .filter(fits);
    paging::page_in_order(rows.map(|row| (key(row, &query.sort), row)), query)
}

fn key<'a>(row: Row<'a>, sort: &str) -> Key<'a> {
    (if sort.is_empty() { 0 } else { row.1.0 }, "", row.0)
}

/// Profiles join a list.
pub(super) fn add(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    write(state, call, true)
}

/// Profiles leave a list.
pub(super) fn remove(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    write(state, call, false)
}

fn write(state: &mut world::State, call: &Call, join: bool) -> Result<Reply, Failures> {
    Query::read(call, &NOTHING)?;
    list_members(state, call)?;
    let data = call.body["data"].as_array();
    let data = data.ok_or_else(|| Failure::pointer("A list of profiles is needed.", "/data"))?;
    if data.is_empty() || data.len() > MOST_IDS {
        let detail = format!("1 to {MOST_IDS} profiles may be given.");
        return Err(Failure::pointer(&detail, "/data").into());
    }
    let (mut profiles, mut failures) = (Vec::new(), Failures::new());
    for (index, item) in data.iter().enumerate() {
        let id = item["id"].as_str().filter(|_| item["type"] == "profile");
        match id.filter(|id| state.klaviyo.profiles.contains_key(*id)) {
            Some(id) => profiles.push(id.to_owned()),
            None => {
                let detail = "The profile does not exist.";
                failures.push(Failure::pointer(detail, &format!("/data/{index}/id")));
            }
        }
    }
    if !failures.is_empty() {
        return Err(failures);
    }
    state.history.push(Write {
        at: call.now,
        kind: if join { "list add" } else { "list remove" },
        target: call.id().to_owned(),
        subjects: profiles.clone(),
    });
    state.klaviyo.pending.push(ListChange {
        due: call.now.plus(state.faults.lag),
        at: call.now,
        list: call.id().to_owned(),
        profiles,
        join,
    });
    settle(state, call.now);
    Ok((StatusCode::NO_CONTENT, None))
}

/// Accepted list changes that are due begin to show, in the order in which they were accepted.
pub(super) fn settle(state: &mut world::State, now: Moment) {
    let klaviyo = &mut state.klaviyo;
    let (due, later) = std::mem::take(&mut klaviyo.pending)
        .into_iter()
        .partition(|change| change.due <= now);
    klaviyo.pending = later;
    let due: Vec<ListChange> = due;
    for change in due {
        let Some(list) = klaviyo.lists.get_mut(&change.list) else {
            continue;
        };
        for id in change.profiles {
            klaviyo.changed.entry(id.clone()).or_insert(change.due);
            if change.join {
                list.members.entry(id).or_insert(change.at);
            } else {
                list.members.remove(&id);
            }
        }
    }
}
