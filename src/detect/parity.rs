//! Why Klaviyo's members differ from our evaluation: hypotheses, tried in a fixed order, until one
//! turns our verdict into Klaviyo's. What upstream shows now is believed before what we assume.

use crate::model::{Cause, Event, Profile};
use crate::segment::{
    Assumptions, Definition, Evaluator, Inputs, OnList, Program, Span, Subject, Verdict,
};

/// Klaviyo applies the passing of time once in 24 hours, at an hour it does not tell; a little more
/// for the work itself (klaviyo.md, section 11.5).
pub const REFRESH_SECS: i64 = 25 * 3_600;

/// A profile with what belongs to it, as the mirror has it or as upstream shows it.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The profile.
    pub profile: &'a Profile,
    /// Its events.
    pub events: &'a [Event],
    /// Where it stands with the program's lists.
    pub lists: &'a [OnList],
}

/// What upstream shows now.
#[derive(Clone, Copy, Debug)]
pub enum Upstream<'a> {
    /// Nobody asked: the budget was spent.
    NotAsked,
    /// There is no such profile.
    Gone,
    /// This.
    Shown {
        /// The profile.
        now: Shown<'a>,
        /// Some of its events are another profile's in the mirror.
        took_over: bool,
    },
}

/// One disagreement.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The segment, by its number in the program.
    pub segment: usize,
    /// Whether Klaviyo has the profile as a member.
    pub member: bool,
    /// Whether Klaviyo is still counting after an edit.
    pub counting: bool,
    /// What the mirror has; `None` when the profile has not arrived.
    pub mirrored: Option<Shown<'a>>,
    /// What upstream shows.
    pub upstream: Upstream<'a>,
}

/// The definitions in dispute, compiled under every hypothesis.
#[derive(Debug)]
pub struct Hypotheses {
    as_published: Program,
    unset_matches: Program,
    in_zone: Program,
    now: i64,
}

/// Judges one case after the other.
#[derive(Debug)]
pub struct Judge<'h> {
    program: &'h Program,
    present: Evaluator<'h>,
    yesterday: Evaluator<'h>,
    unset_matches: Evaluator<'h>,
    in_zone: Evaluator<'h>,
}

impl Hypotheses {
    /// Compiles definitions. `utc_offset_minutes` is the account's own time zone now.
    pub fn compile<'d>(
        definitions: impl Iterator<Item = &'d Definition> + Clone,
        inputs: &Inputs<'_>,
        utc_offset_minutes: i32,
        now: i64,
    ) -> Self {
        let under = |assumptions: Assumptions| {
            let inputs = Inputs {
                assumptions,
                ..inputs.clone()
            };
            Program::compile(definitions.clone(), &inputs)
        };
        let known = &inputs.assumptions;
        Self {
            as_published: under(known.clone()),
            unset_matches: under(Assumptions {
                negative_matches_missing: !known.negative_matches_missing,
                ..known.clone()
            }),
            in_zone: under(Assumptions {
                utc_offset_minutes,
                ..known.clone()
            }),
            now,
        }
    }

    /// The lists that cases must tell about, in their order.
    pub fn lists(&self) -> &[String] {
        self.as_published.lists()
    }

    /// Someone to judge.
    pub fn judge(&self) -> Judge<'_> {
        let (now, present) = (self.now, Span::at(self.now));
        Judge {
            program: &self.as_published,
            present: self.as_published.evaluator(present),
            yesterday: self.as_published.evaluator(Span {
                now: now - REFRESH_SECS,
                until: now,
            }),
            unset_matches: self.unset_matches.evaluator(present),
            in_zone: self.in_zone.evaluator(present),
        }
    }
}

impl Judge<'_> {
    /// The one cause of a disagreement.
    pub fn cause(&mut self, case: &Case<'_>) -> Cause {
        let wanted = Verdict::of(case.member);
        if case.counting {
            return Cause::DefinitionEdited;
        }
        if let Upstream::Gone = case.upstream {
            return Cause::IdentityMerge;
        }
        let Some(mirrored) = case.mirrored else {
            return Cause::DataMissing;
        };
        if verdict(&mut self.present, case.segment, &mirrored) == Verdict::Unknown {
            return match self.program.unknowns(case.segment).is_empty() {
                true => Cause::DataMissing,
                false => Cause::NotEvaluable,
            };
        }
        if let Upstream::Shown { now, took_over } = case.upstream
            && verdict(&mut self.present, case.segment, &now) == wanted
        {
            return self.missed(case, &mirrored, &now, took_over);
        }
        let believed = match case.upstream {
            Upstream::Shown { now, .. } => now,
            Upstream::Gone | Upstream::NotAsked => mirrored,
        };
        let courses = self.yesterday.courses(&subject(&believed));
        let course = courses.get(case.segment);
        let was_so = course.is_some_and(|course| {
            course.initial == wanted || course.flips.iter().any(|(_, verdict)| *verdict == wanted)
        });
        if was_so {
            Cause::DailyRefresh
        } else if verdict(&mut self.unset_matches, case.segment, &believed) == wanted {
            Cause::UnsetProperty
        } else if verdict(&mut self.in_zone, case.segment, &believed) == wanted {
            Cause::TimeZone
        } else {
            Cause::Unexplained
        }
    }

    /// Upstream's own data give upstream's answer: which part of them the mirror lacks.
    fn missed(
        &mut self,
        case: &Case<'_>,
        mirrored: &Shown<'_>,
        now: &Shown<'_>,
        took_over: bool,
    ) -> Cause {
        let wanted = Verdict::of(case.member);
        let mut explains =
            |part: Shown<'_>| verdict(&mut self.present, case.segment, &part) == wanted;
        if took_over {
            Cause::IdentityMerge
        } else if explains(Shown {
            lists: now.lists,
            ..*mirrored
        }) {
            Cause::ListRemovalUnseen
        } else if explains(Shown {
            events: now.events,
            ..*mirrored
        }) {
            Cause::LateEvent
        } else {
            Cause::DataMissing
        }
    }
}

fn subject<'a>(shown: &Shown<'a>) -> Subject<'a> {
    Subject {
        profile: shown.profile,
        events: shown.events,
        lists: shown.lists,
        facts: None,
    }
}

fn verdict(evaluator: &mut Evaluator<'_>, segment: usize, shown: &Shown<'_>) -> Verdict {
    let mut found = Verdict::Unknown;
    evaluator.verdicts(&subject(shown), |number, verdict| {
        if number == segment {
            found = verdict;
        }
    });
    found
}
