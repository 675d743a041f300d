//! What no feed shows: deletions, merges, lifted suppressions, changes that moved no date. Everybody who is
//! known is looked at by id, one after the other, evenly over a span, so that nothing of the kind stays
//! unnoticed for longer than that span and the time between two passes.

use super::refetch::tolerated;
use super::{Pull, PullError, Pulled, ServerTimes, is_out_of_reach};
use crate::api::{klaviyo, shopify};
use crate::mirror::{Cursor, Stream};
use crate::model::{CustomerId, Mentions, Moment, ProfileId};
use crate::vault::Subject;

/// So many requests of a pass at most, at each vendor, whatever is due: a backlog must not hold up the
/// rest for long. Where everybody is to be looked at in every pass, it is not a backlog.
const MOST_REQUESTS: usize = 1_000;

/// How far a sweep has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    /// Everything that went before then is known; `None` before the end of the first sweep.
    pub complete: Option<Moment>,
    /// When the sweep under way began.
    pub began: Option<Moment>,
    /// Records looked at in it.
    pub seen: u64,
    /// Records there are.
    pub of: u64,
}

impl Pull<'_> {
    /// Looks at as many records as are due. A vendor out of reach ends it until the next pass.
    pub(super) async fn sweep(
        &self,
        times: ServerTimes,
        mentions: &Mentions,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let totals = self.mirror.totals()?;
        let profiles = self.sweep_profiles(times.klaviyo, totals.profiles, mentions, pulled);
        quietly(profiles.await)?;
        let customers = self.sweep_customers(times.shopify, totals.customers, pulled);
        quietly(customers.await)?;
        for (name, stream, of) in [
            ("profiles", Stream::KlaviyoSweep, totals.profiles),
            ("customers", Stream::ShopifySweep, totals.customers),
        ] {
            let cursor = self.mirror.cursor(&stream)?.unwrap_or_default();
            let swept = Swept {
                complete: cursor.watermark,
                began: cursor.run_start,
                seen: cursor.seen,
                of,
            };
            pulled.sweeps.insert(name, swept);
        }
        Ok(())
    }

    async fn sweep_profiles(
        &self,
        now: Moment,
        total: u64,
        mentions: &Mentions,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let stream = Stream::KlaviyoSweep;
        let Some(mut run) = self.run(&stream, now)? else {
            return Ok(());
        };
        if pulled.missing_sentinels > 0 {
            tracing::warn!("sentinels are missing: nobody is looked for who may be gone");
            return Ok(());
        }
        let due = self.due(&run, total, now);
        for _ in 0..self.most() {
            if !is_due(&run, due, klaviyo::MOST_IDS) {
                break;
            }
            let after = run.position.as_deref().map(ProfileId::from);
            let ids = self
                .mirror
                .profiles_after(after.as_ref(), klaviyo::MOST_IDS)?;
            let is_kept = |id: &&ProfileId| !self.is_forgotten(Subject::Profile(id));
            let asked: Vec<ProfileId> = ids.iter().filter(is_kept).cloned().collect();
            if !asked.is_empty() {
                let found = self.refetch_profiles(&asked, mentions, pulled).await;
                tolerated(found)?;
            }
            let last = ids.last().map(|id| id.as_str().to_owned());
            self.step(&stream, &mut run, last, ids.len(), klaviyo::MOST_IDS)?;
        }
        Ok(())
    }

    async fn sweep_customers(
        &self,
        now: Moment,
        total: u64,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let stream = Stream::ShopifySweep;
        let Some(mut run) = self.run(&stream, now)? else {
            return Ok(());
        };
        let due = self.due(&run, total, now);
        for _ in 0..self.most() {
            if !is_due(&run, due, shopify::MOST_IDS) {
                break;
            }
            let after = run.position.as_deref().and_then(CustomerId::parse);
            let ids = self.mirror.customers_after(after, shopify::MOST_IDS)?;
            let is_kept = |id: &&CustomerId| !self.is_forgotten(Subject::Customer(**id));
            let asked: Vec<CustomerId> = ids.iter().filter(is_kept).copied().collect();
            if !asked.is_empty() {
                let orders = tolerated(self.refetch_customers(&asked, pulled).await)?;
                self.refetch_all_orders(orders.unwrap_or_default(), pulled)
                    .await?;
            }
            let last = ids.last().map(|id| id.to_string());
            self.step(&stream, &mut run, last, ids.len(), shopify::MOST_IDS)?;
        }
        Ok(())
    }

    fn is_forgotten(&self, who: Subject<'_>) -> bool {
        self.mirror.vault().is_forgotten(who)
    }

    /// How many requests at most.
    fn most(&self) -> usize {
        match self.sweep.is_zero() {
            true => usize::MAX,
            false => MOST_REQUESTS,
        }
    }

    /// The sweep under way; `None` when the next one is still to come, or has just begun.
    fn run(&self, stream: &Stream, now: Moment) -> Result<Option<Cursor>, PullError> {
        let known = self.mirror.cursor(stream)?.unwrap_or_default();
        // One that has looked at nobody yet may as well begin now.
        let is_idle = self.sweep.is_zero() && known.seen == 0;
        if known.run_start.is_some() && !is_idle {
            return Ok(Some(known));
        }
        let next = known.watermark.map(|last| last.plus(self.sweep));
        if is_idle || next.is_none_or(|next| next <= now) {
            let run_start = Some(now);
            let begun = Cursor { run_start, ..known };
            let mut page = self.mirror.page();
            page.cursor(stream, &begun);
            page.commit()?;
            return Ok(self.sweep.is_zero().then_some(begun));
        }
        Ok(None)
    }

    /// How many records should have been looked at by now.
    fn due(&self, run: &Cursor, total: u64, now: Moment) -> u64 {
        let began = run.run_start.unwrap_or(now);
        let share = now.since(began).as_secs_f64() / self.sweep.as_secs_f64();
        match share < 1.0 {
            true => (share * total as f64) as u64,
            false => u64::MAX,
        }
    }

    /// Notes that records were looked at, up to the last of them; fewer than were asked for are the end.
    fn step(
        &self,
        stream: &Stream,
        run: &mut Cursor,
        last: Option<String>,
        count: usize,
        most: usize,
    ) -> Result<(), PullError> {
        *run = match count < most {
            true => Cursor {
                watermark: run.run_start,
                done: true,
                ..Cursor::default()
            },
            false => Cursor {
                position: last,
                seen: run.seen + count as u64,
                ..run.clone()
            },
        };
        let mut page = self.mirror.page();
        page.cursor(stream, run);
        page.commit()?;
        self.check_stop()
    }
}

/// A vendor out of reach only puts off what has time.
pub(super) fn quietly(swept: Result<(), PullError>) -> Result<(), PullError> {
    match swept {
        Err(PullError::Api(error)) if is_out_of_reach(&error) => {
            tracing::warn!(%error, "what no feed shows is looked at in the next pass");
            Ok(())
        }
        swept => swept,
    }
}

/// Whether a whole request's worth should have been looked at by now.
fn is_due(run: &Cursor, due: u64, most: usize) -> bool {
    run.run_start.is_some() && run.seen.saturating_add(most as u64) <= due
}
