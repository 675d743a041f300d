//! Metrics, lists and segments: small, so read whole in every pass. They decide what else is read.

use super::{Pull, PullError, Pulled};
use crate::api::{Fault, Page};
use crate::model::{List, ListId, Mentions, Metric, Role};
use crate::score::Roles;
use crate::segment::{Definition, names};

impl Pull<'_> {
    /// Reads the catalogue and tells which events and properties anything mentions.
    pub(super) async fn catalogue(&self, pulled: &mut Pulled) -> Result<Mentions, PullError> {
        let klaviyo = &self.vendors.klaviyo;
        let (metrics, lists) = (klaviyo.metrics().await?, klaviyo.lists().await?);
        let segments = klaviyo.segments().await?;
        pulled.tell("metrics", &metrics);
        pulled.tell("lists", &lists);
        pulled.tell("segments", &segments);
        let gone = self.gone_lists(&lists).await?;
        let whole = segments.quarantined == 0;
        let (metrics, lists, segments) = (metrics.items, lists.items, segments.items);

        let mut mentions = self.mentioned_by_rules(&metrics);
        for segment in &segments {
            if let Some(Ok(definition)) = segment.definition.as_deref().map(Definition::parse) {
                mentions.extend(definition.mentions());
            }
        }
        for local in &self.policy.segments {
            let resolved = names::resolve(&local.definition, &metrics, &lists);
            mentions.extend(resolved.definition.mentions());
        }
        // A definition may mention a metric that is gone.
        mentions
            .events
            .retain(|id, _| metrics.iter().any(|metric| metric.id == *id));

        let mut page = self.mirror.page();
        gone.iter().try_for_each(|list| page.forget_list(list))?;
        for known in self.mirror.segments()? {
            if whole && !segments.iter().any(|segment| segment.id == known.id) {
                page.forget_segment(&known.id)?;
            }
        }
        metrics
            .into_iter()
            .try_for_each(|metric| page.metric(metric).map(drop))?;
        lists.into_iter().for_each(|list| page.list(list));
        segments
            .into_iter()
            .for_each(|segment| page.segment(segment));
        page.commit()?;
        Ok(mentions)
    }

    /// Lists that the catalogue lacks and Klaviyo denies by id, too: a catalogue may lag, and forgetting
    /// a managed list would create it a second time.
    async fn gone_lists(&self, catalogue: &Page<List>) -> Result<Vec<ListId>, PullError> {
        let mut gone = Vec::new();
        for known in self.mirror.lists()? {
            if catalogue.items.iter().any(|list| list.id == known.id) {
                continue;
            }
            match self.vendors.klaviyo.list_size(&known.id).await {
                Err(error) if error.fault == Fault::NotFound => gone.push(known.id),
                answer => drop(answer?),
            }
        }
        Ok(gone)
    }

    /// What scores, detectors and our own properties read.
    fn mentioned_by_rules(&self, metrics: &[Metric]) -> Mentions {
        let mut mentions = Mentions {
            profile_prefix: self.policy.properties.prefix.clone(),
            ..Mentions::default()
        };
        mentions
            .profile
            .extend(self.policy.identity.customer_id_property.clone());
        let roles = Roles::mentions();
        for metric in metrics {
            if let Some(properties) = roles.get(&Role::of(&metric.name)) {
                let properties = properties.iter().map(|name| (*name).to_owned());
                mentions
                    .events
                    .entry(metric.id.clone())
                    .or_default()
                    .extend(properties);
            }
        }
        mentions
    }
}
