//! `[webhooks]`.

use super::*;
use crate::listen::Listen;

const HOOKS: &str = r#"
[webhooks]
listen = "127.0.0.1:9181"
shopify = { secret = { env = "SIGN" }, old_secret = { env = "OLD" } }
"#;

fn environment(sign: &'static str) -> Environment {
    Environment::fixed([
        ("KEY", "pk_1"),
        ("TOKEN", "shpat_1"),
        ("SIGN", sign),
        ("OLD", "the-one-before-that"),
    ])
}

fn read(hooks: &str, sign: &'static str) -> Result<Shop, Faults> {
    let text = format!("{SMALL}{hooks}");
    parse(Path::new("shop.toml"), &text, &environment(sign))
}

#[test]
fn both_secrets_are_read_and_the_times_have_defaults() {
    let shop = read(HOOKS, "long-enough-secret").unwrap();
    let hooks = shop.webhooks.clone().unwrap();
    assert_eq!(hooks.listen, "127.0.0.1:9181".parse::<Listen>().unwrap());
    let secrets = hooks.shopify.unwrap();
    let secrets: Vec<&str> = secrets.all().map(ExposeSecret::expose_secret).collect();
    assert_eq!(secrets, ["long-enough-secret", "the-one-before-that"]);
    assert!(hooks.klaviyo.is_none());
    assert_eq!(hooks.delay, Duration::from_secs(30));
    assert_eq!(hooks.min_gap, Duration::from_mins(5));
    let other = read(HOOKS, "another-long-secret").unwrap();
    assert_ne!(shop.revision(), other.revision());
    assert!(!format!("{shop:?}").contains("long-enough-secret"));
}

#[test]
fn without_an_address_nothing_listens() {
    assert!(read("", "x").unwrap().webhooks.is_none());
    assert!(
        read("[webhooks]\ndelay = \"1m\"", "x")
            .unwrap()
            .webhooks
            .is_none()
    );
}

#[test]
fn every_mistake_is_told_at_its_place() {
    let found = |hooks: &str, sign| read(hooks, sign).unwrap_err().to_string();
    let elsewhere = found(&HOOKS.replace("127.0.0.1", "0.0.0.0"), "long-enough-secret");
    assert!(
        elsewhere.contains("shop.toml:11:10  webhooks.listen"),
        "{elsewhere}"
    );
    assert!(
        elsewhere.contains("refusing to listen on 0.0.0.0:9181"),
        "{elsewhere}"
    );
    let short = found(HOOKS, "short");
    assert!(short.contains("webhooks.shopify.secret"), "{short}");
    assert!(short.contains("at least 16 characters"), "{short}");
    let plain = found(
        &HOOKS.replace("{ env = \"OLD\" }", "\"hush-hush-hush-hush\""),
        "long-enough-secret",
    );
    assert!(plain.contains("webhooks.shopify.old_secret"), "{plain}");
    assert!(!plain.contains("hush"), "{plain}");
    let deaf = found("[webhooks]\nlisten = \"127.0.0.1:1\"", "x");
    assert!(deaf.contains("no secret is given"), "{deaf}");
    let nowhere = found(&HOOKS.replace("listen = ", "# "), "long-enough-secret");
    assert!(
        nowhere.contains("`webhooks.listen` is missing"),
        "{nowhere}"
    );
    let unsigned = found(&HOOKS.replace("secret = { env = \"SIGN\" }, ", ""), "x");
    assert!(
        unsigned.contains("`webhooks.shopify.secret` is missing"),
        "{unsigned}"
    );
}

#[test]
fn two_shops_do_not_listen_at_one_address() {
    let folder = tempfile::tempdir().unwrap();
    let other = SMALL
        .replace("\"acme\"", "\"zeta\"")
        .replace("KEY", "KEY_2");
    for (name, text) in [("a.toml", SMALL), ("b.toml", &other)] {
        std::fs::write(folder.path().join(name), format!("{text}{HOOKS}")).unwrap();
    }
    let pairs = [
        ("KEY", "pk_1"),
        ("KEY_2", "pk_2"),
        ("TOKEN", "shpat_1"),
        ("SIGN", "long-enough-secret"),
        ("OLD", "the-one-before-that"),
    ];
    let loaded = load(&[folder.path().to_owned()], &Environment::fixed(pairs));
    let said = loaded.unwrap_err().to_string();
    assert!(said.contains("already has this address"), "{said}");
}
