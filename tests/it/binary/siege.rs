//! One shop under fire: its process is killed again and again, while the world around it goes on.

use super::lab::{Lab, Town, export};
use super::process::{Ended, PATIENCE, Running, run};
use crate::invariants::{self, Consents, Deed, Evidence, Rest, deeds_of, written};
use crate::merchant::{self, Edit};
use driftless::clock::Clock;
use driftless::journal::{Entry, audit};
use driftless::model::Moment;
use fastrand::Rng;
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// Everything that may be written, and guards that let it. No segments are compared with Klaviyo's:
/// whoever is looked at for that is known in more detail afterwards, and mirrors would differ.
const EDITS: [(&str, &str); 4] = [
    ("[klaviyo]\n", "[klaviyo]\nbudget_share = 1.0\n"),
    ("read = \"all\"", "read = \"none\""),
    (
        "[guards]\n",
        "[rules.bounce]\nact = true\n\n[shopify_tags]\nfacts = [\"stage\"]\n\n\
         [shopify_metafield]\nfacts = [\"orders\"]\n\n[guards]\n\
         max_suppressions = { count = 100000, share = 1.0 }\n\
         max_list_removals = { count = 100000, share = 1.0 }\n\
         max_tag_changes = { count = 100000, share = 1.0 }\n\
         segment_jump_floor = 100000\n",
    ),
    (
        "max_property_changes = { count = 200,",
        "max_property_changes = { count = 100000,",
    ),
];

/// Every request waits so long at the vendors while somebody aims, so that there is something to hit.
const LATENCY: Duration = Duration::from_millis(4);

/// A walk over events closes at the vendor's clock, to the second: what is to be seen is older.
const A_WHILE: Duration = Duration::from_secs(60);

/// What a process was doing when it was killed, by what it left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// No request was answered yet.
    Opening,
    /// Reading, or working out what to do.
    Pulling,
    /// An intent was journaled, its request not accepted.
    Intended,
    /// The request was accepted, the end not journaled: before the answer, the receipt, or the end.
    Sent,
    /// All ends were journaled, the run's was not: the canary's read-back, or before the next batch.
    Concluded,
    /// The run had ended, the process had not.
    Leaving,
}

impl Phase {
    /// The share of all kills that must have hit it: less than half of what is usual. The others
    /// last no longer than an append, and are hit by luck.
    pub const SHARES: [(Phase, f64); 4] = [
        (Self::Opening, 0.1),
        (Self::Pulling, 0.1),
        (Self::Intended, 0.02),
        (Self::Sent, 0.05),
    ];
}

/// Part of a shop's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The mirror is filled, nothing may be written yet.
    Fill,
    /// Everything is written for the first time.
    FirstPlan,
    /// A listing seems broken: a guard stops every plan.
    Stopped,
    /// The world changes, and the shop keeps up with it.
    Change,
}

impl Stage {
    pub const ALL: [Stage; 5] = [
        Self::Fill,
        Self::FirstPlan,
        Self::Change,
        Self::Stopped,
        Self::Change,
    ];
}

/// When to kill.
#[derive(Clone, Copy, Debug)]
enum Aim {
    /// So long after the start.
    After(Duration),
    /// When so many requests were answered.
    Answers(u64),
    /// When the journal grew so many times.
    Appends(usize),
    /// When so many writes were accepted, before their answers arrive.
    Writes(usize),
}

/// What whole passes took.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    /// The last one until its first answer,
    opening: Duration,
    /// and in requests.
    answers: u64,
    /// The one that had most to write down.
    appends: usize,
    /// and most to write upstream.
    writes: usize,
}

/// How far everything was when a process started.
struct Mark {
    begun: Instant,
    answers: u64,
    appends: usize,
    entries: usize,
    history: usize,
}

pub struct Siege<'a> {
    lab: &'a Lab,
    town: Town,
    shop: PathBuf,
    seed: u64,
    random: Rng,
    pace: Pace,
    kills: u32,
    toll: BTreeMap<Phase, u32>,
    consents: BTreeMap<String, Consents>,
    others: Vec<(Moment, String)>,
    stopped: Vec<Range<usize>>,
}

impl<'a> Siege<'a> {
    /// Encloses a new shop, and lets another one of the same vendors show how long a fill takes.
    pub fn lay(lab: &'a Lab, town: Town, seed: u64) -> Self {
        let shop = lab.shop("acme", &town.vendors, &EDITS);
        let calm = lab.shop("calm", &town.vendors, &EDITS);
        let consents = invariants::consents(&town.world.state());
        let mut siege = Self {
            lab,
            town,
            shop,
            seed,
            random: Rng::with_seed(seed),
            pace: Pace::default(),
            kills: 0,
            toll: BTreeMap::new(),
            consents,
            others: Vec::new(),
            stopped: Vec::new(),
        };
        let acme = std::mem::replace(&mut siege.shop, calm);
        siege.pass(&["--observe"], &[0]);
        siege.shop = acme;
        siege
    }

    /// Kills so often, then lets the shop come to rest.
    pub fn endure(&mut self, stage: Stage, kills: u32) {
        let missing = (stage == Stage::Stopped).then(|| self.break_listing());
        let until = self.kills + kills;
        let mut misses = 0;
        while self.kills < until {
            if matches!(stage, Stage::Change | Stage::Stopped) {
                self.disturb();
            }
            misses += u32::from(!self.strike(stage));
            assert!(
                misses < 20 + 2 * kills,
                "{stage:?} is over before it can be hit"
            );
        }
        match stage {
            Stage::Fill => {
                self.pass(&["--observe"], &[0]);
                self.lab.release(&self.shop);
                // At most one of each for each effect.
                let effects = self.lab.planned("acme").lines().count();
                (self.pace.appends, self.pace.writes) = (effects, effects);
            }
            Stage::FirstPlan | Stage::Change => self.rest(),
            Stage::Stopped => self.pass(&[], &[10]),
        }
        if let Some(missing) = missing {
            self.mend_listing(missing);
        }
    }

    /// Compares the mirror with that of a shop that was never disturbed; tells what was hit.
    pub fn lift(mut self) -> BTreeMap<Phase, u32> {
        self.rest();
        let fresh = self.lab.shop("fresh", &self.town.vendors, &EDITS);
        run(&mut self.lab.reconcile(&fresh, &["--observe"])).expect(0);
        let (mirror, undisturbed) = (self.lab.state("acme"), self.lab.state("fresh"));
        self.check_rest(&export(&mirror), &export(&undisturbed));
        let mut verify = self.lab.driftless(["verify", "--config"]);
        let sound = run(verify.arg(&self.shop)).expect(0);
        assert!(sound.out.contains(", 0 open"), "{}", sound.out);
        self.toll
    }

    /// Starts a process, which must open whatever the one before left behind, and kills it at a random
    /// moment; `false` if it ended before.
    fn strike(&mut self, stage: Stage) -> bool {
        let aim = self.aim(stage);
        // Close behind, or a little later, when the next request was carried out.
        let lag = match aim {
            Aim::Writes(_) => Duration::ZERO,
            // Half of them before what was written down is sent, however slow the machine is.
            Aim::Appends(_) if self.random.bool() => Duration::ZERO,
            _ => LATENCY.mul_f64(2.0 * self.random.f64()),
        };
        // Jobs of the vendors may be over when somebody looks for the first time, or take their time.
        let hurried = self.random.bool();
        self.town.world.state().faults.latency = LATENCY;
        let options = match stage {
            Stage::Fill => &["--observe"][..],
            _ => &[],
        };
        let (mark, ended) = self.attend(options, Some((aim, lag)), hurried);
        // A request that died with its process is over by then.
        thread::sleep(LATENCY * 2);
        self.town.world.state().faults.latency = Duration::ZERO;
        let killed = ended.signal == Some(Signal::KILL.as_raw());
        if killed {
            let phase = self.phase(&mark);
            self.kills += 1;
            *self.toll.entry(phase).or_default() += 1;
            let place = self.place();
            println!("{place} in {stage:?}, {aim:?} and {lag:?} later: {phase:?}");
        } else {
            let may_be_stopped = stage == Stage::Stopped;
            let fine = ended.code == Some(0) || (may_be_stopped && ended.code == Some(10));
            assert!(fine, "{}: {ended:?}", self.place());
        }
        self.check(None);
        killed
    }

    fn aim(&mut self, stage: Stage) -> Aim {
        let pace = self.pace;
        let applies = matches!(stage, Stage::FirstPlan | Stage::Change);
        // Few rather than many: what is left to do may be little, and then nothing is hit.
        let share = self.random.f64();
        let few = |most: usize| (most as f64).powf(share).ceil() as usize;
        match (self.random.u8(0..6), applies) {
            (0, _) | (1, false) => Aim::After(pace.opening.mul_f64(self.random.f64())),
            (2..=4, true) => Aim::Appends(few(pace.appends)),
            (5.., true) => Aim::Writes(few(pace.writes)),
            _ => Aim::Answers(self.random.u64(1..=pace.answers.max(1))),
        }
    }

    /// Runs a process until it ends, or until so long after the aim was reached.
    fn attend(
        &mut self,
        options: &[&str],
        target: Option<(Aim, Duration)>,
        hurried: bool,
    ) -> (Mark, Ended) {
        let mark = self.mark();
        let mut process = Running::start(&mut self.lab.reconcile(&self.shop, options));
        let mut opening = None;
        let is_over = loop {
            let reached = target.filter(|(aim, _)| self.reached(*aim, &mark));
            if let Some((_, lag)) = reached {
                thread::sleep(lag);
                break false;
            }
            if process.ends_within(Duration::ZERO).is_some() {
                break true;
            }
            assert!(mark.begun.elapsed() < PATIENCE, "{}: hangs", self.place());
            if opening.is_none() && self.town.answers() > mark.answers {
                opening = Some(mark.begun.elapsed());
            }
            if hurried {
                self.hurry();
            }
            thread::sleep(Duration::from_micros(100));
        };
        let ended = if is_over {
            process.end()
        } else {
            process.kill_9()
        };
        if is_over {
            self.pace = Pace {
                opening: opening.unwrap_or(self.pace.opening),
                answers: self.town.answers() - mark.answers,
                appends: self.pace.appends.max(self.appends() - mark.appends),
                writes: self.pace.writes.max(self.town.writes() - mark.history),
            };
        }
        (mark, ended)
    }

    fn mark(&self) -> Mark {
        Mark {
            begun: Instant::now(),
            answers: self.town.answers(),
            appends: self.appends(),
            entries: self.entries().len(),
            history: self.town.writes(),
        }
    }

    fn reached(&self, aim: Aim, mark: &Mark) -> bool {
        match aim {
            Aim::After(span) => mark.begun.elapsed() >= span,
            Aim::Answers(count) => self.town.answers() >= mark.answers + count,
            Aim::Appends(count) => self.appends() >= mark.appends + count,
            Aim::Writes(count) => self.town.writes() >= mark.history + count,
        }
    }

    /// Whole appends to the journal.
    fn appends(&self) -> usize {
        let text = self.lab.journal_text("acme");
        text.matches("{\"commit\":").count()
    }

    /// Jobs that were accepted are done at once.
    fn hurry(&self) {
        let now = Clock::System.now();
        let jobs = &mut self.town.world.state().klaviyo.jobs;
        for job in jobs.values_mut().filter(|job| !job.applied) {
            job.completes = job.completes.min(now);
        }
    }

    fn phase(&self, mark: &Mark) -> Phase {
        let entries = self.entries();
        let since = &entries[mark.entries..];
        let mut open: BTreeMap<String, BTreeSet<Deed>> = BTreeMap::new();
        let (mut begun, mut over) = (false, false);
        for entry in since {
            match entry {
                Entry::Run { .. } => begun = true,
                Entry::RunEnd { .. } => over = true,
                Entry::Intent(intent) => {
                    let deeds = deeds_of(intent).into_iter().collect();
                    open.insert(intent.id.to_string(), deeds);
                }
                Entry::Outcome(end) => drop(open.remove(&end.effect.to_string())),
                Entry::Job(_)
                | Entry::Unkept { .. }
                | Entry::Forget(_)
                | Entry::Forgotten { .. }
                | Entry::DataRequest(_)
                | Entry::DataAnswered { .. }
                | Entry::ShopErased { .. } => {}
            }
        }
        let state = self.town.world.state();
        let writes = state.history[mark.history..].iter();
        let done: BTreeSet<Deed> = writes.flat_map(|write| written(write, &state)).collect();
        let was_sent = open.values().any(|deeds| !deeds.is_disjoint(&done));
        drop(state);
        match (begun, over) {
            _ if self.town.answers() == mark.answers => Phase::Opening,
            (false, _) => Phase::Pulling,
            (_, true) => Phase::Leaving,
            _ if was_sent => Phase::Sent,
            _ if open.is_empty() => Phase::Concluded,
            _ => Phase::Intended,
        }
    }

    /// A whole pass, with vendors that do not dawdle.
    fn pass(&mut self, options: &[&str], exits: &[i32]) {
        let (_, ended) = self.attend(options, None, true);
        let ends = ended.code.is_some_and(|code| exits.contains(&code));
        assert!(ends, "{}: {ended:?}", self.place());
        self.check(None);
    }

    /// Two passes, after which nothing may be left.
    fn rest(&mut self) {
        self.pass(&[], &[0]);
        self.pass(&[], &[0]);
        self.check_rest(&[], &[]);
    }

    fn check_rest(&self, mirror: &[String], undisturbed: &[String]) {
        audit(&self.lab.state("acme").join("journal")).unwrap();
        let plan = self.lab.planned("acme");
        let rest = Rest {
            plan: &plan,
            mirror,
            undisturbed,
        };
        self.check(Some(&rest));
    }

    /// Reads the vendors' history and the journal together.
    fn check(&self, rest: Option<&Rest<'_>>) {
        let (journal, asked) = (self.entries(), self.town.endpoints());
        let world = self.town.world.state();
        let evidence = Evidence {
            world: &world,
            journal: &journal,
            resent: false,
            asked: &asked,
            consents: &self.consents,
            others: &self.others,
            stopped: &self.stopped,
        };
        let broken = invariants::broken(&evidence, rest);
        assert_eq!(broken, None, "{}", self.place());
    }

    /// What a failure must be told with.
    fn place(&self) -> String {
        format!("DRIFTLESS_SEED={}, after kill {}", self.seed, self.kills)
    }

    fn entries(&self) -> Vec<Entry> {
        invariants::entries(&self.lab.state("acme"))
    }

    /// What happens while nobody looks, or nobody runs.
    fn disturb(&mut self) {
        let now = Clock::System.now();
        let random = &mut self.random;
        let mut state = self.town.world.state();
        for _ in 0..2 {
            let customer = *random.choice(state.shopify.customers.keys()).unwrap();
            merchant::buy(&mut state, customer, now);
            let profile = random
                .choice(state.klaviyo.profiles.keys())
                .unwrap()
                .clone();
            merchant::click(&mut state, &profile, now.minus(A_WHILE));
        }
        if random.bool() {
            merchant::join(&mut state, now);
        }
        let edit = *random.choice(&Edit::ALL).unwrap();
        let touched = edit.make(&mut state, random, now);
        println!("others: {edit:?} of {touched:?}");
        self.others.extend(touched.map(|id| (now, id)));
        self.consents = invariants::consents(&state);
    }

    /// Most members of the largest list seem to be gone.
    fn break_listing(&mut self) -> (String, BTreeMap<String, Moment>) {
        let mut state = self.town.world.state();
        self.stopped.push(state.history.len()..usize::MAX);
        let lists = state.klaviyo.lists.iter_mut();
        let (id, list) = lists.max_by_key(|(_, list)| list.members.len()).unwrap();
        (id.clone(), std::mem::take(&mut list.members))
    }

    fn mend_listing(&mut self, (id, members): (String, BTreeMap<String, Moment>)) {
        let mut state = self.town.world.state();
        state
            .klaviyo
            .lists
            .get_mut(&id)
            .unwrap()
            .members
            .extend(members);
        let written = state.history.len();
        self.stopped.last_mut().unwrap().end = written;
    }
}
