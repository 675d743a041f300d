//! How far a pass has come, for whoever watches: bars on a terminal, lines elsewhere, or nobody.

use std::fmt;
use std::sync::Arc;

/// One step forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Such as `profiles` or `property`.
    pub stage: String,
    /// Records done in this stage.
    pub done: u64,
    /// Records expected, when known.
    pub total: Option<u64>,
    /// The stage is over.
    pub over: bool,
}

/// Where steps are told; clones tell the same listener.
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<dyn Fn(Step) + Send + Sync>>);

impl Progress {
    /// Tells every step to `listener`.
    pub fn new(listener: impl Fn(Step) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// A stage has come so far.
    pub fn at(&self, stage: &str, done: u64, total: Option<u64>) {
        self.tell(Step {
            stage: stage.to_owned(),
            done,
            total,
            over: false,
        });
    }

    /// A stage is over.
    pub fn over(&self, stage: &str, done: u64) {
        self.tell(Step {
            stage: stage.to_owned(),
            done,
            total: Some(done),
            over: true,
        });
    }

    fn tell(&self, step: Step) {
        if let Some(listener) = &self.0 {
            listener(step);
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Progress(heard)"
        } else {
            "Progress(unheard)"
        })
    }
}
