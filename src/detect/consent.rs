//! Consent that the platforms remember differently.

use crate::model::{
    Code, Consent, Customer, Dossier, EmailState, Evidence, Finding, Moment, Profile, Slot, Subject,
};
use crate::unify::email::match_key;

/// A profile and a customer of which one is subscribed and the other unsubscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// Which of the two is subscribed.
    pub subscribed: Platform,
    /// Since when it is, if its record says so.
    pub agreed: Option<Moment>,
    /// Since when the other is not.
    pub refused: Option<Moment>,
    /// Both records spell the address alike, case aside.
    pub spelled_alike: bool,
}

/// Where a consent is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// With the profile.
    Klaviyo,
    /// With the customer.
    Shopify,
}

/// Which of two acts that contradict each other counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newest {
    /// The refusal, of this date.
    Refusal(Moment),
    /// The subscription.
    Subscription,
    /// One of them has no date.
    Unknown,
}

impl Contradiction {
    /// The newer explicit act; the refusal when they are of the same second (shopify.md, section 7.3):
    /// Shopify tells no finer.
    pub fn newest(&self) -> Newest {
        match (self.refused, self.agreed) {
            (Some(refused), Some(agreed)) if refused.secs() >= agreed.secs() => {
                Newest::Refusal(refused)
            }
            (Some(_), Some(_)) => Newest::Subscription,
            _ => Newest::Unknown,
        }
    }
}

/// Pairs of a profile and a customer that contradict each other. States in between, and unknown ones,
/// decide nothing; neither do records with different addresses, for consent belongs to an address.
pub fn contradictions(dossier: &Dossier) -> Vec<(Slot, Slot, Contradiction)> {
    let mut found = Vec::new();
    for (slot, profile) in &dossier.profiles {
        for (other, customer) in &dossier.customers {
            let contradiction = contradiction(profile, customer);
            let of_one = contradiction.filter(|_| same_address(profile, customer));
            found.extend(of_one.map(|contradiction| (*slot, *other, contradiction)));
        }
    }
    found
}

/// How one profile and one customer contradict each other, if they do; whatever their addresses are.
pub fn contradiction(profile: &Profile, customer: &Customer) -> Option<Contradiction> {
    let ours = profile.email_marketing.as_ref()?;
    let theirs = customer.email_consent.as_ref()?;
    let (subscribed, agreed, refused) = match (&ours.consent, &theirs.state) {
        (Consent::Subscribed, EmailState::Unsubscribed) => {
            (Platform::Klaviyo, ours.consent_at, theirs.at)
        }
        (Consent::Unsubscribed, EmailState::Subscribed) => {
            (Platform::Shopify, theirs.at, ours.consent_at)
        }
        _ => return None,
    };
    let addresses = profile.email.as_deref().zip(customer.email.as_deref());
    Some(Contradiction {
        subscribed,
        agreed,
        refused,
        spelled_alike: addresses.is_some_and(|(a, b)| a.trim().eq_ignore_ascii_case(b.trim())),
    })
}

pub(super) fn differing(dossier: &Dossier) -> Vec<Finding> {
    let all = contradictions(dossier).into_iter();
    all.map(|(profile, customer, _)| Finding {
        code: Code::ConsentDiffers,
        subject: Subject::Person(dossier.id, profile),
        evidence: Evidence::Records(vec![profile, customer]),
    })
    .collect()
}

fn same_address(profile: &Profile, customer: &Customer) -> bool {
    let ours = profile.email.as_deref().and_then(match_key);
    let theirs = customer.email.as_deref().and_then(match_key);
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => ours == theirs,
        // What is no address may still be the same text.
        _ => profile.email == customer.email,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CustomerConsent, CustomerId, Slot};
    use crate::score::fixtures::person;

    fn customer(address: &str, state: EmailState) -> Customer {
        Customer {
            id: CustomerId(7),
            email: Some(address.to_owned()),
            phone: None,
            country: None,
            email_consent: Some(CustomerConsent { state, at: None }),
            tags: Vec::new(),
            metafield: None,
            created: None,
            updated: None,
        }
    }

    fn found(ours: Consent, theirs: EmailState, address: &str) -> usize {
        let mut dossier = person("ann@shop.com", None, Vec::new());
        let marketing = dossier.profiles[0].1.email_marketing.as_mut().unwrap();
        marketing.consent = ours;
        dossier.customers.push((Slot(8), customer(address, theirs)));
        let found = differing(&dossier);
        for finding in &found {
            assert_eq!(finding.code, Code::ConsentDiffers);
            assert_eq!(finding.evidence, Evidence::Records(vec![Slot(5), Slot(8)]));
        }
        found.len()
    }

    #[test]
    fn only_a_yes_against_a_no_differs() {
        let ann = "Ann@shop.com";
        assert_eq!(found(Consent::Subscribed, EmailState::Unsubscribed, ann), 1);
        assert_eq!(found(Consent::Unsubscribed, EmailState::Subscribed, ann), 1);
        assert_eq!(found(Consent::Subscribed, EmailState::Subscribed, ann), 0);
        let undecided = [
            EmailState::Pending,
            EmailState::NotSubscribed,
            EmailState::Invalid,
            EmailState::Other("REDACTED".to_owned()),
        ];
        for state in undecided {
            assert_eq!(found(Consent::Subscribed, state.clone(), ann), 0);
            assert_eq!(found(Consent::Unsubscribed, state, ann), 0);
        }
        let unknown = Consent::Other("PENDING".to_owned());
        assert_eq!(found(unknown, EmailState::Unsubscribed, ann), 0);
    }

    #[test]
    fn the_newer_act_counts_on_a_tie_the_refusal_and_without_dates_neither() {
        let newest = |agreed: Option<i64>, refused: Option<i64>| {
            let mut dossier = person("ann@shop.com", None, Vec::new());
            let marketing = dossier.profiles[0].1.email_marketing.as_mut().unwrap();
            marketing.consent = Consent::Subscribed;
            marketing.consent_at = agreed.map(Moment);
            let mut customer = customer("Ann@shop.com ", EmailState::Unsubscribed);
            customer.email_consent.as_mut().unwrap().at = refused.map(Moment);
            dossier.customers.push((Slot(8), customer));
            let [(_, _, found)] = contradictions(&dossier)[..] else {
                panic!("one contradiction")
            };
            assert_eq!(
                (found.subscribed, found.spelled_alike),
                (Platform::Klaviyo, true)
            );
            found.newest()
        };
        assert_eq!(
            newest(Some(5_000), Some(6_000)),
            Newest::Refusal(Moment(6_000))
        );
        assert_eq!(
            newest(Some(5_690), Some(5_000)),
            Newest::Refusal(Moment(5_000))
        );
        assert_eq!(newest(Some(6_000), Some(5_999)), Newest::Subscription);
        assert_eq!(newest(None, Some(5)), Newest::Unknown);
        assert_eq!(newest(Some(5), None), Newest::Unknown);
    }

    #[test]
    fn different_addresses_have_different_consents() {
        assert_eq!(
            found(
                Consent::Subscribed,
                EmailState::Unsubscribed,
                "ben@shop.com"
            ),
            0
        );
    }
}
