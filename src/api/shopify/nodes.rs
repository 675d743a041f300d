//! Records by id.

use super::client::{Operation, Shopify};
use crate::api::{ApiError, Exchange, Fault};
use serde::Deserialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;

/// Most ids in one `nodes(ids:)`.
pub const MOST_IDS: usize = 250;

/// What was asked for by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T, Id> {
    /// What is there.
    pub items: Vec<T>,
    /// What is not.
    pub gone: Vec<Id>,
    /// Records that are there and did not fit their type.
    pub quarantined: u64,
}

#[derive(Deserialize)]
struct Nodes<'a> {
    #[serde(borrow)]
    nodes: Vec<Option<&'a RawValue>>,
}

impl<E: Exchange> Shopify<E> {
    /// Asks for at most [`MOST_IDS`]. The answer has a node, or null, for each id in its order.
    pub(super) async fn nodes<T, Id: Copy>(
        &self,
        operation: &'static Operation,
        variables: Json,
        ids: &[Id],
        read: fn(&str) -> Option<T>,
    ) -> Result<Found<T, Id>, ApiError> {
        if ids.len() > MOST_IDS {
            let (limit, got) = (MOST_IDS, ids.len());
            return Err(ApiError::new(
                &operation.class,
                Fault::TooMany { limit, got },
            ));
        }
        let reply = self.run(operation, variables).await?;
        let Nodes { nodes } = reply.data()?;
        if nodes.len() != ids.len() {
            return Err(reply.error(Fault::Shape { line: 1, column: 1 }));
        }
        let mut found = Found {
            items: Vec::new(),
            gone: Vec::new(),
            quarantined: 0,
        };
        for (id, node) in ids.iter().zip(nodes) {
            match node.map(|node| read(node.get())) {
                None => found.gone.push(*id),
                Some(Some(item)) => found.items.push(item),
                Some(None) => found.quarantined += 1,
            }
        }
        Ok(found)
    }
}
