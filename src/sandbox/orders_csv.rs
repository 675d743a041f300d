//! A real order history becomes a shop: the columns `customer_id,date,units,amount` of the CDNOW data, one
//! line for each purchase; lines of one customer and day are one order.

use super::standard;
use super::world::{Customer, Event, Line, Order, Profile, State, Truth};
use super::{definition, ids, segments};
use crate::model::{Moment, Money};
use fastrand::Rng;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::time::Duration;

const HEADER: &str = "customer_id,date,units,amount";
/// Shopify's number of the customer with id 0.
const FIRST_CUSTOMER: u64 = 7_000_000_000_000;
/// Shopify's number before the first order.
const FIRST_ORDER: u64 = 5_000_000_000_000;
/// Larger ids would leave the range of customer numbers.
const LARGEST_ID: u64 = 999_999_999;
/// Orders are entered at noon UTC.
const NOON: Duration = Duration::from_secs(12 * 3600);

/// Why an order history could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// The file could not be read.
    #[error("orders: line {line} could not be read: {source}")]
    Read {
        /// From 1.
        line: usize,
        /// Why.
        source: io::Error,
    },
    /// The first line is another.
    #[error("orders: line 1 must be `{HEADER}`")]
    Header,
    /// A line is wrong.
    #[error("orders: line {line}: {what}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong, and what is expected.
        what: &'static str,
    },
    /// There is a header and nothing else.
    #[error("orders: no orders after the header")]
    Empty,
}

/// The lines of one order: units and amount of each.
type Basket = Vec<(u32, Money)>;

/// Reads an order history into a world in which every buyer is a subscribed customer.
///
/// # Errors
///
/// With the line number, at the first line that is not understood.
pub fn from_csv(reader: impl Read, now: Moment) -> Result<State, CsvError> {
    let orders = read(BufReader::new(reader), now)?;
    let mut rng = Rng::with_seed(0);
    let oldest = orders.keys().next().map_or(now, |(noon, _)| *noon);
    let mut state = State {
        klaviyo: standard::klaviyo(&mut rng, oldest),
        shopify: standard::shopify(&mut rng),
        ..State::default()
    };
    let metric = standard::metric(&state.klaviyo, standard::ORDERED);
    let mut profiles = BTreeMap::new();
    let mut line = 0;
    for (number, ((noon, customer), basket)) in (FIRST_ORDER + 1..).zip(orders) {
        let known = profiles.entry(customer);
        let profile = known.or_insert_with(|| ids::ulid(noon, &mut rng));
        enroll(&mut state, customer, profile, noon);
        let order = order(customer, noon, basket, &mut line);
        let event = Event {
            id: ids::event(&mut rng),
            timestamp: noon.secs(),
            profile: Some(profile.clone()),
            properties: Arc::new(json!({
                "$value": order.total.units(),
                "$currency_code": state.shopify.currency,
                "Item Count": order.lines.iter().map(|line| line.quantity).sum::<u32>(),
            })),
        };
        state
            .klaviyo
            .events
            .entry(metric.clone())
            .or_default()
            .push(event);
        state.shopify.orders.insert(number, order);
    }
    for events in state.klaviyo.events.values_mut() {
        events.sort_by(|a, b| (a.timestamp, &a.id).cmp(&(b.timestamp, &b.id)));
    }
    group(&mut state, &mut rng, oldest, now);
    let pairs = profiles
        .into_iter()
        .map(|(id, profile)| (profile, FIRST_CUSTOMER + id));
    state.truth = Truth {
        pairs: pairs.collect(),
        ..Truth::default()
    };
    Ok(state)
}

/// Orders by (time, customer id).
fn read(reader: impl BufRead, now: Moment) -> Result<BTreeMap<(Moment, u64), Basket>, CsvError> {
    let mut orders: BTreeMap<(Moment, u64), Basket> = BTreeMap::new();
    let mut headed = false;
    for (line, text) in (1..).zip(reader.lines()) {
        let text = text.map_err(|source| CsvError::Read { line, source })?;
        let text = text.trim_start_matches('\u{feff}').trim();
        if !headed {
            headed = text.replace(['"', ' '], "") == HEADER;
            if !headed {
                return Err(CsvError::Header);
            }
        } else if !text.is_empty() {
            let row = row(text, now).map_err(|what| CsvError::Line { line, what })?;
            orders.entry(row.0).or_default().push(row.1);
        }
    }
    match (headed, orders.is_empty()) {
        (false, _) => Err(CsvError::Header),
        (true, true) => Err(CsvError::Empty),
        (true, false) => Ok(orders),
    }
}

type Row = ((Moment, u64), (u32, Money));

fn row(text: &str, now: Moment) -> Result<Row, &'static str> {
    let cells: Vec<&str> = text
        .split(',')
        .map(|cell| cell.trim().trim_matches('"'))
        .collect();
    let [customer, date, units, amount] = cells[..] else {
        return Err("four columns are expected: customer_id,date,units,amount");
    };
    let customer: u64 = customer
        .parse()
        .map_err(|_| "customer_id is not a whole number")?;
    if customer > LARGEST_ID {
        return Err("customer_id is larger than 999999999");
    }
    let midnight = Moment::parse(date).filter(|_| date.len() == 10);
    let midnight = midnight.ok_or("date is not a date such as 1997-01-31")?;
    let noon = midnight.plus(NOON);
    if noon > now {
        return Err("date lies in the future");
    }
    let units = units.parse().map_err(|_| "units is not a whole number")?;
    let amount: Money = amount
        .parse()
        .map_err(|_| "amount is not a number with at most three decimals")?;
    if amount < Money::ZERO {
        return Err("amount is negative");
    }
    Ok(((noon, customer), (units, amount)))
}

/// Makes, or keeps up to date, the customer and profile of an id.
fn enroll(state: &mut State, id: u64, profile: &str, noon: Moment) {
    let email = Some(format!("customer-{id}@cdnow-mail.com"));
    let customer = state.shopify.customers.entry(FIRST_CUSTOMER + id);
    let customer = customer.or_insert_with(|| Customer {
        email: email.clone(),
        created: noon,
        email_state: "SUBSCRIBED",
        email_state_at: Some(noon),
        ..Customer::default()
    });
    customer.updated = noon;
    let known = state.klaviyo.profiles.entry(profile.to_owned());
    let known = known.or_insert_with(|| Profile {
        email,
        external_id: Some((FIRST_CUSTOMER + id).to_string()),
        created: noon,
        consent: "SUBSCRIBED",
        consent_at: Some(noon),
        ..Profile::default()
    });
    known.updated = noon;
    known.last_event_date = Some(noon);
}

fn order(customer: u64, noon: Moment, basket: Basket, line: &mut u64) -> Order {
    let total = basket.iter().map(|(_, amount)| *amount).sum();
    let lines = basket.into_iter().map(|(units, amount)| {
        *line += 1;
        // The price of one unit is rounded down; the order's total stays exact.
        let price = Money(amount.0 / i64::from(units.max(1)));
        let title = "Compact disc".to_owned();
        Line {
            id: FIRST_ORDER + *line,
            title,
            quantity: units,
            price,
        }
    });
    Order {
        lines: lines.collect(),
        customer: Some(FIRST_CUSTOMER + customer),
        email: Some(format!("customer-{customer}@cdnow-mail.com")),
        created: noon,
        processed: noon,
        updated: noon,
        total,
        ..Order::default()
    }
}

fn group(state: &mut State, rng: &mut Rng, oldest: Moment, now: Moment) {
    let profiles = &state.klaviyo.profiles;
    let members = |from: Moment| -> BTreeMap<String, Moment> {
        let joined = profiles
            .iter()
            .map(|(id, profile)| (id.clone(), profile.created));
        joined.filter(|(_, at)| *at >= from).collect()
    };
    let (everybody, latest) = (
        members(oldest),
        profiles.values().map(|known| known.created).max(),
    );
    let newcomers = members(latest.map_or(oldest, |at| at.minus(Duration::from_secs(30 * 86_400))));
    let klaviyo = &mut state.klaviyo;
    let newsletter = standard::add_list(klaviyo, rng, "Newsletter", oldest, everybody);
    standard::add_list(klaviyo, rng, "Newcomers", oldest, newcomers);
    segments::add(klaviyo, rng, &newsletter, oldest);
    definition::recompute(klaviyo, now);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Moment {
        Moment::parse("1998-07-01T00:00:00Z").unwrap()
    }

    fn load(text: &str) -> Result<State, CsvError> {
        from_csv(text.as_bytes(), now())
    }

    #[test]
    fn lines_of_one_customer_and_day_are_one_order() {
        let text = "customer_id,date,units,amount\n\
                    4,1997-01-01,2,29.33\n4,1997-01-18,1,9.99\n4,1997-01-18,3,0.01\n\
                    21,1997-01-18,1,14.96\r\n";
        let state = load(text).unwrap();
        let orders: Vec<&Order> = state.shopify.orders.values().collect();
        assert_eq!(orders.len(), 3);
        let totals: Money = orders.iter().map(|order| order.total).sum();
        assert_eq!(totals, Money(54_290));
        assert_eq!(orders[1].total, Money(10_000));
        assert_eq!(orders[1].lines.len(), 2);
        assert_eq!(
            orders[1].processed,
            Moment::parse("1997-01-18T12:00:00Z").unwrap()
        );
        assert_eq!(orders[1].created, orders[1].updated);
        let customer = &state.shopify.customers[&7_000_000_000_004];
        assert_eq!(customer.email.as_deref(), Some("customer-4@cdnow-mail.com"));

        let (profile, number) = &state.truth.pairs[0];
        assert_eq!(*number, 7_000_000_000_004);
        let profile = &state.klaviyo.profiles[profile];
        assert_eq!(profile.external_id.as_deref(), Some("7000000000004"));
        assert_eq!(profile.created, orders[0].processed);
        let metric = standard::metric(&state.klaviyo, standard::ORDERED);
        let values: f64 = state.klaviyo.events[&metric]
            .iter()
            .map(|event| event.properties["$value"].as_f64().unwrap())
            .sum();
        assert!((values - 54.29).abs() < 1e-9);
        assert_eq!(state.klaviyo.segments.len(), 29);
        assert!(
            state
                .klaviyo
                .lists
                .values()
                .any(|list| list.members.len() == 2)
        );
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (line, what) in [
            ("x,1997-01-01,1,1.00", "customer_id"),
            ("1,1997-02-30,1,1.00", "date is not"),
            ("1,19970101,1,1.00", "date is not"),
            ("1,1999-01-01,1,1.00", "future"),
            ("1,1997-01-01,-1,1.00", "units"),
            ("1,1997-01-01,1,1.0001", "amount is not"),
            ("1,1997-01-01,1,-1.00", "negative"),
            ("1,1997-01-01,1", "four columns"),
        ] {
            let text = format!("{HEADER}\n1,1997-01-01,1,1.00\n{line}\n");
            let error = load(&text).unwrap_err().to_string();
            assert!(error.contains("line 3") && error.contains(what), "{error}");
        }
        assert!(matches!(load("id,day\n"), Err(CsvError::Header)));
        assert!(matches!(load(""), Err(CsvError::Header)));
        assert!(matches!(load(HEADER), Err(CsvError::Empty)));
        let broken = load("customer_id,date,units,amount\n\u{0}").unwrap_err();
        assert!(matches!(broken, CsvError::Line { line: 2, .. }));
    }

    #[test]
    fn the_cdnow_sample_keeps_its_totals() {
        let golden = std::env::var_os("DRIFTLESS_GOLDEN").map(std::path::PathBuf::from);
        let golden = golden.unwrap_or_else(|| {
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden")
        });
        let path = golden.join("clv/cdnow_sample_transactions.csv");
        let Ok(text) = std::fs::read_to_string(&path) else {
            eprintln!("skipped: {} is absent", path.display());
            return;
        };
        let state = load(&text).unwrap();
        assert_eq!(state.shopify.customers.len(), 2_357);
        let mut days = std::collections::BTreeSet::new();
        let mut amount = Money::ZERO;
        for line in text.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            days.insert((cells[0], cells[1]));
            amount += cells[3].parse().unwrap();
        }
        assert_eq!(state.shopify.orders.len(), days.len());
        let total: Money = state.shopify.orders.values().map(|order| order.total).sum();
        assert_eq!(total, amount);
    }
}
