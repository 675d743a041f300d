//! The vendors' doors: typed endpoints above, one layer per concern below.
//!
//! `Retry<Budget<Record<Transport>>>`: every attempt pays its budget and is seen. Redirects are
//! never followed, credentials never leave their origin, a vendor's link gives path and query only,
//! and no error or log line holds a body. Writes need a [`WriteGrant`].

mod budget;
mod error;
mod exchange;
#[cfg(test)]
pub(crate) mod fake;
mod grant;
pub mod klaviyo;
mod lenient;
mod page;
mod patience;
mod record;
mod retry;
pub mod shopify;
mod transport;
mod vendors;

pub use budget::{BudgetMemory, Budgets, Drawer, Keeper, WindowBudget};
pub use error::{ApiError, Cause, Fault, Phase, Place, Verdict};
pub use exchange::{Answer, Call, Class, Exchange, Headers, Limits, Method};
pub use grant::WriteGrant;
pub use klaviyo::Klaviyo;
pub use page::{Cursor, Page, Trail};
pub use record::Record;
pub use retry::{Conduct, Judge, Retry};
pub use shopify::Shopify;
pub use transport::Transport;
pub use vendors::Vendors;
