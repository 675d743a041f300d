//! Ready-made segments about people: where they are, what they look at, how they can be reached.

use super::build::{
    ACTIVE_ON_SITE, BOUNCED_EMAIL, CHECKOUT_STARTED, CLICKED_EMAIL, OPENED_EMAIL, ORDERED_PRODUCT,
    PLACED_ORDER, VIEWED_PRODUCT, all, at_most, days, events, is, is_no, one_of, property,
    reachable,
};
use super::parameter::{Kind, Parameter, Settings};
use super::{Conflict, Entry, number_of, span_of, texts};
use crate::segment::{
    Condition, ConditionGroup, ConsentChannel, ConsentFilter, DateFilter, Definition, DistanceUnit,
    Filter, Permission, PermissionChannel, Permissions, Radius, Reachable, Sample, Subscription,
};

/// Buckets of a sample.
const BUCKETS: f64 = 10_000.0;

const CHANNELS: &[&str] = &["email", "sms", "push", "whatsapp"];

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "location",
        purpose: "Lives in a country, a region or a city: local offers, openings, weather.",
        parameters: &[
            texts(
                "country",
                "country names",
                "In any of these, as Klaviyo spells them",
                &["United States"],
            ),
            Parameter {
                required: false,
                ..texts(
                    "region",
                    "region names",
                    "And in any of these; none asks nothing",
                    &[],
                )
            },
            Parameter {
                required: false,
                ..texts(
                    "city",
                    "city names",
                    "And in any of these; none asks nothing",
                    &[],
                )
            },
        ],
        conflict: super::none,
        expand: location,
    },
    Entry {
        name: "radius",
        purpose: "Lives near a place, by the coordinates of the profile: a shop, a fair, a pop-up.",
        parameters: &[
            degrees("latitude", "degrees north", "Of the place", 52.52, 90.0),
            degrees("longitude", "degrees east", "Of the place", 13.405, 180.0),
            Parameter {
                name: "distance",
                unit: "the unit below",
                meaning: "At most so far away, as the crow flies",
                kind: Kind::Number {
                    default: 50.0,
                    least: 0.1,
                    most: 20_000.0,
                },
                required: false,
            },
            Parameter {
                name: "unit",
                unit: "",
                meaning: "Of the distance",
                kind: Kind::Choice {
                    default: "kilometers",
                    of: &["kilometers", "miles"],
                },
                required: false,
            },
        ],
        conflict: super::none,
        expand: radius,
    },
    Entry {
        name: "item_interest",
        purpose: "Keeps looking at a product without buying it: answer the question that holds them.",
        parameters: &[
            texts(
                "items",
                "product names",
                "Any of these",
                &["Espresso machine"],
            ),
            number_of("min_views", "views", 2, "Looked so often at least"),
            span_of("within_days", 30, "In so many days"),
        ],
        conflict: super::none,
        expand: item_interest,
    },
    Entry {
        name: "brand_interest",
        purpose: "Looks at a brand, or bought it lately: tell them first what is new from it.",
        parameters: &[
            texts("brands", "brand names", "Any of these", &["Acme"]),
            number_of(
                "min_views",
                "views",
                2,
                "Looked so often at least, or ordered once",
            ),
            span_of("within_days", 90, "In so many days"),
        ],
        conflict: super::none,
        expand: brand_interest,
    },
    Entry {
        name: "engagement_tier",
        purpose: "How lately somebody acted as a human: opened without a machine's help, clicked, \
                  visited or ordered.",
        parameters: &[Parameter {
            name: "tier",
            unit: "days",
            meaning: "The last act is at most so old, and older than the tier before; `dormant`: \
                      older than 180 days",
            kind: Kind::Choice {
                default: "30",
                of: &["30", "60", "90", "180", "dormant"],
            },
            required: false,
        }],
        conflict: super::none,
        expand: engagement_tier,
    },
    Entry {
        name: "chronic_soft_bounce",
        purpose: "Mail keeps coming back softly although they could receive it: stop before it \
                  costs reputation.",
        parameters: &[
            number_of("min_bounces", "bounces", 4, "Bounced so often at least"),
            span_of("within_days", 90, "In so many days"),
        ],
        conflict: super::none,
        expand: chronic_soft_bounce,
    },
    Entry {
        name: "cross_channel",
        purpose: "Can be reached on several channels: tell one story across them.",
        parameters: &[Parameter {
            name: "channels",
            unit: "",
            meaning: "Reachable on every one of these, two at least",
            kind: Kind::Choices {
                default: &["email", "sms"],
                of: CHANNELS,
            },
            required: false,
        }],
        conflict: |settings| {
            let wrong = settings.texts("channels").len() < 2;
            wrong.then_some(Conflict {
                parameter: "channels",
                message: "two channels are wanted at least",
            })
        },
        expand: cross_channel,
    },
    Entry {
        name: "recent_subscribers_without_order",
        purpose: "Subscribed lately and never ordered: the welcome offer.",
        parameters: &[span_of(
            "within_days",
            30,
            "Subscribed to e-mail in so many days",
        )],
        conflict: super::none,
        expand: recent_subscribers_without_order,
    },
    Entry {
        name: "random_sample",
        purpose: "A share of everybody, the same people every time: tests and hold-outs.",
        parameters: &[
            Parameter {
                name: "salt",
                unit: "",
                meaning: "Another salt makes another sample",
                kind: Kind::Text { default: "sample" },
                required: false,
            },
            Parameter {
                name: "share",
                unit: "share of everybody",
                meaning: "How many, in steps of 0.0001",
                kind: Kind::Number {
                    default: 0.1,
                    least: 0.0001,
                    most: 1.0,
                },
                required: false,
            },
            Parameter {
                name: "from",
                unit: "share of everybody",
                meaning: "Where the share begins; where one sample begins as another of the same salt \
                      ends, nobody is in both",
                kind: Kind::Number {
                    default: 0.0,
                    least: 0.0,
                    most: 0.9999,
                },
                required: false,
            },
        ],
        conflict: |settings| {
            let wrong = buckets(settings).1 > BUCKETS;
            let message = "`from` and `share` must not be more than 1 together";
            wrong.then_some(Conflict {
                parameter: "share",
                message,
            })
        },
        expand: random_sample,
    },
];

const fn degrees(
    name: &'static str,
    unit: &'static str,
    meaning: &'static str,
    default: f64,
    most: f64,
) -> Parameter {
    let least = -most;
    Parameter {
        name,
        unit,
        meaning,
        kind: Kind::Number {
            default,
            least,
            most,
        },
        required: true,
    }
}

fn location(settings: &Settings) -> Definition {
    let places = ["country", "region", "city"].into_iter();
    let named = places.filter(|place| !settings.texts(place).is_empty());
    let lives = |place| {
        property(
            &format!("location['{place}']"),
            one_of(settings.texts(place)),
        )
    };
    all(named.map(lives).collect())
}

fn radius(settings: &Settings) -> Definition {
    let unit = match settings.text("unit") {
        "miles" => DistanceUnit::Miles,
        _ => DistanceUnit::Kilometers,
    };
    all(vec![Condition::DriftlessRadius(Radius {
        latitude: settings.decimal("latitude"),
        longitude: settings.decimal("longitude"),
        unit,
        filter: at_most(settings.number("distance")),
    })])
}

fn item_interest(settings: &Settings) -> Definition {
    let lately = settings.whole("within_days");
    let of_items = |metric| {
        let items = one_of(settings.texts("items"));
        events(metric).in_the_last(lately).having("Name", items)
    };
    all(vec![
        of_items(VIEWED_PRODUCT).at_least(settings.whole("min_views")),
        of_items(ORDERED_PRODUCT).never(),
    ])
}

/// Klaviyo's onsite snippet writes `Brand`, Shopify's orders say `Vendor`.
fn brand_interest(settings: &Settings) -> Definition {
    let lately = settings.whole("within_days");
    let of_brand = |metric, property| {
        let brands = one_of(settings.texts("brands"));
        events(metric).in_the_last(lately).having(property, brands)
    };
    Definition::of(vec![ConditionGroup::any(vec![
        of_brand(VIEWED_PRODUCT, "Brand").at_least(settings.whole("min_views")),
        of_brand(ORDERED_PRODUCT, "Vendor").at_least(1),
    ])])
}

/// Acted within the tier's days and not within those of the tier before, act by act.
fn engagement_tier(settings: &Settings) -> Definition {
    let (within, before) = match settings.text("tier") {
        "60" => (DateFilter::InTheLast(days(60)), Some(30)),
        "90" => (DateFilter::InTheLast(days(90)), Some(60)),
        "180" => (DateFilter::InTheLast(days(180)), Some(90)),
        "dormant" => (DateFilter::Alltime, Some(180)),
        _ => (DateFilter::InTheLast(days(30)), None),
    };
    let acts = [
        events(OPENED_EMAIL).having("Apple Privacy Open", is_no()),
        events(CLICKED_EMAIL),
        events(ACTIVE_ON_SITE),
        events(VIEWED_PRODUCT),
        events(CHECKOUT_STARTED),
        events(PLACED_ORDER),
    ];
    let acted = acts.iter().cloned();
    let acted = acted.map(|act| act.during(within.clone()).at_least(1));
    let silent = before.into_iter().flat_map(|before| {
        let acts = acts.iter().cloned();
        acts.map(move |act| ConditionGroup::any(vec![act.in_the_last(before).never()]))
    });
    let acted = ConditionGroup::any(acted.collect());
    Definition::of(std::iter::once(acted).chain(silent).collect())
}

fn chronic_soft_bounce(settings: &Settings) -> Definition {
    let bounces = events(BOUNCED_EMAIL)
        .in_the_last(settings.whole("within_days"))
        .having("Bounce Type", is("Soft"));
    all(vec![
        bounces.at_least(settings.whole("min_bounces")),
        reachable(ConsentChannel::Email, Subscription::Any, None),
    ])
}

fn cross_channel(settings: &Settings) -> Definition {
    let channels = settings.texts("channels").iter();
    let conditions = channels.map(|channel| match channel.as_str() {
        "sms" => reachable(ConsentChannel::Sms, Subscription::Subscribed, None),
        "push" => reachable(ConsentChannel::Push, Subscription::Any, None),
        "whatsapp" => Condition::ProfilePermissions(Permissions {
            channel: PermissionChannel::WhatsappMarketing,
            permission: Permission {
                reachable_status: Reachable::ImplicitlyOrExplicitlyReachable,
                filters: None,
            },
        }),
        _ => reachable(ConsentChannel::Email, Subscription::Any, None),
    });
    all(conditions.collect())
}

fn recent_subscribers_without_order(settings: &Settings) -> Definition {
    let lately = DateFilter::InTheLast(days(settings.whole("within_days")));
    let since = ConsentFilter::StatusDate {
        filter: Filter::Date(lately),
    };
    all(vec![
        reachable(
            ConsentChannel::Email,
            Subscription::Subscribed,
            Some(vec![since]),
        ),
        events(PLACED_ORDER).never(),
    ])
}

/// First bucket that is in, and the first that is no longer.
fn buckets(settings: &Settings) -> (f64, f64) {
    let from = settings.decimal("from");
    let to = from + settings.decimal("share");
    ((from * BUCKETS).round(), (to * BUCKETS).round())
}

fn random_sample(settings: &Settings) -> Definition {
    let (from, to) = buckets(settings);
    all(vec![Condition::DriftlessSample(Sample {
        salt: settings.text("salt").to_owned(),
        from: from as u16,
        to: to as u16,
    })])
}
