//! What a journal says.

use crate::model::{EffectKind, End, Moment};
use crate::vault::Mark;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use std::fmt;

/// One pass that had effects; counted from 1, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One intended effect of one run, as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectId(pub u64);

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for EffectId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EffectId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let number = u64::from_str_radix(&text, 16).ok();
        let id = number.map(Self).filter(|id| id.to_string() == text);
        id.ok_or_else(|| de::Error::custom("an effect id has 16 hexadecimal digits"))
    }
}

/// What an effect is to bring about, whichever run intends it: one purpose of one shop keeps its
/// number from run to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Purpose(u64);

impl Purpose {
    /// The purpose of every effect of this kind on this subject with this target and outcome.
    pub fn of(
        kind: EffectKind,
        subject: Option<&str>,
        target: &str,
        to: &serde_json::Value,
    ) -> Self {
        let subject = subject.unwrap_or("");
        Self(digest(&[kind.as_str(), subject, target, &to.to_string()]))
    }
}

/// One change that is about to be sent, with what it takes to undo it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// Follows from shop, run, kind, subject and target. Not from the values: it stands in the open, and
    /// what is sealed could be guessed from it.
    pub id: EffectId,
    /// The pass it belongs to.
    pub run: RunId,
    /// What guards count it as.
    pub kind: EffectKind,
    /// The Klaviyo profile id or Shopify customer gid it changes; `None` for the creation of a list.
    pub subject: Option<String>,
    /// What about it: a list's id or name, property names, a metafield's namespace and key.
    pub target: String,
    /// What was there before.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub from: serde_json::Value,
    /// What should be there afterwards.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub to: serde_json::Value,
    /// When it was decided.
    pub at: Moment,
    /// The rule that wanted it, and what was known then; journals of old do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// `from`, `to` and `why` as they are written; still there when the subject was forgotten, and
    /// they are closed for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sealed: Option<String>,
}

impl Intent {
    /// The same intent with its reason.
    pub fn because(mut self, why: String) -> Self {
        self.why = Some(why);
        self
    }

    /// An intent with its id, which no other target of this shop in this run shares.
    #[expect(clippy::too_many_arguments, reason = "it is a record, field by field")]
    pub fn new(
        shop: &str,
        run: RunId,
        kind: EffectKind,
        subject: Option<String>,
        target: String,
        from: serde_json::Value,
        to: serde_json::Value,
        at: Moment,
    ) -> Self {
        let id = effect_id(shop, run, kind, subject.as_deref(), &target);
        Self {
            id,
            run,
            kind,
            subject,
            target,
            from,
            to,
            at,
            why: None,
            sealed: None,
        }
    }

    /// Whether its values cannot be known any more: its subject was forgotten, or it was sealed by a vault
    /// that is lost.
    pub fn is_closed(&self) -> bool {
        self.sealed.is_some()
    }

    /// What it is to bring about.
    pub fn purpose(&self) -> Purpose {
        Purpose::of(self.kind, self.subject.as_deref(), &self.target, &self.to)
    }
}

fn effect_id(
    shop: &str,
    run: RunId,
    kind: EffectKind,
    subject: Option<&str>,
    target: &str,
) -> EffectId {
    let run = run.to_string();
    let subject = subject.unwrap_or("");
    EffectId(digest(&[shop, kind.as_str(), subject, target, &run]))
}

/// The first 8 bytes of a SHA-256 over all parts, each after its length.
pub(super) fn digest(parts: &[&str]) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let first = digest.first_chunk().expect("SHA-256 has 32 bytes");
    u64::from_be_bytes(*first)
}

/// An asynchronous job upstream that carries effects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The pass that started it.
    pub run: RunId,
    /// The vendor's id.
    pub job: String,
    /// What it carries.
    pub effects: Vec<EffectId>,
    /// When the vendor accepted it.
    pub at: Moment,
}

/// A person is to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgetting {
    /// Their records and addresses, by marks alone.
    pub marks: Vec<Mark>,
    /// The profiles that Klaviyo is to delete; empty when it is not asked to.
    pub at_klaviyo: Vec<String>,
    /// When it was decided.
    pub at: Moment,
}

/// A customer wants to see their data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataRequest {
    /// Shopify's number of it.
    pub request: u64,
    /// Whose data, by gid; `None` when Shopify named an address alone.
    pub customer: Option<String>,
    /// When it was heard.
    pub at: Moment,
    /// Until when it should be answered.
    pub due: Moment,
}

/// How an effect ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which.
    pub effect: EffectId,
    /// How.
    pub end: End,
    /// The vendor's error code or a guard's name, when there is one.
    pub code: Option<String>,
    /// When.
    pub at: Moment,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Entry {
    /// A pass with effects begins.
    Run {
        /// Its number.
        run: RunId,
        /// When.
        at: Moment,
        /// The id of the plan that it carries out; journals of old have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<String>,
    },
    /// An effect is about to be sent.
    Intent(Intent),
    /// A job was accepted.
    Job(Job),
    /// An effect ended.
    Outcome(Outcome),
    /// What was confirmed, and not true when it was read back.
    Unkept {
        /// The pass that sent it.
        run: RunId,
        /// What.
        effects: Vec<EffectId>,
        /// When.
        at: Moment,
    },
    /// A person is to be forgotten.
    Forget(Forgetting),
    /// They were: nothing of them is left here, and what was asked of Klaviyo was accepted.
    Forgotten {
        /// Whom, by their marks alone.
        marks: Vec<Mark>,
        /// When.
        at: Moment,
    },
    /// A customer wants to see their data.
    DataRequest(DataRequest),
    /// Such a request was answered.
    DataAnswered {
        /// Its number.
        request: u64,
        /// When.
        at: Moment,
    },
    /// Everything personal of the shop is to be erased: its keys are destroyed next.
    ShopErased {
        /// When.
        at: Moment,
    },
    /// A pass with effects ended.
    RunEnd {
        /// Its number.
        run: RunId,
        /// When.
        at: Moment,
    },
}
