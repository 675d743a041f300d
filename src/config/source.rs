//! A config file's text: positions in it, and lines of it that are fit to be shown.

use super::fault::{Excerpt, Fault};
use super::leak;
use std::ops::Range;
use std::path::Path;

/// Longer lines are shown in part.
const WINDOW: usize = 110;

/// One file's text with its masked twin.
pub(super) struct Source<'a> {
    pub file: &'a Path,
    pub text: &'a str,
    /// Byte offsets at which lines start.
    starts: Vec<usize>,
    /// Line by line the same number of characters as `text`.
    masked: Vec<String>,
}

impl<'a> Source<'a> {
    pub fn new(file: &'a Path, text: &'a str) -> Self {
        let newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            file,
            text,
            starts: std::iter::once(0).chain(newlines).collect(),
            masked: leak::masked_lines(text),
        }
    }

    /// Line and column, from 1, of a byte offset; one past the end is the end.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        (line, before.chars().count() + 1)
    }

    /// The byte offset of a line, from 1, and a column in bytes, from 1; as JSON's parser counts.
    pub fn offset(&self, line: usize, column: usize) -> usize {
        let start = self.starts.get(line.saturating_sub(1)).copied();
        let at = start.unwrap_or(self.text.len()) + column.saturating_sub(1);
        at.min(self.text.len())
    }

    /// A fault at `span`. An empty span at the very start stands for something that is missing
    /// from the whole file; there is no line to show for it.
    pub fn fault(&self, span: Range<usize>, key: &str, message: &str, help: Option<&str>) -> Fault {
        let (line, column) = self.position(span.start);
        let excerpt = (span != (0..0)).then(|| self.excerpt(line, column, &span));
        Fault {
            file: self.file.to_owned(),
            line,
            column,
            key: leak::mask_words(key),
            message: leak::mask_words(message),
            help: help.map(leak::mask_words),
            excerpt: excerpt.flatten(),
        }
    }

    fn excerpt(&self, line: usize, column: usize, span: &Range<usize>) -> Option<Excerpt> {
        let whole = self.masked.get(line - 1)?;
        let length = whole.chars().count();
        let pointed = self.text.get(span.clone()).unwrap_or_default();
        let pointed = pointed.lines().next().unwrap_or_default().chars().count();
        let start = match column {
            _ if length <= WINDOW => 0,
            column => column.saturating_sub(WINDOW / 2),
        };
        let text: String = whole.chars().skip(start).take(WINDOW).collect();
        let indent = column - 1 - start;
        let room = text.chars().count().saturating_sub(indent);
        Some(Excerpt {
            text,
            indent,
            width: pointed.min(room).max(1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_start_at_one() {
        let source = Source::new(Path::new("shop.toml"), "# äö\nname = \"ü\" # x\n");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(source.text.find('\n').unwrap()), (1, 5));
        assert_eq!(source.position(source.text.find("# x").unwrap()), (2, 12));
        assert_eq!(source.position(10_000), (3, 1));
    }

    #[test]
    fn a_long_line_is_shown_around_the_fault() {
        let text = format!("names = [{}]", "\"abcdefgh\", ".repeat(80));
        let source = Source::new(Path::new("shop.toml"), &text);
        let fault = source.fault(500..510, "names", "wrong", None);
        let excerpt = fault.excerpt.unwrap();
        assert_eq!(excerpt.text.chars().count(), WINDOW);
        let pointed: String = excerpt.text.chars().skip(excerpt.indent).take(10).collect();
        assert_eq!(pointed, text[500..510]);
    }
}
