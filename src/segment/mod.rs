//! Segment definitions (klaviyo.md, sections 10 and 11): the grammar, and who belongs.
//!
//! [`Definition`] and what hangs on it is Klaviyo's grammar. A [`Program`] is any number of
//! definitions compiled together; its [`Evaluator`] tells for one [`Subject`] after the other the
//! [`Verdict`] at an instant, or its [`Course`] over a span of time to come.

pub mod algebra;
mod assumption;
mod condition;
mod consent;
mod consent_test;
mod definition;
mod evaluator;
mod extension;
mod filter;
mod funnel;
mod leaf;
mod mention;
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
mod window;

pub use assumption::Assumptions;
pub use condition::*;
pub use consent::*;
pub use definition::{ConditionGroup, Definition, DefinitionError};
pub use evaluator::Evaluator;
pub use extension::{Fact, FactName, Radius, Sample};
pub use filter::{
    BooleanFilter, DateFilter, ElementOperand, ElementsOperand, ExistenceFilter, Filter,
    ListFilter, NumberOperand, NumericFilter, Scalar, Span as Length, StringFilter, TextOperand,
    TextsOperand, Unit,
};
pub use path::Path;
pub use presence::Nullable;
pub use program::{Inputs, Program};
pub use subject::{Facts, OnList, Subject};
pub use verdict::{Course, Span, Verdict};
