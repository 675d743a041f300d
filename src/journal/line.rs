//! One record as one line of text: `<length> <crc32c> <json>`, so that people can read it and
//! damage shows. A commit line closes each append and says how many lines it closes.

/// How a commit line's JSON begins; no record's does.
const COMMIT: &str = r#"{"commit":{"records":"#;

/// Appends one record. `json` has no raw line break, as JSON texts never do.
pub(super) fn write(out: &mut Vec<u8>, json: &[u8]) {
    let head = format!("{} {:08x} ", json.len(), crc32c::crc32c(json));
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(json);
    out.push(b'\n');
}

/// Closes an append of so many records.
pub(super) fn write_commit(out: &mut Vec<u8>, records: u64) {
    write(out, format!("{COMMIT}{records}}}}}").as_bytes());
}

/// How many records a commit line closes; `None` for any other line's JSON.
pub(super) fn commit(json: &[u8]) -> Option<u64> {
    let digits = json.strip_prefix(COMMIT.as_bytes())?.strip_suffix(b"}}")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
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
        write_commit(&mut line, 12);
        let json = read(&line).unwrap();
        assert_eq!(json, br#"{"commit":{"records":12}}"#);
        assert_eq!(commit(json), Some(12));
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
