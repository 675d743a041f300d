//! One record as one line of text: `<length> <crc32c> <json>`, so that people can read it and
//! damage shows. A commit line closes each append and says how many lines it closes.

use super::chain::Link;
use serde::{Deserialize, Serialize};

/// How a commit line's JSON begins; no record's does.
const COMMIT: &[u8] = br#"{"commit":{"records":"#;

/// Appends one record. `json` has no raw line break, as JSON texts never do.
pub(super) fn write(out: &mut Vec<u8>, json: &[u8]) {
    let head = format!("{} {:08x} ", json.len(), crc32c::crc32c(json));
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(json);
    out.push(b'\n');
}

/// What a commit line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Commit {
    /// How many records it closes.
    pub(super) records: u64,
    /// The link of the append; journals of old have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) link: Option<Link>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    commit: Commit,
}

/// Closes an append.
pub(super) fn write_commit(out: &mut Vec<u8>, commit: Commit) {
    let json = serde_json::to_vec(&Line { commit }).expect("a commit line has text keys");
    write(out, &json);
}

/// What a commit line says; `None` for any other line's JSON.
pub(super) fn commit(json: &[u8]) -> Option<Commit> {
    if !json.starts_with(COMMIT) {
        return None;
    }
    let line: Option<Line> = serde_json::from_slice(json).ok();
    line.map(|line| line.commit)
}

/// The JSON of a whole line, line break included; `None` when anything about it is wrong.
pub(super) fn read(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"\n")?;
    let (length, rest) = split_at_space(line)?;
    let (sum, json) = split_at_space(rest)?;
    let head = format!("{} {:08x}", json.len(), crc32c::crc32c(json));
    let written = [length, b" ", sum].concat();
    (head.as_bytes() == written).then_some(json)
}

fn split_at_space(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == b' ')?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_comes_back_whole_and_no_flipped_bit_passes() {
        let mut line = Vec::new();
        write(&mut line, br#"{"a":1}"#);
        assert_eq!(read(&line), Some(&br#"{"a":1}"#[..]));
        for bit in 0..line.len() * 8 {
            let mut torn = line.clone();
            torn[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&torn), None, "bit {bit}");
        }
    }

    #[test]
    fn a_commit_line_says_how_much_it_closes_and_no_other_line_does() {
        let mut line = Vec::new();
        let link = Some(Link::default());
        let closed = Commit { records: 12, link };
        write_commit(&mut line, closed);
        let json = read(&line).unwrap();
        let zeros = "0".repeat(64);
        let text = format!(r#"{{"commit":{{"records":12,"link":"{zeros}"}}}}"#);
        assert_eq!(json, text.as_bytes());
        assert_eq!(commit(json), Some(closed));
        let of_old = Commit {
            link: None,
            ..closed
        };
        assert_eq!(commit(br#"{"commit":{"records":12}}"#), Some(of_old));
        let others = [
            r#"{"type":"run","run":1,"at":1}"#,
            r#"{"commit":{"records":}}"#,
            r#"{"commit":{"records":1,"more":2}}"#,
            r#"{"commit":{"records":-1}}"#,
        ];
        for other in others {
            assert_eq!(commit(other.as_bytes()), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(line: Vec<u8>) {
            let _ = read(&line).and_then(commit);
            let _ = commit(&line);
        }
    }
}
