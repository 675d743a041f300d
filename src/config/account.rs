//! Shops of one Klaviyo account: they draw on one budget, and must not undo each other's work.

use super::fault::Fault;
use super::secret::fingerprint;
use super::shop::Shop;
use crate::model::EffectKind;
use std::collections::BTreeSet;

/// What is wrong between the shops of each account.
pub(super) fn check(shops: &[Shop]) -> Vec<Fault> {
    let pairs = shops.iter().enumerate();
    let pairs = pairs.flat_map(|(at, shop)| shops[..at].iter().map(move |first| (first, shop)));
    pairs
        .filter_map(|(first, shop)| apart(first, shop))
        .collect()
}

/// What keeps two shops from working in one account, if they are to.
fn apart(first: &Shop, shop: &Shop) -> Option<Fault> {
    let one_key = fingerprint(&first.klaviyo.key) == fingerprint(&shop.klaviyo.key);
    let one_key = one_key && first.klaviyo.base_url.origin() == shop.klaviyo.base_url.origin();
    let one_quota = first.klaviyo.quota() == shop.klaviyo.quota();
    let other = first.source.display();
    let (message, help) = if one_key && !one_quota {
        (
            format!("{other} has this Klaviyo key, too, but not the same `klaviyo.account`"),
            "name the account in both files, or in neither".to_owned(),
        )
    } else if !one_quota {
        return None;
    } else if first.klaviyo.budget_share.to_bits() != shop.klaviyo.budget_share.to_bits() {
        (
            format!("{other} is of this Klaviyo account, too, with another `budget_share`"),
            "both draw on one budget: give them the same share, it is that of both together".into(),
        )
    } else {
        let both: Vec<String> = kept(first).intersection(&kept(shop)).cloned().collect();
        let what = both.first()?;
        (
            format!("{other} writes the {what} in this Klaviyo account, too"),
            "two shops would undo each other's work; choose another name or `properties.prefix`"
                .into(),
        )
    };
    Some(Fault::of_file(shop.source.clone(), message, Some(help)))
}

/// What a shop keeps equal to its rules in Klaviyo.
fn kept(shop: &Shop) -> BTreeSet<String> {
    let policy = &shop.policy;
    let properties = &policy.properties;
    let fields = properties.fields.iter();
    let fields = fields.map(|(_, name)| format!("property `{}{name}`", properties.prefix));
    let fields = fields.filter(|_| policy.allows(EffectKind::Property));
    let lists = policy.lists.iter();
    let lists = lists.map(|list| format!("list `{}`", list.name));
    let lists = lists.filter(|_| policy.allows(EffectKind::ListAdd));
    fields.chain(lists).collect()
}
