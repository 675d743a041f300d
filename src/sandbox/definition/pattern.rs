//! Regular expressions as far as engines of the RE2 kind agree on them (assumption A15).

/// A pattern, searched for anywhere in a text.
pub(super) struct Pattern {
    root: Node,
    any_case: bool,
}

enum Node {
    /// One of these follows.
    Either(Vec<Node>),
    /// All of these follow each other.
    Then(Vec<Node>),
    /// The node this many times, as often as possible or as rarely as possible.
    Times(Box<Node>, usize, usize),
    /// A character in one of the ranges, or in none of them.
    Class(Vec<(char, char)>, bool),
    Start,
    End,
}

/// More repetitions than this count as without end; longer texts than any property has.
const ENDLESS: usize = usize::MAX;

impl Pattern {
    /// Reads a pattern; `None` when it is malformed or needs more than the common subset, such as a look
    /// ahead or a reference back.
    pub(super) fn read(text: &str) -> Option<Self> {
        let plain = text.strip_prefix("(?i)");
        let chars: Vec<char> = plain.unwrap_or(text).chars().collect();
        let mut reader = Reader { chars, at: 0 };
        let root = reader.either()?;
        let any_case = plain.is_some();
        (reader.at == reader.chars.len()).then_some(Self { root, any_case })
    }

    /// Whether the pattern is anywhere in the text.
    pub(super) fn found(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let matcher = Matcher {
            text: &text,
            any_case: self.any_case,
        };
        (0..=text.len()).any(|start| matcher.go(&[&self.root], start))
    }
}

impl Node {
    fn is_anchored(&self) -> bool {
        match self {
            Self::Start | Self::End => true,
            Self::Class(..) => false,
            Self::Times(node, ..) => node.is_anchored(),
            Self::Either(nodes) | Self::Then(nodes) => nodes.iter().any(Self::is_anchored),
        }
    }
}

struct Reader {
    chars: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn take(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += 1;
        Some(next)
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn either(&mut self) -> Option<Node> {
        let mut ways = vec![self.then()?];
        while self.eat('|') {
            ways.push(self.then()?);
        }
        Some(Node::Either(ways))
    }

    fn then(&mut self) -> Option<Node> {
        let mut parts = Vec::new();
        while self.peek().is_some_and(|next| next != '|' && next != ')') {
            let atom = self.atom()?;
            parts.push(self.times(atom)?);
        }
        Some(Node::Then(parts))
    }

    fn atom(&mut self) -> Option<Node> {
        Some(match self.take()? {
            '(' => {
                if self.eat('?') && !self.eat(':') {
                    return None;
                }
                let inner = self.either()?;
                return self.eat(')').then_some(inner);
            }
            '[' => self.class()?,
            '.' => Node::Class(vec![('\n', '\n')], false),
            '^' => Node::Start,
            '$' => Node::End,
            '\\' => self.escape()?,
            '*' | '+' | '?' | '{' => return None,
            plain => Node::Class(vec![(plain, plain)], true),
        })
    }

    fn escape(&mut self) -> Option<Node> {
        let ranges = match self.take()? {
            'd' => vec![('0', '9')],
            'w' => vec![('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')],
            's' => vec![(' ', ' '), ('\t', '\r')],
            plain if !plain.is_alphanumeric() => vec![(plain, plain)],
            _ => return None,
        };
        Some(Node::Class(ranges, true))
    }

    fn class(&mut self) -> Option<Node> {
        let wanted = !self.eat('^');
        let mut ranges = Vec::new();
        while !self.eat(']') {
            let from = self.take()?;
            if from == '\\' {
                match self.escape()? {
                    Node::Class(more, _) => ranges.extend(more),
                    _ => return None,
                }
                continue;
            }
            let ranged = self.peek() == Some('-') && self.chars.get(self.at + 1) != Some(&']');
            let until = if ranged {
                self.at += 1;
                self.take()?
            } else {
                from
            };
            ranges.push((from, until));
        }
        let ordered = ranges.iter().all(|(from, until)| from <= until);
        (ordered && !ranges.is_empty()).then_some(Node::Class(ranges, wanted))
    }

    fn times(&mut self, atom: Node) -> Option<Node> {
        let (least, most) = match self.peek() {
            Some('*') => (0, ENDLESS),
            Some('+') => (1, ENDLESS),
            Some('?') => (0, 1),
            Some('{') => {
                self.at += 1;
                let least = self.number()?;
                let most = match self.eat(',') {
                    false => least,
                    true if self.peek() == Some('}') => ENDLESS,
                    true => self.number()?,
                };
                if self.peek() != Some('}') || least > most {
                    return None;
                }
                (least, most)
            }
            _ => return Some(atom),
        };
        self.at += 1;
        // Lazy or not makes no difference to whether there is a match; a possessive one is beyond the subset.
        self.eat('?');
        // Ends of parts that are repeated are sought in the text cut short, where anchors would mislead.
        if atom.is_anchored() {
            return None;
        }
        let again = self.peek().is_some_and(|next| "*+?{".contains(next));
        (!again).then(|| Node::Times(Box::new(atom), least, most))
    }

    fn number(&mut self) -> Option<usize> {
        let start = self.at;
        while self.peek().is_some_and(|next| next.is_ascii_digit()) {
            self.at += 1;
        }
        let digits: String = self.chars.get(start..self.at)?.iter().collect();
        digits.parse().ok().filter(|number| *number <= 1000)
    }
}

struct Matcher<'a> {
    text: &'a [char],
    any_case: bool,
}

impl Matcher<'_> {
    /// Whether the nodes match one after the other from here on.
    fn go(&self, nodes: &[&Node], at: usize) -> bool {
        let Some((first, rest)) = nodes.split_first() else {
            return true;
        };
        match first {
            Node::Start => at == 0 && self.go(rest, at),
            Node::End => at == self.text.len() && self.go(rest, at),
            Node::Class(ranges, wanted) => {
                let next = self.text.get(at);
                next.is_some_and(|next| self.within(*next, ranges) == *wanted)
                    && self.go(rest, at + 1)
            }
            Node::Either(ways) => ways.iter().any(|way| self.go(&before(way, rest), at)),
            Node::Then(parts) => {
                let parts: Vec<&Node> = parts.iter().chain(rest.iter().copied()).collect();
                self.go(&parts, at)
            }
            Node::Times(node, least, most) => self.repeat(node, (*least, *most), rest, at),
        }
    }

    fn repeat(
        &self,
        node: &Node,
        (least, most): (usize, usize),
        rest: &[&Node],
        at: usize,
    ) -> bool {
        let mut ends = vec![at];
        let mut seen = vec![at];
        for count in 0.. {
            if count >= least && ends.iter().any(|end| self.go(rest, *end)) {
                return true;
            }
            if count == most {
                return false;
            }
            let longer = |start: &usize| self.ends(node, *start);
            ends = ends.iter().flat_map(longer).collect();
            ends.sort_unstable();
            ends.dedup();
            // A round that leads to no new place leads nowhere any more.
            if count >= least {
                ends.retain(|end| !seen.contains(end));
            }
            seen.extend(&ends);
            if ends.is_empty() {
                return false;
            }
        }
        false
    }

    /// Where a node that begins here may end.
    fn ends(&self, node: &Node, at: usize) -> Vec<usize> {
        let ending = |end: &usize| {
            let cut = Matcher {
                text: &self.text[..*end],
                any_case: self.any_case,
            };
            cut.whole(node, at)
        };
        (at..=self.text.len()).filter(ending).collect()
    }

    fn whole(&self, node: &Node, at: usize) -> bool {
        self.go(&[node, &Node::End], at)
    }

    fn within(&self, next: char, ranges: &[(char, char)]) -> bool {
        let inside = |c: char| {
            ranges
                .iter()
                .any(|(from, until)| (*from..=*until).contains(&c))
        };
        let others = || next.to_lowercase().chain(next.to_uppercase()).any(inside);
        inside(next) || self.any_case && others()
    }
}

fn before<'a>(node: &'a Node, rest: &[&'a Node]) -> Vec<&'a Node> {
    std::iter::once(node).chain(rest.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_patterns_match_as_elsewhere() {
        for (pattern, text, expected) in [
            ("^(Hard|Soft)$", "Soft", true),
            ("^(Hard|Soft)$", "Softer", false),
            ("^[a-z]{2}-[A-Z]{2}$", "en-US", true),
            ("^[a-z]{2}-[A-Z]{2}$", "eng-US", false),
            ("(?i)gmbh$", "Acme GmbH", true),
            ("gmbh$", "Acme GmbH", false),
            ("ö", "schön", true),
            ("a.c", "a\nc", false),
            ("^(ab)+$", "ababab", true),
            ("^(ab)+$", "aba", false),
            ("^a{2,3}$", "aaaa", false),
            ("^a{2,}b?$", "aaaab", true),
            ("[^0-9]x", "1x2x", false),
            ("^\\d+\\.\\d$", "12.5", true),
            ("(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaac", false),
            ("", "", true),
        ] {
            let read = Pattern::read(pattern).unwrap();
            assert_eq!(read.found(text), expected, "{pattern} in {text}");
        }
    }

    #[test]
    fn what_engines_disagree_on_is_no_pattern() {
        for wrong in [
            "(gold",
            "(a$)*",
            "^(?!gold).*",
            "(a)\\1",
            "a++",
            "*a",
            "[b-a]",
            "a)",
            "a{3,2}",
        ] {
            assert!(Pattern::read(wrong).is_none(), "{wrong}");
        }
    }
}
