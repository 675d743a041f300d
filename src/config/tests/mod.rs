//! Whole files through the room's door.

mod example;
mod files;
mod segments;
mod webhooks;

use super::*;
use crate::model::Money;
use crate::pace::Schedule;
use crate::policy::{Fact, Mode, Policy, Stage};
use secrecy::ExposeSecret;
use std::path::Path;
use std::time::Duration;

const SMALL: &str = r#"
[shop]
name = "acme"
[klaviyo]
key = { env = "KEY" }
[shopify]
domain = "acme.myshopify.com"
token = { env = "TOKEN" }
"#;

fn environment() -> Environment {
    Environment::fixed([("KEY", "pk_1"), ("KEY_2", "pk_2"), ("TOKEN", "shpat_1")])
}

fn shop(text: &str) -> Shop {
    parse(Path::new("shop.toml"), text, &environment()).unwrap_or_else(|faults| panic!("{faults}"))
}

fn faults(text: &str) -> Faults {
    parse(Path::new("shop.toml"), text, &environment()).unwrap_err()
}

#[test]
fn a_small_file_gets_every_default() {
    let shop = shop(SMALL);
    assert_eq!(shop.state_dir, Path::new("driftless-state/acme"));
    assert_eq!(shop.min_free_disk, 256_000_000);
    assert_eq!(shop.klaviyo.base_url.as_str(), "https://a.klaviyo.com/");
    assert_eq!(shop.klaviyo.budget_share, 0.7);
    assert_eq!(shop.shopify.api_version, "2026-10");
    assert!(matches!(&shop.shopify.auth, ShopifyAuth::Token(t) if t.expose_secret() == "shpat_1"));
    assert_eq!(shop.schedule, Schedule::Every(Duration::from_mins(15)));
    assert_eq!(shop.jitter, Duration::from_mins(1));
    let usual = Policy::default();
    let policy = Policy {
        properties: usual.properties.clone(),
        tags: usual.tags.clone(),
        ..shop.policy.clone()
    };
    assert_eq!(policy, usual);
    assert!(shop.policy.properties.fields.is_empty() && shop.policy.tags.facts.is_empty());
    assert_eq!(shop.warnings.len(), 2, "{:?}", shop.warnings);
}

const TEN_MISTAKES: &str = r#"
[shop]
name = "acme"

[klaviyo]
key = { env = "KEY" }
budget_share = 70

[shopify]
domain = "www.acme.com"
api_verson = "2026-10"
token = "correct-horse-battery"

[schedule]
pass = "every quarter"

[write]
mode = "ful"

[rules.stale]
quiet_days = "180"

[[list]]
name = "Lapsed"
who = { stage = ["lapsd"] }

[guards]
max_supressions = { count = 500 }
first_run = yes
"#;

#[test]
fn ten_mistakes_are_ten_located_errors() {
    let found = faults(TEN_MISTAKES);
    assert_eq!(found.len(), 10);
    insta::assert_snapshot!(found, @r#"
    error: 70 is not above 0 and at most 1
      shop.toml:7:16  klaviyo.budget_share
    7 | budget_share = 70
      |                ^^
    help: for 70 % write 0.7

    error: `www.acme.com` is not a shop's own domain
      shop.toml:10:10  shopify.domain
    10 | domain = "www.acme.com"
       |          ^^^^^^^^^^^^^^
    help: the one that ends in `.myshopify.com`, in lower case, without `https://`; it is in the admin under Settings, Domains

    error: there is no key `api_verson` here
      shop.toml:11:1  shopify.api_verson
    11 | api_verson = "2026-10"
       | ^^^^^^^^^^
    help: did you mean `api_version`?

    error: a secret must not stand in the config
      shop.toml:12:9  shopify.token
    12 | token = ***********************
       |         ^^^^^^^^^^^^^^^^^^^^^^^
    help: put it into a file of mode 0600 and write `{ file = "/path/to/it" }`, or name a systemd credential: `{ credential = "name" }`; then replace the secret at its vendor, it has been read here

    error: `every quarter` is not a schedule: this is neither a span of time nor a cron line
      shop.toml:15:8  schedule.pass
    15 | pass = "every quarter"
       |        ^^^^^^^^^^^^^^^
    help: such as "15m", or "*/15 * * * *" in UTC

    error: there is no mode `ful`
      shop.toml:18:8  write.mode
    18 | mode = "ful"
       |        ^^^^^
    help: did you mean `full`? known: `observe`, `enrich`, `additive`, `full`

    error: a whole number is wanted here, not a string
      shop.toml:21:14  rules.stale.quiet_days
    21 | quiet_days = "180"
       |              ^^^^^
    help: write it without quotes

    error: there is no stage `lapsd`
      shop.toml:25:18  list[0].who.stage[0]
    25 | who = { stage = ["lapsd"] }
       |                  ^^^^^^^
    help: did you mean `lapsed`? known: `new_lead`, `lead`, `active`, `at_risk`, `lapsed`, `won_back`

    error: there is no key `max_supressions` here
      shop.toml:28:1  guards.max_supressions
    28 | max_supressions = { count = 500 }
       | ^^^^^^^^^^^^^^^
    help: did you mean `max_suppressions`?

    error: this is not TOML: string values must be quoted, expected literal string
      shop.toml:29:13
    29 | first_run = yes
       |             ^^^

    10 errors in the config
    "#);
}

#[test]
fn misspelt_keys_get_a_suggestion() {
    for (line, path, help) in [
        ("[gaurds]", "gaurds", "did you mean `guards`?"),
        (
            "[rules.lifecycle]\nlapsed-days = 1",
            "rules.lifecycle.lapsed-days",
            "did you mean `lapsed_days`?",
        ),
        (
            "[guards]\nmax_suppressions = { cuont = 1 }",
            "guards.max_suppressions.cuont",
            "did you mean `count`?",
        ),
        (
            "[rules]\nquiet_days = 90",
            "rules.quiet_days",
            "`quiet_days` belongs to `rules.stale`",
        ),
        (
            "[schedule]\ncolour = 1",
            "schedule.colour",
            "known here: `jitter`, `ledger`, `pass`, `sweep`",
        ),
        (
            "[[list]]\nname = \"a\"\nwho = { orders_atleast = 1, stale = true }",
            "list[0].who.orders_atleast",
            "did you mean `orders_at_least`?",
        ),
    ] {
        let found = faults(&format!("{SMALL}{line}\n"));
        let found: Vec<_> = found
            .iter()
            .map(|f| (f.key.as_str(), f.help.as_deref()))
            .collect();
        assert_eq!(found, [(path, Some(help))], "{line}");
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    for (text, key) in [
        ("[rules.lifecycle]\nactive_days = 400", "rules.lifecycle"),
        (
            "[rules.lifecycle]\nlapsed_days = 100",
            "rules.lifecycle.lapsed_days",
        ),
        ("[rules.bounce]\nhealthy_rate = 0.9", "rules.bounce"),
        (
            "[guards]\nmax_suppressions = { count = 10 }",
            "guards.max_suppressions.count",
        ),
        ("[guards]\ntwo_scans = \"90s\"", "guards.two_scans"),
        (
            "[schedule]\npass = \"5m\"\njitter = \"5m\"",
            "schedule.jitter",
        ),
        (
            "[schedule]\npass = \"0,5 * * * *\"\njitter = \"6m\"",
            "schedule.jitter",
        ),
        ("[[list]]\nname = \"a\"\nwho = {}", "list[0].who"),
        ("[[list]]\nname = \"a\"", "list[0].who"),
        (
            "[[list]]\nname = \"a\"\nwho = { stage = [] }",
            "list[0].who.stage",
        ),
        (
            "[[list]]\nname = \"a\"\nwho = { orders_at_least = 3, orders_at_most = 2 }",
            "list[0].who.orders_at_most",
        ),
        (
            "[[list]]\nname = \"a\"\nwho = { spent_at_least = 3, spent_at_most = 2.99 }",
            "list[0].who.spent_at_most",
        ),
        (
            "[[list]]\nname = \"A b\"\nwho = { stale = true }\n[[list]]\nname = \"a B\"\nwho = { stale = true }",
            "list[1].name",
        ),
        (
            "[properties]\nstage = \"x\"\ntier = \"x\"",
            "properties.tier",
        ),
        (
            "[shopify_tags]\nfacts = [\"spent\"]",
            "shopify_tags.facts[0]",
        ),
        (
            "[shopify_metafield]\nkey = \"driftless\"",
            "shopify_metafield.facts",
        ),
        ("list = 3", "shopify.list"),
        ("[[guards]]", "guards"),
    ] {
        let found = faults(&format!("{SMALL}{text}\n"));
        let keys: Vec<_> = found.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(keys, [key], "{text}\n{found}");
    }
}

#[test]
fn what_the_file_says_arrives_in_the_policy() {
    let shop = shop(&format!(
        "{SMALL}base_url = \"http://127.0.0.1:8090\"\n{}",
        r#"
        [schedule]
        pass = "@hourly"
        jitter = "0s"
        [write]
        mode = "additive"
        [[list]]
        name = "Good ones"
        who = { stage = ["active", "won_back"], spent_at_least = 99.95, spent_at_most = 1_000 }
        [guards]
        max_suppressions = { share = 0.01 }
        two_scans = "2h"
        canary_pause = "90s"
        [shopify_metafield]
        facts = ["spent", "stage"]
        "#
    ));
    assert_eq!(shop.shopify.base_url.as_str(), "http://127.0.0.1:8090/");
    assert_eq!(shop.policy.mode, Mode::Additive);
    assert_eq!(shop.schedule, Schedule::parse("0 * * * *").unwrap());
    let who = &shop.policy.lists[0].who;
    assert_eq!(who.stage, Some(vec![Stage::Active, Stage::WonBack]));
    assert_eq!(
        (who.spent_at_least, who.spent_at_most),
        (Some(Money(99_950)), Some(Money(1_000_000)))
    );
    assert_eq!(who.stale, None);
    let guards = &shop.policy.guards;
    assert_eq!(
        (guards.max_suppressions.share, guards.max_suppressions.count),
        (0.01, 500)
    );
    assert_eq!(
        (guards.two_scans_minutes, guards.canary_pause_secs),
        (120, 90)
    );
    let metafield = shop.policy.metafield.unwrap();
    assert_eq!(metafield.facts, [Fact::Stage, Fact::Spent]);
    assert_eq!(
        (metafield.namespace.as_str(), metafield.key.as_str()),
        ("$app", "driftless")
    );
}

#[test]
fn only_https_or_this_machine_is_an_address() {
    for good in [
        "https://a.klaviyo.com",
        "http://127.0.0.1:1",
        "http://[::1]:1",
        "http://localhost",
    ] {
        shop(&SMALL.replace("[shopify]", &format!("base_url = \"{good}\"\n[shopify]")));
    }
    for bad in [
        "http://a.klaviyo.com",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://0.0.0.0",
        "ftp://127.0.0.1",
        "https://user:hunter2@a.klaviyo.com",
        "https://a.klaviyo.com/api",
        "https://a.klaviyo.com/?x",
        "a.klaviyo.com",
        "",
    ] {
        let found =
            faults(&SMALL.replace("[shopify]", &format!("base_url = \"{bad}\"\n[shopify]")));
        let keys: Vec<_> = found.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(keys, ["klaviyo.base_url"], "{bad}");
        assert!(found.iter().all(|fault| !fault.message.contains("hunter2")));
    }
}

#[test]
fn a_shop_is_named_by_its_own_domain_unless_it_is_on_this_machine() {
    for bad in [
        "acme.com",
        "Acme.myshopify.com",
        "-a.myshopify.com",
        "a.b.myshopify.com",
        "x.myshopify.com.evil.example",
        ".myshopify.com",
        "https://acme.myshopify.com",
    ] {
        let found = faults(&SMALL.replace("acme.myshopify.com", bad));
        assert_eq!(found.iter().next().unwrap().key, "shopify.domain", "{bad}");
    }
    let local = SMALL.replace("acme.myshopify.com", "sandbox.local");
    shop(&format!("{local}base_url = \"http://127.0.0.1:9\"\n"));
}

#[test]
fn only_a_sandbox_on_this_machine_may_be_asked_without_limits() {
    let with = |lines: &str| SMALL.replace("[shopify]", &format!("{lines}\n[shopify]"));
    let faults = faults(&with("limits = false"));
    let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(keys, ["klaviyo.limits"]);
    let sandbox = shop(&with(
        "base_url = \"http://127.0.0.1:8090\"\nlimits = false",
    ));
    assert!(!sandbox.klaviyo.limits && shop(SMALL).klaviyo.limits);
}

#[test]
fn a_secret_written_out_is_refused_and_never_shown() {
    let key = format!("pk_{}", "0a".repeat(17));
    for (from, to, at) in [
        (
            "key = { env = \"KEY\" }",
            "key = \"hunter2\"".to_owned(),
            "klaviyo.key",
        ),
        (
            "key = { env = \"KEY\" }",
            format!("key = {{ env = \"{key}\" }}"),
            "klaviyo.key.env",
        ),
        (
            "key = { env = \"KEY\" }",
            "key = { value = \"hunter2\" }".to_owned(),
            "klaviyo.key.value",
        ),
        (
            "token = { env = \"TOKEN\" }",
            "token = 'hunter2'".to_owned(),
            "shopify.token",
        ),
        (
            "token = { env = \"TOKEN\" }",
            "client_id = \"a\"\nclient_secret = \"hunter2\"".to_owned(),
            "shopify.client_secret",
        ),
        ("name = \"acme\"", format!("name = \"{key}\""), "shop.name"),
        (
            "name = \"acme\"",
            format!("name = \"acme\" # was {key}"),
            "",
        ),
        (
            "name = \"acme\"",
            format!("name = \"acme\"\n{key} = 1"),
            "shop.*************************************",
        ),
        ("key = { env = \"KEY\" }", "key = \"hunter2".to_owned(), ""),
        ("key = { env = \"KEY\" }", "key = hunter2".to_owned(), ""),
        (
            "key = { env = \"KEY\" }",
            "key = \"\"\"\nhunter2".to_owned(),
            "",
        ),
    ] {
        let found = faults(&SMALL.replace(from, &to));
        assert!(found.iter().any(|fault| fault.key == at), "{to}\n{found}");
        let said = format!("{found}\n{found:?}");
        assert!(
            !said.contains("hunter2") && !said.contains(&key),
            "{to}\n{said}"
        );
    }
}

#[test]
fn a_secret_needs_exactly_one_place_and_the_place_must_exist() {
    for (place, said) in [
        ("{ env = \"ABSENT\" }", "`ABSENT` is not set"),
        (
            "{ credential = \"k\" }",
            "$CREDENTIALS_DIRECTORY is not set",
        ),
        ("{ credential = \"../k\" }", "not the plain name"),
        ("{ file = \"/absent/k\" }", "/absent/k cannot be read"),
        ("{ env = \"KEY\", file = \"/k\" }", "exactly one of"),
        ("{}", "exactly one of"),
        ("{ fiel = \"/k\" }", "there is no key `fiel`"),
        ("7", "a table is wanted here"),
    ] {
        let found = faults(&SMALL.replace("{ env = \"KEY\" }", place));
        assert!(
            found.len() <= 2 && found.to_string().contains(said),
            "{place}\n{found}"
        );
    }
    let both = format!("{SMALL}client_id = \"a\"\nclient_secret = {{ env = \"TOKEN\" }}\n");
    assert!(faults(&both).to_string().contains("but not both"));
}

#[test]
fn nothing_is_called_missing_in_a_file_that_is_not_toml() {
    let found = faults("[shop\nname = \"acme\"\n[guards]\nsentinel = 3\n");
    let lines: Vec<_> = found.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [1, 4], "{found}");
    // The keys below a broken header are not strays: nobody knows where they belong.
    assert_eq!(faults("[shop\nname = \"acme\"\n").len(), 1);
    let missing = faults("");
    let keys: Vec<_> = missing.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "klaviyo.key",
            "shop.name",
            "shopify.domain",
            "shopify.token"
        ]
    );
}

#[test]
fn a_table_of_the_wrong_type_is_one_fault() {
    let found = faults(&SMALL.replace("[klaviyo]", "[[klaviyo]]"));
    let keys: Vec<_> = found.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(keys, ["klaviyo"], "{found}");
}
