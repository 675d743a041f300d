//! One record as one line of text: `<length> <crc32c> <json>`, so that people can read it and
//! damage shows.

/// Appends one record. `json` has no raw line break, as JSON texts never do.
pub(super) fn write(out: &mut Vec<u8>, json: &[u8]) {
    let head = format!("{} {:08x} ", json.len(), crc32c::crc32c(json));
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(json);
    out.push(b'\n');
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

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(line: Vec<u8>) {
            let _ = read(&line);
        }
    }
}
