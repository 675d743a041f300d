//! How lately a person acted as a human (analytics.md, section 2).

use crate::model::Moment;
use crate::policy::Tier;

/// The tier of somebody whose last human act was then, and who was or was not mailed. Days are UTC
/// dates.
pub fn tier(last_human: Option<Moment>, mailed: bool, now: Moment) -> Tier {
    match last_human.map(|at| at.days_until(now)) {
        Some(..=30) => Tier::T30,
        Some(31..=60) => Tier::T60,
        Some(61..=90) => Tier::T90,
        Some(91..=180) => Tier::T180,
        Some(181..) => Tier::Dormant,
        None if mailed => Tier::Never,
        None => Tier::Unmailed,
    }
}
