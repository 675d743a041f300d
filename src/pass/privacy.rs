//! What the law gives customers and shops, and webhooks brought: before anything else of a pass, and so
//! before it can fail.

use super::{Belongings, PassError, Shop, unblocked};
use crate::api::Fault;
use crate::hooks::{Demand, Redacted, Waiting};
use crate::journal::DataRequest;
use crate::mirror::{MirrorError, StateLock};
use crate::model::{Moment, Record, Slot};
use crate::push::PushError;
use crate::unify;
use crate::vault::{Mark, Subject};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

/// Shopify wants a request answered within this.
const ANSWER_WITHIN: Duration = Duration::from_hours(30 * 24);
/// What an erased shop leaves behind says nothing of anybody; this does.
const PERSONAL_FILES: [&str; 5] = [
    "plan.jsonl",
    "findings.jsonl",
    "parity.jsonl",
    "webhooks",
    "log.key",
];

impl Shop {
    /// Meets every demand that waits. Each is on record before it is crossed off, so that a kill costs a
    /// repeat at most.
    pub(super) async fn meet_demands(&mut self, dry_run: bool) -> Result<(), PassError> {
        let Some(inbox) = self.inbox.clone() else {
            return Ok(());
        };
        for Waiting { no, at, demand } in inbox.demands() {
            match demand {
                Demand::Forget(whom) => {
                    unblocked(|| self.forget_demanded(&whom))?;
                    if !self.mirror.is_filled()? {
                        // What is theirs by more than their number and address is yet to come.
                        continue;
                    }
                }
                Demand::Disclose { request, customer } => {
                    let request = DataRequest {
                        request,
                        customer: customer.map(|id| id.gid()),
                        at,
                        due: at.plus(ANSWER_WITHIN),
                    };
                    let noted = self.journal.data_request(request);
                    noted.map_err(PushError::from)?;
                }
                Demand::Erase if self.is_still_installed().await? => {
                    tracing::error!(
                        "a demand to erase this shop is refused: Shopify sends it two days after the app is \
                         uninstalled, and the app still opens the shop"
                    );
                }
                Demand::Erase if dry_run => continue,
                Demand::Erase => return Err(self.erase()?),
            }
            if let Err(error) = inbox.met(no) {
                // Met once more by the next pass, which changes nothing.
                tracing::warn!(%error, "a demand that is met is not crossed off");
            }
        }
        Ok(())
    }

    /// Forgets what is this customer's by their number, the very address, or a phone beside which there is
    /// neither, Klaviyo left alone. What only the identity rules give to the same person, such as whoever
    /// shares a phone, nobody demanded: it waits for `driftless forget`.
    fn forget_demanded(&mut self, whom: &Redacted) -> Result<(), PassError> {
        let Redacted {
            customer,
            address,
            phone,
        } = *whom;
        let vault = self.mirror.vault().clone();
        let rule = &self.config.policy.identity;
        let is = |mark: Option<Mark>, text: Option<&str>| {
            let found = text.map(|text| vault.mark(Subject::Address(&text.to_lowercase())));
            mark.is_some() && mark == found
        };
        let is_theirs = |record: &Record| {
            let keys = unify::keys(Slot(0), record, rule);
            if keys.customer.is_none() && record.email().is_none() {
                return is(phone, record.phone()) || is(phone, keys.phone.as_deref());
            }
            (customer.is_some() && keys.customer == customer) || is(address, record.email())
        };
        let mut named = self.slots_named(is_theirs)?;
        if let Some(id) = customer {
            named.extend(self.mirror.slot_of_customer(id)?);
        }
        let person = self.people_of(named.clone())?;
        let theirs = self.gathered(named)?;
        let all: usize = person.iter().map(Belongings::records).sum();
        let left = all.saturating_sub(theirs.records());
        let customer = customer.map(|id| (id, vault.mark(Subject::Customer(id))));
        let whom = customer.map(|(id, _)| self.pseudonyms.of(&id.gid()));
        tracing::info!(
            whom,
            records = theirs.records(),
            "Shopify asked to forget a customer"
        );
        if left > 0 {
            tracing::warn!(
                whom,
                records = left,
                "what only the identity rules give to the same person stays; `driftless forget` takes it, too"
            );
        }
        // Whoever is not here yet is not taken in later either.
        let marks = customer.map(|(_, mark)| mark).into_iter();
        let marks: Vec<Mark> = marks.chain(address).collect();
        self.forget_all(&[theirs], &marks, false)
    }

    /// A signed demand never expires, and what it asks for cannot be taken back; it comes 48 hours after
    /// the app lost its access, so an app that has access was never asked.
    async fn is_still_installed(&self) -> Result<bool, PassError> {
        match self.vendors.shopify.shop().await {
            Ok(_) => Ok(true),
            Err(error) => match error.fault {
                Fault::WrongKey => Ok(false),
                _ => Err(PushError::from(error).into()),
            },
        }
    }

    /// Destroys every key. From here on nothing can be read or written; opening removes what is left.
    fn erase(&mut self) -> Result<PassError, PassError> {
        let now = self.clock.now();
        let noted = self.journal.shop_erased(now);
        noted.map_err(PushError::from)?;
        let destroyed = self.mirror.vault().destroy();
        destroyed.map_err(MirrorError::from)?;
        tracing::error!("Shopify asked to erase this shop: its keys are destroyed");
        let path = self.config.state_dir.clone();
        Ok(PassError::Erased { path })
    }

    /// A request was answered; `false` when none with this number is open.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn data_answered(&mut self, request: u64) -> Result<bool, PassError> {
        let noted = self.journal.data_answered(request, self.clock.now());
        Ok(noted.map_err(PushError::from)?)
    }

    /// Requests of customers who want to see their data, and until when.
    pub fn data_requests(&self) -> Vec<DataRequest> {
        self.journal.data_requests().cloned().collect()
    }
}

/// Removes whatever an erased shop still has of people.
pub(super) fn clear(state_dir: &Path, now: Moment) -> Result<(), PassError> {
    let _lock = StateLock::take(state_dir, now)?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| PassError::File { path, source }
    };
    for entry in std::fs::read_dir(state_dir).map_err(failed(state_dir))? {
        let entry = entry.map_err(failed(state_dir))?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let removed = match path.is_dir() {
            true if name == "mirror" || name.starts_with("quarantine-") => {
                std::fs::remove_dir_all(&path)
            }
            false if is_personal(&name) => std::fs::remove_file(&path),
            _ => Ok(()),
        };
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(&path)(error)),
            _ => {}
        }
    }
    Ok(())
}

/// With the drafts that a kill may have left of it.
fn is_personal(name: &str) -> bool {
    let stem = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let is_draft = name.ends_with(".new");
    PERSONAL_FILES
        .iter()
        .any(|file| name == *file || (is_draft && stem(name) == stem(file)))
}
