//! Segment definitions (klaviyo.md, sections 10 and 11): the grammar, and who belongs.
//!
//! [`Definition`] and what hangs on it is Klaviyo's grammar. A [`Program`] is any number of
//! definitions compiled together; its [`Evaluator`] tells for one [`Subject`] after the other the
//! [`Verdict`] at an instant, or its [`Course`] over a span of time to come.

pub mod algebra;
mod answer;
mod assumption;
pub mod catalogue;
mod condition;
mod consent;
mod consent_test;
mod definition;
mod evaluator;
mod explain;
mod extension;
mod filter;
mod funnel;
mod leaf;
mod mention;
pub mod names;
mod number;
mod path;
mod phone;
mod presence;
mod program;
mod region;
mod sample;
mod season;
mod selection;
mod subject;
mod value;
mod verdict;
mod walk;
mod window;
mod words;

pub use assumption::Assumptions;
pub use condition::*;
pub use consent::*;
pub use definition::{ConditionGroup, Definition, DefinitionError};
pub use evaluator::Evaluator;
pub use explain::{Explanation, Reason, Reasons, Turn};
pub use extension::{Fact, FactName, Radius, Sample};
pub use filter::{
    BooleanFilter, DateFilter, ElementOperand, ElementsOperand, ExistenceFilter, Filter, Length,
    ListFilter, NumberOperand, NumericFilter, Scalar, StringFilter, TextOperand, TextsOperand,
    Unit,
};
pub use path::Path;
pub use presence::Nullable;
pub use program::{Inputs, Program};
pub use subject::{Facts, OnList, Subject};
pub use verdict::{Course, Span, Verdict};
pub use words::{Names, describe};
