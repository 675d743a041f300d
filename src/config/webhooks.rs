//! `[webhooks]`: where the vendors' deliveries are heard, and what they are signed with.

use super::access::{SigningSecrets, Webhooks};
use super::reader::{At, Complaint, Section};
use super::secret::SecretPlaces;
use super::value::{span, text};
use crate::listen::Listen;
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use toml::de::DeValue;

/// Both vendors' own secrets are longer; a shorter one could be guessed.
const SHORTEST: usize = 16;

/// `[webhooks]`, and where it listens with its place. Without `listen` there is no listener.
pub(super) fn read(
    section: &Section<'_>,
    places: &SecretPlaces<'_>,
) -> (Option<Webhooks>, Option<At<String>>) {
    let listen = section.located("listen", listen);
    let shopify = section.within("shopify", |vendor| signing(vendor, places));
    let klaviyo = section.within("klaviyo", |vendor| signing(vendor, places));
    let delay = section.read("delay", span(Duration::ZERO..=Duration::from_mins(15)));
    let min_gap = section.read("min_gap", span(Duration::ZERO..=Duration::from_hours(24)));
    let named = section.holds("shopify") || section.holds("klaviyo");
    if !section.holds("listen") && named {
        section.missing("listen", "\"127.0.0.1:9181\"");
    }
    if section.holds("listen") && !named {
        let message = "nobody's webhooks would be believed: no secret is given";
        let help = "such as `shopify = { secret = { credential = \"shopify-secret\" } }`";
        section.complain("listen", &Complaint::new(message).help(help));
    }
    let place = listen.as_ref().map(|at| At {
        value: at.value.to_string(),
        key: at.key.clone(),
        span: at.span.clone(),
    });
    let webhooks = listen.map(|at| Webhooks {
        listen: at.value,
        shopify,
        klaviyo,
        delay: delay.unwrap_or(Duration::from_secs(30)),
        min_gap: min_gap.unwrap_or(Duration::from_mins(5)),
    });
    (webhooks, place)
}

fn listen(value: &DeValue<'_>) -> Result<Listen, Complaint> {
    let text = text(value)?;
    let listen: Result<Listen, _> = text.parse();
    listen.map_err(|error| Complaint::new(error.to_string()))
}

/// One vendor's secrets; `None` when its deliveries are not wanted.
fn signing(vendor: &Section<'_>, places: &SecretPlaces<'_>) -> Option<SigningSecrets> {
    // Asked for either way, so that a slip in a key's name finds its neighbours.
    let rotates = vendor.holds("old_secret");
    if !vendor.is_here() {
        vendor.holds("secret");
        return None;
    }
    let current = long_enough(vendor, places, "secret");
    let old = rotates.then(|| long_enough(vendor, places, "old_secret"));
    Some(SigningSecrets {
        current: current?,
        old: old.flatten(),
    })
}

fn long_enough(
    vendor: &Section<'_>,
    places: &SecretPlaces<'_>,
    key: &'static str,
) -> Option<SecretString> {
    let secret = places.secret(vendor, key)?.value;
    if secret.expose_secret().len() < SHORTEST {
        let message = format!("a signing secret has at least {SHORTEST} characters");
        vendor.complain(key, &Complaint::new(message));
    }
    Some(secret)
}
