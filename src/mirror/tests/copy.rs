use super::*;

#[test]
fn a_damaged_value_is_not_copied() {
    let dir = dir();
    let mirror = open(&dir);
    let mut page = mirror.page();
    let slot = page.profile(profile("A", 1)).unwrap().unwrap();
    page.commit().unwrap();
    let copied = mirror.copy(|_, _| Ok::<_, MirrorError>(()));
    assert_eq!(copied.unwrap(), mirror.verify().unwrap());
    mirror
        .store
        .put_raw(&Shelf::Profiles.slot(slot), |value| value[3] ^= 1);
    let refused = mirror.copy(|_, _| Ok::<_, MirrorError>(())).unwrap_err();
    assert!(matches!(
        refused,
        MirrorError::BadValue { shelf: "profiles" }
    ));
}

#[test]
fn no_page_is_committed_while_a_copy_is_made() {
    let dir = dir();
    let mirror = open(&dir);
    let mut page = mirror.page();
    page.profile(profile("A", 1)).unwrap();
    page.commit().unwrap();
    let copied = mirror.copy(|_, _| {
        assert!(mirror.writer.try_lock().is_none(), "somebody could write");
        Ok::<_, MirrorError>(())
    });
    assert!(copied.unwrap() > 0);
    mirror.page().commit().unwrap();
}

#[test]
fn a_rebuild_keeps_what_no_vendor_knows_and_nothing_else() {
    let dir = dir();
    let mirror = open(&dir);
    let counted = Stream::ListMembers("L1".into());
    let pins = Pins {
        klaviyo_account: Some("AbC123".to_owned()),
        shop_domain: None,
    };
    let mut page = mirror.page();
    page.profile(profile("A", 1)).unwrap();
    page.cursor(&Stream::KlaviyoProfiles, &Cursor::default());
    page.bind("vip", &"L1".into());
    page.complete_count(&counted, 7);
    page.sentinels(&["A".into()]);
    page.pin(&pins);
    page.commit().unwrap();
    let held = Mirror::rebuild(dir.path(), &vault(&dir), NOW).unwrap_err();
    assert!(matches!(held, MirrorError::Locked { .. }));
    drop(mirror);

    let rebuilt = Mirror::rebuild(dir.path(), &vault(&dir), NOW).unwrap();
    let place = rebuilt.set_aside.unwrap();
    assert_eq!(place, dir.path().join("quarantine-1/mirror"));
    assert!(place.join("db").exists());
    assert_eq!(rebuilt.carried.unwrap(), 4);
    let mirror = open(&dir);
    assert_eq!(lines(&mirror), Vec::<String>::new());
    assert_eq!(mirror.cursor(&Stream::KlaviyoProfiles).unwrap(), None);
    assert_eq!(mirror.bindings().unwrap()["vip"], "L1".into());
    assert_eq!(mirror.complete_count(&counted).unwrap(), Some(7));
    assert_eq!(mirror.sentinels().unwrap(), ["A".into()]);
    assert_eq!(mirror.pins().unwrap(), pins);
}

#[test]
fn a_mirror_that_cannot_be_read_is_set_aside_all_the_same() {
    let dir = dir();
    let mirror = open(&dir);
    let mut page = mirror.page();
    page.bind("vip", &"L1".into());
    page.commit().unwrap();
    let key = Shelf::Bindings.key(&[b"vip"]);
    mirror.store.put_raw(&key, |value| value[1] ^= 1);
    drop(mirror);
    let rebuilt = Mirror::rebuild(dir.path(), &vault(&dir), NOW).unwrap();
    assert!(rebuilt.carried.is_err());
    assert!(rebuilt.set_aside.unwrap().exists());
    assert!(!dir.path().join("mirror").exists());
    let nothing = Mirror::rebuild(dir.path(), &vault(&dir), NOW).unwrap();
    assert_eq!(nothing.set_aside, None);
}
