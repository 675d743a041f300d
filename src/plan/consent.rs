//! A refusal that one platform knows of and the other does not is carried over, where it is the newer act.

use crate::detect::{Contradiction, Newest, Platform, contradictions};
use crate::model::{Dossier, Effect, EffectKind, HoldReason, Moment, Slot};
use crate::policy::Policy;
use std::collections::BTreeMap;

/// What follows from the contradictions about one person's consent: a record each, with what should
/// become of it or why nothing does. A newer subscription has no consequence: consent is never raised.
pub(super) fn withdrawals(
    dossier: &Dossier,
    policy: &Policy,
    now: Moment,
) -> BTreeMap<(EffectKind, Slot), Result<Effect, HoldReason>> {
    let mut found = BTreeMap::new();
    for contradiction in contradictions(dossier) {
        let (kind, who) = match contradiction.subscribed {
            Platform::Klaviyo => (EffectKind::Unsubscription, contradiction.profile),
            Platform::Shopify => (EffectKind::CustomerUnsubscription, contradiction.customer),
        };
        if let Some(consequence) = consequence(&contradiction, policy, now) {
            // Several refusals ask for the same thing; one that is certain is enough.
            let known = found.entry((kind, who)).or_insert(consequence.clone());
            if known.is_err() {
                *known = consequence;
            }
        }
    }
    found
}

/// The profiles that marketing mail reaches no more once an effect of these is carried out: Klaviyo
/// unsubscribes an address, whoever has it.
pub(super) fn unsubscribed<'w>(
    withdrawals: impl IntoIterator<Item = &'w Result<Effect, HoldReason>>,
    dossier: &Dossier,
) -> Vec<Slot> {
    let mut slots = Vec::new();
    for effect in withdrawals.into_iter().flatten() {
        let Effect::Unsubscribed { who, .. } = effect else {
            continue;
        };
        let mut profiles = dossier.profiles.iter();
        let meant = profiles.find(|(slot, _)| slot == who);
        let address = meant.and_then(|(_, profile)| profile.email.as_deref());
        let alike = dossier.profiles.iter().filter(|(_, profile)| {
            let other = profile.email.as_deref();
            other
                .zip(address)
                .is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
        });
        slots.extend(alike.map(|(slot, _)| *slot));
    }
    slots
}

fn consequence(
    found: &Contradiction,
    policy: &Policy,
    now: Moment,
) -> Option<Result<Effect, HoldReason>> {
    // A date that is yet to come is none.
    let is_dated = |at: Option<Moment>| at.is_some_and(|at| at <= now);
    if !is_dated(found.agreed) || !is_dated(found.refused) {
        return Some(Err(HoldReason::Undated));
    }
    let at = match found.newest() {
        Newest::Subscription => return None,
        Newest::Unknown => return Some(Err(HoldReason::Undated)),
        Newest::Refusal(at) => at,
    };
    if !found.spelled_alike {
        return Some(Err(HoldReason::SpelledOtherwise));
    }
    if !policy.consent.act {
        return Some(Err(HoldReason::RuleOnlyReports));
    }
    Some(Ok(match found.subscribed {
        Platform::Klaviyo => Effect::Unsubscribed {
            who: found.profile,
            by: found.customer,
            at,
        },
        Platform::Shopify => Effect::CustomerUnsubscribed {
            who: found.customer,
            by: found.profile,
            at,
        },
    }))
}
