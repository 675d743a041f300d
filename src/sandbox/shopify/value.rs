//! Values of variables and arguments, brought to their types.

use super::schema::{Input, SCHEMA, Type, TypeDef};
use graphql_parser::query::Value;
use serde_json::{Map, Value as Json, json};

/// Lists as input may hold this many entries.
pub(super) const MAX_INPUT: usize = 250;

/// Why a value does not fit its type, and where inside it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Problem {
    pub(super) path: Vec<Json>,
    pub(super) explanation: String,
    /// A list with more than [`MAX_INPUT`] entries; it has a code of its own.
    pub(super) too_many: bool,
}

impl Problem {
    fn new(explanation: impl Into<String>) -> Self {
        Self {
            path: Vec::new(),
            explanation: explanation.into(),
            too_many: false,
        }
    }

    fn inside(mut self, step: Json) -> Self {
        self.path.insert(0, step);
        self
    }

    pub(super) fn to_json(&self) -> Json {
        json!({"path": self.path, "explanation": self.explanation})
    }
}

/// A literal with its variables filled in; `None` for a variable that was not given.
pub(super) fn literal(value: &Value<'_, String>, variables: &Map<String, Json>) -> Option<Json> {
    Some(match value {
        Value::Variable(name) => return variables.get(name).cloned(),
        Value::Int(number) => number.as_i64().into(),
        Value::Float(number) => (*number).into(),
        Value::String(text) => text.clone().into(),
        Value::Boolean(flag) => (*flag).into(),
        Value::Null => Json::Null,
        Value::Enum(name) => name.clone().into(),
        Value::List(items) => {
            let items = items.iter().map(|item| literal(item, variables));
            items.map(Option::unwrap_or_default).collect()
        }
        Value::Object(members) => {
            let given = |(name, value): (&String, &Value<'_, String>)| {
                Some((name.clone(), literal(value, variables)?))
            };
            Json::Object(members.iter().filter_map(given).collect())
        }
    })
}

/// Whether an enum literal stands where an enum is wanted, and nowhere else.
pub(super) fn spelling_fits(ty: &Type, value: &Value<'_, String>) -> bool {
    let wants_enum = matches!(SCHEMA.get(ty.named()), Some(TypeDef::Enum(_)));
    match value {
        Value::Enum(_) => wants_enum,
        Value::String(_) => !wants_enum,
        Value::List(items) => items.iter().all(|item| spelling_fits(ty, item)),
        Value::Object(members) => members.iter().all(|(name, value)| {
            let Some(TypeDef::Input { fields, .. }) = SCHEMA.get(ty.named()) else {
                return true;
            };
            let field = fields.iter().find(|field| field.name == *name);
            field.is_none_or(|field| spelling_fits(&field.ty, value))
        }),
        _ => true,
    }
}

/// Brings a value to its type: defaults filled in, a single value made a list where one is wanted.
pub(super) fn coerce(ty: &Type, value: Json) -> Result<Json, Problem> {
    match ty {
        Type::NonNull(_) if value.is_null() => Err(Problem::new("Expected value to not be null")),
        Type::NonNull(inner) => coerce(inner, value),
        _ if value.is_null() => Ok(Json::Null),
        Type::List(inner) => list(inner, value),
        Type::Named(name) => named(name, value),
    }
}

fn list(inner: &Type, value: Json) -> Result<Json, Problem> {
    let Json::Array(items) = value else {
        return Ok(vec![coerce(inner, value)?].into());
    };
    if items.len() > MAX_INPUT {
        let mut problem = Problem::new(format!(
            "The input array size of {} is greater than the maximum allowed of {MAX_INPUT}.",
            items.len()
        ));
        problem.too_many = true;
        return Err(problem);
    }
    let items = items.into_iter().enumerate();
    items
        .map(|(index, item)| coerce(inner, item).map_err(|problem| problem.inside(index.into())))
        .collect()
}

fn named(name: &str, value: Json) -> Result<Json, Problem> {
    match SCHEMA.get(name) {
        Some(TypeDef::Enum(values)) => match value.as_str() {
            Some(text) if values.iter().any(|known| known == text) => Ok(value),
            _ => Err(Problem::new(format!(
                "Expected {value} to be one of: {}",
                values.join(", ")
            ))),
        },
        Some(TypeDef::Input { fields, one_of }) => object(name, fields, *one_of, value),
        Some(TypeDef::Scalar) => scalar(name, value),
        Some(TypeDef::Composite(_)) | None => {
            Err(Problem::new(format!("{name} is not a defined input type")))
        }
    }
}

fn object(name: &str, fields: &[Input], one_of: bool, value: Json) -> Result<Json, Problem> {
    let Json::Object(mut members) = value else {
        return Err(Problem::new(format!("Expected {value} to be an object")));
    };
    let unknown = members
        .keys()
        .find(|key| !fields.iter().any(|f| f.name == **key));
    if let Some(key) = unknown {
        let problem = Problem::new(format!("Field is not defined on {name}"));
        return Err(problem.inside(key.clone().into()));
    }
    if one_of && (members.len() != 1 || members.values().any(Json::is_null)) {
        let explanation = format!("'{name}' requires exactly one argument, that is not null");
        return Err(Problem::new(explanation));
    }
    let mut out = Map::new();
    for field in fields {
        let given = members.remove(&field.name).or(field.default.clone());
        match given {
            Some(given) => {
                let value = coerce(&field.ty, given)
                    .map_err(|problem| problem.inside(field.name.clone().into()))?;
                out.insert(field.name.clone(), value);
            }
            None if matches!(field.ty, Type::NonNull(_)) => {
                let problem = Problem::new("Expected value to not be null");
                return Err(problem.inside(field.name.clone().into()));
            }
            None => {}
        }
    }
    Ok(out.into())
}

fn scalar(name: &str, value: Json) -> Result<Json, Problem> {
    let fits = match name {
        "Int" => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        "Float" => value.is_number(),
        "Boolean" => value.is_boolean(),
        "ID" => match value.as_str() {
            Some(text) if is_gid(text) => true,
            _ => {
                return Err(Problem::new(format!(
                    "Invalid global id '{}'",
                    bare(&value)
                )));
            }
        },
        "JSON" => true,
        _ => value.is_string(),
    };
    if fits {
        Ok(value)
    } else {
        let explanation = format!("Could not coerce value {value} to {name}");
        Err(Problem::new(explanation))
    }
}

fn bare(value: &Json) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether a text looks like `gid://shopify/Type/7`.
fn is_gid(text: &str) -> bool {
    let parts = text
        .strip_prefix("gid://shopify/")
        .and_then(|rest| rest.split_once('/'));
    parts.is_some_and(|(kind, number)| {
        let word = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
        word(kind) && word(number)
    })
}

/// The number in a gid of one type.
pub(super) fn number_of(gid: &str, kind: &str) -> Option<u64> {
    let rest = gid.strip_prefix("gid://shopify/")?.strip_prefix(kind)?;
    rest.strip_prefix('/')?.parse().ok()
}

/// The global id of a record.
pub(super) fn gid(kind: &str, number: u64) -> String {
    format!("gid://shopify/{kind}/{number}")
}
