//! The served part of the published schema, as types.

use graphql_parser::query::{Type as AstType, Value};
use graphql_parser::schema::{self as ast, Definition, TypeDefinition};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The schema, read once.
pub(super) static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let text = include_str!("schema.graphql");
    let document = ast::parse_schema::<String>(text).expect("the schema beside this file parses");
    Schema::build(&document)
});

/// Every type by its name.
#[derive(Debug, Default)]
pub(super) struct Schema {
    types: BTreeMap<String, TypeDef>,
    /// Object types behind each composite type.
    possible: BTreeMap<String, Vec<String>>,
}

/// One type.
#[derive(Debug)]
pub(super) enum TypeDef {
    Scalar,
    Enum(Vec<String>),
    /// An object or an interface.
    Composite(BTreeMap<String, Field>),
    Input {
        fields: Vec<Input>,
        one_of: bool,
    },
}

/// A field of an object or interface.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) args: Vec<Input>,
    pub(super) ty: Type,
}

/// An argument, or a field of an input object.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) name: String,
    pub(super) ty: Type,
    pub(super) default: Option<Json>,
}

/// A reference to a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Named(String),
    List(Box<Type>),
    NonNull(Box<Type>),
}

impl Type {
    /// The type without lists and marks.
    pub(super) fn named(&self) -> &str {
        match self {
            Self::Named(name) => name,
            Self::List(inner) | Self::NonNull(inner) => inner.named(),
        }
    }

    pub(super) fn from_ast(ty: &AstType<'_, String>) -> Self {
        match ty {
            AstType::NamedType(name) => Self::Named(name.clone()),
            AstType::ListType(inner) => Self::List(Box::new(Self::from_ast(inner))),
            AstType::NonNullType(inner) => Self::NonNull(Box::new(Self::from_ast(inner))),
        }
    }
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::List(inner) => write!(f, "[{inner}]"),
            Self::NonNull(inner) => write!(f, "{inner}!"),
        }
    }
}

impl Schema {
    fn build(document: &ast::Document<'_, String>) -> Self {
        let mut schema = Self::default();
        for scalar in ["Boolean", "Float", "ID", "Int", "String"] {
            schema.types.insert(scalar.to_owned(), TypeDef::Scalar);
        }
        for definition in &document.definitions {
            if let Definition::TypeDefinition(definition) = definition {
                schema.add(definition);
            }
        }
        schema
    }

    fn add(&mut self, definition: &TypeDefinition<'_, String>) {
        let (name, def) = match definition {
            TypeDefinition::Object(object) => {
                for owner in object.implements_interfaces.iter().chain([&object.name]) {
                    let possible = self.possible.entry(owner.clone()).or_default();
                    possible.push(object.name.clone());
                }
                (&object.name, TypeDef::Composite(fields(&object.fields)))
            }
            TypeDefinition::Interface(interface) => (
                &interface.name,
                TypeDef::Composite(fields(&interface.fields)),
            ),
            TypeDefinition::Enum(values) => {
                let names = values.values.iter().map(|value| value.name.clone());
                (&values.name, TypeDef::Enum(names.collect()))
            }
            TypeDefinition::InputObject(input) => {
                let one_of = input.directives.iter().any(|d| d.name == "oneOf");
                let fields = inputs(&input.fields);
                (&input.name, TypeDef::Input { fields, one_of })
            }
            TypeDefinition::Scalar(scalar) => (&scalar.name, TypeDef::Scalar),
            TypeDefinition::Union(union) => (&union.name, TypeDef::Composite(BTreeMap::new())),
        };
        self.types.insert(name.clone(), def);
    }

    pub(super) fn get(&self, name: &str) -> Option<&TypeDef> {
        self.types.get(name)
    }

    /// The name of a composite type, as long-lived as the schema.
    pub(super) fn composite(&self, name: &str) -> Option<&str> {
        match self.types.get_key_value(name) {
            Some((name, TypeDef::Composite(_))) => Some(name),
            _ => None,
        }
    }

    pub(super) fn field(&self, owner: &str, name: &str) -> Option<&Field> {
        match self.types.get(owner) {
            Some(TypeDef::Composite(fields)) => fields.get(name),
            _ => None,
        }
    }

    /// The object types that a value of this type may have.
    pub(super) fn possible(&self, name: &str) -> &[String] {
        self.possible.get(name).map_or(&[], Vec::as_slice)
    }
}

/// Whether a type is a connection, by its name as everywhere in this API.
pub(super) fn is_connection(name: &str) -> bool {
    name.ends_with("Connection")
}

fn fields(fields: &[ast::Field<'_, String>]) -> BTreeMap<String, Field> {
    let build = |field: &ast::Field<'_, String>| Field {
        name: field.name.clone(),
        args: inputs(&field.arguments),
        ty: Type::from_ast(&field.field_type),
    };
    fields
        .iter()
        .map(|field| (field.name.clone(), build(field)))
        .collect()
}

fn inputs(values: &[ast::InputValue<'_, String>]) -> Vec<Input> {
    let build = |value: &ast::InputValue<'_, String>| Input {
        name: value.name.clone(),
        ty: Type::from_ast(&value.value_type),
        default: value.default_value.as_ref().and_then(constant),
    };
    values.iter().map(build).collect()
}

/// A literal without variables.
pub(super) fn constant(value: &Value<'_, String>) -> Option<Json> {
    super::value::literal(value, &serde_json::Map::new())
}
