//! What a power cut or a bad disk leaves, and what opening makes of it.

use super::*;

/// Of the journal that [`fill`] writes: how many lines its last append has, commit line included.
const LAST_APPEND: usize = 3;

#[test]
fn a_torn_end_is_cut_at_every_byte_of_the_last_append() {
    let dir = tempfile::tempdir().unwrap();
    fill(&dir);
    let whole = fs::read(first_file(&dir)).unwrap();
    let starts = line_starts(&whole);
    let last = starts[starts.len() - 1 - LAST_APPEND];
    for cut in last..=whole.len() {
        let torn = tempfile::tempdir().unwrap();
        fs::write(first_file(&torn), &whole[..cut]).unwrap();
        let (mut journal, recovery) = open(&torn);
        let is_whole = cut == whole.len();
        let expected = if is_whole { 0 } else { cut - last };
        assert_eq!(recovery.cut_bytes, expected as u64, "cut at {cut}");
        // The last append holds the outcomes of A and B.
        let open_now = recovery.open.len();
        assert_eq!(open_now, if is_whole { 1 } else { 3 }, "cut at {cut}");
        journal.begin_run(later(2), "p1").unwrap();
        drop(journal);
        let (_, again) = open(&torn);
        assert_eq!((again.cut_bytes, again.open.len()), (0, open_now));
    }
}

#[test]
fn a_hurt_line_is_cut_with_its_append_in_the_last_one_and_refused_in_any_before() {
    let dir = tempfile::tempdir().unwrap();
    fill(&dir);
    let whole = fs::read(first_file(&dir)).unwrap();
    let starts = line_starts(&whole);
    let lines = starts.len() - 1;
    let last = lines - LAST_APPEND;
    let flip = |bytes: &mut [u8]| bytes[bytes.len() / 2] ^= 1;
    let zero = |bytes: &mut [u8]| bytes.fill(0);
    for hurt_it in [&flip as &dyn Fn(&mut [u8]), &zero] {
        for line in 0..lines {
            let hurt = tempfile::tempdir().unwrap();
            let mut bytes = whole.clone();
            hurt_it(&mut bytes[starts[line]..starts[line + 1]]);
            fs::write(first_file(&hurt), &bytes).unwrap();
            let opened = Journal::open(hurt.path(), &VAULT);
            if line >= last {
                let (_, recovery) = opened.unwrap();
                let cut = whole.len() - starts[last];
                assert_eq!(recovery.cut_bytes, cut as u64, "line {line}");
                assert_eq!(recovery.open.len(), 3, "line {line}");
                continue;
            }
            let refused = opened.unwrap_err();
            let expected = line as u64 + 1;
            assert!(
                matches!(refused, JournalError::Damaged { file: 1, line } if line == expected),
                "line {expected}: {refused}"
            );
            let left = fs::read(first_file(&hurt)).unwrap();
            assert_eq!(left, bytes, "left as it was");
        }
    }
}

#[test]
fn pages_of_a_large_append_that_reached_the_disk_in_any_order_are_cut_together() {
    let dir = tempfile::tempdir().unwrap();
    fill(&dir);
    let (mut journal, recovery) = open(&dir);
    let run = journal.begin_run(later(2), "p1").unwrap();
    let acknowledged = fs::metadata(first_file(&dir)).unwrap().len() as usize;
    let many: Vec<Intent> = (0..500)
        .map(|n| intent(run, EffectKind::Tag, &format!("P{n}"), later(2)))
        .collect();
    journal.intend(many).unwrap();
    drop(journal);
    let whole = fs::read(first_file(&dir)).unwrap();
    let pages = acknowledged / 4096..=whole.len() / 4096;
    assert!(pages.clone().count() > 10);
    for page in pages {
        let torn = tempfile::tempdir().unwrap();
        let mut bytes = whole.clone();
        let end = bytes.len().min((page + 1) * 4096);
        bytes[acknowledged.max(page * 4096)..end].fill(0);
        fs::write(first_file(&torn), &bytes).unwrap();
        let (_, found) = open(&torn);
        let cut = (whole.len() - acknowledged) as u64;
        assert_eq!((found.cut_bytes, &found.open), (cut, &recovery.open));
        assert_eq!(fs::read(first_file(&torn)).unwrap(), whole[..acknowledged]);
    }
}

#[test]
fn an_append_after_a_bad_one_shows_that_the_bad_one_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    fill(&dir);
    let whole = fs::read(first_file(&dir)).unwrap();
    let starts = line_starts(&whole);
    let hurt = starts[starts.len() - 3];
    for rest in [
        &b"1"[..],
        &[0; 50],
        &whole[..starts[1]],
        &whole[..starts[2]],
    ] {
        let damaged = tempfile::tempdir().unwrap();
        let mut bytes = whole.clone();
        bytes[hurt] = b'x';
        bytes.extend_from_slice(rest);
        fs::write(first_file(&damaged), &bytes).unwrap();
        let refused = Journal::open(damaged.path(), &VAULT).unwrap_err();
        let line = starts.len() as u64 - 2;
        assert!(
            matches!(refused, JournalError::Damaged { file: 1, line: l } if l == line),
            "{refused}"
        );
    }
}

#[test]
fn a_commit_line_that_counts_other_lines_than_stand_before_it_is_damage() {
    for records in [0, 2, 3] {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = Vec::new();
        line::write(&mut bytes, br#"{"type":"run","run":1,"at":1}"#);
        line::write_commit(&mut bytes, closing(records));
        fs::write(first_file(&dir), bytes).unwrap();
        let refused = Journal::open(dir.path(), &VAULT).unwrap_err();
        assert!(
            matches!(refused, JournalError::Damaged { file: 1, line: 2 }),
            "{refused}"
        );
    }
}
