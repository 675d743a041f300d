//! Managed lists, person by person.

use super::*;

fn listed(members: &[u32], known: &[u32]) -> Seen {
    let members = members.iter().copied().collect();
    let exists = true;
    Seen {
        lists: vec![SeenList { exists, members }],
        known: known.iter().copied().collect(),
        absent_twice: RoaringBitmap::new(),
    }
}

#[test]
fn whoever_is_listed_by_another_profile_than_mail_reaches_changes_places() {
    let policy = lapsed_list(Mode::Full);
    let mut draft = against(&policy, listed(&[1, 7], &[1, 2]));
    let (slot, mut silent) = profile(1, "a@x.org");
    silent.email_marketing = None;
    let dossier = person(vec![(slot, silent), profile(2, "A@x.org")], Vec::new());
    draft.person(&dossier, &facts(Stage::Lapsed), Verdicts::default());
    let plan = draft.finish();
    let list = 0;
    let (off, on) = (Slot(1), Slot(2));
    let expected = [
        Effect::OnList { list, who: on },
        Effect::OffList { list, who: off },
    ];
    assert_eq!(effects(&plan), expected);
    let change = ListChange {
        name: "Lapsed".to_owned(),
        seen: 2,
        wanted: 1,
        join: 1,
        // One of them has no record yet and is held back.
        leave: 2,
    };
    assert_eq!(plan.lists, [change]);
    assert_eq!(plan.held_back[0].reason, HoldReason::SecondScan);
}

#[test]
fn what_is_held_back_leaves_the_others_in_their_order() {
    let policy = lapsed_list(Mode::Full);
    let mut draft = against(&policy, listed(&[8, 9], &[8, 9]));
    for slot in 1..=4 {
        let dossier = person(vec![profile(slot, &format!("{slot}@x.org"))], Vec::new());
        draft.person(&dossier, &facts(Stage::Lapsed), Verdicts::default());
    }
    let mut plan = draft.finish();
    let mut asked = Vec::new();
    let held: Result<(), ()> = plan.hold_back(|effect| {
        let who = effect.who().unwrap().0;
        asked.push(who);
        Ok((who == 2).then_some(HoldReason::RefusedLately))
    });
    assert_eq!((held, asked), (Ok(()), vec![1, 2, 3, 4, 8, 9]));
    let left = effects(&plan);
    let left: Vec<u32> = left.iter().map(|one| one.who().unwrap().0).collect();
    assert_eq!(left, [1, 3, 4, 8, 9]);
    let joins = plan.people(&[EffectKind::ListAdd]);
    assert_eq!(joins.iter().collect::<Vec<_>>(), [1, 3, 4]);
    let counts = [(EffectKind::ListAdd, 3), (EffectKind::ListRemove, 2)];
    assert_eq!(plan.counts(), BTreeMap::from(counts));
    assert_eq!(plan.effects.of_list(EffectKind::ListAdd, 0), 3);
    assert_eq!((plan.effects.len(), plan.held_back[0].count), (5, 1));
}
