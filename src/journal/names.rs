//! Names one after the other: after a large push a day's worth of them is kept.

/// Names in the order in which they came; beside its bytes, each takes those of an index.
#[derive(Debug, Default)]
pub(super) struct Names {
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Names {
    pub(super) fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.ends.push(self.text.len());
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, end)| &self.text[start..*end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn names_come_back_as_they_were(kept: Vec<String>) {
            let mut names = Names::default();
            kept.iter().for_each(|name| names.push(name));
            prop_assert!(names.iter().eq(kept.iter().map(String::as_str)));
        }
    }
}
