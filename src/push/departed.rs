//! Refusals whose cause is that the profile went, or became another one, between reading and writing.

use super::batch::Fate;
use super::{Push, PushError};
use crate::model::{Effect, ProfileId};
use std::collections::BTreeSet;

/// So many refused effects of a batch are looked into; with more of them something else is wrong.
const MOST: usize = 1_000;

impl Push<'_> {
    /// Looks at the profiles of refused effects. What was meant for one that is gone has ended: where a
    /// conflict named the profile that took over, the next plan sees that one as it is, and wants of it
    /// what is still missing. Where both exist, a conflict is a refusal as any other.
    pub(super) async fn look_into_refusals(
        &self,
        effects: &[Effect],
        fates: &mut [Fate],
    ) -> Result<(), PushError> {
        let mut refused = Vec::new();
        let mut ids = BTreeSet::new();
        for (at, effect) in effects.iter().enumerate() {
            let fate = &mut fates[at];
            if !matches!(fate, Fate::Refused(_) | Fate::Elsewhere(_)) {
                continue;
            }
            let was = match fate {
                Fate::Elsewhere(_) => std::mem::replace(fate, Fate::Refused("conflict".to_owned())),
                fate => fate.clone(),
            };
            if let Some(who) = effect.who().filter(|_| !effect.kind().is_of_customers())
                && let Some(own) = self.mirror.profile_id(who)?
                && refused.len() < MOST
            {
                ids.insert(own.clone());
                if let Fate::Elsewhere(owner) = &was {
                    ids.insert(owner.clone());
                }
                refused.push((at, own, was));
            }
        }
        let ids: Vec<ProfileId> = ids.into_iter().collect();
        let absent = self.look_at_profiles(&ids).await?;
        refused.retain(|(_, own, _)| absent.contains(own));
        let mut gone = Vec::new();
        for (at, own, was) in refused {
            fates[at] = match was {
                Fate::Elsewhere(_) => was,
                _ => Fate::Gone,
            };
            gone.push(own);
        }
        let mut page = self.mirror.page();
        page.profiles_gone(&gone, self.clock.now())?;
        Ok(page.commit()?)
    }
}
