//! Walks a cursor-paged stream, one committed page at a time.

use super::{Pull, PullError, Pulled};
use crate::api::{ApiError, Cursor as PageCursor, Fault, Page, Trail};
use crate::mirror::{Cursor, MirrorError, Page as MirrorPage, Stream};
use crate::model::Moment;
use crate::plan::Legibility;
use std::time::Duration;

/// One kind of record behind a cursor.
pub(super) trait Source: Sync {
    /// What a page holds.
    type Item: Send;

    /// Its name in reports.
    const NAME: &'static str;

    /// How far before its watermark an incremental walk starts.
    fn overlap(&self) -> Duration;

    /// Where its cursor is kept.
    fn stream(&self) -> Stream;

    /// Fetches one page; `since` is `None` in the first, complete walk.
    fn page(
        &self,
        since: Option<Moment>,
        after: Option<&PageCursor>,
    ) -> impl Future<Output = Result<Page<Self::Item>, ApiError>> + Send;

    /// Prepares the mirror for the first page of a walk.
    fn begin(&self, _page: &mut MirrorPage<'_>, _start: Moment) -> Result<(), MirrorError> {
        Ok(())
    }

    /// Whether a walk that is at its end may be concluded from. If not, its watermark stays where it was,
    /// so that the next one reads the same again.
    fn is_whole(&self, walk: Legibility) -> bool {
        !walk.is_poor()
    }

    /// Tells the mirror, together with the last page, that a whole walk is at its end.
    fn end(&self, _page: &mut MirrorPage<'_>, _walk: &Cursor) -> Result<(), MirrorError> {
        Ok(())
    }

    /// Puts a page's items into the mirror's page.
    fn store(&self, page: &mut MirrorPage<'_>, items: Vec<Self::Item>) -> Result<(), MirrorError>;

    /// The latest change among items, where the watermark must not pass what was really seen.
    fn newest(&self, _items: &[Self::Item]) -> Option<Moment> {
        None
    }

    /// The watermark after a whole walk that began at `start` and saw changes until `newest`.
    fn watermark(
        &self,
        start: Moment,
        before: Option<Moment>,
        _newest: Option<Moment>,
    ) -> Option<Moment> {
        before.max(Some(start))
    }
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Walked {
    /// Records in all pages of the walk, those before a restart included.
    pub count: u64,
    /// It was the first, complete walk.
    pub complete: bool,
    /// It may be concluded from.
    pub whole: bool,
}

impl Pull<'_> {
    /// Walks a source from its cursor to its end. `now` is the server's clock.
    pub(super) async fn walk<S: Source>(
        &self,
        source: &S,
        now: Moment,
        pulled: &mut Pulled,
    ) -> Result<Walked, PullError> {
        let stream = source.stream();
        let cursor = match self.mirror.cursor(&stream)? {
            Some(cursor) if cursor.run_start.is_some() => cursor,
            known => begin(known.unwrap_or_default(), now, source.overlap()),
        };
        // Lost by a restart; then the watermark stays where it was, and the next walk is longer.
        let mut newest = None;
        let mut way = Way {
            cursor,
            trail: Trail::default(),
            restarted: false,
        };
        loop {
            self.check_stop()?;
            let Some(page) = self.next_page(source, &mut way).await? else {
                continue;
            };
            newest = newest.max(source.newest(&page.items));
            pulled.add(S::NAME, page.items.len() as u64);
            pulled.quarantined += page.quarantined;
            way.cursor = self.keep(source, way.cursor, page, newest)?;
            let cursor = &way.cursor;
            if cursor.run_start.is_none() {
                pulled.judge(&stream, cursor.seen, cursor.unreadable);
                return Ok(Walked {
                    count: cursor.seen,
                    complete: cursor.lower.is_none(),
                    whole: source.is_whole(legibility(cursor)),
                });
            }
            self.progress.at(S::NAME, cursor.seen, None);
        }
    }

    /// The page that a walk has come to; `None` when it has to begin anew.
    async fn next_page<S: Source>(
        &self,
        source: &S,
        way: &mut Way,
    ) -> Result<Option<Page<S::Item>>, PullError> {
        let after = way.cursor.position.as_deref();
        let after = after.map(PageCursor::from_stored);
        let page = source.page(way.cursor.lower, after.as_ref()).await;
        match page.and_then(|page| way.trail.step(&page).map(|()| page)) {
            Err(error) if after.is_some() && !way.restarted && refuses_cursor(&error) => {
                // Expired or refused: the walk starts again from where it began, not from zero.
                tracing::info!(stream = %source.stream(), "cursor refused, walk restarted");
                way.restart();
                Ok(None)
            }
            Err(error) if error.fault == Fault::Loop => {
                // The position leads back into the circle.
                way.restart();
                let mut page = self.mirror.page();
                page.cursor(&source.stream(), &way.cursor);
                page.commit()?;
                Err(error.into())
            }
            page => Ok(Some(page?)),
        }
    }

    /// Commits a page together with the cursor behind it. At the end of the walk the cursor that is
    /// given back has no `run_start`; the one stored is ready for the next walk.
    fn keep<S: Source>(
        &self,
        source: &S,
        walk: Cursor,
        page: Page<S::Item>,
        newest: Option<Moment>,
    ) -> Result<Cursor, PullError> {
        let start = walk.run_start.unwrap_or_default();
        let mut changes = self.mirror.page();
        if walk.position.is_none() {
            source.begin(&mut changes, start)?;
        }
        let mut next = Cursor {
            seen: walk.seen + page.items.len() as u64,
            unreadable: walk.unreadable + page.quarantined,
            position: page.next.map(|next| next.as_str().to_owned()),
            ..walk
        };
        source.store(&mut changes, page.items)?;
        if next.position.is_some() {
            changes.cursor(&source.stream(), &next);
        } else {
            let done = source.is_whole(legibility(&next));
            let mut watermark = next.watermark;
            if done {
                source.end(&mut changes, &next)?;
                watermark = source.watermark(start, watermark, newest);
            }
            let ready = Cursor {
                watermark,
                done,
                ..Cursor::default()
            };
            changes.cursor(&source.stream(), &ready);
            next.run_start = None;
        }
        changes.commit()?;
        Ok(next)
    }
}

/// A walk under way.
struct Way {
    cursor: Cursor,
    trail: Trail,
    /// A refused cursor was given up once.
    restarted: bool,
}

impl Way {
    /// Goes back to where it began.
    fn restart(&mut self) {
        self.cursor.position = None;
        (self.cursor.seen, self.cursor.unreadable) = (0, 0);
        (self.trail, self.restarted) = (Trail::default(), true);
    }
}

fn legibility(walk: &Cursor) -> Legibility {
    Legibility {
        read: walk.seen,
        unreadable: walk.unreadable,
    }
}

/// Whether a page was refused in a way that a cursor of another day may cause.
pub(super) fn refuses_cursor(error: &ApiError) -> bool {
    matches!(
        error.fault,
        Fault::Invalid { .. } | Fault::GraphqlErrors { .. }
    )
}

fn begin(known: Cursor, now: Moment, overlap: Duration) -> Cursor {
    Cursor {
        position: None,
        lower: known.watermark.map(|watermark| watermark.minus(overlap)),
        run_start: Some(now),
        watermark: known.watermark,
        ..Cursor::default()
    }
}
