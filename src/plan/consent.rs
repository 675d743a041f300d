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
    for (profile, customer, contradiction) in contradictions(dossier) {
        let (kind, who, by) = match contradiction.subscribed {
            Platform::Klaviyo => (EffectKind::Unsubscription, profile, customer),
            Platform::Shopify => (EffectKind::CustomerUnsubscription, customer, profile),
        };
        let consequence = consequence(&contradiction, policy, now);
        let consequence = consequence.map(|refused| {
            refused.map(|at| match contradiction.subscribed {
                Platform::Klaviyo => Effect::Unsubscribed { who, by, at },
                Platform::Shopify => Effect::CustomerUnsubscribed { who, by, at },
            })
        });
        if let Some(consequence) = consequence {
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

/// The refusal to carry over, or why it is not; `None` where the newer act is the subscription.
fn consequence(
    found: &Contradiction,
    policy: &Policy,
    now: Moment,
) -> Option<Result<Moment, HoldReason>> {
    // A date that is yet to come is none.
    let to_come = [found.agreed, found.refused].into_iter().flatten();
    if to_come.max() > Some(now) {
        return Some(Err(HoldReason::Undated));
    }
    match found.newest() {
        Newest::Subscription => None,
        Newest::Unknown => Some(Err(HoldReason::Undated)),
        Newest::Refusal(_) if !found.spelled_alike => Some(Err(HoldReason::SpelledOtherwise)),
        Newest::Refusal(_) if !policy.consent.act => Some(Err(HoldReason::RuleOnlyReports)),
        Newest::Refusal(at) => Some(Ok(at)),
    }
}
