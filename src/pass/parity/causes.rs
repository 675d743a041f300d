//! The cause of every difference: upstream is asked about as many profiles as the budget allows, and
//! every hypothesis is tried.

use super::{Dispute, is_counting};
use crate::detect::parity::{Case, Hypotheses, Shown, Upstream};
use crate::mirror::{MirrorError, event_id};
use crate::model::{Cause, Event, Interner, Mentions, Moment, Profile, ProfileId, Record, Slot};
use crate::pass::segments::Lists;
use crate::pass::{Options, PassError, Shop, unblocked};
use crate::pull::{Fresh, Pulled, Seen};
use crate::segment::{Inputs, OnList};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The watchdog hears of a sweep this often.
const PROFILES_TO_A_BEAT: u32 = 16_384;

/// A disagreeing profile in numbers: as the mirror has it, and as upstream shows it.
struct Both {
    profile: Option<Profile>,
    events: Vec<Event>,
    lists: Vec<OnList>,
    fresh: Option<(Profile, Vec<Event>, Vec<OnList>)>,
    gone: bool,
    took_over: bool,
}

impl Shop {
    /// The cause of every case, by segment and slot.
    pub(super) async fn explain(
        &self,
        disputes: &[Dispute<'_>],
        pulled: &Pulled,
        now: Moment,
        options: &Options,
    ) -> Result<(BTreeMap<(usize, Slot), Cause>, Vec<Fresh>), PassError> {
        let definitions = || disputes.iter().map(|dispute| &dispute.entry.definition);
        let probed = self.probe(disputes, &pulled.mentions, now, options).await?;
        let mut interner = Interner::new(self.mirror.vocabulary()?);
        let numbered = probed.iter().map(|(slot, fresh)| {
            let events = fresh.iter().flat_map(|fresh| &fresh.events);
            let events =
                events.map(|(metric, event)| interner.event(metric, event_id(&event.id), event));
            (*slot, events.collect::<Vec<Event>>())
        });
        let mut numbered: BTreeMap<Slot, Vec<Event>> = numbered.collect();
        let inputs = Inputs {
            vocabulary: Arc::new(interner.into_vocabulary()),
            assumptions: self.config.policy.assumptions.clone(),
            ..Inputs::default()
        };
        let offset = utc_offset_minutes(&pulled.account_zone, now);
        let hypotheses = Hypotheses::compile(definitions(), &inputs, offset, now.secs());
        let elsewhere = unblocked(|| self.owned_elsewhere(&numbered, options))?;
        let mut judge = hypotheses.judge();
        let lists = Lists::of_ids(&self.mirror, hypotheses.lists(), now)?;
        let mut causes = BTreeMap::new();
        let mut cases: BTreeMap<Slot, Vec<(usize, bool)>> = BTreeMap::new();
        for (number, dispute) in disputes.iter().enumerate() {
            for (slot, member) in &dispute.cases {
                cases.entry(*slot).or_default().push((number, *member));
            }
        }
        for (slot, of_slot) in cases {
            let asked = probed.get(&slot);
            let events = numbered.remove(&slot).unwrap_or_default();
            let took_over = elsewhere.contains(&slot);
            let both = self.both(slot, asked, events, took_over, &lists, hypotheses.lists())?;
            for (segment, member) in of_slot {
                let dispute = &disputes[segment];
                let counting = is_counting(&dispute.segment, now);
                let case = both.case(segment, member, counting, asked.is_some());
                // Who was gone when somebody asked is so still.
                let known = dispute.before.get(&slot);
                let known = known.filter(|known| known.member == member);
                let cause = match (asked, known.map(|known| known.cause)) {
                    (None, Some(Cause::IdentityMerge)) => Cause::IdentityMerge,
                    _ => judge.cause(&case),
                };
                causes.insert((segment, slot), cause);
            }
        }
        Ok((causes, probed.into_values().flatten().collect()))
    }

    /// Reads disagreeing profiles anew, as far as the budget goes; `None` for one that is gone. What
    /// needs no look at the data to be explained is left out.
    async fn probe(
        &self,
        disputes: &[Dispute<'_>],
        mentions: &Mentions,
        now: Moment,
        options: &Options,
    ) -> Result<BTreeMap<Slot, Option<Fresh>>, PassError> {
        // Those who are new among the differing come first.
        let mut wanted = BTreeSet::new();
        let mut lists = BTreeSet::new();
        for dispute in disputes
            .iter()
            .filter(|dispute| !is_counting(&dispute.segment, now))
        {
            let slots = dispute.cases.keys();
            let judged = slots.filter(|slot| !dispute.unknown.contains(slot.0));
            wanted.extend(judged.map(|slot| (dispute.before.contains_key(slot), *slot)));
            lists.extend(
                dispute
                    .entry
                    .definition
                    .lists()
                    .into_iter()
                    .map(str::to_owned),
            );
        }
        let mut ids = BTreeMap::new();
        for (_, slot) in wanted {
            if ids.len() >= self.config.policy.parity.probes as usize {
                break;
            }
            if let Some(id) = self.mirror.profile_id(slot)? {
                ids.insert(slot, id);
            }
        }
        let asked: Vec<ProfileId> = ids.values().cloned().collect();
        let mut found = self.pull(options)?.fresh(&asked, &lists, mentions).await?;
        let seen = ids
            .into_iter()
            .filter_map(|(slot, id)| match found.remove(&id)? {
                Seen::Gone => Some((slot, None)),
                Seen::NotRead => None,
                Seen::Shown(fresh) => Some((slot, Some(*fresh))),
            });
        Ok(seen.collect())
    }

    /// Whose fresh events are another profile's in the mirror: one sweep over all timelines, only when
    /// some event is missing.
    fn owned_elsewhere(
        &self,
        fresh: &BTreeMap<Slot, Vec<Event>>,
        options: &Options,
    ) -> Result<HashSet<Slot>, PassError> {
        let mut missing: HashMap<(i64, u16, u32), Slot> = HashMap::new();
        for (slot, events) in fresh {
            let known = self.mirror.timeline(*slot)?;
            let known: HashSet<_> = known.events.iter().map(key).collect();
            let new = events.iter().map(key).filter(|key| !known.contains(key));
            missing.extend(new.map(|key| (key, *slot)));
        }
        let mut elsewhere = HashSet::new();
        if missing.is_empty() {
            return Ok(elsewhere);
        }
        let mut subjects = self.mirror.subjects(Slot(0), self.mirror.slots()?);
        let mut count = 0_u32;
        while let Some(subject) = subjects.advance()? {
            count = count.wrapping_add(1);
            if count.is_multiple_of(PROFILES_TO_A_BEAT) {
                self.meter.beat();
                Self::check_stop(&options.stop)?;
            }
            let owners = subject
                .events
                .iter()
                .filter_map(|event| missing.get(&key(event)));
            elsewhere.extend(owners.filter(|owner| **owner != subject.slot));
        }
        Ok(elsewhere)
    }

    fn both(
        &self,
        slot: Slot,
        asked: Option<&Option<Fresh>>,
        events: Vec<Event>,
        took_over: bool,
        lists: &Lists,
        ids: &[String],
    ) -> Result<Both, MirrorError> {
        let profile = match self.mirror.record(slot)? {
            Some(Record::Profile(profile)) => Some(profile),
            _ => None,
        };
        let mut mirrored = Vec::new();
        lists.of(slot, &mut mirrored);
        let fresh = asked.and_then(Option::as_ref).map(|fresh| {
            let on = ids
                .iter()
                .zip(&mirrored)
                .map(|(id, known)| match fresh.lists.get(id) {
                    Some(joined) => OnList::Since(*joined),
                    // Nobody without an address can be asked about.
                    None if fresh.profile.email.is_none() => *known,
                    None => OnList::No,
                });
            (fresh.profile.clone(), events, on.collect())
        });
        Ok(Both {
            profile,
            events: self.mirror.timeline(slot)?.events,
            lists: mirrored,
            fresh,
            gone: asked.is_some_and(Option::is_none),
            took_over,
        })
    }

    /// What was read anew is better than what the mirror has. Not before the end of a pass: everything
    /// in it rests on one state of the mirror.
    pub(in crate::pass) fn mend(&self, fresh: Vec<Fresh>) -> Result<(), MirrorError> {
        for fresh in fresh {
            let mut page = self.mirror.page();
            page.profile(fresh.profile)?;
            let mut by_metric: BTreeMap<_, Vec<_>> = BTreeMap::new();
            for (metric, event) in fresh.events {
                by_metric.entry(metric).or_default().push(event);
            }
            for (metric, events) in by_metric {
                page.events(&metric, events)?;
            }
            page.commit()?;
        }
        self.mirror.fold().map(drop)
    }
}

impl Both {
    fn case(&self, segment: usize, member: bool, counting: bool, asked: bool) -> Case<'_> {
        let mirrored = self.profile.as_ref().map(|profile| Shown {
            profile,
            events: &self.events,
            lists: &self.lists,
        });
        let upstream = match &self.fresh {
            _ if !asked => Upstream::NotAsked,
            None if self.gone => Upstream::Gone,
            None => Upstream::NotAsked,
            Some((profile, events, lists)) => Upstream::Shown {
                now: Shown {
                    profile,
                    events,
                    lists,
                },
                took_over: self.took_over,
            },
        };
        Case {
            segment,
            member,
            counting,
            mirrored,
            upstream,
        }
    }
}

fn key(event: &Event) -> (i64, u16, u32) {
    (event.at, event.metric.0, event.id)
}

/// The account's own time zone at an instant, in minutes; zero for a name that nobody knows.
fn utc_offset_minutes(zone: &str, now: Moment) -> i32 {
    let zone = jiff::tz::TimeZone::get(zone).ok();
    let at = jiff::Timestamp::from_millisecond(now.0).ok();
    zone.zip(at)
        .map_or(0, |(zone, at)| zone.to_offset(at).seconds() / 60)
}
