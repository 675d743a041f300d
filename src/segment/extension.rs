//! Conditions that Klaviyo's language does not have. They stand only in the definitions of local
//! segments; their types begin with `driftless-`, and Klaviyo would refuse them.

use super::condition::DistanceUnit;
use super::filter::Filter;
use serde::{Deserialize, Serialize};

/// `driftless-radius`: within a distance of a place, by the profile's coordinates. Without
/// coordinates nothing is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Radius {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Of the distance.
    pub unit: DistanceUnit,
    /// How far, on a great circle.
    pub filter: Filter,
}

/// `driftless-fact`: what driftless works out for the whole person, Shopify's orders included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// Which.
    pub fact: FactName,
    /// The test.
    pub filter: Filter,
}

/// Facts. Predictions among them are unknown until they are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactName {
    /// Orders that count.
    Orders,
    /// What was spent on them, in the shop's currency.
    Spent,
    /// Mean value of an order; nobody without an order has one.
    AverageOrderValue,
    /// Date of the first order.
    FirstOrder,
    /// Date of the last order.
    LastOrder,
    /// Mean days between two orders; nobody with fewer than two has one.
    DaysBetweenOrders,
    /// Date of the last human act.
    LastEngaged,
    /// When the next order is to be expected.
    ExpectedNextOrder,
    /// How likely it is that no order comes within a year, from 0 to 1.
    ChurnProbability,
    /// What the person will spend within a year.
    PredictedSpend,
}

/// `driftless-sample`: a share of everybody, the same people every time (analytics.md, section 9).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Another salt makes another sample.
    pub salt: String,
    /// The first bucket of 10,000 that is in.
    pub from: u16,
    /// The first bucket that is no longer in.
    pub to: u16,
}
