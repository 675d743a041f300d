//! Lists and segments.

use super::chance::happens;
use super::people::{Fate, Human};
use super::standard;
use crate::model::Moment;
use crate::sandbox::segments;
use crate::sandbox::world::State;
use fastrand::Rng;
use std::collections::BTreeMap;

/// Makes the lists, then the segments.
pub(super) fn form(state: &mut State, crowd: &[Human], start: Moment, now: Moment, rng: &mut Rng) {
    let middle = Moment(start.0 + (now.0 - start.0) / 2);
    let newsletter = list(state, crowd, rng, ("Newsletter", start), |human, _| {
        is_reader(human)
    });
    list(state, crowd, rng, ("Website form", start), |human, rng| {
        is_reader(human) && happens(rng, 0.3)
    });
    list(state, crowd, rng, ("Tasting club", middle), |human, rng| {
        human.buyer && is_reader(human) && happens(rng, 0.15)
    });
    list(
        state,
        crowd,
        rng,
        ("Imported from the old shop", start),
        |human, rng| human.since < middle && happens(rng, 0.2),
    );
    list(
        state,
        crowd,
        rng,
        ("Spring giveaway", middle),
        |human, rng| human.since > middle && happens(rng, 0.25),
    );
    list(state, crowd, rng, ("Staff", start), |human, rng| {
        human.domain.contains('-') && happens(rng, 0.1)
    });
    segments::add(&mut state.klaviyo, rng, &newsletter, start);
}

/// Whether the human reads along: suppression by a bounce removes a profile from every list upstream.
fn is_reader(human: &Human) -> bool {
    let fits = match human.fate {
        Fate::Unasked | Fate::HardBounces { missed: false } | Fate::Invalid => false,
        Fate::Dies(run) => run < super::people::UPSTREAM_RUN,
        _ => true,
    };
    fits && human.profile.is_some()
}

fn list(
    state: &mut State,
    crowd: &[Human],
    rng: &mut Rng,
    (name, created): (&str, Moment),
    fits: impl Fn(&Human, &mut Rng) -> bool,
) -> String {
    let mut members = BTreeMap::new();
    for human in crowd {
        if let Some(id) = human.profile.as_ref().filter(|_| fits(human, rng)) {
            members.insert(id.clone(), human.since.max(created));
        }
    }
    standard::add_list(&mut state.klaviyo, rng, name, created, members)
}
