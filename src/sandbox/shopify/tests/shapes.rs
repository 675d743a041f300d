//! Every field of the schema is answered, in the form its type has.

use super::*;
use crate::sandbox::shopify::schema::{Input, SCHEMA, Type, TypeDef, is_connection};
use std::collections::BTreeSet;

/// A selection of everything below a type, objects to a depth.
fn everything(type_name: &str, depth: usize) -> String {
    let Some(TypeDef::Composite(fields)) = SCHEMA.get(type_name) else {
        return String::new();
    };
    let mut text = String::from("{ __typename ");
    for field in fields.values() {
        let inner = field.ty.named();
        let leaf = SCHEMA.composite(inner).is_none();
        if !leaf && depth == 0 {
            continue;
        }
        // A connection and its edges are one step, not three.
        let step = usize::from(!is_connection(inner) && !inner.ends_with("Edge"));
        text += &format!("{}{} ", field.name, arguments(&field.args));
        if !leaf {
            text += &everything(inner, depth - step);
        }
    }
    text + "} "
}

fn arguments(args: &[Input]) -> String {
    let value = |arg: &Input| match arg.name.as_str() {
        "first" => Some("first: 1".to_owned()),
        "key" => Some("key: \"klaviyo_profile_id\"".to_owned()),
        _ => None,
    };
    let given: Vec<String> = args.iter().filter_map(value).collect();
    if given.is_empty() {
        String::new()
    } else {
        format!("({})", given.join(", "))
    }
}

/// Holds a value against its type; notes the objects met.
fn check(ty: &Type, value: &Json, met: &mut BTreeSet<String>, path: &str) {
    match ty {
        Type::NonNull(inner) => {
            assert!(!value.is_null(), "null at {path}");
            check(inner, value, met, path);
        }
        _ if value.is_null() => {}
        Type::List(inner) => {
            for item in value.as_array().unwrap() {
                check(inner, item, met, path);
            }
        }
        Type::Named(name) => match SCHEMA.get(name).unwrap() {
            TypeDef::Composite(_) => object(value, met, path),
            TypeDef::Enum(values) => {
                assert!(
                    values.iter().any(|known| value == known),
                    "{value} at {path}"
                );
            }
            _ => assert!(scalar_fits(name, value), "{value} at {path} is no {name}"),
        },
    }
}

fn object(value: &Json, met: &mut BTreeSet<String>, path: &str) {
    let type_name = value["__typename"].as_str().unwrap();
    met.insert(type_name.to_owned());
    for (key, value) in value.as_object().unwrap() {
        if key != "__typename" {
            let field = SCHEMA.field(type_name, key).unwrap();
            check(&field.ty, value, met, &format!("{path}.{key}"));
        }
    }
}

fn scalar_fits(name: &str, value: &Json) -> bool {
    let text = value.as_str().unwrap_or_default();
    match name {
        "Int" => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        "Boolean" => value.is_boolean(),
        "ID" => text.starts_with("gid://shopify/"),
        "UnsignedInt64" => text.parse::<u64>().is_ok(),
        "Decimal" | "Money" => text.parse::<Money>().is_ok(),
        "DateTime" => text.len() == 20 && Moment::parse(text).is_some(),
        "URL" => url::Url::parse(text).is_ok(),
        "JSON" => true,
        _ => value.is_string(),
    }
}

#[tokio::test]
async fn every_field_of_every_type_is_answered_in_its_form() {
    let mut world = peopled(60);
    for customer in world.customers.values_mut() {
        customer.email = Some("someone@example.com".to_owned());
        customer.phone = Some("+493012345".to_owned());
    }
    let shop = Shop::at_speed(world, Speed::Fast).await;
    let sweep = include_str!("bulk_sweep.graphql");
    shop.data("BulkQueryRun", json!({"query": sweep})).await;
    shop.pass(60_000);
    let mut met = BTreeSet::new();
    for (root, type_name, args) in [
        ("shop", "Shop", ""),
        ("currentAppInstallation", "AppInstallation", ""),
        ("customersCount", "Count", ""),
        ("customer", "Customer", "(id: \"gid://shopify/Customer/6\")"),
        ("order", "Order", "(id: \"gid://shopify/Order/1012\")"),
        ("bulkOperations", "BulkOperationConnection", "(first: 1)"),
        ("orders", "OrderConnection", "(first: 1)"),
        ("customers", "CustomerConnection", "(first: 1)"),
    ] {
        let query = format!("{{ {root}{args} {} }}", everything(type_name, 2));
        let reply = shop.ask(&query).await;
        assert_eq!(reply.get("errors"), None, "{root}");
        let ty = &SCHEMA.field("QueryRoot", root).unwrap().ty;
        assert!(!reply["data"][root].is_null(), "{root}");
        check(ty, &reply["data"][root], &mut met, root);
    }
    for expected in SCHEMA.possible("Node") {
        let elsewhere = ["MetafieldDefinition"].contains(&expected.as_str());
        assert!(
            elsewhere || met.contains(expected),
            "{expected} was not met"
        );
    }
}

#[tokio::test]
async fn every_mutation_answers_all_of_its_payload() {
    let shop = Shop::at_speed(peopled(3), Speed::Fast).await;
    let id = "id: \"gid://shopify/Customer/1\"";
    let owner = "ownerId: \"gid://shopify/Customer/1\"";
    let mut met = BTreeSet::new();
    for (name, args) in [
        ("tagsAdd", format!("({id}, tags: \"a\")")),
        ("tagsRemove", format!("({id}, tags: [\"a\"])")),
        (
            "metafieldsSet",
            format!("(metafields: {{{owner}, key: \"ab\", type: \"json\", value: \"1\"}})"),
        ),
        (
            "metafieldsSet",
            format!("(metafields: {{{owner}, key: \"ab\", type: \"json\", value: \"\"}})"),
        ),
        (
            "metafieldsDelete",
            format!("(metafields: [{{{owner}, namespace: \"$app\", key: \"ab\"}}])"),
        ),
        (
            "metafieldDefinitionCreate",
            "(definition: {name: \"n\", key: \"ab\", type: \"json\", ownerType: CUSTOMER})"
                .to_owned(),
        ),
        (
            "metafieldDefinitionCreate",
            "(definition: {name: \"n\", key: \"ab\", type: \"json\", ownerType: CUSTOMER})"
                .to_owned(),
        ),
        (
            "customerEmailMarketingConsentUpdate",
            "(input: {customerId: \"gid://shopify/Customer/1\", emailMarketingConsent: {marketingState: \
             SUBSCRIBED}})"
                .to_owned(),
        ),
        (
            "bulkOperationRunQuery",
            "(query: \"{ orders { edges { node { id } } } }\")".to_owned(),
        ),
        ("bulkOperationRunQuery", "(query: \"{\")".to_owned()),
        (
            "bulkOperationCancel",
            "(id: \"gid://shopify/BulkOperation/1\")".to_owned(),
        ),
    ] {
        let ty = &SCHEMA.field("Mutation", name).unwrap().ty;
        let query = format!("mutation {{ {name}{args} {} }}", everything(ty.named(), 2));
        let reply = shop.ask(&query).await;
        assert_eq!(reply.get("errors"), None, "{query}");
        assert!(!reply["data"][name].is_null(), "{name}");
        check(ty, &reply["data"][name], &mut met, name);
    }
    for expected in [
        "MetafieldDefinition",
        "MetafieldDefinitionCreateUserError",
        "CustomerEmailMarketingConsentUpdateUserError",
        "MetafieldsSetUserError",
        "MetafieldIdentifier",
        "BulkOperationUserError",
    ] {
        assert!(met.contains(expected), "{expected} was not met");
    }
}
