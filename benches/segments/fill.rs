//! A mirror as a first pull leaves it, and the same people as tables for another evaluator.

use crate::people::{self, LISTS, METRICS, NOW, Ticket};
use driftless::mirror::Mirror;
use driftless::model::{
    Channel, EmailMarketing, IncomingValue, List, Member, Metric, Moment, Profile,
    SuppressionReason, Value,
};
use driftless::vault::Vault;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

type Done = Result<(), Box<dyn Error>>;

/// A vendor's page holds 100 profiles or 1,000 events; ten of them to a commit spare the disk.
const PROFILES_PER_COMMIT: usize = 1_000;
const EVENTS_PER_COMMIT: usize = 10_000;
/// Staged events that wait for a fold at most, so that the disk need not hold them all.
const EVENTS_PER_FOLD: usize = 4_000_000;

pub fn run(people: u32, events: u64, dir: &Path) -> Done {
    fs::create_dir_all(dir)?;
    let (mirror, _) = Mirror::open(dir, &Vault::open(dir, None)?, NOW)?;
    profiles(&mirror, people, dir)?;
    lists(&mirror, people, dir)?;
    let mean = events as f64 / f64::from(people);
    let count = self::events(&mirror, people, mean, dir)?;
    println!("{people} people, {count} events");
    // Reopened once before anything is measured, as a daemon is that was started after its fill.
    drop(mirror);
    fs::write(dir.join("filled"), format!("{people} {count}\n"))?;
    Ok(())
}

fn table(dir: &Path, name: &str, columns: &str) -> Result<BufWriter<File>, Box<dyn Error>> {
    let mut table = BufWriter::with_capacity(1 << 20, File::create(dir.join(name))?);
    writeln!(table, "{columns}")?;
    Ok(table)
}

fn profiles(mirror: &Mirror, people: u32, dir: &Path) -> Done {
    let mut table = table(
        dir,
        "profiles.csv",
        "person,email,country,city,created,loyalty_tier,points,vip,favorites,birthday,next_refill,\
         can_receive,consent,consent_at,method,double_optin,bounce_at,manual_at,invalid_at,\
         sms_can_receive,sms_consent,sms_consent_at",
    )?;
    let all: Vec<u32> = (0..people).collect();
    for some in all.chunks(PROFILES_PER_COMMIT) {
        let mut page = mirror.page();
        for &person in some {
            let profile = people::profile(person);
            profile_row(&mut table, person, &profile)?;
            let slot = page.profile(profile)?.ok_or("nobody is forgotten here")?;
            assert_eq!(slot.0, person, "slots are given in the order of arrival");
        }
        page.commit()?;
    }
    Ok(table.flush()?)
}

fn seconds(at: Option<Moment>) -> String {
    at.map(|at| at.secs().to_string()).unwrap_or_default()
}

/// A property or attribute as text; a list's elements are parted by `|` and it begins with one.
fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::List(items)) => items.iter().map(|item| format!("|{item}")).collect(),
        Some(value) => value.to_string(),
        None => String::new(),
    }
}

fn profile_row(table: &mut impl Write, person: u32, profile: &Profile) -> Done {
    let property = |name: &str| text(profile.properties.get(name));
    let favorites = match profile.properties.get("favorites") {
        Some(Value::List(items)) if items.is_empty() => "|".to_owned(),
        value => text(value),
    };
    let refill = property("next_refill");
    let refill = seconds(Moment::parse(&refill));
    let city = text(profile.attributes.get("location['city']"));
    write!(
        table,
        "{person},{},{},{city},{},{},{},{},{favorites},{},{refill},",
        profile.email.as_deref().unwrap_or_default(),
        profile.country.as_deref().unwrap_or_default(),
        seconds(profile.created),
        property("loyalty_tier"),
        property("points"),
        property("vip"),
        property("birthday"),
    )?;
    let marketing = profile.email_marketing.as_ref().expect("everybody has it");
    marketing_columns(table, marketing)?;
    let sms = profile.channels.as_ref().expect("everybody has them");
    let sms = sms.get(&Channel::Sms).expect("everybody has it");
    let can_receive = sms.can_receive == Some(true);
    let consent = sms.consent.as_deref().unwrap_or_default();
    let since = seconds(sms.consent_at);
    writeln!(table, ",{can_receive},{consent},{since}")?;
    Ok(())
}

fn marketing_columns(table: &mut impl Write, marketing: &EmailMarketing) -> Done {
    let suppressed = |reason: SuppressionReason| {
        let mut all = marketing.suppressions.iter();
        seconds(all.find(|one| one.reason == reason).and_then(|one| one.at))
    };
    write!(
        table,
        "{},{},{},{},{},{},{},{}",
        marketing.can_receive == Some(true),
        marketing.consent.as_str(),
        seconds(marketing.consent_at),
        marketing.method.as_deref().unwrap_or_default(),
        text(marketing.double_optin.as_ref()),
        suppressed(SuppressionReason::HardBounce),
        suppressed(SuppressionReason::UserSuppressed),
        suppressed(SuppressionReason::InvalidEmail),
    )?;
    Ok(())
}

fn lists(mirror: &Mirror, people: u32, dir: &Path) -> Done {
    let mut table = table(dir, "lists.csv", "list,person,joined")?;
    for (id, name) in people::lists().iter().zip(LISTS) {
        let mut members = Vec::new();
        for person in 0..people {
            let Some(joined) = people::on_list(name, person) else {
                continue;
            };
            writeln!(table, "{name},{person},{}", seconds(joined))?;
            let profile = people::id(person);
            members.push(Member { profile, joined });
        }
        let mut page = mirror.page();
        page.list(List {
            id: id.clone(),
            name: name.to_owned(),
            updated: None,
        });
        page.begin_listing(id, NOW, true)?;
        page.commit()?;
        for some in members.chunks(PROFILES_PER_COMMIT) {
            let mut page = mirror.page();
            page.listing(id, some)?;
            page.commit()?;
        }
        let mut page = mirror.page();
        page.complete_listing(id)?;
        page.commit()?;
    }
    Ok(table.flush()?)
}

fn events(mirror: &Mirror, people: u32, mean: f64, dir: &Path) -> Result<usize, Box<dyn Error>> {
    let mut table = table(
        dir,
        "events.csv",
        "person,metric,at,value,campaign,machine_open,bounce_type,product,item_count",
    )?;
    let mut tickets = Vec::new();
    (0..people).for_each(|person| people::tickets(person, mean, &mut tickets));
    tickets.sort_unstable();
    for some in tickets.chunks(EVENTS_PER_FOLD) {
        for metric in some.chunk_by(|a, b| a.metric == b.metric) {
            stage(mirror, metric, &mut table)?;
        }
        mirror.fold()?;
    }
    table.flush()?;
    Ok(tickets.len())
}

/// Lays down events of one metric.
fn stage(mirror: &Mirror, tickets: &[Ticket], table: &mut impl Write) -> Done {
    let Some(first) = tickets.first() else {
        return Ok(());
    };
    let (id, name) = METRICS[usize::from(first.metric)];
    let mut page = mirror.page();
    page.metric(Metric {
        id: id.into(),
        name: name.to_owned(),
        integration: None,
    })?;
    page.commit()?;
    for some in tickets.chunks(EVENTS_PER_COMMIT) {
        let mut page = mirror.page();
        let events = some.iter().map(|ticket| ticket.incoming()).collect();
        page.events(&id.into(), events)?;
        page.commit()?;
        some.iter()
            .try_for_each(|ticket| event_row(table, *ticket, name))?;
    }
    Ok(())
}

fn event_row(table: &mut impl Write, ticket: Ticket, metric: &str) -> Done {
    let details = ticket.details();
    let property = |name: &str| {
        let known = details.properties.iter().find(|(known, _)| *known == name);
        match known {
            Some((_, IncomingValue::Text(text) | IncomingValue::List(text))) => text.clone(),
            Some((_, IncomingValue::Bool(flag))) => flag.to_string(),
            Some((_, IncomingValue::Number(number))) => number.to_string(),
            None => String::new(),
        }
    };
    writeln!(
        table,
        "{},{metric},{},{},{},{},{},{},{}",
        ticket.person,
        ticket.at,
        details
            .value
            .map(|value| value.0.to_string())
            .unwrap_or_default(),
        property("Campaign Name"),
        property("machine_open"),
        property("Bounce Type"),
        property("Name"),
        property("Item Count"),
    )?;
    Ok(())
}
