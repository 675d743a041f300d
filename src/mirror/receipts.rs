//! What we changed upstream is known here at once, before the next pull shows it.

use super::{MirrorError, Page};
use crate::model::{
    Consent, Customer, CustomerConsent, EmailMarketing, EmailState, ListId, Moment,
};
use crate::model::{Profile, PropertyChange, Slot, Suppression, SuppressionReason};

/// A confirmed change upstream. Applying the same receipt again changes nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Receipt<'a> {
    /// A profile is on a list now, or off it.
    Membership {
        /// The list.
        list: &'a ListId,
        /// The profile.
        who: Slot,
        /// On or off.
        on: bool,
        /// When it was confirmed.
        at: Moment,
    },
    /// Properties of a profile have new values.
    Properties {
        /// The profile.
        who: Slot,
        /// Full names, with the values they have now.
        changes: &'a [PropertyChange],
    },
    /// A profile is suppressed for marketing e-mail.
    Suppressed {
        /// The profile.
        who: Slot,
        /// When it was confirmed.
        at: Moment,
    },
    /// A profile's consent to marketing e-mail is withdrawn.
    Unsubscribed {
        /// The profile.
        who: Slot,
        /// When its owner refused.
        at: Moment,
    },
    /// A customer's consent to marketing e-mail is withdrawn.
    CustomerUnsubscribed {
        /// The customer.
        who: Slot,
        /// When its owner refused.
        at: Moment,
    },
    /// A customer's tags changed.
    Tags {
        /// The customer.
        who: Slot,
        /// There now.
        add: &'a [String],
        /// Not there any more, in Shopify's spelling.
        remove: &'a [String],
    },
    /// A customer's metafield has a new value.
    Metafield {
        /// The customer.
        who: Slot,
        /// JSON text; `None` when it is gone.
        value: Option<&'a str>,
    },
}

impl Page<'_> {
    /// Applies a receipt to what readers see. `updated` of the record stays, so that whatever the
    /// vendor says next replaces it.
    pub fn receipt(&mut self, receipt: Receipt<'_>) -> Result<(), MirrorError> {
        match receipt {
            Receipt::Membership { list, who, on, at } => {
                self.member_written(list, who, on, at);
                Ok(())
            }
            Receipt::Properties { who, changes } => {
                self.change_profile(who, |profile| set_properties(profile, changes))
            }
            Receipt::Suppressed { who, at } => {
                self.change_profile(who, |profile| suppress(profile, at))
            }
            Receipt::Unsubscribed { who, at } => {
                self.change_profile(who, |profile| unsubscribe(profile, at))
            }
            Receipt::CustomerUnsubscribed { who, at } => self.change_customer(who, |customer| {
                customer.email_consent = Some(CustomerConsent {
                    state: EmailState::Unsubscribed,
                    at: Some(at),
                });
            }),
            Receipt::Tags { who, add, remove } => self.change_customer(who, |customer| {
                customer.tags.retain(|tag| !remove.contains(tag));
                for tag in add {
                    if !customer.tags.contains(tag) {
                        customer.tags.push(tag.clone());
                    }
                }
            }),
            Receipt::Metafield { who, value } => self.change_customer(who, |customer| {
                customer.metafield = value.map(str::to_owned);
            }),
        }
    }

    fn change_profile(
        &mut self,
        slot: Slot,
        change: impl FnOnce(&mut Profile),
    ) -> Result<(), MirrorError> {
        let what = "profile";
        let stored = self.read_sealed(slot)?;
        let mut profile = stored.ok_or(MirrorError::NoRecord { slot, what })?;
        change(&mut profile);
        self.mark_changed(slot);
        self.put_sealed(slot, &profile)
    }

    fn change_customer(
        &mut self,
        slot: Slot,
        change: impl FnOnce(&mut Customer),
    ) -> Result<(), MirrorError> {
        let what = "customer";
        let stored = self.read_sealed(slot)?;
        let mut customer = stored.ok_or(MirrorError::NoRecord { slot, what })?;
        change(&mut customer);
        self.put_sealed(slot, &customer)
    }
}

fn set_properties(profile: &mut Profile, changes: &[PropertyChange]) {
    for change in changes {
        match &change.to {
            Some(value) => profile.properties.insert(change.key.clone(), value.clone()),
            None => profile.properties.remove(&change.key),
        };
    }
}

fn suppress(profile: &mut Profile, at: Moment) {
    put_out_of_reach(profile, SuppressionReason::UserSuppressed, at);
}

fn unsubscribe(profile: &mut Profile, at: Moment) {
    let marketing = put_out_of_reach(profile, SuppressionReason::Unsubscribe, at);
    marketing.consent = Consent::Unsubscribed;
    marketing.consent_at = Some(at);
}

fn put_out_of_reach(
    profile: &mut Profile,
    reason: SuppressionReason,
    at: Moment,
) -> &mut EmailMarketing {
    let unknown = || EmailMarketing::new(Consent::Other("not fetched".to_owned()));
    let is_known = profile.is_suppressed_for(&reason);
    let marketing = profile.email_marketing.get_or_insert_with(unknown);
    marketing.can_receive = Some(false);
    if !is_known {
        let at = Some(at);
        marketing.suppressions.push(Suppression { reason, at });
    }
    marketing
}
