//! From a selection as written to fields with types and arguments, or the faults of validation.
//!
//! What the schema does not know is refused here, so the resolvers never see it.

mod arguments;

use super::document::{Operation, Variables};
use super::fault::Fault;
use super::schema::{self, SCHEMA, is_connection};
use super::value::literal;
use graphql_parser::Pos;
use graphql_parser::query::{self as ast, Selection as Item, TypeCondition};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// Whether connections are paged or read as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// An ordinary request: `first` is required.
    Page,
    /// The inner query of a bulk operation: `first` has no effect.
    Bulk,
}

/// One selected field.
#[derive(Debug)]
pub(super) struct Field<'q> {
    /// Alias or name.
    pub(super) key: &'q str,
    /// `None` for `__typename`.
    pub(super) def: Option<&'static schema::Field>,
    pub(super) args: Map<String, Json>,
    pub(super) selection: Selection<'q>,
}

impl Field<'_> {
    pub(super) fn name(&self) -> &'static str {
        self.def.map_or("__typename", |def| &def.name)
    }

    /// The name of its type; `None` for leaves.
    pub(super) fn composite(&self) -> Option<&'static str> {
        SCHEMA.composite(self.def?.ty.named())
    }

    pub(super) fn is_connection(&self) -> bool {
        self.composite().is_some_and(is_connection)
    }
}

/// The fields selected for each object type that may turn up. Empty for leaves.
#[derive(Debug, Default)]
pub(super) struct Selection<'q> {
    pub(super) by_type: BTreeMap<&'static str, Vec<Field<'q>>>,
}

impl<'q> Selection<'q> {
    pub(super) fn of(&self, type_name: &str) -> &[Field<'q>] {
        self.by_type.get(type_name).map_or(&[], Vec::as_slice)
    }

    /// The only type of a selection on an object.
    pub(super) fn fields(&self) -> &[Field<'q>] {
        self.by_type.values().next().map_or(&[], Vec::as_slice)
    }

    /// The nodes' selections of a connection, under `nodes` and `edges { node }`.
    pub(super) fn node_selections(&self) -> impl Iterator<Item = &Selection<'q>> {
        self.fields().iter().flat_map(|field| {
            let direct = (field.name() == "nodes").then_some(&field.selection);
            let edges = (field.name() == "edges").then(|| field.selection.fields());
            let inner = edges.unwrap_or(&[]).iter();
            let inner = inner.filter(|field| field.name() == "node");
            direct
                .into_iter()
                .chain(inner.map(|field| &field.selection))
        })
    }
}

/// Compiles the selection of an operation.
pub(super) fn compile<'q>(
    operation: &Operation<'q>,
    variables: &Variables,
    mode: Mode,
) -> Result<Selection<'q>, Vec<Fault>> {
    let mut compiler = Compiler {
        operation,
        variables,
        mode,
        faults: Vec::new(),
        path: vec![operation.title.clone().into()],
        spreading: Vec::new(),
    };
    let selection = compiler.selection(operation.root, &[operation.selection]);
    if compiler.faults.is_empty() {
        Ok(selection)
    } else {
        Err(compiler.faults)
    }
}

type Set<'q> = &'q ast::SelectionSet<'static, String>;
type Written<'q> = &'q ast::Field<'static, String>;
/// Response key, the type it is selected on, and every place where it is selected.
type Group<'q> = (&'q str, &'static str, Vec<Written<'q>>);

struct Compiler<'q, 'v> {
    operation: &'v Operation<'q>,
    variables: &'v Variables,
    mode: Mode,
    faults: Vec<Fault>,
    path: Vec<Json>,
    /// Fragments being opened, against circles.
    spreading: Vec<&'q str>,
}

impl<'q> Compiler<'q, '_> {
    fn fault(&mut self, fault: Fault, at: Pos) {
        let fault = fault.at(at).on(self.path.clone());
        // An interface is compiled once for each of its types; its faults count once.
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    fn selection(&mut self, ty: &'static str, sets: &[Set<'q>]) -> Selection<'q> {
        let mut by_type = BTreeMap::new();
        for concrete in SCHEMA.possible(ty) {
            let mut groups = Vec::new();
            for set in sets {
                self.collect(ty, concrete, set, &mut groups);
            }
            let fields = groups.iter().filter_map(|group| self.field(group));
            by_type.insert(concrete.as_str(), fields.collect());
        }
        Selection { by_type }
    }

    /// Gathers what is selected on `concrete`, fragments opened; `ty` is the type as written.
    fn collect(
        &mut self,
        ty: &'static str,
        concrete: &'static str,
        set: Set<'q>,
        groups: &mut Vec<Group<'q>>,
    ) {
        for item in &set.items {
            match item {
                Item::Field(field) => {
                    let included = self.included(&field.directives, field.position);
                    if included && self.is_defined(ty, field) {
                        add(groups, ty, field);
                    }
                }
                Item::InlineFragment(inline) => {
                    let on = inline.type_condition.as_ref();
                    if self.included(&inline.directives, inline.position) {
                        let set = &inline.selection_set;
                        self.open(ty, concrete, on, set, inline.position, groups);
                    }
                }
                Item::FragmentSpread(spread) => {
                    if self.included(&spread.directives, spread.position) {
                        self.spread(ty, concrete, spread, groups);
                    }
                }
            }
        }
    }

    fn spread(
        &mut self,
        ty: &'static str,
        concrete: &'static str,
        spread: &'q ast::FragmentSpread<'static, String>,
        groups: &mut Vec<Group<'q>>,
    ) {
        let name = spread.fragment_name.as_str();
        let Some(fragment) = self.operation.fragments.get(name).copied() else {
            let message = format!("Fragment {name} was used, but not defined");
            let fault = Fault::new("useAndDefineFragment", message);
            return self.fault(fault, spread.position);
        };
        if self.spreading.contains(&name) {
            let message = format!("Fragment {name} contains an infinite loop");
            let fault = Fault::new("infiniteLoop", message);
            return self.fault(fault, spread.position);
        }
        self.spreading.push(name);
        let on = Some(&fragment.type_condition);
        let set = &fragment.selection_set;
        self.open(ty, concrete, on, set, spread.position, groups);
        self.spreading.pop();
    }

    /// Opens a fragment where it applies to `concrete`.
    fn open(
        &mut self,
        ty: &'static str,
        concrete: &'static str,
        on: Option<&TypeCondition<'static, String>>,
        set: Set<'q>,
        at: Pos,
        groups: &mut Vec<Group<'q>>,
    ) {
        let name = match on {
            None => ty,
            Some(TypeCondition::On(name)) => match SCHEMA.composite(name) {
                Some(name) => name,
                None => {
                    let message =
                        format!("No such type {name}, so it can't be a fragment condition");
                    return self.fault(Fault::new("undefinedType", message), at);
                }
            },
        };
        let possible = SCHEMA.possible(name);
        let overlap = |other: &String| possible.contains(other);
        if !SCHEMA.possible(ty).iter().any(overlap) {
            let message = format!("Fragment on {name} can't be spread inside {ty}");
            return self.fault(Fault::new("cannotSpread", message), at);
        }
        if possible.iter().any(|p| p == concrete) {
            self.collect(name, concrete, set, groups);
        }
    }

    /// Evaluates `@include` and `@skip`.
    fn included(&mut self, directives: &[ast::Directive<'static, String>], at: Pos) -> bool {
        let mut included = true;
        for directive in directives {
            let condition = directive.arguments.iter().find(|(name, _)| name == "if");
            let value = condition.and_then(|(_, value)| literal(value, &self.variables.values));
            match (directive.name.as_str(), value) {
                ("include", Some(Json::Bool(value))) => included &= value,
                ("skip", Some(Json::Bool(value))) => included &= !value,
                (name, _) => {
                    let message = format!("Directive @{name} is not defined, or lacks its `if`");
                    self.fault(Fault::new("undefinedDirective", message), at);
                }
            }
        }
        included
    }

    fn field(&mut self, (key, owner, places): &Group<'q>) -> Option<Field<'q>> {
        let first = *places.first()?;
        self.path.push((*key).into());
        let field = self.typed(key, owner, first, places);
        self.path.pop();
        field
    }

    /// Whether the type as written has the field.
    fn is_defined(&mut self, ty: &str, field: Written<'q>) -> bool {
        let defined = field.name == "__typename" || SCHEMA.field(ty, &field.name).is_some();
        if !defined {
            let message = format!("Field '{}' doesn't exist on type '{ty}'", field.name);
            let fault = Fault::new("undefinedField", message)
                .with("typeName", ty)
                .with("fieldName", field.name.clone());
            self.path.push(field.name.clone().into());
            self.fault(fault, field.position);
            self.path.pop();
        }
        defined
    }

    fn typed(
        &mut self,
        key: &'q str,
        owner: &'static str,
        first: Written<'q>,
        places: &[Written<'q>],
    ) -> Option<Field<'q>> {
        let differs = |p: &Written<'q>| p.name != first.name || p.arguments != first.arguments;
        if places.iter().any(differs) {
            let message = format!("Field '{key}' has a field conflict");
            self.fault(Fault::new("fieldConflict", message), first.position);
            return None;
        }
        if first.name == "__typename" {
            let (def, args, selection) = Default::default();
            return Some(Field {
                key,
                def,
                args,
                selection,
            });
        }
        let def = SCHEMA.field(owner, &first.name)?;
        let args = self.arguments(def, first);
        let sets: Vec<Set<'q>> = places.iter().map(|place| &place.selection_set).collect();
        let selected = sets.iter().any(|set| !set.items.is_empty());
        let composite = SCHEMA.composite(def.ty.named());
        if selected != composite.is_some() {
            let message = format!(
                "Selections of '{key}' don't fit its type {}: objects need them, leaves have none",
                def.ty
            );
            self.fault(Fault::new("selectionMismatch", message), first.position);
            return None;
        }
        let selection = composite.map(|ty| self.selection(ty, &sets));
        Some(Field {
            key,
            def: Some(def),
            args,
            selection: selection.unwrap_or_default(),
        })
    }
}

fn add<'q>(groups: &mut Vec<Group<'q>>, ty: &'static str, field: Written<'q>) {
    let key = field.alias.as_ref().unwrap_or(&field.name).as_str();
    match groups.iter_mut().find(|(known, ..)| *known == key) {
        Some((_, _, places)) => places.push(field),
        None => groups.push((key, ty, vec![field])),
    }
}
