//! Files and directories, and shops that get in each other's way.

use super::*;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tempfile::TempDir;

fn write(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    path
}

fn second() -> String {
    SMALL
        .replace("\"acme\"", "\"zeta\"")
        .replace("KEY", "KEY_2")
}

#[test]
fn a_directory_is_every_toml_file_in_it_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let last = write(&folder, "b.toml", &second());
    write(&folder, "a.toml", SMALL);
    write(&folder, ".hidden.toml", "nonsense");
    write(&folder, "notes.txt", "nonsense");
    let paths = [folder.path().to_owned(), last];
    let shops = load(&paths, &environment()).unwrap_or_else(|faults| panic!("{faults}"));
    let names: Vec<_> = shops.iter().map(|shop| shop.name.as_str()).collect();
    assert_eq!(names, ["acme", "zeta"]);
}

#[test]
fn a_command_that_talks_to_no_vendor_needs_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "a.toml", SMALL);
    write(&folder, "b.toml", &second());
    let (paths, bare) = ([folder.path().to_owned()], Environment::fixed([]));
    assert!(load(&paths, &bare).is_err());
    let shops = load(&paths, &bare.offline()).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(shops.len(), 2);
    // Everything else is judged as ever.
    write(&folder, "b.toml", SMALL);
    let faults = load(&paths, &Environment::fixed([]).offline()).unwrap_err();
    let keys: Vec<_> = faults
        .into_vec()
        .into_iter()
        .map(|fault| fault.key)
        .collect();
    assert_eq!(keys, ["shop.name"]);
}

#[test]
fn a_store_key_is_read_for_every_command_and_missed_only_by_those_that_open_the_vault() {
    let folder = tempfile::tempdir().unwrap();
    let with = |place: &str| {
        let line = format!("[shop]\nstore_key = {place}");
        write(&folder, "a.toml", &SMALL.replacen("[shop]", &line, 1));
    };
    let paths = [folder.path().join("a.toml")];
    with("{ env = \"STORE_KEY\" }");
    let given = Environment::fixed([("STORE_KEY", "correct-horse-battery-staple")]).offline();
    assert!(load(&paths, &given).unwrap()[0].vault().is_ok());
    let shops = load(&paths, &Environment::fixed([]).offline()).unwrap();
    let missed = shops[0].vault().unwrap_err().to_string();
    assert!(missed.contains("STORE_KEY"), "{missed}");
    // Written out it would be no secret any more.
    with("\"correct-horse-battery-staple\"");
    let faults = load(&paths, &given).unwrap_err().to_string();
    assert!(
        faults.contains("store_key") && !faults.contains("horse"),
        "{faults}"
    );
}

#[test]
fn shops_that_would_share_a_name_or_a_directory_are_faults() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "a.toml", SMALL);
    let here = std::env::current_dir().unwrap();
    let same_place = here.join("x/.././driftless-state/acme");
    let same_place = format!("\"zeta\"\nstate_dir = {same_place:?}");
    let other_place = format!("\"zeta\"\nstate_dir = {:?}", here.join("driftless-state/b"));
    for (text, keys) in [
        (SMALL.replace("KEY", "KEY_2"), vec!["shop.name"]),
        (
            second().replace("\"zeta\"", &same_place),
            vec!["shop.state_dir"],
        ),
        (second().replace("\"zeta\"", &other_place), vec![]),
    ] {
        write(&folder, "b.toml", &text);
        let found = load(&[folder.path().to_owned()], &environment());
        let found = found.err().map(Faults::into_vec).unwrap_or_default();
        let found: Vec<_> = found.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(found, keys, "{text}");
    }
}

/// What two shops are told, each with lines for `[klaviyo]` and others for the end of its file.
fn together(first: (&str, &str), other: (&str, &str)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let zeta = SMALL.replace("\"acme\"", "\"zeta\"");
    for (name, text, (klaviyo, end)) in [("a.toml", SMALL, first), ("b.toml", &zeta, other)] {
        let text = text.replacen("[klaviyo]", &format!("[klaviyo]\n{klaviyo}"), 1);
        write(&folder, name, &format!("{text}\n{end}\n"));
    }
    let found = load(&[folder.path().to_owned()], &environment());
    found
        .err()
        .map(|faults| faults.to_string())
        .unwrap_or_default()
}

#[test]
fn two_shops_may_work_in_one_klaviyo_account_unless_they_would_undo_each_others_work() {
    let plain = ("", "");
    assert_eq!(together(plain, plain), "");
    let pinned = ("account = \"Abc123\"", "");
    assert_eq!(together(pinned, pinned), "");
    let told = together(plain, pinned);
    assert!(told.contains("not the same `klaviyo.account`"), "{told}");
    let told = together(plain, ("budget_share = 0.5", ""));
    assert!(told.contains("another `budget_share`"), "{told}");

    let writes = |prefix: &str, list: &str, mode: &str| {
        format!(
            "[write]\nmode = \"{mode}\"\n[properties]\nprefix = \"{prefix}\"\nstage = \"stage\"\n\
             [[list]]\nname = \"{list}\"\nwho = {{ stage = [\"lapsed\"] }}"
        )
    };
    let first = writes("a_", "Lapsed at A", "full");
    let with = |end: &str| together(("", &first), ("", end));
    assert_eq!(with(&writes("b_", "Lapsed at B", "full")), "");
    assert_eq!(with(&writes("a_", "Lapsed at A", "observe")), "");
    let told = with(&writes("a_", "Lapsed at B", "full"));
    assert!(
        told.contains("a.toml writes the property `a_stage`"),
        "{told}"
    );
    let told = with(&writes("b_", "Lapsed at A", "full"));
    assert!(told.contains("writes the list `Lapsed at A`"), "{told}");
}

#[test]
fn every_fault_of_every_file_is_reported_at_once() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "a.toml", "[shop]\nname = 3\n");
    write(&folder, "b.toml", &SMALL.replace("name", "nmae"));
    let open = write(&folder, "c.toml", &second());
    std::fs::set_permissions(&open, Permissions::from_mode(0o664)).unwrap();
    std::fs::write(folder.path().join("d.toml"), b"[shop]\nname = \"\xff\"\n").unwrap();
    let absent = folder.path().join("absent.toml");
    let found = load(&[folder.path().to_owned(), absent], &environment()).unwrap_err();
    let said = found.to_string();
    for part in [
        "a.toml:2:8  shop.name",
        "b.toml:3:1  shop.nmae",
        "d.toml:2:9\n2 | name = \"",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    assert!(
        said.contains(&format!("chmod go-w {}", open.display())),
        "{said}"
    );
    assert!(said.contains("absent.toml\n"), "{said}");
    let empty = tempfile::tempdir().unwrap();
    for paths in [vec![], vec![empty.path().to_owned()]] {
        assert_eq!(load(&paths, &environment()).unwrap_err().len(), 1);
    }
}

#[test]
fn relative_paths_start_at_the_file_and_systemd_names_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let key = write(&folder, "acme.key", "pk_1\n");
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let by_file = SMALL.replace("{ env = \"KEY\" }", "{ file = \"acme.key\" }");
    let path = write(&folder, "a.toml", &by_file);
    let unit = Environment::fixed([
        ("TOKEN", "shpat_1"),
        ("STATE_DIRECTORY", "/state/a:/state/b"),
    ]);
    let shops = load(std::slice::from_ref(&path), &unit).unwrap_or_else(|f| panic!("{f}"));
    assert_eq!(shops[0].klaviyo.key.expose_secret(), "pk_1");
    assert_eq!(shops[0].state_dir, Path::new("/state/a/acme"));
    write(
        &folder,
        "a.toml",
        &by_file.replace("\"acme\"", "\"acme\"\nstate_dir = \"here\""),
    );
    let shops = load(&[path], &unit).unwrap_or_else(|f| panic!("{f}"));
    assert_eq!(shops[0].state_dir, folder.path().join("here"));
}
