//! What may happen next.

use fastrand::Rng;

/// One step of a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A customer buys.
    Order,
    /// An order is cancelled.
    Cancel,
    /// Somebody clicks in a mail.
    Click,
    /// A mail to a mailbox that is dying does not arrive.
    SoftBounce,
    /// A mailbox refuses for good.
    HardBounce,
    /// Two profiles become one.
    Merge,
    /// Somebody new subscribes.
    Join,
    /// Somebody subscribes, unsubscribes, or is suppressed at Klaviyo, or that is lifted.
    Consent,
    /// The same in the shop.
    ShopConsent,
    /// The merchant changes by hand what driftless writes.
    Edit,
    /// The merchant takes somebody off a managed list.
    TakeOff,
    /// The merchant deletes a managed list.
    DropList,
    /// A request or a few will fail.
    Fault,
    /// Every request is refused for a while.
    Storm,
    /// List changes show later for a while.
    Lag,
    /// Imports with one profile are refused for a while.
    Poison,
    /// Minutes, hours or days go by.
    Wait,
    /// A key of the config is another one.
    Reload,
    /// The operator lets the rules write that the last pass observed.
    Release,
    /// The operator takes that back.
    Hold,
    /// A plan is made for somebody to look at.
    Plan,
    /// The plan that was made last is applied.
    Apply,
    /// A run is taken back.
    Undo,
    /// The mirror is built anew.
    Rebuild,
    /// The mirror's files are damaged.
    Damage,
    /// Somebody is to be forgotten, here and by both vendors.
    Forget,
    /// A backup is made and gone on from.
    Restore,
    /// The process ends and starts again.
    Restart,
    /// A pass.
    Pass,
    /// A pass with what stopped the last one released.
    Allow,
    /// A pass whose process ends at a random request, as that of the others may.
    Crash,
}

/// How often each comes.
const WEIGHTS: [(u32, Step); 31] = [
    (6, Step::Order),
    (2, Step::Cancel),
    (4, Step::Click),
    (5, Step::SoftBounce),
    (2, Step::HardBounce),
    (3, Step::Merge),
    (2, Step::Join),
    (6, Step::Consent),
    (2, Step::ShopConsent),
    (6, Step::Edit),
    (3, Step::TakeOff),
    (1, Step::DropList),
    (6, Step::Fault),
    (1, Step::Storm),
    (1, Step::Lag),
    (1, Step::Poison),
    (8, Step::Wait),
    (5, Step::Reload),
    (6, Step::Release),
    (1, Step::Hold),
    (3, Step::Plan),
    (3, Step::Apply),
    (3, Step::Undo),
    (1, Step::Rebuild),
    (1, Step::Damage),
    (2, Step::Forget),
    (1, Step::Restore),
    (1, Step::Restart),
    (12, Step::Pass),
    (4, Step::Allow),
    (10, Step::Crash),
];

impl Step {
    pub fn draw(random: &mut Rng) -> Self {
        let all: u32 = WEIGHTS.iter().map(|(weight, _)| weight).sum();
        let mut left = random.u32(..all);
        for (weight, step) in WEIGHTS {
            match left.checked_sub(weight) {
                Some(rest) => left = rest,
                None => return step,
            }
        }
        unreachable!("less than all of them")
    }
}
