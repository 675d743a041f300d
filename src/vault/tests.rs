use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

const NOW: Moment = Moment(0);

fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

/// As whoever holds the state directory.
fn open(dir: &TempDir, store_key: Option<&SecretString>) -> Result<Vault, VaultError> {
    let vault = Vault::open(dir.path(), store_key)?;
    vault.take_up()?;
    Ok(vault)
}

fn sealed(vault: &Vault, whose: Subject<'_>, plain: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mark = vault.mark(whose);
    vault
        .seal(mark, b"test", plain.as_bytes(), &mut out)
        .unwrap();
    out
}

fn opened(vault: &Vault, sealed: &[u8]) -> Result<String, Closed> {
    let mut out = Vec::new();
    vault.keys().unseal(b"test", sealed, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

const ANNE: Subject<'_> = Subject::Address("anne@example.org");
const BEN: Subject<'_> = Subject::Customer(CustomerId(7));

#[test]
fn what_was_sealed_opens_after_a_restart_until_its_subject_is_forgotten() {
    let dir = TempDir::new().unwrap();
    let vault = open(&dir, None).unwrap();
    let (anne, ben) = (sealed(&vault, ANNE, "a"), sealed(&vault, BEN, "b"));
    assert!(!anne.windows(4).any(|bytes| bytes == b"anne"));
    let vault = open(&dir, None).unwrap();
    assert_eq!(opened(&vault, &anne), Ok("a".to_owned()));

    let old = fs::read(vault_file(dir.path())).unwrap();
    vault.forget(&[vault.mark(ANNE)], NOW).unwrap();
    for vault in [vault.clone(), open(&dir, None).unwrap()] {
        assert_eq!(opened(&vault, &anne), Err(Closed::Forgotten));
        assert_eq!(opened(&vault, &ben), Ok("b".to_owned()));
        assert_eq!(vault.forgotten(vault.mark(ANNE)), Some(NOW));
        assert_eq!(vault.forgotten(vault.mark(BEN)), None);
        let refused = vault.seal(vault.mark(ANNE), b"", b"", &mut Vec::new());
        assert!(matches!(refused, Err(VaultError::Forgotten)));
    }
    // An old copy of the file is what brings keys back, and nothing else lies beside it.
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    fs::write(vault_file(dir.path()), old).unwrap();
    let vault = open(&dir, None).unwrap();
    assert_eq!(opened(&vault, &anne), Ok("a".to_owned()));
}

#[test]
fn the_old_file_s_bytes_are_overwritten() {
    let dir = TempDir::new().unwrap();
    let vault = open(&dir, None).unwrap();
    // A second name shows what becomes of the bytes.
    let witness = dir.path().join("witness");
    fs::hard_link(vault_file(dir.path()), &witness).unwrap();
    vault.forget(&[vault.mark(ANNE)], NOW).unwrap();
    assert!(fs::read(&witness).unwrap().iter().all(|byte| *byte == 0));
}

#[test]
fn another_vault_opens_nothing() {
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let one = Vault::open(one.path(), None).unwrap();
    let other = Vault::open(other.path(), None).unwrap();
    assert_ne!(one.id(), other.id());
    assert_ne!(one.mark(ANNE), other.mark(ANNE));
    assert_eq!(
        opened(&other, &sealed(&one, ANNE, "a")),
        Err(Closed::Foreign)
    );
}

#[test]
fn a_store_key_seals_the_file_itself() {
    let dir = TempDir::new().unwrap();
    let vault = open(&dir, None).unwrap();
    let anne = sealed(&vault, ANNE, "a");
    let key = secret("a key");
    let vault = open(&dir, Some(&key)).unwrap();
    assert_eq!(opened(&vault, &anne), Ok("a".to_owned()));
    let without = open(&dir, None).unwrap_err();
    assert!(matches!(without, VaultError::Locked { .. }));
    let wrong = open(&dir, Some(&secret("another"))).unwrap_err();
    assert!(matches!(wrong, VaultError::WrongKey { .. }));
    let vault = open(&dir, Some(&key)).unwrap();
    vault.forget(&[vault.mark(ANNE)], NOW).unwrap();
    let vault = open(&dir, Some(&key)).unwrap();
    assert_eq!(opened(&vault, &anne), Err(Closed::Forgotten));
}

#[test]
fn damage_and_loose_permissions_are_refused() {
    let dir = TempDir::new().unwrap();
    open(&dir, None).unwrap();
    let path = vault_file(dir.path());
    let whole = fs::read(&path).unwrap();
    for byte in 0..whole.len() {
        let mut torn = whole.clone();
        torn[byte] ^= 1;
        fs::write(&path, torn).unwrap();
        assert!(open(&dir, None).is_err(), "byte {byte}");
        fs::write(&path, &whole[..byte]).unwrap();
        assert!(open(&dir, None).is_err(), "cut at {byte}");
    }
    fs::write(&path, &whole).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let exposed = open(&dir, None).unwrap_err();
    assert!(exposed.to_string().contains("chmod 600"), "{exposed}");
}

#[test]
fn what_a_kill_left_beside_the_file_is_wiped() {
    let dir = TempDir::new().unwrap();
    let vault = open(&dir, None).unwrap();
    let [path, draft, old] = ["vault", "vault.new", "vault.old"].map(|name| dir.path().join(name));
    let whole = fs::read(&path).unwrap();
    // Killed before the new file took the name, and before the old one's bytes were overwritten.
    for before in [true, false] {
        let witness = dir.path().join("witness");
        match before {
            true => fs::hard_link(&path, &old).unwrap(),
            false => fs::write(&old, &whole).unwrap(),
        }
        fs::write(&draft, &whole).unwrap();
        fs::hard_link(&draft, &witness).unwrap();
        vault.take_up().unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole);
        assert!(fs::read(&witness).unwrap().iter().all(|byte| *byte == 0));
        assert!(!draft.exists() && !old.exists());
        fs::remove_file(witness).unwrap();
    }
}

#[test]
fn only_who_takes_it_up_makes_the_file_and_two_that_do_have_one_vault() {
    let dir = TempDir::new().unwrap();
    let (one, other) = (
        Vault::open(dir.path(), None).unwrap(),
        Vault::open(dir.path(), None).unwrap(),
    );
    assert!(!vault_file(dir.path()).exists());
    one.take_up().unwrap();
    other.take_up().unwrap();
    let anne = sealed(&one, ANNE, "a");
    assert_eq!(opened(&other, &anne), Ok("a".to_owned()));
    one.forget(&[one.mark(ANNE)], NOW).unwrap();
    other.take_up().unwrap();
    assert_eq!(opened(&other, &anne), Err(Closed::Forgotten));
}
