//! Progress of a one-shot: a bar for each stage on a terminal, plain lines elsewhere.

use crate::telemetry::{Progress, Step};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr};
use std::sync::{Mutex, PoisonError};

/// A listener that fits standard error.
pub(super) fn listener() -> Progress {
    if stderr().is_terminal() {
        let bars = Mutex::new(Bars::default());
        Progress::new(move |step| {
            bars.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .show(&step)
        })
    } else {
        Progress::new(|step| {
            if step.over {
                super::output::note(&format!("{}: {}", step.stage, step.done));
            }
        })
    }
}

#[derive(Default)]
struct Bars {
    screen: MultiProgress,
    bars: BTreeMap<String, ProgressBar>,
}

impl Bars {
    fn show(&mut self, step: &Step) {
        let bar = self.bars.entry(step.stage.clone()).or_insert_with(|| {
            let bar = self.screen.add(ProgressBar::new_spinner());
            bar.set_message(step.stage.clone());
            bar
        });
        if let Some(total) = step.total.filter(|total| *total > 0 && !step.over) {
            bar.set_length(total);
            bar.set_style(style("  {msg:28} {pos:>9} of {len} {wide_bar:.cyan}"));
        } else if !step.over {
            bar.set_style(style("  {msg:28} {pos:>9} {spinner}"));
        }
        bar.set_position(step.done);
        if step.over {
            bar.set_style(style("  {msg:28} {pos:>9}"));
            bar.finish();
            self.bars.remove(&step.stage);
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
