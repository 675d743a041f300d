//! What conditions answer with: the verdict at an instant or, with its flips, over a span. Written
//! once for both; a full evaluation asks for the verdict a hundred times as often.

use super::verdict::{Course, Span, Verdict};
use super::window::Window;

pub(super) trait Answer: Sized {
    fn constant(verdict: Verdict) -> Self;
    /// Whether an instant fits.
    fn within(window: &Window, instant: i64, span: Span) -> Self;
    fn all(answers: impl IntoIterator<Item = Self>) -> Self;
    fn any(answers: impl IntoIterator<Item = Self>) -> Self;
    /// The contrary; what is unknown stays so.
    fn not(self) -> Self;

    fn of(holds: bool) -> Self {
        Self::constant(Verdict::of(holds))
    }
}

impl Answer for Verdict {
    fn constant(verdict: Verdict) -> Self {
        verdict
    }

    fn within(window: &Window, instant: i64, span: Span) -> Self {
        Self::of(window.holds(instant, span.now))
    }

    fn all(answers: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::In;
        for one in answers {
            all = all.min(one);
            if all == Self::Out {
                break;
            }
        }
        all
    }

    fn any(answers: impl IntoIterator<Item = Self>) -> Self {
        let mut any = Self::Out;
        for one in answers {
            any = any.max(one);
            if any == Self::In {
                break;
            }
        }
        any
    }

    fn not(self) -> Self {
        match self {
            Self::Out => Self::In,
            Self::Unknown => Self::Unknown,
            Self::In => Self::Out,
        }
    }
}

impl Answer for Course {
    fn constant(verdict: Verdict) -> Self {
        Self::constant(verdict)
    }

    fn within(window: &Window, instant: i64, span: Span) -> Self {
        window.course(instant, span)
    }

    fn all(answers: impl IntoIterator<Item = Self>) -> Self {
        Self::all(answers)
    }

    fn any(answers: impl IntoIterator<Item = Self>) -> Self {
        Self::any(answers)
    }

    fn not(mut self) -> Self {
        self.initial = self.initial.not();
        for (_, verdict) in &mut self.flips {
            *verdict = verdict.not();
        }
        self
    }
}
