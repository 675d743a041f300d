//! One bad row among many, which the vendor refuses all for and does not name.
//!
//! To find it takes as many further calls as the rows can be halved, and two at most to send it alone
//! and all that had to wait: 9,999 of 10,000 land with 17 calls.

use crate::api::ApiError;
use std::mem::take;

/// A batch with more bad rows than this is not searched any further in this pass.
const MOST_CULPRITS: usize = 32;

/// Nor is one of which so many are bad and none was taken: something else is wrong.
const MOST_ALONE: usize = 8;

/// What became of one call.
pub(super) enum Answer {
    /// It was accepted, or there is nothing more to say of its rows.
    Settled,
    /// The vendor found fault with it.
    Refused(ApiError),
}

/// The search for bad rows among `0..count`: it says what to send next, and is told what came back.
pub(super) struct Isolation {
    /// To be sent next.
    asked: Vec<usize>,
    step: Step,
    /// If those that are asked are taken, one of these is bad.
    others: Vec<usize>,
    /// Nothing is known of them yet.
    rest: Vec<usize>,
    culprits: Vec<(usize, ApiError)>,
    /// Whether the vendor took any row.
    any_settled: bool,
}

/// What the rows that are asked are.
#[derive(Clone, Copy)]
enum Step {
    /// All of which nothing is known.
    Whole,
    /// Half of some of which one is bad.
    Half,
    /// The only one that can be.
    Alone,
}

impl Isolation {
    pub(super) fn of(count: usize) -> Self {
        Self {
            asked: (0..count).collect(),
            step: Step::Whole,
            others: Vec::new(),
            rest: Vec::new(),
            culprits: Vec::new(),
            any_settled: false,
        }
    }

    /// The rows to send next; `None` at the end.
    pub(super) fn next(&self) -> Option<Vec<usize>> {
        (!self.asked.is_empty()).then(|| self.asked.clone())
    }

    /// Takes in what became of them.
    pub(super) fn answer(&mut self, answer: Answer) {
        let asked = take(&mut self.asked);
        self.any_settled |= matches!(answer, Answer::Settled);
        match (self.step, answer) {
            (Step::Whole, Answer::Settled) => {}
            // They wait for the next pass, which leaves out those that were found.
            (Step::Whole, Answer::Refused(_)) if self.is_hopeless() => {}
            (Step::Half, Answer::Settled) => {
                let others = take(&mut self.others);
                self.suspect(others, None);
            }
            (Step::Whole | Step::Half, Answer::Refused(refusal)) => {
                self.rest.append(&mut self.others);
                self.suspect(asked, Some(refusal));
            }
            // Together they were too much, or the vendor changed its mind.
            (Step::Alone, Answer::Settled) => self.go_on(),
            (Step::Alone, Answer::Refused(refusal)) => self.suspect(asked, Some(refusal)),
        }
    }

    /// Those that are known to be bad, each with its refusal.
    pub(super) fn culprits(&self) -> &[(usize, ApiError)] {
        &self.culprits
    }

    /// Goes on with rows of which one is bad: by a refusal of just these, or because the others of a
    /// refused batch were taken.
    fn suspect(&mut self, mut suspects: Vec<usize>, refusal: Option<ApiError>) {
        match (suspects.as_slice(), refusal) {
            ([one], Some(refusal)) => {
                self.culprits.push((*one, refusal));
                self.go_on();
            }
            ([_], None) => (self.asked, self.step) = (suspects, Step::Alone),
            _ => {
                self.others = suspects.split_off(suspects.len() / 2);
                (self.asked, self.step) = (suspects, Step::Half);
            }
        }
    }

    /// Whether to look for more of them is not worth its calls.
    fn is_hopeless(&self) -> bool {
        let most = if self.any_settled {
            MOST_CULPRITS
        } else {
            MOST_ALONE
        };
        self.culprits.len() >= most
    }

    fn go_on(&mut self) {
        (self.asked, self.step) = (take(&mut self.rest), Step::Whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Fault, Place};
    use crate::telemetry::Api;
    use std::collections::BTreeSet;

    fn refusal() -> ApiError {
        let place = Place {
            api: Api::Klaviyo,
            class: "import",
            status: Some(400),
            request_id: None,
        };
        let fault = Fault::NotFound;
        ApiError { fault, place }
    }

    /// The rows that land, the culprits, and the calls it takes.
    fn sent(count: usize, bad: &[usize]) -> (BTreeSet<usize>, Vec<usize>, usize) {
        let (mut landed, mut calls) = (BTreeSet::new(), 0);
        let mut search = Isolation::of(count);
        while let Some(rows) = search.next() {
            calls += 1;
            if rows.iter().any(|row| bad.contains(row)) {
                search.answer(Answer::Refused(refusal()));
            } else {
                assert!(rows.iter().all(|row| landed.insert(*row)), "sent twice");
                search.answer(Answer::Settled);
            }
        }
        let found = search.culprits().iter();
        let mut found: Vec<usize> = found.map(|(row, _)| *row).collect();
        found.sort_unstable();
        (landed, found, calls)
    }

    #[test]
    fn one_culprit_among_ten_thousand_takes_as_many_calls_as_halvings() {
        assert_eq!(sent(10_000, &[]).2, 1);
        for culprit in [0, 1, 4_999, 5_000, 9_998, 9_999] {
            let (landed, found, calls) = sent(10_000, &[culprit]);
            assert_eq!((landed.len(), found), (9_999, vec![culprit]));
            assert!(calls <= 1 + 14 + 2, "{calls} calls for row {culprit}");
        }
    }

    #[test]
    fn every_culprit_is_found_and_every_other_row_lands() {
        for bad in [&[0_usize, 1][..], &[3, 4, 99], &[0, 50, 51, 98, 99]] {
            let (landed, found, _) = sent(100, bad);
            assert_eq!((landed.len(), found.as_slice()), (100 - bad.len(), bad));
        }
        assert_eq!(sent(1, &[0]), (BTreeSet::new(), vec![0], 1));
        assert_eq!(sent(0, &[]).2, 0);
    }

    #[test]
    fn nobody_is_blamed_for_what_all_of_them_are_too_much_for() {
        let mut landed = 0;
        let mut search = Isolation::of(100);
        while let Some(rows) = search.next() {
            search.answer(match rows.len() {
                51.. => Answer::Refused(refusal()),
                few => {
                    landed += few;
                    Answer::Settled
                }
            });
        }
        assert_eq!((search.culprits().len(), landed), (0, 100));
    }

    #[test]
    fn a_batch_that_is_bad_all_over_is_given_up_and_nobody_is_blamed_unheard() {
        let all: Vec<usize> = (0..1_000).collect();
        let (landed, found, calls) = sent(1_000, &all);
        assert_eq!((landed.len(), found.len()), (0, MOST_ALONE));
        assert!(calls <= MOST_ALONE * 12 + 1, "{calls} calls");
        let many: Vec<usize> = (0..1_000).step_by(20).collect();
        let (landed, found, _) = sent(1_000, &many);
        assert_eq!(found.len(), MOST_CULPRITS);
        assert!(found.iter().all(|row| many.contains(row)));
        assert!(!landed.is_empty());
    }
}
