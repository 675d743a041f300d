//! What the filters on one value compare it with.

use crate::segment::{
    BooleanFilter, DateFilter, Filter, ListFilter, NumberOperand, NumericFilter, Scalar,
    StringFilter,
};
use serde_json::Number;

/// The operands of all filters on one value.
#[derive(Debug, Default)]
pub(super) struct Operands<'a> {
    /// Texts that are compared whole.
    pub(super) whole: Vec<&'a str>,
    /// Texts looked for anywhere, at the beginning, at the end.
    pub(super) parts: Vec<&'a str>,
    pub(super) starts: Vec<&'a str>,
    pub(super) ends: Vec<&'a str>,
    /// Patterns.
    pub(super) patterns: Vec<&'a str>,
    /// Whether a phone number's calling code is asked for.
    pub(super) phones: bool,
    /// Whether yes or no is asked for.
    pub(super) truths: bool,
    pub(super) numbers: Vec<&'a Number>,
    pub(super) dates: Vec<&'a DateFilter>,
    /// Elements of lists, texts within elements, and lengths.
    pub(super) elements: Vec<Scalar>,
    pub(super) inner: Vec<&'a str>,
    pub(super) lengths: Vec<&'a Number>,
}

impl<'a> Operands<'a> {
    /// Of these filters.
    pub(super) fn of(filters: impl IntoIterator<Item = &'a Filter>) -> Self {
        let mut all = Self::default();
        for filter in filters {
            match filter {
                Filter::String(filter) => all.text(filter),
                Filter::Numeric(filter) => all.numbers.extend(bounds(filter)),
                Filter::List(filter) => all.list(filter),
                Filter::Boolean(BooleanFilter::Equals { .. }) => all.truths = true,
                Filter::Date(filter) => all.dates.push(filter),
                Filter::Existence(_) | Filter::Unknown(_) => {}
            }
        }
        for texts in [
            &mut all.whole,
            &mut all.parts,
            &mut all.starts,
            &mut all.ends,
            &mut all.inner,
        ] {
            texts.sort_unstable();
            texts.dedup();
        }
        all.elements
            .sort_by_cached_key(|element| format!("{element:?}"));
        all.elements.dedup();
        all
    }

    fn text(&mut self, filter: &'a StringFilter) {
        use StringFilter as F;
        match filter {
            F::Equals(operand) | F::NotEquals(operand) => {
                self.whole.extend(operand.value.as_deref())
            }
            F::In(operand) | F::NotIn(operand) => {
                self.whole
                    .extend(operand.value.iter().flatten().map(String::as_str));
            }
            F::Contains(operand) | F::NotContains(operand) => {
                self.parts.extend(operand.value.as_deref());
                // Of a list it asks for a whole element.
                self.elements
                    .extend(operand.value.clone().map(Scalar::Text));
            }
            F::StartsWith(operand) | F::NotStartsWith(operand) => {
                self.starts.extend(operand.value.as_deref());
            }
            F::EndsWith(operand) | F::NotEndsWith(operand) => {
                self.ends.extend(operand.value.as_deref());
            }
            F::Regex(operand) | F::Nregex(operand) => {
                self.patterns.extend(operand.value.as_deref())
            }
            F::PhoneCountryCodeIn(_) | F::PhoneCountryCodeNotIn(_) => self.phones = true,
        }
    }

    fn list(&mut self, filter: &'a ListFilter) {
        use ListFilter as F;
        match filter {
            F::Contains(operand) | F::NotContains(operand) => {
                self.elements.push(operand.value.clone());
            }
            F::ContainsAny(operand)
            | F::ContainsAll(operand)
            | F::NotContainsAny(operand)
            | F::NotContainsAll(operand) => self.elements.extend(operand.value.iter().cloned()),
            F::ContainsSubstring(operand) | F::NotContainsSubstring(operand) => {
                self.inner.extend(operand.value.as_deref());
            }
            F::LengthEquals(NumberOperand { value })
            | F::LengthGreaterThan(NumberOperand { value })
            | F::LengthGreaterThanOrEqual(NumberOperand { value })
            | F::LengthLessThan(NumberOperand { value })
            | F::LengthLessThanOrEqual(NumberOperand { value }) => self.lengths.push(value),
        }
    }

    /// Whether parts of a text matter, and not only the whole of it.
    pub(super) const fn reads_parts(&self) -> bool {
        !(self.parts.is_empty() && self.starts.is_empty() && self.ends.is_empty())
    }
}

/// What a number is compared with.
pub(super) fn bounds(filter: &NumericFilter) -> Vec<&Number> {
    match filter {
        NumericFilter::Equals(operand)
        | NumericFilter::NotEquals(operand)
        | NumericFilter::GreaterThan(operand)
        | NumericFilter::GreaterThanOrEqual(operand)
        | NumericFilter::LessThan(operand)
        | NumericFilter::LessThanOrEqual(operand) => vec![&operand.value],
        NumericFilter::Between { start, end } => vec![start, end],
    }
}
