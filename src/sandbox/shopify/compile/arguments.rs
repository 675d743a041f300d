//! Arguments of fields: presence, types, and the variables that stand for them.

use super::{Compiler, Mode, Written};
use crate::sandbox::shopify::fault::Fault;
use crate::sandbox::shopify::schema::{self, Input, Type, is_connection};
use crate::sandbox::shopify::value::{coerce, literal, spelling_fits};
use graphql_parser::query::Value;
use serde_json::{Map, Value as Json};

impl<'q> Compiler<'q, '_> {
    pub(super) fn arguments(
        &mut self,
        def: &'static schema::Field,
        written: Written<'q>,
    ) -> Map<String, Json> {
        let at = written.position;
        for (name, _) in &written.arguments {
            if !def.args.iter().any(|arg| arg.name == *name) {
                let message = format!("Field '{}' doesn't accept argument '{name}'", def.name);
                self.fault(Fault::new("argumentNotAccepted", message), at);
            }
        }
        let mut args = Map::new();
        for arg in &def.args {
            let given = written.arguments.iter().find(|(name, _)| *name == arg.name);
            match self.argument(def, arg, given.map(|(_, value)| value)) {
                Ok(Some(value)) => {
                    args.insert(arg.name.clone(), value);
                }
                Ok(None) => {}
                Err(fault) => self.fault(fault, at),
            }
        }
        if self.mode == Mode::Page && is_connection(def.ty.named()) {
            match args.get("first").and_then(Json::as_u64) {
                Some(1..=250) => {}
                Some(_) => {
                    let message = "first must be between 1 and 250";
                    self.fault(Fault::new("BAD_REQUEST", message), at);
                }
                None => {
                    let message = "you must provide one of first or last";
                    self.fault(Fault::new("BAD_REQUEST", message), at);
                }
            }
        }
        args
    }

    fn argument(
        &self,
        def: &schema::Field,
        arg: &Input,
        given: Option<&Value<'static, String>>,
    ) -> Result<Option<Json>, Fault> {
        if let Some(Value::Variable(name)) = given {
            self.variable_fits(name, arg)?;
        }
        let misspelt = given.is_some_and(|value| !spelling_fits(&arg.ty, value));
        let value = given.and_then(|value| literal(value, &self.variables.values));
        let Some(value) = value.or_else(|| arg.default.clone()) else {
            if given.is_none() && matches!(arg.ty, Type::NonNull(_)) {
                let message = format!(
                    "Field '{}' is missing required arguments: {}",
                    def.name, arg.name
                );
                return Err(Fault::new("missingRequiredArguments", message));
            }
            return Ok(None);
        };
        let wrong = |why: String| {
            let message = format!(
                "Argument '{}' on Field '{}' has an invalid value. Expected type '{}'. {why}",
                arg.name, def.name, arg.ty
            );
            Fault::new("argumentLiteralsIncompatible", message)
        };
        if misspelt {
            return Err(wrong("Enums have no quotes, texts have.".to_owned()));
        }
        match coerce(&arg.ty, value) {
            Ok(value) => Ok(Some(value)),
            Err(problem) if problem.too_many => {
                Err(Fault::new("MAX_INPUT_SIZE_EXCEEDED", problem.explanation))
            }
            Err(problem) => Err(wrong(problem.explanation)),
        }
    }

    /// Whether a declared variable may stand for an argument.
    fn variable_fits(&self, name: &str, arg: &Input) -> Result<(), Fault> {
        let Some(declared) = self.variables.types.get(name) else {
            let message = format!("Variable ${name} is used by {} but not declared", arg.name);
            return Err(Fault::new("variableNotDefined", message));
        };
        // An argument with a default accepts a nullable variable.
        let wanted = match (&arg.ty, &arg.default) {
            (Type::NonNull(inner), Some(_)) => inner,
            (ty, _) => ty,
        };
        if assignable(declared, wanted) {
            return Ok(());
        }
        let message = format!(
            "Type mismatch on variable ${name} and argument {} ({declared} / {})",
            arg.name, arg.ty
        );
        Err(Fault::new("variableMismatch", message))
    }
}

fn assignable(from: &Type, to: &Type) -> bool {
    match (from, to) {
        (Type::NonNull(from), Type::NonNull(to)) => assignable(from, to),
        (_, Type::NonNull(_)) => false,
        (Type::NonNull(from), to) => assignable(from, to),
        (Type::List(from), Type::List(to)) => assignable(from, to),
        (Type::Named(from), Type::Named(to)) => from == to,
        _ => false,
    }
}
