//! Whether everything is here: stored events by metric and day beside Klaviyo's own counts. What differs
//! is narrowed to hours, read again and compared again; what then still differs is kept as a gap with
//! its numbers, and looked into again only when one of them changes.
//!
//! The last two weeks are compared every day, for events arrive up to ten days after they happened; all
//! of the history once within a span that the config names. One request answers for a metric and a year,
//! so that this costs less than looking further back in every pass.

mod orders;
mod repair;

use super::sweep::quietly;
use super::{Pull, PullError, Pulled, is_out_of_reach};
use crate::api::ApiError;
use crate::api::klaviyo::{Interval, MOST_DAYS_COUNTED};
use crate::mirror::{Checked, Gap, Stream, Window};
use crate::model::{Mentions, MetricId, Moment};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

/// So many windows of a pass at most: the endpoint takes 60 requests a minute.
const MOST_WINDOWS: usize = 8;

/// Days that are compared every day.
const RECENT_DAYS: i64 = 14;
/// How often the latest records of any kind are compared.
pub(super) const RECENT_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// Klaviyo may count a day's last events a while after it ended.
const SETTLING: Duration = Duration::from_secs(60 * 60);

/// The days of a window, which one request counts.
const YEAR: i64 = MOST_DAYS_COUNTED;

/// A day that lacks something Klaviyo did not list is read again after so long: its counts may run ahead
/// of its lists.
const LOOK_AGAIN: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Klaviyo is not that old: an event of an earlier date is a mistake, and no reason to ask for the years
/// between.
pub(super) const MOST_YEARS: i64 = 15;

const FOUND: &str = "events that were missing";

/// A window that is to be compared.
pub(super) struct Check {
    metric: MetricId,
    window: Window,
    /// Days since 1970, in UTC.
    days: Range<i64>,
    pub(super) known: Option<Checked>,
}

/// A day whose counts differ for no known reason.
struct Doubt {
    /// Which check found it.
    check: usize,
    day: i64,
    theirs: u64,
    /// What reading it again showed; `None` as long as that was not done.
    read: Option<Read>,
}

/// Events that were listed and cannot be kept.
#[derive(Clone, Copy, Default)]
struct Read {
    ownerless: u64,
    unreadable: u64,
}

/// A witness that refuses, or that nobody understands, is none: nothing else may wait for it.
fn witnessed<T>(counted: Result<T, ApiError>) -> Result<Option<T>, PullError> {
    match counted {
        Err(error) if is_out_of_reach(&error) => Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, "records could not be counted");
            Ok(None)
        }
        Ok(counted) => Ok(Some(counted)),
    }
}

impl Check {
    fn stream(&self) -> Stream {
        Stream::Events(self.metric.clone())
    }

    /// When it is due; `None` for the first time.
    pub(super) fn due(&self, round: Duration) -> Option<Moment> {
        let every = match self.window {
            Window::Recent => RECENT_EVERY,
            Window::Year(_) => round,
        };
        self.known.map(|known| known.asked.plus(every))
    }
}

impl Pull<'_> {
    /// Compares what is due. Klaviyo out of reach ends it until the next pass.
    pub(super) async fn ledger(
        &self,
        now: Moment,
        mentions: &Mentions,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let mut checks = Vec::new();
        for metric in mentions.events.keys() {
            checks.extend(self.checks(metric)?);
        }
        checks.retain(|check| check.due(self.ledger).is_none_or(|due| due <= now));
        if checks.is_empty() {
            return Ok(());
        }
        self.recount(now)?;
        // Whatever waited longest comes first; the recent days before all others that never had a turn.
        checks.sort_by_key(|check| (check.due(self.ledger), check.window));
        checks.truncate(MOST_WINDOWS);
        quietly(self.compare(checks, now, mentions, pulled).await)
    }

    /// All windows of a metric that are completely here; none before its history was read once.
    pub(super) fn checks(&self, metric: &MetricId) -> Result<Vec<Check>, PullError> {
        let stream = Stream::Events(metric.clone());
        let arrived = self.mirror.cursor(&stream)?;
        let Some(until) = arrived.and_then(|cursor| cursor.watermark) else {
            return Ok(Vec::new());
        };
        let end = until.minus(SETTLING).day();
        let recent = end - RECENT_DAYS..end;
        let old = recent.start;
        let first = self.mirror.first_event_day(metric)?;
        let latest = (old - 1).div_euclid(YEAR);
        // One year more than there is anything of: what was brought in later may be older.
        let first = first.map_or(latest, |first| first.div_euclid(YEAR) - 1);
        let years = first.clamp(latest - MOST_YEARS, latest)..=latest;
        let years = years.map(|year| (Window::Year(year), year * YEAR..old.min((year + 1) * YEAR)));
        let windows = std::iter::once((Window::Recent, recent)).chain(years);
        windows
            .map(|(window, days)| {
                Ok(Check {
                    metric: metric.clone(),
                    window,
                    days,
                    known: self.mirror.checked(&stream, window)?,
                })
            })
            .collect()
    }

    /// The counts that are kept are made anew from the timelines once in a round.
    fn recount(&self, now: Moment) -> Result<(), PullError> {
        let last = self.mirror.recounted()?;
        if last.is_none_or(|last| now.since(last) >= self.ledger) {
            let wrong = self.mirror.recount_events(now)?;
            if wrong > 0 {
                tracing::warn!(days = wrong, "the mirror lost events that it had counted");
            }
        }
        Ok(())
    }

    async fn compare(
        &self,
        checks: Vec<Check>,
        now: Moment,
        mentions: &Mentions,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let mut doubts = Vec::new();
        let mut answered = Vec::new();
        for (number, check) in checks.iter().enumerate() {
            self.check_stop()?;
            let span = Moment::from_day(check.days.start)..Moment::from_day(check.days.end);
            let klaviyo = &self.vendors.klaviyo;
            let counts = klaviyo.event_counts(&check.metric, Interval::Day, span);
            let counts = witnessed(counts.await)?;
            answered.push(counts.is_some());
            if let Some(counts) = counts {
                let by_day = counts.into_iter().map(|(at, count)| (at.day(), count));
                doubts.extend(self.doubts(number, check, &by_day.collect(), now)?);
            }
        }
        let before = self.mirror.totals()?.events;
        let repaired = self.repair(&checks, &mut doubts, mentions, pulled).await;
        let found = self.mirror.totals()?.events.saturating_sub(before);
        pulled.add_some(FOUND, found);
        // What was looked into stays so, whatever ended it.
        self.conclude(&checks, &answered, &doubts, now)?;
        repaired
    }

    /// The days on which counts differ, but for the gaps that are known to. Gaps that closed are
    /// forgotten.
    fn doubts(
        &self,
        number: usize,
        check: &Check,
        theirs: &BTreeMap<i64, u64>,
        now: Moment,
    ) -> Result<Vec<Doubt>, PullError> {
        let ours = self
            .mirror
            .events_by_day(&check.metric, check.days.clone())?;
        let stream = check.stream();
        let gaps = self.mirror.gaps(&stream)?;
        let again = now.minus(LOOK_AGAIN);
        let mut doubts = Vec::new();
        let mut page = self.mirror.page();
        for day in check.days.clone() {
            let count = |counts: &BTreeMap<i64, u64>| counts.get(&day).copied().unwrap_or(0);
            let (stored, theirs) = (count(&ours), count(theirs));
            let gap = gaps.get(&day);
            if stored == theirs {
                if gap.is_some() {
                    page.gap(&stream, day, None);
                }
            } else if gap.is_none_or(|gap| {
                let numbers = (gap.stored, gap.theirs);
                numbers != (stored, theirs) || (gap.missing() > 0 && gap.looked <= again)
            }) {
                doubts.push(Doubt {
                    check: number,
                    day,
                    theirs,
                    read: None,
                });
            }
        }
        page.commit()?;
        Ok(doubts)
    }

    /// Notes what was compared, and which days stay apart. A window with a day that could not be looked
    /// into has its turn again in the next pass; one that Klaviyo refused to count waits for its next.
    fn conclude(
        &self,
        checks: &[Check],
        answered: &[bool],
        doubts: &[Doubt],
        now: Moment,
    ) -> Result<(), PullError> {
        let mut gaps = Vec::new();
        for doubt in doubts {
            let (check, day) = (&checks[doubt.check], doubt.day);
            if let Some(read) = doubt.read {
                let stored = self.mirror.events_by_day(&check.metric, day..day + 1)?;
                let stored = stored.get(&day).copied().unwrap_or(0);
                let gap = Gap {
                    stored,
                    theirs: doubt.theirs,
                    ownerless: read.ownerless,
                    unreadable: read.unreadable,
                    since: now,
                    looked: now,
                };
                let known = self.mirror.gaps(&check.stream())?.get(&day).copied();
                let same =
                    known.filter(|known| (known.stored, known.theirs) == (stored, doubt.theirs));
                let gap = Gap {
                    since: same.map_or(now, |known| known.since),
                    ..gap
                };
                gaps.push((check.stream(), day, (stored != doubt.theirs).then_some(gap)));
            }
        }
        let mut page = self.mirror.page();
        for (stream, day, gap) in gaps {
            page.gap(&stream, day, gap);
        }
        for (number, (check, answered)) in checks.iter().zip(answered).enumerate() {
            let mut of_check = doubts.iter().filter(|doubt| doubt.check == number);
            if of_check.all(|doubt| doubt.read.is_some()) {
                let before = check.known.and_then(|known| known.done);
                let done = if *answered { Some(now) } else { before };
                page.checked(&check.stream(), check.window, Checked { asked: now, done });
            }
        }
        Ok(page.commit()?)
    }
}
