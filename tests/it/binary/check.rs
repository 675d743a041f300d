//! `driftless check`, offline and online, and the command line itself.

use super::lab::{Lab, Town};
use super::process::run;
use std::fs;
use std::path::Path;

const EXAMPLE: &str = include_str!("../../../config.example.toml");

/// What is written instead of what, and the key that must be named.
const MISTAKES: [(&str, &str, &str); 10] = [
    ("name = \"acme\"", "name = \"Acme Shop\"", "shop.name"),
    (
        "#min_free_disk = \"256MB\"",
        "min_free_disk = \"256 bananas\"",
        "shop.min_free_disk",
    ),
    (
        "# account = \"AbC123\"",
        "acount = \"AbC123\"",
        "klaviyo.acount",
    ),
    (
        "#budget_share = 0.7",
        "budget_share = 1.7",
        "klaviyo.budget_share",
    ),
    (
        "#base_url = \"https://a.klaviyo.com\"",
        "base_url = \"http://a.klaviyo.com\"",
        "klaviyo.base_url",
    ),
    (
        "#pass = \"15m\"",
        "pass = \"every now and then\"",
        "schedule.pass",
    ),
    ("#mode = \"observe\"", "mode = \"everything\"", "write.mode"),
    (
        "#quiet_days = 180",
        "quiet_days = \"180\"",
        "rules.stale.quiet_days",
    ),
    (
        "#incident_share = 0.4",
        "incident_share = 40",
        "rules.bounce.incident_share",
    ),
    (
        "who = { stage = [\"lapsed\"],",
        "who = { stage = [\"asleep\"],",
        "list[0].who.stage",
    ),
];

fn with_credentials(lab: &Lab, config: &Path) -> std::process::Command {
    for name in ["klaviyo-key", "shopify-secret"] {
        fs::write(lab.path("locks").join(name), format!("pk_{name}\n")).unwrap();
    }
    let mut command = lab.driftless(["check", "--config"]);
    command.arg(config);
    command.env("CREDENTIALS_DIRECTORY", lab.path("locks"));
    command
}

#[test]
fn ten_mistakes_print_ten_located_errors_at_once() {
    let lab = Lab::new();
    let mut text = EXAMPLE.to_owned();
    for (from, to, _) in MISTAKES {
        assert_eq!(text.matches(from).count(), 1, "`{from}`");
        text = text.replace(from, to);
    }
    let path = lab.shops().join("acme.toml");
    fs::write(&path, &text).unwrap();
    let ended = run(&mut with_credentials(&lab, &path)).expect(78);
    assert!(
        ended.err.ends_with("10 errors in the config\n"),
        "{}",
        ended.err
    );
    assert_eq!(ended.out, "");
    for (_, to, key) in MISTAKES {
        let line = text.lines().position(|line| line.contains(to)).unwrap() + 1;
        let place = format!("{}:{line}:", path.display());
        let mut found = ended.err.lines().filter(|said| said.contains(&place));
        let said = found
            .next()
            .unwrap_or_else(|| panic!("nothing at {place}\n{}", ended.err));
        assert!(said.contains(key), "`{key}` is not named: {said}");
        assert!(found.next().is_none(), "two errors at {place}");
    }
    // A misspelt key gets the one that was meant.
    assert!(ended.err.contains("`account`"), "{}", ended.err);
}

#[test]
fn the_example_is_valid_and_every_file_of_a_folder_is_read() {
    let lab = Lab::new();
    let path = lab.shops().join("acme.toml");
    fs::write(&path, EXAMPLE).unwrap();
    let ended = run(&mut with_credentials(&lab, &path)).expect(0);
    assert!(
        ended.out.starts_with("acme: ") && ended.out.contains("mode observe"),
        "{}",
        ended.out
    );
    fs::write(
        lab.shops().join("b.toml"),
        EXAMPLE.replace("\"acme\"", "\"other\""),
    )
    .unwrap();
    fs::write(lab.shops().join("c.toml"), "[shop]\nname = 3\n").unwrap();
    let ended = run(&mut with_credentials(&lab, &lab.shops())).expect(78);
    assert!(ended.err.contains("c.toml:2:"), "{}", ended.err);
}

#[test]
fn online_proves_keys_scopes_and_the_account() {
    let lab = Lab::new();
    let mut town = Town::fast(50, 5);
    let shop = lab.shop("acme", &town.vendors, &[]);
    let check = || {
        let mut command = lab.driftless(["check", "--online", "--config"]);
        run(command.arg(&shop))
    };
    let account = town.world.state().klaviyo.account.clone();
    let good = check().expect(0);
    assert!(
        good.out.contains(&format!("Klaviyo account {account}")),
        "{}",
        good.out
    );
    assert!(
        good.out.contains("driftless-sandbox.myshopify.com (USD)"),
        "{}",
        good.out
    );

    let scopes = town.world.state().klaviyo.scopes.clone();
    town.world
        .state()
        .klaviyo
        .scopes
        .retain(|scope| scope != "segments:read");
    let narrow = check().expect(77);
    assert!(narrow.err.contains("segments:read"), "{}", narrow.err);
    town.world.state().klaviyo.scopes = scopes;

    town.world
        .state()
        .shopify
        .scopes
        .retain(|scope| scope != "read_orders");
    let narrow = check().expect(77);
    assert!(narrow.err.contains("read_orders"), "{}", narrow.err);
    town.world
        .state()
        .shopify
        .scopes
        .push("read_orders".to_owned());

    let key = lab.shops().join("acme.DRIFTLESS_KLAVIYO_KEY");
    let right = fs::read_to_string(&key).unwrap();
    fs::write(&key, "pk_of_somebody_else\n").unwrap();
    let wrong = check().expect(77);
    assert!(
        wrong.err.contains("Klaviyo") && !wrong.all().contains("pk_of_somebody"),
        "{}",
        wrong.err
    );
    fs::write(&key, right).unwrap();

    let text = fs::read_to_string(&shop).unwrap();
    fs::write(&shop, text.replace(&account, "ZzZzZ9")).unwrap();
    let elsewhere = check().expect(78);
    assert!(
        elsewhere.err.contains("ZzZzZ9") && elsewhere.err.contains(&account),
        "{}",
        elsewhere.err
    );
    fs::write(&shop, text).unwrap();

    town.close();
    let dead = check().expect(69);
    assert!(
        dead.err.contains("Klaviyo") && dead.err.contains("Shopify"),
        "{}",
        dead.err
    );
    assert_eq!(town.writes(), 0);
}

/// The same faults in a pass: a clear message, the same exits, and nothing written upstream.
#[test]
fn a_pass_with_a_wrong_key_scope_or_account_ends_before_any_write() {
    let lab = Lab::new();
    let mut town = Town::fast(50, 6);
    let account = town.world.state().klaviyo.account.clone();
    let pinned = format!("account = \"{account}\"\n");
    let shop = lab.shop("acme", &town.vendors, &[(&pinned, "")]);
    let pass = || run(&mut lab.reconcile(&shop, &["--allow", "first_run=100000"]));

    town.world
        .state()
        .shopify
        .scopes
        .retain(|scope| scope != "read_orders");
    let narrow = pass().expect(77);
    assert!(narrow.err.contains("read_orders"), "{}", narrow.err);
    town.world
        .state()
        .shopify
        .scopes
        .push("read_orders".to_owned());

    let key = town.world.state().klaviyo.api_key.clone();
    "pk_changed".clone_into(&mut town.world.state().klaviyo.api_key);
    assert!(pass().expect(77).err.contains("credential is not accepted"));
    town.world.state().klaviyo.api_key = key;

    run(&mut lab.reconcile(&shop, &["--observe"])).expect(0);
    "QqQqQ9".clone_into(&mut town.world.state().klaviyo.account);
    let moved = pass().expect(78);
    assert!(
        moved.err.contains("QqQqQ9") && moved.err.contains(&account),
        "{}",
        moved.err
    );

    town.close();
    pass().expect(69);
    assert_eq!(town.writes(), 0);
}

#[test]
fn a_wrong_command_line_exits_64_and_help_exits_0() {
    let lab = Lab::new();
    for wrong in [
        &["--reconcil"][..],
        &["--json"],
        &["--reconcile"],
        &["check"],
        &[],
        &["--reconcile", "--config", "x.toml", "--as-of", "yesterday"],
        &[
            "--reconcile",
            "--config",
            "x.toml",
            "--allow",
            "frist_run=1",
        ],
        &["--config", "x.toml", "--log", "driftless=shout"],
        &["--config", "x.toml", "--listen", "somewhere"],
    ] {
        let ended = run(&mut lab.driftless(wrong));
        assert_eq!(ended.code, Some(64), "{wrong:?}: {}", ended.err);
        assert!(!ended.err.is_empty() && ended.out.is_empty(), "{wrong:?}");
    }
    let missing = run(&mut lab.driftless(["check", "--config", "x.toml"])).expect(78);
    assert!(missing.err.contains("x.toml"), "{}", missing.err);
    assert!(
        run(&mut lab.driftless(["--help"]))
            .expect(0)
            .out
            .contains("--reconcile")
    );
    assert!(
        run(&mut lab.driftless(["--version"]))
            .expect(0)
            .out
            .starts_with("driftless ")
    );
}
