//! Folding beside the feeds: staged events become timelines on a thread of their own, while pages go on arriving.

use super::{Pull, PullError, Pulled};
use crate::clock::{Brake, Stop};
use crate::mirror::{Folded, Mirror, MirrorError};
use crate::model::{MetricId, Moment};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::panic::resume_unwind;
use std::sync::{Arc, mpsc};
use tokio::task::{JoinHandle, spawn_blocking};

/// A fold under way. Dropped, it is over: nobody shares the mirror with one that nobody waits for.
struct Folding {
    task: JoinHandle<Result<Folded, MirrorError>>,
    brake: Brake,
    /// Ends when the thread has let go of the mirror.
    over: mpsc::Receiver<Infallible>,
}

impl Folding {
    /// `goes_on` hears how far it has come, and says whether it may go further.
    fn start(
        mirror: &Arc<Mirror>,
        asked_before: &BTreeMap<MetricId, Moment>,
        (brake, stop): (Brake, Stop),
        goes_on: impl Fn(Folded) -> bool + Send + 'static,
    ) -> Self {
        let (mirror, asked_before) = (Arc::clone(mirror), asked_before.clone());
        let (held, over) = mpsc::channel();
        let task = spawn_blocking(move || {
            let goes_on = |folded| goes_on(folded) && !stop.is_set();
            let folded = mirror.fold_while(&asked_before, goes_on);
            drop(mirror);
            drop(held);
            folded
        });
        Self { task, brake, over }
    }
}

impl Drop for Folding {
    fn drop(&mut self) {
        self.brake.set();
        // Nothing is ever sent. What is waited for is a commit, or a share that is read and sorted.
        let Err(mpsc::RecvError) = self.over.recv();
    }
}

impl Pull<'_> {
    /// Folds what is staged, beside whatever else is under way; see [`Mirror::fold_arrived`].
    pub(super) async fn fold(
        &self,
        asked_before: &BTreeMap<MetricId, Moment>,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let (progress, stop, before) = (self.progress.clone(), self.stop.clone(), pulled.timelines);
        let goes_on = move |folded: Folded| {
            progress.at("timelines", before + folded.timelines, None);
            !stop.is_set()
        };
        let mut folding = Folding::start(self.mirror, asked_before, Brake::new(), goes_on);
        match (&mut folding.task).await {
            Ok(folded) => pulled.timelines += folded?.timelines,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            // The process ends: nobody waits for the timelines any more.
            Err(_) => std::future::pending().await,
        }
        self.check_stop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::IncomingEvent;
    use crate::vault::Vault;

    const NOW: Moment = Moment::from_secs(1_790_000_000);

    #[tokio::test]
    async fn a_fold_that_nobody_waits_for_lets_go_of_the_mirror_and_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(dir.path(), None).unwrap();
        let mirror = Arc::new(Mirror::open(dir.path(), &vault, NOW).unwrap().0);
        let event = |number: u64| IncomingEvent {
            id: format!("e{number}"),
            at: NOW,
            profile: Some(format!("P{number}").as_str().into()),
            value: None,
            properties: Vec::new(),
        };
        let mut page = mirror.page();
        page.events(&"M".into(), (0..5_000).map(event).collect())
            .unwrap();
        page.commit().unwrap();

        let (brake, stop) = Brake::new();
        let heard = stop.clone();
        let goes_on = move |_| {
            // Nothing is folded before it is dropped.
            while !heard.is_set() {
                std::thread::yield_now();
            }
            true
        };
        drop(Folding::start(
            &mirror,
            &BTreeMap::new(),
            (brake, stop),
            goes_on,
        ));
        assert_eq!(Arc::strong_count(&mirror), 1);
        assert_eq!(mirror.totals().unwrap().events, 0);
        assert_eq!(mirror.fold().unwrap().added, 5_000);
    }
}
