//! One request: its document, the operation picked and the variables brought to their types.

use super::fault::Fault;
use super::schema::{SCHEMA, Type, TypeDef, constant};
use super::value::coerce;
use graphql_parser::query::{
    Definition, Document, FragmentDefinition, OperationDefinition, SelectionSet,
    VariableDefinition, parse_query,
};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// A parsed document.
pub(super) struct Request {
    document: Document<'static, String>,
}

/// The operation to run.
pub(super) struct Operation<'q> {
    /// `QueryRoot` or `Mutation`.
    pub(super) root: &'static str,
    /// What error paths begin with.
    pub(super) title: String,
    pub(super) selection: &'q SelectionSet<'static, String>,
    definitions: &'q [VariableDefinition<'static, String>],
    pub(super) fragments: BTreeMap<&'q str, &'q FragmentDefinition<'static, String>>,
}

/// Variables of an operation.
#[derive(Debug, Default)]
pub(super) struct Variables {
    /// Those given or with a default.
    pub(super) values: Map<String, Json>,
    /// Those declared; one with a default counts as never null.
    pub(super) types: BTreeMap<String, Type>,
}

impl Request {
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        match parse_query::<String>(text) {
            Ok(document) => Ok(Self {
                document: document.into_static(),
            }),
            Err(err) => Err(Fault::new("parseError", err.to_string())),
        }
    }

    /// Picks the operation of this name, or the only one.
    pub(super) fn operation(&self, name: Option<&str>) -> Result<Operation<'_>, Fault> {
        let mut fragments = BTreeMap::new();
        let mut operations = Vec::new();
        for definition in &self.document.definitions {
            match definition {
                Definition::Fragment(fragment) => {
                    fragments.insert(fragment.name.as_str(), fragment);
                }
                Definition::Operation(operation) => operations.push(split(operation)?),
            }
        }
        let picked = match name {
            Some(name) => operations.into_iter().find(|op| op.name == Some(name)),
            None if operations.len() > 1 => None,
            None => operations.into_iter().next(),
        };
        let Some(picked) = picked else {
            let message = "An operation name is required, and must be that of an operation";
            return Err(Fault::new("BAD_REQUEST", message));
        };
        Ok(Operation {
            root: picked.root,
            title: picked.title(),
            selection: picked.selection,
            definitions: picked.definitions,
            fragments,
        })
    }
}

struct Parts<'q> {
    root: &'static str,
    name: Option<&'q str>,
    definitions: &'q [VariableDefinition<'static, String>],
    selection: &'q SelectionSet<'static, String>,
}

impl Parts<'_> {
    fn title(&self) -> String {
        let kind = if self.root == "Mutation" {
            "mutation"
        } else {
            "query"
        };
        match self.name {
            Some(name) => format!("{kind} {name}"),
            None => kind.to_owned(),
        }
    }
}

fn split<'q>(operation: &'q OperationDefinition<'static, String>) -> Result<Parts<'q>, Fault> {
    Ok(match operation {
        OperationDefinition::SelectionSet(selection) => Parts {
            root: "QueryRoot",
            name: None,
            definitions: &[],
            selection,
        },
        OperationDefinition::Query(query) => Parts {
            root: "QueryRoot",
            name: query.name.as_deref(),
            definitions: &query.variable_definitions,
            selection: &query.selection_set,
        },
        OperationDefinition::Mutation(mutation) => Parts {
            root: "Mutation",
            name: mutation.name.as_deref(),
            definitions: &mutation.variable_definitions,
            selection: &mutation.selection_set,
        },
        OperationDefinition::Subscription(_) => {
            let message = "Schema is not configured for subscriptions";
            return Err(Fault::new("missingSubscriptionConfiguration", message));
        }
    })
}

impl Operation<'_> {
    pub(super) fn has_variables(&self) -> bool {
        !self.definitions.is_empty()
    }

    /// Brings the given variables to their declared types.
    pub(super) fn variables(&self, mut given: Map<String, Json>) -> Result<Variables, Vec<Fault>> {
        let mut variables = Variables::default();
        let mut faults = Vec::new();
        for definition in self.definitions {
            let ty = Type::from_ast(&definition.var_type);
            if !matches!(
                SCHEMA.get(ty.named()),
                Some(TypeDef::Scalar | TypeDef::Enum(_) | TypeDef::Input { .. })
            ) {
                let message = format!("{} isn't a defined input type", ty.named());
                let fault = Fault::new("variableRequiresValidType", message);
                faults.push(fault.at(definition.position));
                continue;
            }
            let default = definition.default_value.as_ref().and_then(constant);
            let value = given.remove(&definition.name).or(default.clone());
            match variable(definition, &ty, value) {
                Ok(Some(value)) => {
                    variables.values.insert(definition.name.clone(), value);
                }
                Ok(None) => {}
                Err(fault) => faults.push(fault),
            }
            let promised = match (default, &ty) {
                (Some(_), Type::Named(_) | Type::List(_)) => Type::NonNull(Box::new(ty)),
                _ => ty,
            };
            variables.types.insert(definition.name.clone(), promised);
        }
        if faults.is_empty() {
            Ok(variables)
        } else {
            Err(faults)
        }
    }
}

fn variable(
    definition: &VariableDefinition<'static, String>,
    ty: &Type,
    value: Option<Json>,
) -> Result<Option<Json>, Fault> {
    let missing = value.is_none() && !matches!(ty, Type::NonNull(_));
    if missing {
        return Ok(None);
    }
    let value = value.unwrap_or_default();
    match coerce(ty, value.clone()) {
        Ok(value) => Ok(Some(value)),
        Err(problem) if problem.too_many => {
            let fault = Fault::new("MAX_INPUT_SIZE_EXCEEDED", problem.explanation);
            Err(fault.at(definition.position))
        }
        Err(problem) => {
            let message = format!(
                "Variable ${} of type {ty} was provided invalid value",
                definition.name
            );
            let fault = Fault::new("INVALID_VARIABLE", message)
                .with("problems", vec![problem.to_json()])
                .with("value", value);
            Err(fault.at(definition.position))
        }
    }
}
