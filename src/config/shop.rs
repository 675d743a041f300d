//! One file becomes one shop.

use super::access::{KlaviyoAccess, ShopifyAccess, ShopifyAuth, SigningSecrets, Webhooks};
use super::environment::Environment;
use super::fault::Faults;
use super::reader::{At, Complaint, Reader, Section};
use super::secret::{SecretPlaces, fingerprint};
use super::source::Source;
use super::value::{bytes, choice, quoted, span, text, word};
use super::{guards, holidays, leak, lists, rules, segments, vendors, webhooks, writeback};
use crate::model::{EffectKind, Moment};
use crate::pace::Schedule;
use crate::policy::{Mode, Policy};
use crate::vault::{Vault, VaultError};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use std::iter::successors;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::de::{DeTable, DeValue};

const MODES: [Mode; 4] = [Mode::Observe, Mode::Enrich, Mode::Additive, Mode::Full];

/// One shop: everything its config file says, checked.
#[derive(Clone, Debug)]
pub struct Shop {
    /// The file it was read from.
    pub source: PathBuf,
    /// Its name in directories, logs and metrics.
    pub name: String,
    /// Where mirror and journal live.
    pub state_dir: PathBuf,
    /// Seals the vault in `state_dir`, if the operator wants that; or why it cannot be had.
    pub store_key: Option<Result<SecretString, String>>,
    /// Bytes that must stay free on the disk of `state_dir`; below, passes stop before writing.
    pub min_free_disk: u64,
    /// The way to Klaviyo.
    pub klaviyo: KlaviyoAccess,
    /// The way to Shopify.
    pub shopify: ShopifyAccess,
    /// Where webhooks are heard, if anywhere.
    pub webhooks: Option<Webhooks>,
    /// When passes start.
    pub schedule: Schedule,
    /// Up to this is added to every start.
    pub jitter: Duration,
    /// Within this span everybody is looked at anew who is known.
    pub sweep: Duration,
    /// Within this span every day of the events' history is compared with Klaviyo's counts.
    pub ledger: Duration,
    /// Rules, guards, lists.
    pub policy: Policy,
    /// What is allowed but not wise; one line each.
    pub warnings: Vec<String>,
}

impl Shop {
    /// Names the Klaviyo key at the place where it is used: no two processes may work with it. The
    /// same key at another place, such as another sandbox, is another key.
    pub fn key_fingerprint(&self) -> String {
        let place = self.klaviyo.base_url.origin().ascii_serialization();
        let digest = Sha256::digest(format!("{} {place}", fingerprint(&self.klaviyo.key)));
        digest
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Opens the keys to what is personal in mirror, journal and backups, or makes them.
    ///
    /// # Errors
    /// [`VaultError`]: the file cannot be used, or not with this store key.
    pub fn vault(&self) -> Result<Vault, VaultError> {
        let store_key = self.store_key.as_ref().map(Result::as_ref).transpose();
        let store_key = store_key.map_err(|why| VaultError::NoStoreKey { why: why.clone() })?;
        Vault::open(&self.state_dir, store_key)
    }

    /// Differs whenever anything the file says differs, secrets included, and gives nothing away.
    pub fn revision(&self) -> String {
        let secret = match &self.shopify.auth {
            ShopifyAuth::Token(token) => token,
            ShopifyAuth::Client { secret, .. } => secret,
        };
        let store_key = self.store_key.as_ref().and_then(|key| key.as_ref().ok());
        let store_key = store_key.map(fingerprint);
        let secrets = [&self.klaviyo.key, secret].map(fingerprint);
        let hooks = self.webhooks.iter();
        let hooks = hooks.flat_map(|hooks| [&hooks.shopify, &hooks.klaviyo]);
        let signing = hooks.flatten().flat_map(SigningSecrets::all);
        let signing: Vec<String> = signing.map(fingerprint).collect();
        let digest = Sha256::digest(format!("{self:?} {secrets:?} {store_key:?} {signing:?}"));
        digest
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// What must differ between shops, with its place, as far as it could be read.
pub(super) struct Identity {
    pub name: Option<At<String>>,
    pub state_dir: Option<At<PathBuf>>,
    /// Where webhooks are heard.
    pub listen: Option<At<String>>,
}

/// A file that has been read to its end, faults or not.
pub(super) struct Parsed {
    pub shop: Option<Shop>,
    pub identity: Identity,
    pub faults: Faults,
    #[cfg(test)]
    pub known: std::collections::BTreeSet<String>,
}

/// `[shop]`.
struct General {
    name: Option<At<String>>,
    state_dir: Option<At<PathBuf>>,
    store_key: Option<Result<SecretString, String>>,
    min_free_disk: u64,
    default_country: Option<String>,
}

/// Reads one shop from a file's text. `source` names the file in faults, and relative paths start
/// at its folder.
///
/// # Errors
/// Every fault of the text at once. Secrets are read too: one that cannot be had is a fault.
pub fn parse(source: &Path, text: &str, environment: &Environment) -> Result<Shop, Faults> {
    let parsed = parse_all(&Source::new(source, text), environment);
    parsed.shop.ok_or(parsed.faults)
}

pub(super) fn parse_all(source: &Source<'_>, environment: &Environment) -> Parsed {
    let (document, syntax) = DeTable::parse_recoverable(source.text);
    let reader = Reader::new(source, &syntax);
    let document = document.into_inner();
    leak::refuse(&reader, &document);
    let (shop, identity) = read(&reader, &document, source.file, environment);
    #[cfg(test)]
    let known = reader.known();
    let (faults, warnings) = reader.finish();
    let shop = shop.filter(|_| faults.is_empty());
    Parsed {
        shop: shop.map(|shop| Shop { warnings, ..shop }),
        identity,
        faults,
        #[cfg(test)]
        known,
    }
}

fn read(
    reader: &Reader<'_>,
    document: &DeTable<'_>,
    file: &Path,
    environment: &Environment,
) -> (Option<Shop>, Identity) {
    let folder = file.parent().unwrap_or(Path::new(""));
    let places = SecretPlaces {
        environment,
        folder,
    };
    let root = reader.root(document);
    let general = root.within("shop", |section| general(section, &places));
    let klaviyo = root.within("klaviyo", |section| vendors::klaviyo(section, &places));
    let shopify = root.within("shopify", |section| vendors::shopify(section, &places));
    let (webhooks, listen) = root.within("webhooks", |section| webhooks::read(section, &places));
    let timing = root.within("schedule", timing);
    let policy = policy(&root, folder, general.default_country);
    root.sweep();
    let (name, state_dir) = (general.name, general.state_dir);
    let whole = name
        .as_ref()
        .zip(state_dir.as_ref())
        .zip(klaviyo.zip(shopify));
    let shop = whole.map(|((name, state_dir), (klaviyo, shopify))| Shop {
        source: file.to_owned(),
        name: name.value.clone(),
        state_dir: state_dir.value.clone(),
        store_key: general.store_key,
        min_free_disk: general.min_free_disk,
        klaviyo,
        shopify,
        webhooks,
        schedule: timing.pass,
        jitter: timing.jitter,
        sweep: timing.sweep,
        ledger: timing.ledger,
        policy,
        warnings: Vec::new(),
    });
    let identity = Identity {
        name,
        state_dir,
        listen,
    };
    (shop, identity)
}

fn general(section: &Section<'_>, places: &SecretPlaces<'_>) -> General {
    let (folder, environment) = (places.folder, places.environment);
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    // It becomes a directory and a metrics label.
    let name = word(
        "a name of lower-case letters, digits, `-` and `_`, up to 64",
        |name| {
            let first = name
                .bytes()
                .next()
                .is_some_and(|b| b.is_ascii_alphanumeric());
            first && name.len() <= 64 && name.bytes().all(plain)
        },
    );
    let name = section.require("name", "\"acme\"", name);
    let given = section.located("state_dir", text);
    let state_dir = match (given, &name) {
        (Some(given), _) => Some(At {
            value: folder.join(given.value),
            key: given.key,
            span: given.span,
        }),
        (None, Some(name)) => {
            let state = environment
                .state()
                .unwrap_or_else(|| PathBuf::from("driftless-state"));
            Some(At {
                value: state.join(&name.value),
                key: name.key.clone(),
                span: name.span.clone(),
            })
        }
        (None, None) => None,
    };
    let min_free_disk = section.read("min_free_disk", bytes);
    General {
        name,
        state_dir,
        store_key: places.own_secret(section, "store_key"),
        min_free_disk: min_free_disk.unwrap_or(256_000_000),
        default_country: section.read("default_country", country),
    }
}

/// An ISO 3166 code that the phone number rules know.
fn country(value: &DeValue<'_>) -> Result<String, Complaint> {
    let code = text(value)?;
    let is_code = code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase());
    if is_code && code.parse::<phonenumber::country::Id>().is_ok() {
        return Ok(code);
    }
    let message = format!("{} is not a country code", quoted(&code));
    Err(Complaint::new(message).help("two capital letters of ISO 3166, such as \"US\" or \"GB\""))
}

/// The section `schedule`.
struct Timing {
    pass: Schedule,
    jitter: Duration,
    sweep: Duration,
    ledger: Duration,
}

fn timing(section: &Section<'_>) -> Timing {
    let pass = section.read("pass", |value| {
        let text = text(value)?;
        Schedule::parse(&text).map_err(|error| {
            let message = format!("{} is not a schedule: {error}", quoted(&text));
            Complaint::new(message).help("such as \"15m\", or \"*/15 * * * *\" in UTC")
        })
    });
    let jitter = section.read("jitter", span(Duration::ZERO..=Duration::from_hours(1)));
    let pass = pass.unwrap_or(Schedule::Every(Duration::from_mins(15)));
    let gap = shortest_gap(&pass);
    let jitter = jitter.unwrap_or_else(|| Duration::from_mins(1).min(gap / 10));
    if jitter >= gap {
        let message = "`jitter` must be less than the time from one pass to the next";
        section.complain("jitter", &Complaint::new(message));
    }
    let days = |count: u64| Duration::from_hours(24 * count);
    let round = |key| {
        section
            .read(key, span(days(1)..=days(90)))
            .unwrap_or(days(7))
    };
    Timing {
        pass,
        jitter,
        sweep: round("sweep"),
        ledger: round("ledger"),
    }
}

/// The shortest time between two starts, among the first ones of an arbitrary day.
fn shortest_gap(pass: &Schedule) -> Duration {
    const STARTS: usize = 64;
    let next = |at: &Moment| Some(pass.next(*at, Duration::ZERO, 0));
    let starts: Vec<Moment> = successors(Some(Moment(0)), next).take(STARTS).collect();
    // The first is no start of the schedule.
    let pairs = starts.iter().skip(1).zip(starts.iter().skip(2));
    let gaps = pairs.map(|(earlier, later)| later.since(*earlier));
    gaps.min().unwrap_or_default()
}

fn policy(root: &Section<'_>, folder: &Path, default_country: Option<String>) -> Policy {
    let (mode, modes) = root.within("write", |section| {
        let modes = section.within("kinds", |kinds| {
            let mode = |kind: EffectKind| {
                let mode = kinds.read(kind.as_str(), choice("mode", &MODES, Mode::as_str));
                Some((kind, mode?))
            };
            EffectKind::ALL.into_iter().filter_map(mode).collect()
        });
        let mode = section.read("mode", choice("mode", &MODES, Mode::as_str));
        (mode, modes)
    });
    let rules = root.within("rules", |section| rules::read(section, default_country));
    let mode = mode.unwrap_or(Mode::Observe);
    let policy = Policy {
        mode,
        modes,
        stale: rules.stale,
        bounce: rules.bounce,
        consent: rules.consent,
        assumptions: root.within("assumptions", rules::assumptions),
        parity: root.within("parity", rules::parity),
        groups: rules.groups,
        lifecycle: rules.lifecycle,
        identity: rules.identity,
        segments: segments::read(root, folder),
        lists: lists::read(root),
        properties: root.within("properties", writeback::properties),
        tags: root.within("shopify_tags", writeback::tags),
        metafield: root.within("shopify_metafield", writeback::metafield),
        holidays: holidays::read(root),
        guards: root.within("guards", guards::read),
    };
    if policy.bounce.act && !policy.allows(EffectKind::Suppression) {
        root.warn(
            "rules.bounce.act",
            "suppresses nobody: it takes `write.mode = \"full\"`, and nothing else in [write.kinds]",
        );
    }
    let withdraws = [
        EffectKind::Unsubscription,
        EffectKind::CustomerUnsubscription,
    ];
    if policy.consent.act && !withdraws.iter().any(|kind| policy.allows(*kind)) {
        root.warn(
            "rules.consent.act",
            "unsubscribes nobody: it takes `write.mode = \"full\"`, and nothing else in [write.kinds]",
        );
    }
    segments::warn_of_slips(root, &policy);
    policy
}
