//! Random people, and what driftless gets to read of them.

use super::rules::one;
use super::upstream::{Agreed, Buyer, Mailbox, Upstream};
use driftless::detect::Verdicts;
use driftless::model::{
    Code, Consent, Customer, CustomerConsent, CustomerId, Dossier, EmailMarketing, EmailState,
    Moment, PersonId, Profile, Slot, Suppression, SuppressionReason,
};
use driftless::policy::{Stage, Tier};
use fastrand::Rng;
use std::collections::BTreeSet;

const AGREED: [Agreed; 3] = [Agreed::No, Agreed::Unasked, Agreed::Yes];

/// How much of a profile's consent is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// All of it.
    Whole,
    /// The words are unknown, and whether mail arrives is not said.
    Garbled,
    /// Nothing.
    Nothing,
}

/// One human with all their records.
#[derive(Debug)]
pub struct Human {
    pub mailboxes: Vec<u32>,
    pub buyers: Vec<u32>,
    pub stage: Stage,
    pub tier: Tier,
    pub orders: u32,
    pub bouncing: bool,
    stale: bool,
}

impl Human {
    /// What the detectors said.
    pub fn verdicts(&self) -> Verdicts {
        Verdicts {
            stale: self.stale.then_some(Code::StaleQuiet),
            bouncing: self.bouncing,
            findings: Vec::new(),
        }
    }
}

#[derive(Debug)]
pub struct Crowd {
    pub humans: Vec<Human>,
    /// By slot.
    shown: Vec<Shown>,
}

impl Crowd {
    /// A few people, and their records upstream.
    pub fn draw(random: &mut Rng) -> (Self, Upstream) {
        let (mut humans, mut upstream, mut slot) = (Vec::new(), Upstream::default(), 0);
        for nth in 0..random.usize(1..=4) {
            let mailboxes: Vec<u32> = (slot..).take(one(random, &[0, 1, 1, 1, 2, 3])).collect();
            slot += mailboxes.len() as u32;
            let least = usize::from(mailboxes.is_empty());
            let buyers: Vec<u32> = (slot..).take(random.usize(least..=1)).collect();
            slot += buyers.len() as u32;
            for who in &mailboxes {
                upstream.mailboxes.insert(*who, mailbox(random, nth));
            }
            for who in &buyers {
                upstream.buyers.insert(*who, buyer(random, nth));
            }
            humans.push(Human {
                mailboxes,
                buyers,
                stage: one(random, &Stage::ALL),
                tier: one(random, &Tier::ALL),
                orders: random.u32(..3),
                bouncing: random.u8(..3) == 0,
                stale: random.u8(..3) == 0,
            });
        }
        let shown = (0..slot).map(|_| match random.u8(..8) {
            0 => Shown::Garbled,
            1 => Shown::Nothing,
            _ => Shown::Whole,
        });
        let shown = shown.collect();
        (Self { humans, shown }, upstream)
    }

    pub fn last_slot(&self) -> u32 {
        self.shown.len() as u32
    }

    pub fn owner(&self, slot: u32) -> Option<&Human> {
        let mut humans = self.humans.iter();
        humans.find(|human| human.mailboxes.contains(&slot) || human.buyers.contains(&slot))
    }

    /// Different addresses of one human.
    pub fn addresses(&self, human: &Human, upstream: &Upstream) -> usize {
        let mailboxes = human.mailboxes.iter().map(|who| &upstream.mailboxes[who]);
        let addresses = mailboxes.filter_map(|mailbox| mailbox.email);
        let addresses: BTreeSet<String> = addresses.map(str::to_lowercase).collect();
        addresses.len()
    }

    /// Whether a mailbox was seen to be reached by mail.
    pub fn reachable(&self, mailbox: u32, upstream: &Upstream) -> bool {
        self.shown[mailbox as usize] == Shown::Whole && upstream.reaches(mailbox)
    }

    /// Whether the consent that a record shows is the one it has.
    pub fn shows_consent(&self, slot: u32) -> bool {
        self.shown[slot as usize] == Shown::Whole
    }

    /// What was read of a human.
    pub fn dossier(&self, human: &Human, upstream: &Upstream) -> Dossier {
        let profiles = human.mailboxes.iter().map(|who| {
            let shown = self.shown[*who as usize];
            (Slot(*who), profile(*who, &upstream.mailboxes[who], shown))
        });
        let customers = human.buyers.iter().map(|who| {
            let shown = self.shown[*who as usize];
            (Slot(*who), customer(*who, &upstream.buyers[who], shown))
        });
        let first = human.mailboxes.iter().chain(&human.buyers).min();
        Dossier {
            id: PersonId(*first.unwrap()),
            profiles: profiles.collect(),
            customers: customers.collect(),
            guests: Vec::new(),
            events: Vec::new(),
            orders: Vec::new(),
        }
    }
}

/// Records of one human mostly share an address.
fn address(random: &mut Rng, human: usize) -> Option<&'static str> {
    let addresses = [
        ["a@x.org", "A@x.org", "aa@x.org"],
        ["b@x.org", "B@x.org", "bb@x.org"],
        ["c@x.org", "C@x.org", "cc@x.org"],
        ["d@x.org", "D@x.org", "dd@x.org"],
    ];
    let nth = [Some(0), Some(0), Some(0), Some(1), Some(2), None];
    one(random, &nth).map(|nth| addresses[human][nth])
}

/// Few instants, so that many are alike.
fn since(random: &mut Rng) -> Option<i64> {
    one(random, &[None, Some(1), Some(2), Some(3)])
}

fn mailbox(random: &mut Rng, human: usize) -> Mailbox {
    Mailbox {
        email: address(random, human),
        consent: one(random, &AGREED),
        since: since(random),
        suppressed: random.u8(..3) == 0,
    }
}

fn buyer(random: &mut Rng, human: usize) -> Buyer {
    let (email, consent, since) = (address(random, human), one(random, &AGREED), since(random));
    let tags = ["newsletter", "Driftless:stage:vip", "driftless", "VIP"];
    let tags = tags.into_iter().filter(|_| random.bool());
    Buyer {
        email,
        consent,
        since,
        tags: tags.map(str::to_owned).collect(),
    }
}

fn profile(who: u32, mailbox: &Mailbox, shown: Shown) -> Profile {
    let consent = match mailbox.consent {
        _ if shown == Shown::Garbled => Consent::Other("PENDING".to_owned()),
        Agreed::No => Consent::Unsubscribed,
        Agreed::Unasked => Consent::NeverSubscribed,
        Agreed::Yes => Consent::Subscribed,
    };
    let suppression = Suppression {
        reason: SuppressionReason::HardBounce,
        at: None,
    };
    let whole = shown == Shown::Whole;
    let suppressions = (whole && mailbox.suppressed).then_some(suppression);
    let marketing = EmailMarketing {
        can_receive: whole.then_some(!mailbox.suppressed),
        suppressions: suppressions.into_iter().collect(),
        consent_at: mailbox.since.map(Moment::from_secs),
        ..EmailMarketing::new(consent)
    };
    Profile {
        email: mailbox.email.map(str::to_owned),
        email_marketing: (shown != Shown::Nothing).then_some(marketing),
        ..Profile::new(format!("P{who}"))
    }
}

fn customer(who: u32, buyer: &Buyer, shown: Shown) -> Customer {
    let state = match buyer.consent {
        _ if shown == Shown::Garbled => EmailState::Other("REDACTED".to_owned()),
        Agreed::No => EmailState::Unsubscribed,
        Agreed::Unasked => EmailState::NotSubscribed,
        Agreed::Yes => EmailState::Subscribed,
    };
    Customer {
        id: CustomerId(u64::from(who)),
        email: buyer.email.map(str::to_owned),
        phone: None,
        country: None,
        email_consent: (shown != Shown::Nothing).then_some(CustomerConsent {
            state,
            at: buyer.since.map(Moment::from_secs),
        }),
        tags: buyer.tags.iter().cloned().collect(),
        metafield: None,
        created: None,
        updated: None,
    }
}
