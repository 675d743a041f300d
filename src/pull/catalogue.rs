//! Metrics, lists and segments: small, so read whole in every pass. They decide what else is read.

use super::{Pull, PullError, Pulled};
use crate::model::{Mentions, Metric, Role};
use crate::score::Roles;
use crate::segment::Definition;

impl Pull<'_> {
    /// Reads the catalogue and tells which events and properties anything mentions.
    pub(super) async fn catalogue(&self, pulled: &mut Pulled) -> Result<Mentions, PullError> {
        let klaviyo = &self.vendors.klaviyo;
        let (metrics, lists) = (klaviyo.metrics().await?, klaviyo.lists().await?);
        let segments = klaviyo.segments().await?;
        pulled.quarantined += metrics.quarantined + lists.quarantined + segments.quarantined;
        let (metrics, lists, segments) = (metrics.items, lists.items, segments.items);

        let mut mentions = self.mentioned_by_rules(&metrics);
        for segment in &segments {
            if let Some(Ok(definition)) = segment.definition.as_deref().map(Definition::parse) {
                mentions.extend(definition.mentions());
            }
        }
        // A definition may mention a metric that is gone.
        mentions
            .events
            .retain(|id, _| metrics.iter().any(|metric| metric.id == *id));

        let mut page = self.mirror.page();
        for known in self.mirror.lists()? {
            if !lists.iter().any(|list| list.id == known.id) {
                page.forget_list(&known.id)?;
            }
        }
        for known in self.mirror.segments()? {
            if !segments.iter().any(|segment| segment.id == known.id) {
                page.forget_segment(&known.id)?;
            }
        }
        pulled.add("metrics", metrics.len() as u64);
        pulled.add("lists", lists.len() as u64);
        pulled.add("segments", segments.len() as u64);
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
