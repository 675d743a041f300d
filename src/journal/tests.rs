use super::*;
use crate::disk::{Flaw, Flaws, Operation};
use serde_json::json;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use tempfile::TempDir;

mod torn;

const NOW: Moment = Moment::from_secs(1_790_000_000);
const HOUR: i64 = 3_600_000;

/// One for all, so that bytes of one journal can be read in another place.
static VAULT: LazyLock<Vault> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    Vault::open(dir.path(), None).unwrap()
});

fn later(hours: i64) -> Moment {
    Moment(NOW.0 + hours * HOUR)
}

fn open(dir: &TempDir) -> (Journal, Recovery) {
    Journal::open(dir.path(), &VAULT).unwrap()
}

fn intent(run: RunId, kind: EffectKind, subject: &str, at: Moment) -> Intent {
    let subject = Some(subject.to_owned());
    let target = "L1".to_owned();
    Intent::new(
        "shop",
        run,
        kind,
        subject,
        target,
        json!(false),
        json!(true),
        at,
    )
}

/// A commit line of old, without a link.
fn closing(records: u64) -> line::Commit {
    line::Commit {
        records,
        link: None,
    }
}

fn first_file(dir: &TempDir) -> PathBuf {
    dir.path().join("00000001.log")
}

/// One run: `A` confirmed, `B` refused, `C` open and carried by a job.
fn fill(dir: &TempDir) -> (RunId, Vec<Intent>) {
    let (mut journal, _) = open(dir);
    let run = journal.begin_run(NOW, "p1").unwrap();
    let intents = ["A", "B", "C"].map(|who| intent(run, EffectKind::ListAdd, who, NOW));
    journal.intend(intents.to_vec()).unwrap();
    journal.job(run, "job-1", &[intents[2].id], NOW).unwrap();
    let ends = [
        (intents[0].id, End::Confirmed, None),
        (intents[1].id, End::Refused, Some("invalid".to_owned())),
    ];
    journal.conclude(&ends, later(1)).unwrap();
    (run, intents.to_vec())
}

#[test]
fn open_intents_and_their_jobs_are_found_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (run, intents) = fill(&dir);
    let (mut journal, recovery) = open(&dir);
    assert_eq!(recovery.cut_bytes, 0);
    assert_eq!(recovery.open, [intents[2].clone()]);
    assert_eq!(recovery.jobs.len(), 1);
    assert_eq!(
        (recovery.jobs[0].run, recovery.jobs[0].job.as_str()),
        (run, "job-1")
    );
    assert_eq!(recovery.next_run, RunId(run.0 + 1));

    let effects = journal.effects_of(run).unwrap();
    let found: Vec<_> = effects.iter().map(|effect| effect.intent.clone()).collect();
    assert_eq!(found, intents);
    let ends: Vec<_> = effects
        .iter()
        .map(|e| e.outcome.as_ref().map(|o| o.end))
        .collect();
    assert_eq!(ends, [Some(End::Confirmed), Some(End::Refused), None]);
    let code = effects[1].outcome.as_ref().unwrap().code.as_deref();
    assert_eq!(code, Some("invalid"));

    let next = journal.begin_run(later(2), "p1").unwrap();
    assert_eq!(next, recovery.next_run);
    let ends = [(intents[2].id, End::Withdrawn, None)];
    journal.conclude(&ends, later(2)).unwrap();
    journal.end_run(next, later(2)).unwrap();
    drop(journal);
    let (_, recovery) = open(&dir);
    assert!(recovery.open.is_empty() && recovery.jobs.is_empty());
}

/// Where each line starts, and at last the length.
fn line_starts(bytes: &[u8]) -> Vec<usize> {
    let breaks = (0..bytes.len()).filter(|at| bytes[*at] == b'\n');
    std::iter::once(0).chain(breaks.map(|at| at + 1)).collect()
}

#[test]
fn records_that_contradict_each_other_are_damage_and_unknown_ones_are_newer() {
    let dir = tempfile::tempdir().unwrap();
    let outcome =
        r#"{"type":"outcome","effect":"00000000000000aa","end":"confirmed","code":null,"at":1}"#;
    let unknown = r#"{"type":"pause","at":1}"#;
    for (json, is_newer) in [(outcome, false), (unknown, true)] {
        let mut bytes = Vec::new();
        line::write(&mut bytes, json.as_bytes());
        line::write_commit(&mut bytes, closing(1));
        fs::write(first_file(&dir), bytes).unwrap();
        let refused = Journal::open(dir.path(), &VAULT).unwrap_err();
        assert_eq!(
            matches!(refused, JournalError::Newer { .. }),
            is_newer,
            "{refused}"
        );
        assert_eq!(
            matches!(refused, JournalError::Damaged { .. }),
            !is_newer,
            "{refused}"
        );
    }
}

/// A record changed so that its own length and checksum are right again.
fn forged(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut forged = Vec::new();
    for text in bytes.split_inclusive(|byte| *byte == b'\n') {
        let json = String::from_utf8(line::read(text).unwrap().to_vec()).unwrap();
        line::write(&mut forged, json.replace(from, to).as_bytes());
    }
    assert_ne!(forged, bytes);
    forged
}

#[test]
fn a_past_that_was_rewritten_is_noticed_and_a_journal_of_old_is_not_taken_for_one() {
    let dir = tempfile::tempdir().unwrap();
    fill(&dir);
    let honest = fs::read(first_file(&dir)).unwrap();
    let link = audit(dir.path()).unwrap().reading.link;
    assert_ne!(link, Link::default());
    fs::write(first_file(&dir), forged(&honest, "confirmed", "withdrawn")).unwrap();
    let refused = Journal::open(dir.path(), &VAULT).unwrap_err();
    assert!(
        matches!(refused, JournalError::Rewritten { file: 1, .. }),
        "{refused}"
    );

    // Without its links the same journal opens, and what follows is chained to all of it.
    let text = String::from_utf8(honest.clone()).unwrap();
    let commits = text
        .lines()
        .filter_map(|line| line.split_once(",\"link\"").map(|(_, link)| link));
    let mut of_old = honest.clone();
    for link in commits {
        let link = link.split_once('}').unwrap().0;
        of_old = forged(&of_old, &format!(",\"link\"{link}"), "");
    }
    fs::write(first_file(&dir), &of_old).unwrap();
    assert_eq!(audit(dir.path()).unwrap().reading.link, link);
    let (mut journal, _) = open(&dir);
    journal.begin_run(later(2), "p2").unwrap();
    drop(journal);
    let longer = fs::read(first_file(&dir)).unwrap();
    fs::write(first_file(&dir), forged(&longer, "confirmed", "withdrawn")).unwrap();
    assert!(matches!(
        audit(dir.path()),
        Err(JournalError::Rewritten { .. })
    ));
}

#[test]
fn an_audit_counts_what_there_is_and_disturbs_nobody() {
    let dir = tempfile::tempdir().unwrap();
    fill(&dir);
    let (mut journal, _) = open(&dir);
    let Audit { reading, .. } = audit(dir.path()).unwrap();
    assert_eq!((reading.files, reading.torn_bytes), (1, 0));
    let expected = Audit {
        reading,
        runs: 1,
        intents: 3,
        ends: [(End::Confirmed, 1), (End::Refused, 1)].into(),
        open: 1,
    };
    assert_eq!(audit(dir.path()).unwrap(), expected);
    // An append under way is not taken for damage, and stays.
    let path = first_file(&dir);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole, b"half a li".as_slice()].concat()).unwrap();
    assert_eq!(audit(dir.path()).unwrap().reading.torn_bytes, 9);
    assert_eq!(fs::read(&path).unwrap().len(), whole.len() + 9);
    // Nor one of several lines, of which the last is half there.
    let mut lines = Vec::new();
    for run in 2..5 {
        line::write(
            &mut lines,
            format!(r#"{{"type":"run","run":{run},"at":1}}"#).as_bytes(),
        );
    }
    for length in 1..lines.len() {
        fs::write(&path, [&whole, &lines[..length]].concat()).unwrap();
        assert_eq!(audit(dir.path()).unwrap().reading.torn_bytes, length as u64);
    }
    fs::write(&path, &whole).unwrap();
    journal.begin_run(later(2), "p1").unwrap();
    fs::rename(&path, dir.path().join("00000002.log")).unwrap();
    assert!(matches!(
        audit(dir.path()),
        Err(JournalError::Missing { file: 1 })
    ));
    fs::remove_file(dir.path().join("00000002.log")).unwrap();
    assert!(matches!(
        audit(dir.path()),
        Err(JournalError::Missing { file: 1 })
    ));
    let mut damaged = whole;
    damaged[10] ^= 1;
    fs::write(&path, damaged).unwrap();
    let refused = audit(dir.path()).unwrap_err();
    assert!(matches!(refused, JournalError::Damaged { file: 1, .. }));
}

#[test]
fn many_intents_take_several_appends_and_all_of_them_are_open() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(&dir);
    let run = journal.begin_run(NOW, "p1").unwrap();
    let before = commits(&dir);
    let many = (0..2 * APPEND + 1).map(|n| intent(run, EffectKind::Tag, &format!("P{n}"), NOW));
    let many: Vec<Intent> = many.collect();
    journal.intend(many.clone()).unwrap();
    assert_eq!(commits(&dir) - before, 3);
    assert_eq!(journal.open_intents().count(), many.len());
    assert_eq!(journal.open_intent(many[7].id), Some(&many[7]));
    drop(journal);
    let (_, recovery) = open(&dir);
    assert_eq!(recovery.open.len(), many.len());
}

/// Fails this many-th append.
#[derive(Debug)]
struct Full(AtomicUsize);

impl Flaws for Full {
    fn strike(&self, operation: Operation) -> Option<Flaw> {
        let is_due = operation == Operation::Append && self.0.fetch_sub(1, Ordering::Relaxed) == 1;
        is_due.then(|| Flaw::Before(std::io::ErrorKind::StorageFull.into()))
    }
}

#[test]
fn what_was_appended_before_an_append_failed_is_open_and_nothing_else_is() {
    let dir = tempfile::tempdir().unwrap();
    // The run, the first of the intents, and then no more.
    let disk = Disk::flawed(Arc::new(Full(3.into())));
    let (mut journal, _) = Journal::open_with(disk, dir.path(), &VAULT, FILE_BYTES).unwrap();
    let run = journal.begin_run(NOW, "p1").unwrap();
    let many = (0..2 * APPEND).map(|n| intent(run, EffectKind::Tag, &format!("P{n}"), NOW));
    let failed = journal.intend(many.collect());
    assert!(matches!(failed, Err(JournalError::Io { .. })));
    assert!(journal.is_poisoned());
    assert_eq!(journal.open_intents().count(), APPEND);
    drop(journal);
    let (_, recovery) = open(&dir);
    assert_eq!(recovery.open.len(), APPEND);
}

/// Appends of the first file.
fn commits(dir: &TempDir) -> usize {
    let text = fs::read_to_string(first_file(dir)).unwrap();
    text.lines()
        .filter(|line| line.contains(r#"{"commit""#))
        .count()
}

#[test]
fn every_intent_reaches_exactly_one_end() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(&dir);
    let early = intent(RunId(1), EffectKind::Tag, "A", NOW);
    let refused = journal.intend(vec![early.clone()]);
    assert!(matches!(refused, Err(JournalError::NotRunning { .. })));
    let run = journal.begin_run(NOW, "p1").unwrap();
    journal.intend(vec![early.clone()]).unwrap();
    let again = journal.intend(vec![early.clone()]);
    assert!(matches!(again, Err(JournalError::Repeated { effect }) if effect == early.id));
    let twin = intent(run, EffectKind::Tag, "B", NOW);
    let twins = journal.intend(vec![twin.clone(), twin.clone()]);
    assert!(matches!(twins, Err(JournalError::Repeated { .. })));
    let end = |id| (id, End::Confirmed, None);
    let refused = journal.conclude(&[end(early.id), end(early.id)], NOW);
    assert!(matches!(refused, Err(JournalError::NotOpen { .. })));
    journal.conclude(&[end(early.id)], NOW).unwrap();
    let twice = journal.conclude(&[end(early.id)], NOW);
    assert!(matches!(twice, Err(JournalError::NotOpen { effect }) if effect == early.id));
    let unknown = journal.conclude(&[end(twin.id)], NOW);
    assert!(matches!(unknown, Err(JournalError::NotOpen { .. })));
    let again = journal.intend(vec![early]);
    assert!(
        matches!(again, Err(JournalError::Repeated { .. })),
        "ended in this run"
    );
    assert!(journal.job(run, "j", &[twin.id], NOW).is_err());
    drop(journal);
    let (_, recovery) = open(&dir);
    assert!(recovery.open.is_empty(), "refused calls leave no record");
}

#[test]
fn spending_survives_a_restart_and_counts_people_once() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(&dir);
    let run = journal.begin_run(NOW, "p1").unwrap();
    let remove = EffectKind::ListRemove;
    let mut other_list = intent(run, remove, "A", NOW);
    other_list.id = EffectId(1);
    let refused = intent(run, remove, "R", NOW);
    let intents = [
        intent(run, remove, "A", NOW),
        other_list,
        intent(run, remove, "B", NOW),
        refused.clone(),
        intent(run, EffectKind::Suppression, "A", NOW),
    ];
    journal.intend(intents.to_vec()).unwrap();
    let ends = [
        (intents[0].id, End::Confirmed, None),
        (refused.id, End::Stopped, None),
    ];
    journal.conclude(&ends, later(2)).unwrap();
    let check = |journal: &Journal| {
        assert_eq!(
            journal.spent(&[remove], NOW).len(),
            2,
            "A twice, B open, R stopped"
        );
        assert_eq!(journal.spent(&[EffectKind::Suppression], NOW).len(), 1);
        assert_eq!(journal.spent(&[EffectKind::Tag], NOW).len(), 0);
        let both = [remove, EffectKind::Suppression];
        assert_eq!(journal.spent(&both, NOW).len(), 2, "A counts once");
        assert_eq!(
            journal.spent(&[remove], later(1)).len(),
            1,
            "A was confirmed later"
        );
        assert_eq!(journal.spent(&[remove], later(3)).len(), 0);
    };
    check(&journal);
    drop(journal);
    let (mut journal, _) = open(&dir);
    check(&journal);
    journal.begin_run(later(25), "p1").unwrap();
    assert_eq!(journal.spent(&[remove], later(1)).len(), 1);
    journal.begin_run(later(27), "p1").unwrap();
    assert_eq!(
        journal.spent(&[remove], later(1)).len(),
        0,
        "older than a day"
    );
    assert_eq!(journal.spent(&[remove], NOW).len(), 2, "open ones are kept");
}

#[test]
fn refusals_are_remembered_for_a_day_under_a_name_that_no_run_changes() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(&dir);
    let run = journal.begin_run(NOW, "p1").unwrap();
    let ends = [
        End::Refused,
        End::Withdrawn,
        End::Confirmed,
        End::Superseded,
        End::Stopped,
    ];
    let intents = ends.map(|end| intent(run, EffectKind::Tag, end.as_str(), NOW));
    journal.intend(intents.to_vec()).unwrap();
    let outcomes = (intents.iter().zip(ends)).map(|(intent, end)| (intent.id, end, None));
    let outcomes: Vec<_> = outcomes.collect();
    journal.conclude(&outcomes[..1], NOW).unwrap();
    journal.conclude(&outcomes[1..], later(2)).unwrap();
    let of = |end: End| Purpose::of(EffectKind::Tag, Some(end.as_str()), "L1", &json!(true));
    let both = BTreeSet::from([of(End::Refused), of(End::Withdrawn)]);
    let check = |journal: &Journal| {
        assert_eq!(journal.refused_since(NOW), both);
        let late = BTreeSet::from([of(End::Withdrawn)]);
        assert_eq!(journal.refused_since(later(1)), late);
        assert_eq!(journal.refused_since(later(2)), late);
        assert!(journal.refused_since(later(3)).is_empty());
    };
    check(&journal);
    drop(journal);
    let (mut journal, _) = open(&dir);
    check(&journal);

    let run = journal.begin_run(later(24), "p1").unwrap();
    assert_eq!(journal.refused_since(NOW), both, "a day old");
    let again = intent(run, EffectKind::Tag, "refused", later(24));
    assert_ne!(again.id, intents[0].id);
    journal.intend(vec![again.clone()]).unwrap();
    let confirmed = [(again.id, End::Confirmed, None)];
    journal.conclude(&confirmed, later(24)).unwrap();
    let left = BTreeSet::from([of(End::Withdrawn)]);
    assert_eq!(journal.refused_since(NOW), left, "one was accepted since");
    journal.begin_run(later(27), "p1").unwrap();
    assert!(journal.refused_since(NOW).is_empty(), "older than a day");
}

#[test]
fn a_suppression_is_remembered_for_good_unless_it_did_not_last() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(&dir);
    let run = journal.begin_run(NOW, "p1").unwrap();
    let kind = EffectKind::Suppression;
    let intents = [
        intent(run, kind, "A", NOW),
        intent(run, kind, "R", NOW),
        intent(run, kind, "O", NOW),
        intent(run, EffectKind::ListRemove, "L", NOW),
        intent(run, kind, "U", NOW),
    ];
    journal.intend(intents.to_vec()).unwrap();
    let ends = [
        (intents[0].id, End::Confirmed, None),
        (intents[1].id, End::Refused, None),
        (intents[3].id, End::Confirmed, None),
        (intents[4].id, End::Confirmed, None),
    ];
    journal.conclude(&ends, NOW).unwrap();
    let who = ["A", "R", "O", "L", "U"];
    let known = |journal: &Journal| who.map(|who| journal.was_suppressed(who));
    assert_eq!(known(&journal), [true, false, false, false, true]);
    journal.unkept(run, &[intents[4].id], NOW).unwrap();
    assert_eq!(known(&journal), [true, false, false, false, false]);
    let spent = journal.spent(&[kind], NOW);
    assert!(spent.contains("U"), "a budget counts what was tried");
    journal.begin_run(later(24 * 365), "p1").unwrap();
    drop(journal);
    let (journal, _) = open(&dir);
    assert_eq!(known(&journal), [true, false, false, false, false]);
}

#[test]
fn full_files_are_followed_by_new_ones_and_a_gap_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open_with(Disk::default(), dir.path(), &VAULT, 400).unwrap();
    let run = journal.begin_run(NOW, "p1").unwrap();
    for n in 0..10 {
        let who = format!("P{n}");
        journal
            .intend(vec![intent(run, EffectKind::Property, &who, NOW)])
            .unwrap();
    }
    drop(journal);
    let numbers = files::numbers(dir.path()).unwrap();
    assert!(numbers.len() > 3, "{numbers:?}");
    let (journal, recovery) = Journal::open_with(Disk::default(), dir.path(), &VAULT, 400).unwrap();
    assert_eq!(recovery.open.len(), 10);
    assert_eq!(journal.effects_of(run).unwrap().len(), 10);
    drop(journal);
    let second = dir.path().join("00000002.log");
    let bytes = fs::read(&second).unwrap();
    let starts = line_starts(&bytes);
    // Within the commit line, right before it, and down to nothing.
    for end in [bytes.len() - 3, starts[starts.len() - 2], 0] {
        fs::write(&second, &bytes[..end]).unwrap();
        let torn = Journal::open(dir.path(), &VAULT).unwrap_err();
        assert!(
            matches!(torn, JournalError::Damaged { file: 2, .. }),
            "{torn}"
        );
    }
    fs::remove_file(second).unwrap();
    let gap = Journal::open(dir.path(), &VAULT).unwrap_err();
    assert!(matches!(gap, JournalError::Missing { file: 2 }), "{gap}");
}

#[test]
fn a_failed_write_poisons_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(&dir);
    let run = journal.begin_run(NOW, "p1").unwrap();
    let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else {
        return;
    };
    let kept = std::mem::replace(&mut journal.tail.file, full);
    let wanted = [intent(run, EffectKind::Tag, "A", NOW)];
    let failed = journal.intend(wanted.to_vec());
    assert!(matches!(failed, Err(JournalError::Io { .. })));
    assert_eq!(journal.spent(&[EffectKind::Tag], NOW).len(), 0);
    journal.tail.file = kept;
    let later_on = journal.intend(wanted.to_vec());
    assert!(matches!(later_on, Err(JournalError::Poisoned)), "no retry");
    assert!(matches!(
        journal.begin_run(NOW, "p1"),
        Err(JournalError::Poisoned)
    ));
}

#[test]
fn two_journals_on_one_directory_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = open(&dir);
    assert!(matches!(
        Journal::open(dir.path(), &VAULT),
        Err(JournalError::Locked)
    ));
    drop(first);
    open(&dir);
}

#[test]
fn a_purpose_depends_on_every_part_but_the_run() {
    let of = Purpose::of;
    let (add, remove) = (EffectKind::ListAdd, EffectKind::ListRemove);
    let one = of(add, Some("p"), "t", &json!(1));
    let purposes = BTreeSet::from([
        one,
        of(remove, Some("p"), "t", &json!(1)),
        of(add, Some("q"), "t", &json!(1)),
        of(add, None, "t", &json!(1)),
        of(add, Some("pt"), "", &json!(1)),
        of(add, Some("p"), "t", &json!(2)),
    ]);
    assert_eq!(purposes.len(), 6);
    for run in [1, 2] {
        let who = Some("p".to_owned());
        let (target, from, to) = ("t".to_owned(), json!(0), json!(1));
        let intent = Intent::new("shop", RunId(run), add, who, target, from, to, NOW);
        assert_eq!(intent.purpose(), one);
    }
}

#[test]
fn an_effect_id_depends_on_every_part_but_the_values() {
    let make = |shop: &str, run, kind, subject: Option<&str>, target: &str, to| {
        let subject = subject.map(str::to_owned);
        let target = target.to_owned();
        Intent::new(shop, RunId(run), kind, subject, target, json!(0), to, NOW).id
    };
    let (add, remove) = (EffectKind::ListAdd, EffectKind::ListRemove);
    let ids = BTreeSet::from([
        make("s", 1, add, Some("p"), "t", json!(1)),
        make("z", 1, add, Some("p"), "t", json!(1)),
        make("s", 2, add, Some("p"), "t", json!(1)),
        make("s", 1, remove, Some("p"), "t", json!(1)),
        make("s", 1, add, Some("q"), "t", json!(1)),
        make("s", 1, add, None, "t", json!(1)),
        make("s", 1, add, Some("pt"), "", json!(1)),
        make("s", 1, add, Some("p"), "t", json!(2)),
    ]);
    // From the last one's value nobody can guess it.
    assert_eq!(ids.len(), 7);
    let again = make("s", 1, add, Some("p"), "t", json!(1));
    assert!(ids.contains(&again));
    let text = serde_json::to_string(&again).unwrap();
    assert_eq!(serde_json::from_str::<EffectId>(&text).unwrap(), again);
}
