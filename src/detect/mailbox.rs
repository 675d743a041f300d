//! Where a person's mail goes.

use crate::model::Dossier;
use crate::unify::email::Address;

/// The one mailbox that all profiles of a person name. `None` when they name none or several: their
/// events lie in one timeline, so what bounced could not be told from what was delivered.
pub(super) fn mailbox(dossier: &Dossier) -> Option<Address> {
    let texts = dossier.profiles.iter();
    let texts = texts.filter_map(|(_, profile)| profile.email.as_deref());
    let mut addresses = texts.filter_map(|text| Address::parse(text).ok());
    let first = addresses.next()?;
    let key = first.match_key();
    addresses
        .all(|other| other.match_key() == key)
        .then_some(first)
}
