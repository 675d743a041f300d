//! Secrets: read from a systemd credential, a guarded file or the environment, never from the
//! config itself (reliability.md, section 8).

use super::environment::Environment;
use super::leak::PLACES;
use super::reader::{At, Complaint, Section};
use super::value::{quoted, text, word};
use rustix::fs::{Mode, OFlags};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use toml::de::DeValue;

/// Bytes; a secret is one short line.
const LONGEST: u64 = 4096;
/// A secret of our own protects as much as it is hard to guess.
const SHORTEST_OWN: usize = 16;

/// A name for a secret that gives nothing away: the first 16 hex digits of a SHA-256 over it.
/// Locks and comparisons use it.
pub fn fingerprint(secret: &SecretString) -> String {
    let mut hash = Sha256::new();
    // The prefix keeps this from being the plain hash that other tools may have published.
    hash.update(b"driftless key fingerprint\0");
    hash.update(secret.expose_secret());
    let digest = hash.finalize();
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Where secrets may be looked for.
pub(super) struct SecretPlaces<'a> {
    pub environment: &'a Environment,
    /// Relative secret files are taken from here.
    pub folder: &'a Path,
}

impl SecretPlaces<'_> {
    /// Reads `key = { credential | file | env = "…" }`.
    pub fn secret(&self, section: &Section<'_>, key: &'static str) -> Option<At<SecretString>> {
        if !section.holds(key) {
            section.missing(key, "{ credential = \"name\" }");
            return None;
        }
        // A secret written out is refused by `leak`, with the remedy.
        if section.is_text(key) {
            return None;
        }
        section.within(key, |place| self.fetch(section, key, place))
    }

    /// Reads an optional key of the same form that opens what is ours. Whoever needs no secret of a
    /// vendor may need this one: offline it is read, too, and why it cannot be had is no fault before it
    /// is wanted.
    pub fn own_secret(
        &self,
        section: &Section<'_>,
        key: &'static str,
    ) -> Option<Result<SecretString, String>> {
        if !section.holds(key) || section.is_text(key) {
            return None;
        }
        if !self.environment.is_offline() {
            let found = section.within(key, |place| self.fetch(section, key, place));
            let secret = found?.value;
            if secret.expose_secret().len() < SHORTEST_OWN {
                let message = format!("a key of at least {SHORTEST_OWN} characters is needed");
                let help = "such as from `openssl rand -hex 32`";
                section.complain(key, &Complaint::new(message).help(help));
            }
            return Some(Ok(secret));
        }
        section.within(key, |place| {
            let credential = place.located("credential", |value| Ok(self.credential(value)));
            let file = place.located("file", |value| Ok(self.file(value)));
            let variable = place.located("env", |value| Ok(self.variable(value)));
            let found = credential.or(file).or(variable)?.value;
            Some(found.map_err(|complaint| complaint.to_string()))
        })
    }

    fn fetch(
        &self,
        outer: &Section<'_>,
        key: &'static str,
        place: &Section<'_>,
    ) -> Option<At<SecretString>> {
        let named: Vec<_> = PLACES
            .into_iter()
            .filter(|name| place.holds(name))
            .collect();
        if named.is_empty() && !place.is_empty() {
            // What stands there instead is reported as a stray key.
            return None;
        }
        if named.len() != 1 {
            let message = "exactly one of `credential`, `file` and `env` says where the secret is";
            let help = format!("such as `{key} = {{ file = \"/etc/driftless/{key}\" }}`");
            outer.complain(key, &Complaint::new(message).help(help));
            return None;
        }
        if self.environment.is_offline() {
            // Told apart by its place, as two shops must not share a key.
            let unread = |place: String| SecretString::from(format!("pk_unread_{place}"));
            let places = PLACES.into_iter();
            let found = places.map(|name| place.located(name, |value| text(value).map(unread)));
            return found.flatten().next();
        }
        let credential = place.located("credential", |value| self.credential(value));
        let file = place.located("file", |value| self.file(value));
        let variable = place.located("env", |value| self.variable(value));
        if variable.is_some() {
            outer.warn(
                key,
                "the secret comes from an environment variable, which every process of the same user \
                 can read; a systemd credential or a file is safer",
            );
        }
        credential.or(file).or(variable)
    }

    fn file(&self, value: &DeValue<'_>) -> Result<SecretString, Complaint> {
        guarded_file(&self.folder.join(text(value)?))
    }

    fn credential(&self, value: &DeValue<'_>) -> Result<SecretString, Complaint> {
        let plain = |name: &str| !name.contains('/') && name != "." && name != "..";
        let name = &word("the plain name of a credential", plain)(value)?;
        let unit = format!("the unit needs `LoadCredential={name}:/path/to/the/secret`");
        let Some(folder) = self.environment.credentials() else {
            let message = "there are no systemd credentials: $CREDENTIALS_DIRECTORY is not set";
            let help = format!("{unit}; outside systemd use `{{ file = \"…\" }}`");
            return Err(Complaint::new(message).help(help));
        };
        // systemd guards this directory itself; its files may show a group bit that is an ACL mask.
        let path = folder.join(name);
        let file = File::open(&path).map_err(|error| {
            let message = format!("the credential {} cannot be read: {error}", quoted(name));
            Complaint::new(message).help(unit)
        })?;
        clean(file, &format!("the credential {}", quoted(name)))
    }

    fn variable(&self, value: &DeValue<'_>) -> Result<SecretString, Complaint> {
        let name = &text(value)?;
        let Some(value) = self.environment.variable(name) else {
            let message = format!("the environment variable {} is not set", quoted(name));
            return Err(Complaint::new(message).help("set it, or use `{ file = \"…\" }`"));
        };
        let value = Zeroizing::new(value);
        clean(
            value.as_bytes(),
            &format!("the environment variable {}", quoted(name)),
        )
    }
}

/// Opens a secret file only if nobody else can read it or put another in its place.
fn guarded_file(path: &Path) -> Result<SecretString, Complaint> {
    let shown = path.display();
    // Checked on the open file, or it could be exchanged in between. A named pipe must not block.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::LOOP) => {
            let complaint = Complaint::new(format!("{shown} is a symbolic link"));
            return Err(complaint.help("name the file itself"));
        }
        Err(error) => return Err(unreadable(path, error.into())),
    };
    let facts = file.metadata().map_err(|error| unreadable(path, error))?;
    if !facts.is_file() {
        return Err(Complaint::new(format!("{shown} is not a regular file")));
    }
    let us = rustix::process::geteuid().as_raw();
    if facts.uid() != us && facts.uid() != 0 {
        let message = format!("{shown} belongs to another user (uid {})", facts.uid());
        return Err(Complaint::new(message).help(format!("chown {us} {shown}")));
    }
    if facts.mode() & 0o177 != 0 {
        let mode = facts.mode() & 0o7777;
        let message = format!("{shown} is open to others (mode {mode:04o})");
        return Err(Complaint::new(message).help(format!("chmod 0600 {shown}")));
    }
    let parent = folder_of(path);
    let around = std::fs::metadata(&parent).map_err(|error| unreadable(&parent, error))?;
    if around.mode() & 0o002 != 0 {
        let parent = parent.display();
        let message = format!("everybody may write to {parent}, where the secret is");
        return Err(Complaint::new(message).help(format!("chmod o-w {parent}")));
    }
    clean(file, &shown.to_string())
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn unreadable(path: &Path, error: io::Error) -> Complaint {
    Complaint::new(format!("{} cannot be read: {error}", path.display()))
}

/// A secret without its line end. It becomes an HTTP header, so it is printable ASCII throughout.
fn clean(mut from: impl Read, place: &str) -> Result<SecretString, Complaint> {
    let mut held = Zeroizing::new(Vec::with_capacity(LONGEST as usize + 1));
    let read = from.by_ref().take(LONGEST + 1).read_to_end(&mut held);
    read.map_err(|error| Complaint::new(format!("{place} cannot be read: {error}")))?;
    let ends = |byte: &u8| *byte == b'\n' || *byte == b'\r';
    let length = held
        .iter()
        .rposition(|byte| !ends(byte))
        .map_or(0, |last| last + 1);
    held.truncate(length);
    if held.is_empty() {
        return Err(Complaint::new(format!("{place} is empty")));
    }
    if held.len() as u64 > LONGEST {
        return Err(Complaint::new(format!("{place} is too long for a secret")));
    }
    let text = std::str::from_utf8(&held).ok();
    let text = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()));
    text.map(SecretString::from).ok_or_else(|| {
        let message = format!("{place} holds spaces or characters that no key has");
        Complaint::new(message).help("it must hold the secret alone, in one line")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn secret_file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("klaviyo.key");
        std::fs::write(&path, text).unwrap();
        chmod(&path, mode);
        (folder, path)
    }

    fn chmod(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn complaint(path: &Path) -> String {
        format!("{:?}", guarded_file(path).unwrap_err())
    }

    #[test]
    fn a_file_for_its_owner_alone_is_read_without_its_line_end() {
        for mode in [0o600, 0o400] {
            for text in ["sesame", "sesame\n", "sesame\r\n"] {
                let (_folder, path) = secret_file(text, mode);
                let secret = guarded_file(&path).unwrap();
                assert_eq!(secret.expose_secret(), "sesame", "{mode:o}");
            }
        }
    }

    #[test]
    fn a_file_open_to_others_is_refused_with_the_remedy() {
        for mode in [0o644, 0o640, 0o604, 0o620, 0o602, 0o700, 0o666] {
            let (_folder, path) = secret_file("sesame", mode);
            let said = complaint(&path);
            assert!(
                said.contains(&format!("chmod 0600 {}", path.display())),
                "{said}"
            );
            assert!(!said.contains("sesame"), "{said}");
        }
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let (_folder, path) = secret_file("sesame", 0o600);
        if std::os::unix::fs::chown(&path, Some(54_321), None).is_err() {
            println!("only root may give a file away; nothing was tested");
            return;
        }
        let said = complaint(&path);
        assert!(
            said.contains("uid 54321") && said.contains("chown "),
            "{said}"
        );
    }

    #[test]
    fn links_folders_and_open_parents_are_refused() {
        let (folder, path) = secret_file("sesame", 0o600);
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(complaint(&link).contains("symbolic link"));
        assert!(complaint(folder.path()).contains("not a regular file"));
        assert!(complaint(&folder.path().join("absent")).contains("cannot be read"));
        chmod(folder.path(), 0o777);
        assert!(complaint(&path).contains("chmod o-w"));
    }

    #[test]
    fn what_cannot_be_a_key_is_refused_without_being_shown() {
        let long = "a".repeat(5000);
        for text in [
            "",
            "\n",
            "two words",
            "line\nline",
            "schlüssel",
            "\u{0}",
            &long,
        ] {
            let (_folder, path) = secret_file(text, 0o600);
            let said = complaint(&path);
            assert!(text.trim().is_empty() || !said.contains(text), "{said}");
        }
    }

    #[test]
    fn a_fingerprint_is_stable_and_short_and_not_the_secret() {
        let (one, other) = (SecretString::from("sesame"), SecretString::from("sesamf"));
        assert_eq!(fingerprint(&one), fingerprint(&one.clone()));
        assert_ne!(fingerprint(&one), fingerprint(&other));
        assert!(fingerprint(&one).bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(fingerprint(&one).len(), 16);
    }
}
