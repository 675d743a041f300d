//! Ready-made segments about orders: what was bought, how often, for how much, and when.

use super::build::{
    CHECKOUT_STARTED, ORDERED_PRODUCT, PLACED_ORDER, VIEWED_PRODUCT, all, at_least, at_most, days,
    events, fact, one_of, operand,
};
use super::parameter::{Kind, Parameter, Settings, exact};
use super::{Conflict, Entry, amount, number_of, span_of, texts};
use crate::segment::{
    Condition, ConditionGroup, DateFilter, Definition, ElementsOperand, FactName, Filter,
    ListFilter, NextPurchase, NumberDimension, NumericFilter, Predictive, Scalar,
};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "cross_sell",
        purpose: "Bought one thing but never another that goes with it: offer them the other.",
        parameters: &[
            texts(
                "bought",
                "product names",
                "Bought any of these",
                &["Espresso machine"],
            ),
            texts(
                "not_bought",
                "product names",
                "Never bought any of these",
                &["Coffee beans"],
            ),
            span_of(
                "within_days",
                365,
                "The first purchase lies at most so far back",
            ),
            Parameter {
                name: "by",
                unit: "",
                meaning: "Where the names stand: in the lines of orders (`Ordered Product`), or in \
                          the list `Items` of `Placed Order`",
                kind: Kind::Choice {
                    default: "ordered_product",
                    of: &["ordered_product", "items"],
                },
                required: false,
            },
        ],
        conflict: super::none,
        expand: cross_sell,
    },
    Entry {
        name: "nearly_there",
        purpose: "One step away: looked or went to the checkout without ordering, or is just below \
                  a spend that earns something.",
        parameters: &[
            Parameter {
                name: "by",
                unit: "",
                meaning: "`intent`: acts without an order; `spend`: a total just below the goal",
                kind: Kind::Choice {
                    default: "intent",
                    of: &["intent", "spend"],
                },
                required: false,
            },
            span_of(
                "within_days",
                7,
                "`intent`: acts and missing order lie in these days",
            ),
            number_of(
                "min_views",
                "views",
                3,
                "`intent`: so many product views count like a checkout",
            ),
            amount("goal", 200.0, "`spend`: the total that earns something"),
            amount("gap", 50.0, "`spend`: how far below it somebody may be"),
        ],
        conflict: |settings| {
            let wrong = settings.decimal("gap") > settings.decimal("goal");
            wrong.then_some(Conflict {
                parameter: "gap",
                message: "`gap` must not be more than `goal`",
            })
        },
        expand: nearly_there,
    },
    Entry {
        name: "churn_risk",
        purpose: "Repeat buyers who have gone quiet, but not for good: win them back while it is easy.",
        parameters: &[
            number_of("min_orders", "orders", 2, "Ordered so often at least"),
            span_of("quiet_days", 120, "No order for so long"),
            span_of("gone_days", 365, "But one since then"),
        ],
        conflict: |settings| {
            let wrong = settings.whole("quiet_days") >= settings.whole("gone_days");
            let message = "`gone_days` must be more than `quiet_days`, or nobody is at risk";
            wrong.then_some(Conflict {
                parameter: "gone_days",
                message,
            })
        },
        expand: churn_risk,
    },
    Entry {
        name: "high_average_order_value",
        purpose: "Buyers whose orders are large: show them the best you have.",
        parameters: &[
            amount("at_least", 100.0, "Mean value of an order"),
            number_of("min_orders", "orders", 2, "Ordered so often at least"),
        ],
        conflict: super::none,
        expand: |settings| average_order_value(settings, at_least(settings.number("at_least"))),
    },
    Entry {
        name: "low_average_order_value",
        purpose: "Buyers whose orders are small: bundles and free shipping from an amount on.",
        parameters: &[
            amount("at_most", 30.0, "Mean value of an order"),
            number_of("min_orders", "orders", 2, "Ordered so often at least"),
        ],
        conflict: super::none,
        expand: |settings| average_order_value(settings, at_most(settings.number("at_most"))),
    },
    Entry {
        name: "holiday_shoppers",
        purpose: "Ordered in the last holiday season that is over; next year the dates move by \
                  themselves.",
        parameters: &[
            Parameter {
                name: "from",
                unit: "MM-DD",
                meaning: "First day of the season",
                kind: Kind::YearDay { default: "11-20" },
                required: false,
            },
            Parameter {
                name: "to",
                unit: "MM-DD",
                meaning: "Last day of the season; it may lie in the next year",
                kind: Kind::YearDay { default: "12-26" },
                required: false,
            },
            number_of("min_orders", "orders", 1, "So many orders in the season"),
        ],
        conflict: super::none,
        expand: holiday_shoppers,
    },
    Entry {
        name: "expected_next_order",
        purpose: "Their next order is due: be there when they think of it.",
        parameters: &[
            span_of(
                "within_days",
                14,
                "The order is expected within so many days",
            ),
            Parameter {
                name: "source",
                unit: "",
                meaning: "Whose prediction: Klaviyo's, or driftless' own",
                kind: Kind::Choice {
                    default: "klaviyo",
                    of: &["klaviyo", "driftless"],
                },
                required: false,
            },
        ],
        conflict: super::none,
        expand: expected_next_order,
    },
    Entry {
        name: "lifetime_value",
        purpose: "Your most valuable customers, by what they spent or will spend.",
        parameters: &[
            amount("at_least", 500.0, "The value"),
            Parameter {
                name: "of",
                unit: "",
                meaning: "`spent`: the sum of all `Placed Order`; Klaviyo's `historic_clv`, \
                          `predicted_clv` or `total_clv`; driftless' own `predicted_spend`",
                kind: Kind::Choice {
                    default: "spent",
                    of: &[
                        "spent",
                        "historic_clv",
                        "predicted_clv",
                        "total_clv",
                        "predicted_spend",
                    ],
                },
                required: false,
            },
        ],
        conflict: super::none,
        expand: lifetime_value,
    },
    Entry {
        name: "former_vip",
        purpose: "Spent a lot, and nothing for a long time: worth a personal word.",
        parameters: &[
            amount("at_least", 500.0, "Spent in all"),
            number_of("min_orders", "orders", 3, "Ordered so often at least"),
            span_of("quiet_days", 365, "No order for so long"),
        ],
        conflict: super::none,
        expand: former_vip,
    },
];

fn cross_sell(settings: &Settings) -> Definition {
    let bought = |names: &[String]| match settings.text("by") {
        "items" => {
            let value = names.iter().cloned().map(Scalar::Text).collect();
            let any = Filter::List(ListFilter::ContainsAny(ElementsOperand { value }));
            events(PLACED_ORDER).having("Items", any)
        }
        _ => events(ORDERED_PRODUCT).having("Name", one_of(names)),
    };
    let lately = settings.whole("within_days");
    all(vec![
        bought(settings.texts("bought"))
            .in_the_last(lately)
            .at_least(1),
        bought(settings.texts("not_bought")).never(),
    ])
}

fn nearly_there(settings: &Settings) -> Definition {
    if settings.text("by") == "spend" {
        let goal = settings.decimal("goal");
        let from = goal - settings.decimal("gap");
        let spent = |compared| events(PLACED_ORDER).sum(compared);
        let from = NumericFilter::GreaterThanOrEqual(operand(exact(from)));
        let below = NumericFilter::LessThan(operand(settings.number("goal")));
        return all(vec![spent(from), spent(below)]);
    }
    let days = settings.whole("within_days");
    let lately = |metric| events(metric).in_the_last(days);
    Definition::of(vec![
        ConditionGroup::any(vec![
            lately(CHECKOUT_STARTED).at_least(1),
            lately(VIEWED_PRODUCT).at_least(settings.whole("min_views")),
        ]),
        ConditionGroup::any(vec![lately(PLACED_ORDER).never()]),
    ])
}

fn churn_risk(settings: &Settings) -> Definition {
    let orders = events(PLACED_ORDER);
    let last = |days| orders.clone().in_the_last(settings.whole(days));
    all(vec![
        orders.clone().at_least(settings.whole("min_orders")),
        last("gone_days").at_least(1),
        last("quiet_days").never(),
    ])
}

fn average_order_value(settings: &Settings, value: Filter) -> Definition {
    let orders = at_least(settings.whole("min_orders"));
    all(vec![
        fact(FactName::AverageOrderValue, value),
        fact(FactName::Orders, orders),
    ])
}

fn holiday_shoppers(settings: &Settings) -> Definition {
    let season = DateFilter::DriftlessLastSeason {
        from: settings.text("from").to_owned(),
        to: settings.text("to").to_owned(),
    };
    let orders = events(PLACED_ORDER).during(season);
    all(vec![orders.at_least(settings.whole("min_orders"))])
}

fn expected_next_order(settings: &Settings) -> Definition {
    let within = days(settings.whole("within_days"));
    let soon = Filter::Date(DateFilter::InTheNext(within));
    all(vec![match settings.text("source") {
        "driftless" => fact(FactName::ExpectedNextOrder, soon),
        _ => Condition::ProfilePredictiveAnalytics(Predictive::NextPurchase {
            dimension: NextPurchase::ExpectedDateOfNextPurchase,
            filter: soon,
        }),
    }])
}

fn lifetime_value(settings: &Settings) -> Definition {
    let least = settings.number("at_least");
    let klaviyos = |dimension, least| {
        let filter = at_least(least);
        Condition::ProfilePredictiveAnalytics(Predictive::Number { dimension, filter })
    };
    all(vec![match settings.text("of") {
        "historic_clv" => klaviyos(NumberDimension::HistoricClv, least),
        "predicted_clv" => klaviyos(NumberDimension::PredictedClv, least),
        "total_clv" => klaviyos(NumberDimension::TotalClv, least),
        "predicted_spend" => fact(FactName::PredictedSpend, at_least(least)),
        _ => events(PLACED_ORDER).sum(NumericFilter::GreaterThanOrEqual(operand(least))),
    }])
}

fn former_vip(settings: &Settings) -> Definition {
    let orders = events(PLACED_ORDER);
    let spent = NumericFilter::GreaterThanOrEqual(operand(settings.number("at_least")));
    all(vec![
        orders.clone().sum(spent),
        orders.clone().at_least(settings.whole("min_orders")),
        orders.in_the_last(settings.whole("quiet_days")).never(),
    ])
}
