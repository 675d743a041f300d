//! Recency, frequency and money as scores from 1 to k (analytics.md, section 2).

use crate::model::Money;
use std::cmp::Reverse;

/// What one customer is scored by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RfmInput {
    /// Days since the last order; fewer is better.
    pub recency_days: i64,
    /// Days with an order.
    pub frequency: u32,
    /// Spend in all.
    pub money: Money,
}

/// One customer's scores; higher is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RfmScores {
    /// Recency.
    pub recency: u32,
    /// Frequency.
    pub frequency: u32,
    /// Money.
    pub money: u32,
}

/// Scores every customer against all, in the order given: `min(k, 1 + floor(k (rank-1) / (n-1)))`,
/// in whole numbers. Equal customers share the lowest rank, so they share the score. One customer
/// alone gets `k`.
pub fn rfm_scores(customers: &[RfmInput], k: u32) -> Vec<RfmScores> {
    let recency = scores(customers, k, |customer| Reverse(customer.recency_days));
    let frequency = scores(customers, k, |customer| customer.frequency);
    let money = scores(customers, k, |customer| customer.money);
    let joined = recency.into_iter().zip(frequency).zip(money);
    joined
        .map(|((recency, frequency), money)| RfmScores {
            recency,
            frequency,
            money,
        })
        .collect()
}

fn scores<V: Ord + Copy>(customers: &[RfmInput], k: u32, value: fn(&RfmInput) -> V) -> Vec<u32> {
    let mut sorted: Vec<V> = customers.iter().map(value).collect();
    sorted.sort_unstable();
    let others = customers.len().saturating_sub(1) as u64;
    let score = |customer: &RfmInput| {
        let below = sorted.partition_point(|other| *other < value(customer)) as u64;
        let step = (u64::from(k) * below).checked_div(others);
        step.map_or(k, |step| k.min(1 + u32::try_from(step).unwrap_or(k)))
    };
    customers.iter().map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use crate::model::Moment;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// Order days and spend per customer of the CDNOW sample.
    fn cdnow(asof: Moment) -> Option<BTreeMap<String, RfmInput>> {
        let mut customers: BTreeMap<String, (BTreeSet<Moment>, Money)> = BTreeMap::new();
        for row in golden::rows("clv/cdnow_sample_transactions.csv")? {
            let (days, spent) = customers.entry(row[0].clone()).or_default();
            days.insert(Moment::parse(&row[1]).unwrap());
            *spent += row[3].parse().unwrap();
        }
        let input = |(days, money): (BTreeSet<Moment>, Money)| RfmInput {
            recency_days: days.last().unwrap().days_until(asof),
            frequency: u32::try_from(days.len()).unwrap(),
            money,
        };
        let inputs = customers.into_iter().map(|(id, all)| (id, input(all)));
        Some(inputs.collect())
    }

    #[test]
    fn every_cdnow_customer_gets_its_golden_scores() {
        let asof = Moment::parse("1998-06-30").unwrap();
        let (Some(customers), Some(expected)) = (cdnow(asof), golden::rows("rfm/rfm_expected.csv"))
        else {
            return;
        };
        let inputs: Vec<RfmInput> = customers.values().copied().collect();
        let (fives, threes) = (rfm_scores(&inputs, 5), rfm_scores(&inputs, 3));
        assert_eq!(expected.len(), customers.len());
        let mut order = customers.keys().zip(inputs).zip(fives.iter().zip(threes));
        let mut scored: BTreeMap<&str, [String; 9]> = BTreeMap::new();
        for ((id, input), (five, three)) in order.by_ref() {
            let cells = [
                input.recency_days.to_string(),
                input.frequency.to_string(),
                (input.money.0 / 10).to_string(),
                five.recency.to_string(),
                five.frequency.to_string(),
                five.money.to_string(),
                three.recency.to_string(),
                three.frequency.to_string(),
                three.money.to_string(),
            ];
            scored.insert(id, cells);
        }
        for row in expected {
            assert_eq!(
                scored[row[0].as_str()].as_slice(),
                &row[1..10],
                "customer {}",
                row[0]
            );
        }
    }

    #[test]
    fn one_customer_alone_is_the_best_and_none_have_no_scores() {
        let alone = RfmInput {
            recency_days: 400,
            frequency: 1,
            money: Money::ZERO,
        };
        let best = RfmScores {
            recency: 5,
            frequency: 5,
            money: 5,
        };
        assert_eq!(rfm_scores(&[alone], 5), [best]);
        assert_eq!(rfm_scores(&[], 5), []);
    }

    proptest! {
        #[test]
        fn equal_customers_score_equally_and_better_ones_no_worse(
            raw in proptest::collection::vec((0..9i64, 1..5u32, 0..9i64), 1..30), k in 1..9u32,
        ) {
            let inputs: Vec<RfmInput> = raw
                .into_iter()
                .map(|(recency_days, frequency, money)| RfmInput {
                    recency_days,
                    frequency,
                    money: Money(money),
                })
                .collect();
            let scores = rfm_scores(&inputs, k);
            for (a, one) in inputs.iter().zip(&scores) {
                prop_assert!((1..=k).contains(&one.money));
                for (b, other) in inputs.iter().zip(&scores) {
                    prop_assert!(a.money != b.money || one.money == other.money);
                    prop_assert!(a.money < b.money || one.money >= other.money);
                    prop_assert!(a.recency_days > b.recency_days || one.recency >= other.recency);
                    prop_assert!(a.frequency < b.frequency || one.frequency >= other.frequency);
                }
            }
        }
    }
}
