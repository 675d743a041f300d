//! One shop from its first fill to its rest.

use super::erased::Erased;
use super::knobs::{BUDGETED, Setting};
use super::others;
use super::step::Step;
use crate::backup;
use crate::house::{House, hours, morning};
use crate::invariants::{self, Consents, Evidence, Rest};
use crate::{oracle, probation};
use driftless::journal::{Entry, RunId, audit};
use driftless::model::Moment;
use driftless::pass::{Options, PassError, PlanFile, Summary, Task};
use driftless::policy::{Allowances, Guard};
use driftless::sandbox::faults::{FaultKind, Faults};
use driftless::sandbox::{GeneratorSettings, Speed, generate};
use fastrand::Rng;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

const PROFILES: RangeInclusive<usize> = 40..=80;
const STEPS: RangeInclusive<usize> = 15..=28;

/// Passes until nothing is left, each with what stopped the one before released: one may be stopped,
/// the next one works, the last one is quiet.
const PASSES_TO_REST: usize = 3;

/// Longer than driftless believes its own writes rather than a listing that lags, than it lets a
/// refusal be, and than a budget looks back.
const A_DAY_AND_MORE: Duration = Duration::from_secs(25 * 3600);

/// About the requests of a pass that has something to write.
const CRASHES_WITHIN: u32 = 60;

/// A walk over events closes at the vendor's clock, to the second: what is to be seen is older.
const MOMENTS: RangeInclusive<u64> = 2..=90;

pub struct Life {
    house: House,
    random: Rng,
    seed: u64,
    /// Every step so far, as it is told when something is wrong.
    told: Vec<String>,
    setting: Setting,
    /// The rules that the operator released last, unless they were held since.
    released: Option<Vec<usize>>,
    /// What stopped the last pass.
    trips: Vec<(Guard, u64)>,
    plan: Option<PlanFile>,
    consents: BTreeMap<String, Consents>,
    others: Vec<(Moment, String)>,
    stopped: Vec<Range<usize>>,
    /// As text, and read.
    journal: (String, Vec<Entry>),
    erased: Erased,
    /// Whether an answer may have been lost on the way.
    resent: bool,
    /// State directories so far.
    moves: u32,
    /// Whether it was told why this life ended.
    failed: Cell<bool>,
}

impl Drop for Life {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.failed.get() {
            eprintln!("{}", self.place());
        }
    }
}

impl Life {
    /// A shop that was filled once, and observed.
    pub async fn begin(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let state = generate(GeneratorSettings::usual(
            random.usize(PROFILES),
            random.u64(..),
            morning(),
        ));
        let consents = invariants::consents(&state);
        let mut house = House::build(state, morning(), Speed::Fast, &[]).await;
        let setting = Setting::furnish(&mut house);
        let mut life = Self {
            house,
            random,
            seed,
            told: Vec::new(),
            setting,
            released: None,
            trips: Vec::new(),
            plan: None,
            consents,
            others: Vec::new(),
            stopped: Vec::new(),
            journal: Default::default(),
            erased: Erased::default(),
            resent: false,
            moves: 0,
            failed: Cell::new(false),
        };
        life.take(Step::Pass).await;
        if life.random.bool() {
            life.take(Step::Release).await;
            life.take(Step::Pass).await;
        }
        life
    }

    /// The steps in between.
    pub async fn go(&mut self) {
        for _ in 0..self.random.usize(STEPS) {
            let step = Step::draw(&mut self.random);
            self.take(step).await;
        }
    }

    /// Takes a step, and looks at everything that is true at any time.
    async fn take(&mut self, step: Step) {
        let moments = Duration::from_secs(self.random.u64(MOMENTS));
        self.house.clock.advance(moments);
        let now = self.house.clock.now();
        self.told.push(format!("{now} {step:?}"));
        let touched = {
            let mut state = self.house.world.state();
            others::act(step, &mut state, &mut self.random, now)
        };
        match touched {
            Some(touched) => self.note(now, touched),
            None => self.go_on(step).await,
        }
        self.check(None);
    }

    fn note(&mut self, now: Moment, touched: others::Touched) {
        self.tell(&touched);
        let touched = touched.into_iter().map(|id| (now, id));
        self.others.extend(touched);
        self.consents = invariants::consents(&self.house.world.state());
    }

    async fn go_on(&mut self, step: Step) {
        match step {
            Step::Fault | Step::Storm | Step::Lag | Step::Poison => self.break_something(step),
            Step::Wait => {
                let most = self.random.choice([60, 24 * 60, 10 * 24 * 60]).unwrap();
                let minutes = self.random.u64(1..=most);
                self.tell(&format!("{minutes} minutes"));
                self.house.clock.advance(Duration::from_secs(60 * minutes));
            }
            Step::Reload => {
                let turned = self.setting.turn(&mut self.house, &mut self.random);
                self.tell(&turned);
            }
            Step::Release => self.release(),
            Step::Hold => {
                driftless::pass::hold(&self.house.state_dir()).unwrap();
                self.released = None;
            }
            Step::Restart => self.house.close(),
            Step::Rebuild => {
                self.house.close();
                self.house.rebuild();
            }
            Step::Damage => self.damage(),
            Step::Forget => {
                let now = self.house.clock.now();
                let touched = self.erased.erase(&mut self.house, &mut self.random);
                self.note(now, touched);
            }
            Step::Restore => self.restore(),
            _ => self.pass_somehow(step).await,
        }
    }

    async fn pass_somehow(&mut self, step: Step) {
        let mut options = Options::default();
        match step {
            Step::Plan => options.observe = true,
            Step::Apply => {
                let Some(plan) = self.plan.clone() else {
                    return;
                };
                options.task = plan.head.task;
                options.only = Some(Arc::new(plan));
            }
            Step::Undo => {
                let entries = self.journal.1.iter();
                let runs = entries.filter(|entry| matches!(entry, Entry::Run { .. }));
                let run = RunId(self.random.u64(1..=runs.count().max(1) as u64));
                options.task = Task::Undo(run);
                options.observe = self.random.u8(..4) == 0;
            }
            Step::Allow => options.allow = self.allowances(),
            _ => {}
        }
        let crashes = step == Step::Crash || self.random.u8(..4) == 0;
        let crash = crashes.then(|| {
            let kinds = [FaultKind::Deaf, FaultKind::Mute];
            let kind = *self.random.choice(&kinds).unwrap();
            (self.random.u32(..CRASHES_WITHIN), kind)
        });
        self.tell(&(options.task, &options.allow.0, crash));
        self.pass(&options, crash).await;
        if step == Step::Plan {
            let path = self.house.state_dir().join("plan.jsonl");
            self.plan = PlanFile::read(&path, |_| ()).ok();
        }
    }

    /// What stopped the last pass, or something that did not.
    fn allowances(&mut self) -> Allowances {
        let trips = self.trips.iter().copied();
        let mut allowed: BTreeMap<Guard, u64> = trips.collect();
        if allowed.is_empty() {
            let guard = *self.random.choice(&Guard::ALL).unwrap();
            allowed.insert(guard, self.random.u64(..10));
        }
        Allowances(allowed)
    }

    /// A pass to its end, or until the request at which its process ends.
    async fn pass(&mut self, options: &Options, crash: Option<(u32, FaultKind)>) {
        let before = self.house.writes();
        let (silence, troubled) = {
            let faults = &mut self.house.world.state().faults;
            let troubled = is_troubled(faults);
            if let Some((nth, kind)) = crash {
                faults.plan_after(nth, kind);
            }
            (faults.silence.clone(), troubled)
        };
        let silent = self.writes_nothing(options);
        let pass = self.house.shop().pass(options);
        let ended = tokio::select! {
            biased;
            () = silence.notified() => None,
            ended = pass => Some(ended),
        };
        let after = self.house.writes();
        let mut stopped = silent;
        match ended {
            None => {
                self.tell(&"ended by force");
                self.house.close();
            }
            Some(Ok(summary)) => stopped |= self.read(options, &summary, before, troubled),
            Some(Err(error)) => self.refuse(options, &error, troubled),
        }
        if stopped {
            self.stopped.push(before..after);
        }
        if matches!(options.task, Task::Undo(_)) && after > before {
            self.released = None;
        }
        let faults = &mut self.house.world.state().faults;
        faults.planned.clear();
        faults.silence = Arc::default();
    }

    /// Whether a pass may write nothing at all, by what the operator said.
    fn writes_nothing(&self, options: &Options) -> bool {
        let is_released = self.released == Some(self.setting.rules())
            || options.allow.0.contains_key(&Guard::FirstRun)
            || options.only.is_some()
            || options.task != Task::Rules;
        options.observe || self.setting.only_observes() || !is_released
    }

    /// What a pass says of itself; whether a guard stopped it before its first write.
    fn read(
        &mut self,
        options: &Options,
        summary: &Summary,
        before: usize,
        troubled: bool,
    ) -> bool {
        let trips = summary.trips.iter().map(|trip| (trip.guard, trip.count));
        self.trips = trips.collect();
        let (planned, ends) = (&summary.planned, &summary.effects.ends);
        self.tell(&format!(
            "planned {planned:?}, ended {ends:?}, stopped by {:?}",
            self.trips
        ));
        if let Some(failure) = summary.failure.as_ref().filter(|_| !troubled) {
            self.fail(&format!("a push failed for no reason: {failure}"));
        }
        self.check_budgets(options, before);
        let mut guards = self.trips.iter();
        guards.any(|(guard, _)| *guard != Guard::Canary)
    }

    fn refuse(&mut self, options: &Options, error: &PassError, troubled: bool) {
        self.tell(&error.to_string());
        let allowed = match error {
            PassError::Stale(_) => options.only.is_some(),
            PassError::NoSuchRun { .. } | PassError::TooOld { .. } => options.task != Task::Rules,
            _ => troubled,
        };
        if !allowed {
            self.fail(&format!("a pass failed for no reason: {error}"));
        }
    }

    /// 7: nobody's day sees more changes than the budgets have, as far as this pass made any.
    fn check_budgets(&self, options: &Options, before: usize) {
        let history = self.house.history();
        let since = self.house.clock.now().minus(hours(24));
        let guards = [
            Guard::MaxSuppressions,
            Guard::MaxListRemovals,
            Guard::MaxTagChanges,
            Guard::MaxPropertyChanges,
            Guard::MaxUnsubscriptions,
        ];
        for (nth, (kinds, most)) in BUDGETED.iter().enumerate() {
            let is_one = |at: usize| kinds.contains(&history[at].kind);
            let allowed = options.allow.0.contains_key(&guards[nth]);
            if !self.setting.is_tight(nth) || allowed || !(before..history.len()).any(is_one) {
                continue;
            }
            let lately = (0..history.len()).filter(|at| is_one(*at) && history[*at].at > since);
            let people: BTreeSet<&String> = lately.flat_map(|at| &history[at].subjects).collect();
            if people.len() > *most {
                let count = people.len();
                self.fail(&format!(
                    "{kinds:?} of {count} within a day, {most} are allowed"
                ));
            }
        }
    }

    fn release(&mut self) {
        let now = self.house.clock.now();
        let released = driftless::pass::release(&self.house.config(), now);
        self.tell(&released.is_ok());
        if released.is_ok() {
            self.released = Some(self.setting.rules());
        }
    }

    fn break_something(&mut self, step: Step) {
        let now = self.house.clock.now();
        let random = &mut self.random;
        let mut state = self.house.world.state();
        let profile = random
            .choice(state.klaviyo.profiles.keys())
            .unwrap()
            .clone();
        let faults = &mut state.faults;
        let told = match step {
            Step::Storm => {
                let until = now.plus(Duration::from_secs(random.u64(10..1200)));
                faults.storm_until = Some(until);
                format!("until {until}")
            }
            Step::Lag => {
                faults.lag = Duration::from_secs(random.u64(1..600));
                format!("{:?}", faults.lag)
            }
            Step::Poison => {
                faults.poisonous.insert(profile.clone());
                profile
            }
            _ => {
                let status = [401, 403, 429, 500, 503].map(FaultKind::Status);
                let cut = [FaultKind::Reset, FaultKind::Truncate];
                let kinds = [&status[..], &cut, &cut].concat();
                let kind = *random.choice(&kinds).unwrap();
                self.resent |= matches!(kind, FaultKind::Reset | FaultKind::Truncate);
                faults.plan_after(random.u32(..50), kind);
                let fault = faults.planned.last_mut().unwrap();
                fault.times = random.u32(1..=4);
                format!("{fault:?}")
            }
        };
        drop(state);
        self.tell(&told);
    }

    /// A second time, before the mirror has proved itself, is left to the operator.
    fn damage(&mut self) {
        let state_dir = self.house.state_dir();
        if state_dir.join("mirror").exists() && !state_dir.join("probation.json").exists() {
            self.house.close();
            probation::wreck(&state_dir);
        }
    }

    /// From a backup of this moment into another state directory.
    fn restore(&mut self) {
        // Of a mirror that is being filled anew there is no backup.
        let has_journal = self.house.state_dir().join("journal").exists();
        if !has_journal || !self.house.shop().is_whole().unwrap() {
            return;
        }
        self.moves += 1;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.backup");
        backup::back_up(&mut self.house, &path);
        backup::restore(&mut self.house, &format!("restored-{}", self.moves), &path);
        self.released = None;
    }

    /// Faults over and rules as they were: soon nothing is left to do, and everything is as it should be.
    pub async fn rest(&mut self) {
        self.house.world.state().faults = Faults::default();
        self.setting.reset(&mut self.house);
        for _ in 0..2 {
            self.house.clock.advance(A_DAY_AND_MORE);
            self.pass_at_rest().await;
        }
        self.until_quiet().await;
        // No feed shows a merge: a mirror that is to know of one must be filled anew.
        self.house.close();
        self.house.rebuild();
        self.until_quiet().await;
        self.check_oracle();
        let undisturbed = self.house.undisturbed().await;
        let mirror = self.house.mirror();
        let rest = Rest {
            plan: &self.house.planned(),
            mirror: &mirror,
            undisturbed: &undisturbed,
        };
        audit(&self.house.state_dir().join("journal")).unwrap();
        self.check(Some(&rest));
        self.house.close();
        assert_eq!(self.erased.traces(&self.house.state_dir()), [""; 0]);
    }

    /// Whether a pass, with what stopped the one before released, found nothing to do.
    async fn pass_at_rest(&mut self) -> bool {
        self.tell_anew("at rest");
        let allow = Allowances(self.trips.iter().copied().collect());
        let options = Options {
            allow,
            ..Options::default()
        };
        self.pass(&options, None).await;
        self.release();
        self.check(None);
        self.trips.is_empty() && self.house.planned().is_empty()
    }

    async fn until_quiet(&mut self) {
        for _ in 0..PASSES_TO_REST {
            if self.pass_at_rest().await {
                return;
            }
        }
        self.fail("never at rest");
    }

    /// What ought to be true by a count that knows nothing of the product's.
    fn check_oracle(&self) {
        let now = self.house.clock.now();
        let (mut wrong, lists) = {
            let state = self.house.world.state();
            (
                oracle::wrong_properties(&state, now),
                oracle::lists(&state, now),
            )
        };
        for (name, wanted) in [("Lapsed customers", lists.0), ("Win-back", lists.1)] {
            let members = self.house.members(name);
            if members != wanted {
                wrong.push(format!("{name}: {members:?} where {wanted:?} are wanted"));
            }
        }
        if !wrong.is_empty() {
            self.fail(&format!("at {now}:\n{}", wrong.join("\n")));
        }
    }

    /// Reads the vendors' history and the journal together.
    fn check(&mut self, rest: Option<&Rest<'_>>) {
        let asked = self.house.sandbox.requests().into_keys().collect();
        self.read_journal();
        let world = self.house.world.state();
        let evidence = Evidence {
            world: &world,
            journal: &self.journal.1,
            resent: self.resent,
            asked: &asked,
            consents: &self.consents,
            others: &self.others,
            stopped: &self.stopped,
        };
        let broken = invariants::broken(&evidence, rest);
        drop(world);
        if let Some(broken) = self.erased.broken(&self.journal.1) {
            self.fail(&broken);
        }
        if let Some(broken) = broken {
            self.fail(&broken);
        }
    }

    /// Reads the journal again when it has changed.
    fn read_journal(&mut self) {
        let text = self.house.journal_text();
        let (known, entries) = &mut self.journal;
        if *known != text {
            *entries = self.house.journal();
            *known = text;
        }
    }

    /// What is the same in every life of this seed.
    pub fn story(&mut self) -> Vec<String> {
        let mut story = std::mem::take(&mut self.told);
        let writes = self.house.history().into_iter();
        story.extend(writes.map(|write| format!("{write:?}")));
        // The marks of the forgotten hang on a random key.
        let is_told = |entry: &Entry| !matches!(entry, Entry::Forget(_) | Entry::Forgotten { .. });
        let journal = self.house.journal().into_iter().filter(is_told);
        story.extend(journal.map(|entry| format!("{entry:?}")));
        story.extend(self.house.mirror());
        story
    }

    fn tell(&mut self, what: &dyn std::fmt::Debug) {
        use std::fmt::Write;
        let line = self.told.last_mut().unwrap();
        write!(line, " {what:?}").unwrap();
    }

    fn tell_anew(&mut self, what: &str) {
        let now = self.house.clock.now();
        self.told.push(format!("{now} {what}"));
    }

    #[track_caller]
    fn fail(&self, why: &str) -> ! {
        self.failed.set(true);
        panic!("{}\n{why}", self.place());
    }

    /// What a failure must be told with.
    fn place(&self) -> String {
        format!(
            "DRIFTLESS_SEED={} after\n{}",
            self.seed,
            self.told.join("\n")
        )
    }
}

fn is_troubled(faults: &Faults) -> bool {
    !faults.planned.is_empty() || faults.storm_until.is_some()
}
