//! Reads the rows of running operations, a few records at a time, as fast as the clock allows.

use super::{QUEUE, STOPPING, calls, inner};
use crate::model::Moment;
use crate::sandbox::World;
use crate::sandbox::shopify::compile::{Field, Selection};
use crate::sandbox::shopify::execute::Executor;
use crate::sandbox::shopify::resolve::{self, Ctx, Node, Out};
use crate::sandbox::world::{BulkOperation, State};
use serde_json::Value as Json;

/// Root records read while the world is locked.
const CHUNK: usize = 100;

/// Chunks that one request waits for. An operation that is behind stays under way: reading millions of rows
/// takes longer than anybody waits for a reply.
const AWAITED: usize = 500;
/// Chunks until others get the world: some tenth of a second.
const IN_A_TURN: usize = 50;

/// Brings every operation to where it stands now, or closer to it.
pub(in crate::sandbox::shopify) async fn advance(world: &World) {
    let now = world.clock.now();
    for chunk in 1..=AWAITED {
        if !step(&mut world.state(), now) {
            return;
        }
        if chunk.is_multiple_of(IN_A_TURN) {
            tokio::task::yield_now().await;
        }
    }
}

/// Reads one chunk of one operation; `false` when nothing is left to read by now.
fn step(state: &mut State, now: Moment) -> bool {
    for operation in state.shopify.operations.values_mut() {
        end(operation, now);
    }
    let operations = &state.shopify.operations;
    let running = operations.iter().find(|(_, operation)| {
        operation.completed.is_none()
            && operation.canceled.is_none()
            && operation.read < target(operation, now)
    });
    let Some((number, operation)) = running else {
        return false;
    };
    let number = *number;
    let most = target(operation, now).min(operation.read + CHUNK);
    let range = operation.read..most;
    let chunk = match operation.lines.clone() {
        Some(lines) => {
            let mutation = operation.query.clone();
            calls::carry_out(state, &mutation, &lines, range, now)
        }
        None => read(state, operation, range, now),
    };
    if let Some(operation) = state.shopify.operations.get_mut(&number) {
        operation.read = most;
        operation.root_count += chunk.roots;
        operation.object_count += chunk.objects;
        if !chunk.text.is_empty() {
            operation.rows.push(chunk.text.into());
        }
        end(operation, now);
    }
    true
}

/// Notes the end of an operation once it is reached.
fn end(operation: &mut BulkOperation, now: Moment) {
    if operation.completed.is_some() {
        return;
    }
    if let Some(asked) = operation.canceled {
        let stops = asked.plus(STOPPING);
        operation.completed = (now >= stops).then_some(stops);
        return;
    }
    let all_read = operation.read == operation.roots.len();
    if all_read && now >= operation.due {
        operation.completed = Some(operation.due);
    }
}

/// How many roots are read by now: at an even pace from start to end, but none while queued.
fn target(operation: &BulkOperation, now: Moment) -> usize {
    let total = operation.roots.len();
    let whole = operation.due.since(operation.created).as_millis();
    let passed = now.since(operation.created).as_millis();
    if passed >= whole || whole == 0 {
        return total;
    }
    if now < operation.created.plus(QUEUE) {
        return 0;
    }
    usize::try_from(total as u128 * passed / whole).unwrap_or(total)
}

/// Some lines of a result.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) text: Vec<u8>,
    pub(super) roots: u64,
    pub(super) objects: u64,
    /// Lines of children, until their parents' chunk ends.
    children: Vec<u8>,
}

fn read(
    state: &State,
    operation: &BulkOperation,
    range: std::ops::Range<usize>,
    now: Moment,
) -> Chunk {
    let ctx = Ctx::for_bulk(state, now, operation.purchases.clone());
    let roots = operation.roots.get(range).unwrap_or_default();
    let read = inner(&operation.query, |compiled| {
        let mut writer = Writer {
            ctx: &ctx,
            executor: Executor::new(&ctx),
            grouped: operation.grouped,
            chunk: Chunk::default(),
        };
        for (index, number) in roots {
            writer.root(compiled, *index, *number);
        }
        Ok(writer.finish())
    });
    read.expect("the query was compiled when the operation began")
}

struct Writer<'s, 'c> {
    ctx: &'c Ctx<'s>,
    executor: Executor<'s, 'c>,
    grouped: bool,
    chunk: Chunk,
}

impl<'s> Writer<'s, '_> {
    /// One root record. It may be gone since the operation began.
    fn root(&mut self, compiled: &Selection<'_>, index: usize, number: u64) {
        let Some(field) = compiled.fields().get(index) else {
            return;
        };
        let shopify = &self.ctx.state.shopify;
        let node = match field.name() {
            "customers" => shopify
                .customers
                .get(&number)
                .map(|c| Node::Customer(number, c)),
            _ => shopify.orders.get(&number).map(|o| Node::Order(number, o)),
        };
        let Some(node) = node else { return };
        for selection in field.selection.node_selections() {
            self.row(node, selection.of(node.type_name()), None);
        }
    }

    /// The line of one node, then those of the connections below it.
    fn row(&mut self, node: Node<'s>, fields: &[Field<'_>], parent: Option<&Json>) {
        let plain = fields.iter().filter(|field| !field.is_connection());
        let Some((mut value, _)) = self.executor.object(node, plain) else {
            return;
        };
        let id = value.get("id").cloned();
        if let (Some(parent), Some(members)) = (parent, value.as_object_mut()) {
            members.insert("__parentId".to_owned(), parent.clone());
        }
        self.line(&value, parent.is_some());
        for field in fields.iter().filter(|field| field.is_connection()) {
            // What cannot be read leaves no line: a bulk result carries no errors.
            if let Ok(Out::Page(page)) = resolve::field(self.ctx, node, field) {
                for (_, child) in &page.edges {
                    for selection in field.selection.node_selections() {
                        self.row(*child, selection.of(child.type_name()), id.as_ref());
                    }
                }
            }
        }
    }

    fn line(&mut self, value: &Json, is_child: bool) {
        // Slashes are escaped, as the real files have them.
        let line = value.to_string().replace('/', "\\/");
        let to = if is_child && !self.grouped {
            &mut self.chunk.children
        } else {
            &mut self.chunk.text
        };
        to.extend_from_slice(line.as_bytes());
        to.push(b'\n');
        self.chunk.objects += 1;
        self.chunk.roots += u64::from(!is_child);
    }

    /// Ungrouped, children come after all parents of their chunk, so that no client may take the
    /// next parent for the end of the last one's children.
    fn finish(mut self) -> Chunk {
        self.chunk.text.append(&mut self.chunk.children);
        self.chunk
    }
}
