//! What an intent says of a person is sealed before it is written, each with the key of its subject.

use super::{Entry, Intent};
use crate::model::{CustomerId, ProfileId};
use crate::vault::{Mark, Subject, Vault, VaultError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::borrow::Cow;

/// The values of an intent, as JSON; only their form on disk.
#[derive(Serialize)]
struct Values<'i> {
    from: &'i Json,
    to: &'i Json,
    why: Option<&'i str>,
}

/// The same as they are read.
#[derive(Deserialize)]
struct Unsealed {
    from: Json,
    to: Json,
    why: Option<String>,
}

impl Entry {
    /// As it is written.
    pub(super) fn sealed(&self, vault: &Vault) -> Result<Cow<'_, Self>, VaultError> {
        let sealed = match self {
            Self::Intent(intent) => intent.sealed(vault)?,
            _ => None,
        };
        Ok(sealed.map_or(Cow::Borrowed(self), |intent| {
            Cow::Owned(Self::Intent(intent))
        }))
    }

    /// As it was before it was written, unless its subject has been forgotten.
    pub(super) fn unsealed(self, vault: &Vault) -> Self {
        match self {
            Self::Intent(intent) => Self::Intent(intent.unsealed(vault)),
            other => other,
        }
    }
}

impl Intent {
    /// `None` for what concerns nobody: a list.
    fn sealed(&self, vault: &Vault) -> Result<Option<Self>, VaultError> {
        let Some(whose) = self.whose(vault) else {
            return Ok(None);
        };
        let values = Values {
            from: &self.from,
            to: &self.to,
            why: self.why.as_deref(),
        };
        let plain = serde_json::to_vec(&values).expect("values have text keys");
        let mut sealed = Vec::new();
        vault.seal(whose, &self.id.0.to_be_bytes(), &plain, &mut sealed)?;
        Ok(Some(Self {
            id: self.id,
            run: self.run,
            kind: self.kind,
            subject: self.subject.clone(),
            target: self.target.clone(),
            from: Json::Null,
            to: Json::Null,
            at: self.at,
            why: None,
            sealed: Some(BASE64.encode(sealed)),
        }))
    }

    fn unsealed(self, vault: &Vault) -> Self {
        match self.values(vault) {
            Some(Unsealed { from, to, why }) => Self {
                from,
                to,
                why,
                sealed: None,
                ..self
            },
            None => self,
        }
    }

    /// `None` also when nothing is sealed.
    fn values(&self, vault: &Vault) -> Option<Unsealed> {
        let sealed = BASE64.decode(self.sealed.as_ref()?).ok()?;
        let mut plain = Vec::new();
        let context = self.id.0.to_be_bytes();
        vault.keys().unseal(&context, &sealed, &mut plain).ok()?;
        serde_json::from_slice(&plain).ok()
    }

    fn whose(&self, vault: &Vault) -> Option<Mark> {
        let subject = self.subject.as_deref()?;
        let id = CustomerId::parse(subject).filter(|_| self.kind.is_of_customers());
        match id {
            Some(id) => Some(vault.mark(Subject::Customer(id))),
            None => Some(vault.mark(Subject::Profile(&ProfileId::from(subject)))),
        }
    }
}
