//! Segment definitions (klaviyo.md, sections 10 and 11): the grammar, and who belongs.

pub mod catalogue;
mod condition;
mod consent;
mod definition;
mod extension;
mod filter;
mod mention;
pub mod names;
mod path;
mod presence;

pub use condition::*;
pub use consent::*;
pub use definition::{ConditionGroup, Definition, DefinitionError};
pub use extension::{Fact, FactName, Radius, Sample};
pub use filter::*;
pub use path::Path;
pub use presence::Nullable;
