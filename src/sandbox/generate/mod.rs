//! Believable shops from a seed: people with rhythms of their own, two years of orders and mail, and the
//! troubles that driftless is there to find, planted and written down in [`Truth`](super::world::Truth).

mod chance;
mod details;
mod groups;
mod ledger;
mod mail;
mod orders;
mod people;
#[cfg(test)]
mod tests;
mod words;

use super::world::State;
use super::{definition, standard};
use crate::model::{DAY_MS, Moment};
use fastrand::Rng;
use ledger::Ledger;

/// Days of history.
const HISTORY_DAYS: i64 = 730;

/// As many letters as make some 13 events a profile.
const USUAL_LETTERS: usize = 11;

/// What to generate.
#[derive(Clone, Copy, Debug)]
pub struct GeneratorSettings {
    /// Klaviyo profiles, duplicates included.
    pub profiles: usize,
    /// The most mails that most people were sent; one in eight was sent more.
    pub letters: usize,
    /// Equal seeds give equal worlds, for the same `now`.
    pub seed: u64,
    /// The last instant of the history.
    pub now: Moment,
}

impl GeneratorSettings {
    /// A shop of this size with the usual number of letters.
    pub fn usual(profiles: usize, seed: u64, now: Moment) -> Self {
        let letters = USUAL_LETTERS;
        Self {
            profiles,
            letters,
            seed,
            now,
        }
    }
}

/// Generates a shop.
pub fn generate(settings: GeneratorSettings) -> State {
    let mut rng = Rng::with_seed(settings.seed);
    let now = settings.now;
    let start = Moment(now.0 - HISTORY_DAYS * DAY_MS);
    let mut state = State {
        klaviyo: standard::klaviyo(&mut rng, start),
        shopify: standard::shopify(&mut rng),
        ..State::default()
    };
    let mut ledger = Ledger::new(now);
    let mut crowd = people::crowd(settings.profiles, start, now, &mut rng);
    orders::place(&mut state, &mut ledger, &crowd, now, &mut rng);
    mail::send(
        &mut state,
        &mut ledger,
        &mut crowd,
        start,
        &settings,
        &mut rng,
    );
    people::enroll(&mut state, &mut ledger, &crowd, now, &mut rng);
    ledger.file(&mut state.klaviyo);
    details::tell(&mut state.klaviyo, settings.seed, now);
    groups::form(&mut state, &crowd, start, now, &mut rng);
    for days in [28, 21, 14, 7] {
        definition::recompute(&mut state.klaviyo, Moment(now.0 - days * DAY_MS));
    }
    definition::recompute(&mut state.klaviyo, now);
    state
}
