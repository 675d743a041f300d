//! Runs a compiled selection: looks fields up, shapes the reply by the schema and counts its cost.

use super::compile::{Field, Selection};
use super::cost;
use super::fault::Fault;
use super::page::Page;
use super::resolve::{self, Ctx, Node, Out};
use super::schema::Type;
use serde_json::{Map, Value as Json, json};

/// A value and what it cost. `None` where null stands in a field that is never null: it then takes
/// its parent's place.
type Answer = Option<(Json, u64)>;

/// One run over one state of the world.
pub(super) struct Executor<'s, 'c> {
    ctx: &'c Ctx<'s>,
    path: Vec<Json>,
    pub(super) faults: Vec<Fault>,
}

impl<'s, 'c> Executor<'s, 'c> {
    pub(super) fn new(ctx: &'c Ctx<'s>) -> Self {
        Self {
            ctx,
            path: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// The root of a query.
    pub(super) fn query(&mut self, selection: &Selection<'_>) -> Answer {
        self.object(Node::Root, selection.fields())
    }

    /// The payload of one mutation, under its key.
    pub(super) fn payload(&mut self, field: &Field<'_>, node: Node<'s>) -> Json {
        self.path.push(field.key.into());
        let answer = self.object(node, field.selection.fields());
        self.path.pop();
        answer.map_or(Json::Null, |(value, _)| value)
    }

    /// The selected fields of one object.
    pub(super) fn object<'f, 'q: 'f>(
        &mut self,
        node: Node<'s>,
        fields: impl IntoIterator<Item = &'f Field<'q>>,
    ) -> Answer {
        let mut members = Map::new();
        let mut cost = 0;
        for field in fields {
            let (value, paid) = self.field(node, field)?;
            members.insert(field.key.to_owned(), value);
            cost += paid;
        }
        Some((members.into(), cost))
    }

    fn field(&mut self, node: Node<'s>, field: &Field<'_>) -> Answer {
        let Some(def) = field.def else {
            return Some((node.type_name().into(), 0));
        };
        self.path.push(field.key.into());
        let out = resolve::field(self.ctx, node, field).unwrap_or_else(|fault| {
            self.faults.push(fault.on(self.path.clone()));
            Out::NULL
        });
        let answer = self.complete(&def.ty, out, field);
        self.path.pop();
        answer
    }

    fn complete(&mut self, ty: &Type, out: Out<'s>, field: &Field<'_>) -> Answer {
        if let Type::NonNull(inner) = ty {
            let (value, cost) = self.complete(inner, out, field)?;
            return (!value.is_null()).then_some((value, cost));
        }
        match out {
            Out::Leaf(value) => Some((value, 0)),
            Out::Node(node) => {
                let (value, inside) = self.object(node, field.selection.of(node.type_name()))?;
                let own = cost::own(ty.named());
                Some((value, own + inside))
            }
            Out::Many(nodes) => self.list(ty, nodes, field),
            Out::Page(page) => self.connection(&page, field),
        }
    }

    /// A list costs as much as its dearest entry, whatever its length.
    fn list(&mut self, ty: &Type, nodes: Vec<Option<Node<'s>>>, field: &Field<'_>) -> Answer {
        let mut items = Vec::with_capacity(nodes.len());
        let mut dearest = 0;
        for (index, node) in nodes.into_iter().enumerate() {
            let Some(node) = node else {
                items.push(Json::Null);
                continue;
            };
            self.path.push(index.into());
            let item = self.object(node, field.selection.of(node.type_name()));
            self.path.pop();
            let (value, cost) = item?;
            items.push(value);
            dearest = dearest.max(cost::own(ty.named()) + cost);
        }
        Some((items.into(), dearest))
    }

    fn connection(&mut self, page: &Page<'s>, field: &Field<'_>) -> Answer {
        let mut members = Map::new();
        let mut each = 0;
        for part in field.selection.fields() {
            self.path.push(part.key.into());
            let answer = self.connection_part(page, part, field);
            self.path.pop();
            let (value, cost) = answer?;
            each += cost;
            members.insert(part.key.to_owned(), value);
        }
        let nodes = page.edges.len() as u64;
        Some((members.into(), cost::connection(nodes, each)))
    }

    /// One field of a connection, with the cost of its dearest node.
    fn connection_part(&mut self, page: &Page<'s>, part: &Field<'_>, of: &Field<'_>) -> Answer {
        match part.name() {
            "nodes" => {
                let nodes = page.edges.iter().map(|(_, node)| Some(*node)).collect();
                self.list(&Type::Named(String::new()), nodes, part)
            }
            "edges" => {
                let mut edges = Vec::with_capacity(page.edges.len());
                let mut dearest = 0;
                for (index, (cursor, node)) in page.edges.iter().enumerate() {
                    self.path.push(index.into());
                    let edge = self.edge(cursor, *node, part);
                    self.path.pop();
                    let (value, cost) = edge?;
                    edges.push(value);
                    dearest = dearest.max(cost);
                }
                Some((edges.into(), dearest))
            }
            "pageInfo" => Some((page_info(page, part), 0)),
            _ => Some((of.composite().into(), 0)),
        }
    }

    fn edge(&mut self, cursor: &str, node: Node<'s>, edges: &Field<'_>) -> Answer {
        let mut members = Map::new();
        let mut cost = 0;
        for field in edges.selection.fields() {
            let value = match field.name() {
                "cursor" => cursor.into(),
                "node" => {
                    let selected = field.selection.of(node.type_name());
                    self.path.push(field.key.into());
                    let answer = self.object(node, selected);
                    self.path.pop();
                    let (value, inside) = answer?;
                    cost += 1 + inside;
                    value
                }
                _ => edges.composite().into(),
            };
            members.insert(field.key.to_owned(), value);
        }
        Some((members.into(), cost))
    }
}

fn page_info(page: &Page<'_>, field: &Field<'_>) -> Json {
    let cursor = |edge: Option<&(String, Node<'_>)>| edge.map(|(cursor, _)| cursor.clone());
    let value = |field: &Field<'_>| match field.name() {
        "hasNextPage" => json!(page.has_next),
        "hasPreviousPage" => json!(page.has_previous),
        "startCursor" => json!(cursor(page.edges.first())),
        "endCursor" => json!(cursor(page.edges.last())),
        _ => json!("PageInfo"),
    };
    let fields = field.selection.fields().iter();
    fields
        .map(|field| (field.key.to_owned(), value(field)))
        .collect()
}
