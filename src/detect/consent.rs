//! Consent that the platforms remember differently.

use crate::model::{
    Code, Consent, Customer, Dossier, EmailState, Evidence, Finding, Profile, Subject,
};
use crate::unify::email::match_key;

/// Pairs of a profile and a customer of which one is subscribed and the other unsubscribed. States
/// in between, and unknown ones, decide nothing; neither do records with different addresses, for
/// consent belongs to an address.
pub(super) fn differing(dossier: &Dossier) -> Vec<Finding> {
    let mut found = Vec::new();
    for (slot, profile) in &dossier.profiles {
        for (other, customer) in &dossier.customers {
            if differ(profile, customer) && same_address(profile, customer) {
                found.push(Finding {
                    code: Code::ConsentDiffers,
                    subject: Subject::Person(dossier.id, *slot),
                    evidence: Evidence::Records(vec![*slot, *other]),
                });
            }
        }
    }
    found
}

fn differ(profile: &Profile, customer: &Customer) -> bool {
    let ours = profile.email_marketing.as_ref();
    let theirs = customer.email_consent.as_ref();
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        return false;
    };
    matches!(
        (&ours.consent, &theirs.state),
        (Consent::Subscribed, EmailState::Unsubscribed)
            | (Consent::Unsubscribed, EmailState::Subscribed)
    )
}

fn same_address(profile: &Profile, customer: &Customer) -> bool {
    let ours = profile.email.as_deref().and_then(match_key);
    let theirs = customer.email.as_deref().and_then(match_key);
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => ours == theirs,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CustomerConsent, CustomerId, Slot};
    use crate::score::fixtures::person;

    fn found(ours: Consent, theirs: EmailState, address: &str) -> usize {
        let mut dossier = person("ann@shop.com", None, Vec::new());
        let marketing = dossier.profiles[0].1.email_marketing.as_mut().unwrap();
        marketing.consent = ours;
        let customer = Customer {
            id: CustomerId(7),
            email: Some(address.to_owned()),
            phone: None,
            country: None,
            email_consent: Some(CustomerConsent {
                state: theirs,
                at: None,
            }),
            tags: Vec::new(),
            metafield: None,
            created: None,
            updated: None,
        };
        dossier.customers.push((Slot(8), customer));
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
