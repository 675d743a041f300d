//! Events, page by page.

use super::client::{Klaviyo, Listing, quoted};
use super::event_resource::{EventSeed, Owned};
use super::jsonapi;
use super::limits::GET_EVENTS;
use crate::api::{ApiError, Cursor, Exchange, Page};
use crate::model::{IncomingEvent, Mentions, MetricId, Moment, ProfileId};
use std::collections::BTreeSet;

impl<E: Exchange> Klaviyo<E> {
    /// One page, of 1,000 at most, of a metric's events in `[since, until)`, in time order.
    ///
    /// # Errors
    /// Whatever the request meets.
    pub async fn events(
        &self,
        metric: &MetricId,
        since: Moment,
        until: Moment,
        cursor: Option<&Cursor>,
        mentions: &Mentions,
    ) -> Result<Page<IncomingEvent>, ApiError> {
        let filter = format!(
            "equals(metric_id,{}),greater-or-equal(datetime,{since}),less-than(datetime,{until})",
            one(metric.as_str()),
        );
        let wanted = mentions.events.get(metric);
        let page = self.event_page(&filter, cursor, wanted).await?;
        Ok(page.map(|owned| owned.event))
    }

    /// One page, of 1,000 at most, of a profile's events since an instant, of one metric or of all,
    /// in time order and with their metrics. Of all metrics, each event keeps whatever is mentioned
    /// of any.
    ///
    /// # Errors
    /// Whatever the request meets.
    pub async fn events_of(
        &self,
        profile: &ProfileId,
        metric: Option<&MetricId>,
        since: Moment,
        cursor: Option<&Cursor>,
        mentions: &Mentions,
    ) -> Result<Page<(Option<MetricId>, IncomingEvent)>, ApiError> {
        let profile = one(profile.as_str());
        let mut filter = format!("equals(profile_id,{profile}),greater-or-equal(datetime,{since})");
        let of_any: BTreeSet<String>;
        let wanted = match metric {
            Some(metric) => {
                filter = format!("{filter},equals(metric_id,{})", one(metric.as_str()));
                mentions.events.get(metric)
            }
            None => {
                of_any = mentions.events.values().flatten().cloned().collect();
                Some(&of_any)
            }
        };
        let page = self.event_page(&filter, cursor, wanted).await?;
        Ok(page.map(|owned| (owned.metric, owned.event)))
    }

    async fn event_page(
        &self,
        filter: &str,
        cursor: Option<&Cursor>,
        wanted: Option<&BTreeSet<String>>,
    ) -> Result<Page<Owned>, ApiError> {
        let listing = Listing {
            class: &GET_EVENTS,
            surcharge: None,
            path: "/api/events",
            query: &[
                ("fields[event]", "datetime,event_properties"),
                ("filter", filter),
                ("page[size]", "1000"),
                ("sort", "datetime"),
            ],
        };
        let wanted = wanted.cloned();
        let read = move |body: &[u8]| {
            let wanted = wanted.as_ref();
            jsonapi::collection(body, EventSeed { wanted })
        };
        self.large_page(&listing, cursor, read).await
    }
}

fn one(id: &str) -> String {
    quoted(std::iter::once(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::{Fake, body};
    use crate::api::klaviyo::client::tests_support::client;
    use crate::model::{IncomingValue, Money};

    const REPLY: &str = r#"{"data":[
        {"type":"event","id":"e1","attributes":{"timestamp":1691652116,"datetime":"2023-08-10 07:21:56+00:00",
          "event_properties":{"$value":49.95,"$extra":{"a":[1,{"b":2}]},"Bounce Type":"Soft","Su\u0062ject":"Hi \"you\"","machine_open":true,"skip":"x"},"uuid":"u"},
         "relationships":{"profile":{"data":{"type":"profile","id":"01H"}},"metric":{"data":{"type":"metric","id":"M"}}},"links":{"self":"s"}},
        {"type":"event","id":"e2","relationships":{"profile":{"data":null}},"attributes":{"datetime":"2023-08-10T07:21:57+00:00","event_properties":null}},
        {"type":"event","id":"e3","attributes":{"datetime":"2023-08-10T07:21:58+00:00","event_properties":{"$value":"12.5","Bounce Type":["x"]}}},
        {"type":"event","id":"e4","attributes":{"datetime":null}},
        {"type":"event","id":5,"attributes":{"datetime":"2023-08-10T07:21:58+00:00"}}],
        "links":{"next":null}}"#;

    fn mentions() -> Mentions {
        let names = ["Bounce Type", "Subject", "machine_open"].map(str::to_owned);
        Mentions {
            events: [(MetricId::from("M"), names.into())].into(),
            ..Mentions::default()
        }
    }

    async fn read(reply: &str) -> (Page<IncomingEvent>, String) {
        let fake = Fake::new([body(reply)]);
        let (since, until) = (Moment::from_secs(0), Moment::from_secs(86_400));
        let (klaviyo, mentions) = (client(&fake), mentions());
        let metric = "M".into();
        let page = klaviyo.events(&metric, since, until, None, &mentions);
        let page = page.await.unwrap();
        (page, fake.seen()[0].path_and_query.clone())
    }

    #[tokio::test]
    async fn only_mentioned_properties_are_kept_and_the_value_always() {
        let (page, _) = read(REPLY).await;
        let [first, orphan, text] = &page.items[..] else {
            panic!("three events fit")
        };
        assert_eq!(page.quarantined, 2);
        assert_eq!(first.at, Moment::from_secs(1_691_652_116));
        assert_eq!(first.profile, Some("01H".into()));
        assert_eq!(first.value, Some(Money(49_950)));
        let kept = [
            ("Bounce Type", IncomingValue::Text("Soft".to_owned())),
            ("Subject", IncomingValue::Text("Hi \"you\"".to_owned())),
            ("machine_open", IncomingValue::Bool(true)),
        ];
        assert_eq!(first.properties, kept.map(|(k, v)| (k.to_owned(), v)));
        assert_eq!((&orphan.profile, orphan.properties.len()), (&None, 0));
        let list = IncomingValue::List(r#"["x"]"#.to_owned());
        assert_eq!(text.value, None);
        assert_eq!(text.properties, [("Bounce Type".to_owned(), list)]);
    }

    #[tokio::test]
    async fn a_profile_can_be_asked_for_one_metric_or_for_all() {
        let fake = Fake::new([body(REPLY), body(REPLY)]);
        let (klaviyo, mentions) = (client(&fake), mentions());
        let (who, metric, since) = ("01H".into(), "M".into(), Moment::from_secs(0));
        let page = klaviyo.events_of(&who, None, since, None, &mentions).await;
        let (of, first) = &page.unwrap().items[0];
        assert_eq!(of.as_ref(), Some(&metric));
        assert_eq!(first.properties.len(), 3);
        let page = klaviyo.events_of(&who, Some(&metric), since, None, &mentions);
        assert_eq!(page.await.unwrap().items[0].1.properties.len(), 3);
        let filter = |index: usize| {
            let query = fake.seen()[index].path_and_query.clone();
            let query = query.strip_prefix("/api/events?").unwrap().to_owned();
            let mut pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
            pairs.find(|(name, _)| name == "filter").unwrap().1
        };
        let of_profile =
            "equals(profile_id,\"01H\"),greater-or-equal(datetime,1970-01-01T00:00:00Z)";
        assert_eq!(filter(0), of_profile);
        assert_eq!(filter(1), format!("{of_profile},equals(metric_id,\"M\")"));
    }

    #[tokio::test]
    async fn a_window_is_half_open_and_in_time_order() {
        let (_, asked) = read(r#"{"data":[]}"#).await;
        let query = asked.strip_prefix("/api/events?").unwrap();
        let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
        assert!(
            pairs.contains(&(
                "filter".into(),
                "equals(metric_id,\"M\"),greater-or-equal(datetime,1970-01-01T00:00:00Z),\
             less-than(datetime,1970-01-02T00:00:00Z)"
                    .into()
            ))
        );
        assert!(pairs.contains(&("sort".into(), "datetime".into())));
        assert!(pairs.contains(&("page[size]".into(), "1000".into())));
    }
}
