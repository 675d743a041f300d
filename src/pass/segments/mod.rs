//! Every segment, evaluated on the mirror: Klaviyo's own by their published definitions, and the
//! config's. Whole when a definition changed, otherwise only for those who changed or whose timer
//! rings, so that an evaluation costs what happened and not what there is.

mod book;
mod desk;
mod facts;
mod runoff;
mod sweep;

pub use book::{Book, Entry, SegmentKey, Shelf};
pub use desk::{Answer, Desk, RUN_OFF_DAYS, Row};
pub use runoff::{RunOff, RunOffs};
pub use sweep::{Gather, Lists, Sweep, Sweeper};

use super::{Options, PassError, Shop};
use crate::mirror::{Look, Membership, MirrorError};
use crate::model::{Dossier, GroupId, Moment, Slot};
use crate::plan::{Memberships, SegmentMembers};
use crate::score::{self, Roles};
use crate::segment::Span;
use crate::unify::People;
use roaring::RoaringBitmap;
use std::collections::BTreeMap;
use std::time::Duration;

/// So far ahead flips are looked for. Whoever has none sooner is found by the next full evaluation.
const HORIZON: Duration = Duration::from_secs(400 * 86_400);

/// A full evaluation at least this often: well within the horizon.
const FULL_EVERY: Duration = Duration::from_secs(300 * 86_400);

/// The hash of no program.
const UNDER_WAY: [u8; 32] = [0; 32];

/// Timers to a page.
const TIMERS_TO_A_PAGE: usize = 20_000;

/// Who is in which segment, now.
#[derive(Debug, Default)]
pub struct Evaluated {
    /// By segment.
    pub memberships: BTreeMap<SegmentKey, Membership>,
    /// Whether that was everybody.
    pub whole: bool,
    /// The next flip of those who were looked at and have one.
    timers: Vec<(u32, Moment)>,
}

impl Shop {
    /// All segments of this shop, compiled.
    pub fn book(&self) -> Result<Book, MirrorError> {
        Book::open(&self.mirror, &self.config.policy)
    }

    /// Brings every membership up to `now`, and remembers it; for another instant than the present
    /// it only looks.
    pub(super) fn evaluate_segments(
        &self,
        book: &Book,
        people: &People,
        now: Moment,
        options: &Options,
    ) -> Result<Evaluated, PassError> {
        let lasting = book.lasting();
        let present = options.as_of.is_none();
        let sweeper = Sweeper {
            mirror: &self.mirror,
            program: &lasting.program,
            lists: Lists::load(&self.mirror, &lasting.program, now)?,
            span: Span {
                now: now.secs(),
                until: if present { now.plus(HORIZON) } else { now }.secs(),
            },
            past: options.as_of.filter(|as_of| *as_of < self.clock.now()),
            stop: &options.stop,
            meter: &self.meter,
        };
        let mut evaluated = if present {
            self.bring_up(lasting, &sweeper, now)?
        } else {
            let sweep = sweeper.everybody(|| Sweep::of(&lasting.program))?;
            Evaluated::of(lasting, sweep, None)
        };
        self.evaluate_facts(book.factual(), people, now, options, &mut evaluated)?;
        if present {
            self.remember_sizes(&evaluated, now)?;
        }
        Ok(evaluated)
    }

    /// The members of the segments that lists and rules name, by just these names. One that nobody
    /// knows is left out, which makes it unknown for everybody.
    pub(super) fn named_memberships(&self, book: &Book, evaluated: &Evaluated) -> Memberships {
        let mut named = BTreeMap::new();
        for name in self.config.policy.segment_names() {
            let membership = book
                .named(name)
                .and_then(|entry| evaluated.memberships.get(&entry.key));
            match membership {
                Some(Membership { inside, unknown }) => {
                    let members = SegmentMembers {
                        inside: inside.clone(),
                        unknown: unknown.clone(),
                    };
                    named.insert(name.to_owned(), members);
                }
                None => tracing::warn!(segment = name, "no such segment: nobody is judged by it"),
            }
        }
        for entry in book.entries.values() {
            for missing in &entry.unresolved {
                tracing::warn!(segment = entry.name, "{missing}");
            }
        }
        Memberships(named)
    }

    /// Evaluates those who changed or whose timer rings, or everybody.
    fn bring_up(
        &self,
        shelf: &Shelf,
        sweeper: &Sweeper<'_>,
        now: Moment,
    ) -> Result<Evaluated, PassError> {
        let changed = self.mirror.changed()?;
        let before = self.mirror.evaluated()?.filter(|known| {
            known.program == shelf.hash && known.at <= now && now.since(known.at) < FULL_EVERY
        });
        let keys = self.mirror.membership_keys()?;
        let all_stored = shelf.keys.iter().all(|key| keys.contains(&key.to_string()));
        let Some(before) = before.filter(|_| all_stored) else {
            let sweep = sweeper.everybody(|| Sweep::of(&shelf.program))?;
            let evaluated = Evaluated::of(shelf, sweep, None);
            let everybody = self.mirror.due(Moment(i64::MAX))?;
            self.remember(shelf, &evaluated, &everybody, &changed, now)?;
            return Ok(evaluated);
        };
        let who = &changed | self.mirror.due(now)?;
        let sweep = sweeper.some(&who, Sweep::of(&shelf.program))?;
        let stored = |key: &SegmentKey| self.mirror.membership(&key.to_string());
        let stored: Vec<Membership> = shelf
            .keys
            .iter()
            .map(|key| stored(key).map(Option::unwrap_or_default))
            .collect::<Result<_, _>>()?;
        let evaluated = Evaluated::of(shelf, sweep, Some((&who, stored)));
        self.remember(shelf, &evaluated, &who, &changed, before.at)?;
        Ok(evaluated)
    }

    /// Segments that read facts of the whole person: their inputs lie with other records than the
    /// profile, so everybody is looked at every time.
    fn evaluate_facts(
        &self,
        shelf: &Shelf,
        people: &People,
        now: Moment,
        options: &Options,
        evaluated: &mut Evaluated,
    ) -> Result<(), PassError> {
        if shelf.program.is_empty() {
            return Ok(());
        }
        let sweeper = Sweeper {
            mirror: &self.mirror,
            program: &shelf.program,
            lists: Lists::load(&self.mirror, &shelf.program, now)?,
            span: Span::at(now.secs()),
            past: options.as_of.filter(|as_of| *as_of < self.clock.now()),
            stop: &options.stop,
            meter: &self.meter,
        };
        let roles = Roles::of(&self.mirror.vocabulary()?);
        let limits = &self.config.policy.lifecycle;
        let facts = |dossier: &Dossier| facts::of(&score::facts(dossier, &roles, limits, now));
        let sweep = sweeper.persons(people, facts, Sweep::of(&shelf.program))?;
        let found = shelf.keys.iter().cloned().zip(sweep.memberships);
        evaluated.memberships.extend(found);
        Ok(())
    }

    /// Memberships first, then timers, and last what says that they are up to date. Wherever a crash
    /// falls between, whoever changed is still marked, and a timer still rings.
    fn remember(
        &self,
        shelf: &Shelf,
        evaluated: &Evaluated,
        who: &RoaringBitmap,
        changed: &RoaringBitmap,
        whole_at: Moment,
    ) -> Result<(), MirrorError> {
        if evaluated.whole {
            // Until the end of this, what is stored is of two programs.
            let mut page = self.mirror.page();
            page.evaluated(UNDER_WAY, whole_at);
            page.commit()?;
        }
        for known in self.mirror.membership_keys()? {
            if !shelf.keys.iter().any(|key| key.to_string() == known) {
                let mut page = self.mirror.page();
                page.forget_membership(&known)?;
                page.commit()?;
            }
        }
        for (key, membership) in &evaluated.memberships {
            let mut page = self.mirror.page();
            page.membership(&key.to_string(), membership)?;
            page.commit()?;
        }
        let timers: BTreeMap<u32, Moment> = evaluated.timers.iter().copied().collect();
        let who: RoaringBitmap = who | timers.keys().copied().collect::<RoaringBitmap>();
        let who: Vec<u32> = who.iter().collect();
        for some in who.chunks(TIMERS_TO_A_PAGE) {
            let mut page = self.mirror.page();
            for slot in some {
                page.timer(Slot(*slot), timers.get(slot).copied());
            }
            page.commit()?;
        }
        let mut page = self.mirror.page();
        page.settle(changed)?;
        page.evaluated(shelf.hash, whole_at);
        page.commit()
    }

    /// Today's members of each segment, so that joins and leaves can be told tomorrow.
    fn remember_sizes(&self, evaluated: &Evaluated, now: Moment) -> Result<(), MirrorError> {
        for (key, membership) in &evaluated.memberships {
            let mut page = self.mirror.page();
            let group = GroupId::Evaluated(key.to_string().into());
            page.snapshot(&group, now.day(), Look::Members(&membership.inside))?;
            page.commit()?;
        }
        Ok(())
    }
}

impl Evaluated {
    /// What a sweep found, for everybody or put into what was stored for all.
    fn of(shelf: &Shelf, sweep: Sweep, into: Option<(&RoaringBitmap, Vec<Membership>)>) -> Self {
        let whole = into.is_none();
        let memberships = match into {
            None => sweep.memberships,
            Some((who, stored)) => {
                let pairs = stored.into_iter().zip(sweep.memberships);
                let merged = pairs.map(|(stored, found)| Membership {
                    inside: (stored.inside - who) | found.inside,
                    unknown: (stored.unknown - who) | found.unknown,
                });
                merged.collect()
            }
        };
        Self {
            memberships: shelf.keys.iter().cloned().zip(memberships).collect(),
            timers: sweep.timers,
            whole,
        }
    }
}
