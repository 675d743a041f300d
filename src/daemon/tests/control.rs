//! What is asked for while the daemon runs.

use super::lab::{Act, Lab, Plan, secs};
use crate::daemon::control::{Answer, Control, Errand};
use crate::daemon::{Refusal, Wish, ask_for, ask_for_backup};
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use tempfile::{tempdir, tempfile};
use tokio::sync::oneshot;

type Handed = Result<Option<Vec<u8>>, Refusal>;

/// Asks in a thread of its own, so that timers run on, for what a shop hands over; `None` without a
/// daemon.
fn ask(state: &Path) -> oneshot::Receiver<Handed> {
    let (tell, hear) = oneshot::channel();
    let state = state.to_owned();
    std::thread::spawn(move || {
        let handed = ask_for_backup(&state).map(|answer| {
            answer.map(|mut answer| {
                let mut bytes = Vec::new();
                answer.read_to_end(&mut bytes).unwrap();
                bytes
            })
        });
        tell.send(handed).unwrap();
    });
    hear
}

fn file(content: &[u8]) -> File {
    let mut file = tempfile().unwrap();
    file.write_all(content).unwrap();
    file.rewind().unwrap();
    file
}

async fn wanted(control: &mut Control) -> Answer<File> {
    match control.asked().await {
        Errand::Backup(answer) => answer,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_byte_is_handed_over() {
    let state = tempdir().unwrap();
    let socket = state.path().join("control");
    assert_eq!(ask(state.path()).await.unwrap(), Ok(None));
    // What a kill leaves.
    drop(UnixListener::bind(&socket).unwrap());
    assert_eq!(ask(state.path()).await.unwrap(), Ok(None));

    let mut control = Control::open(state.path());
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let content: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let asked = ask(state.path());
    wanted(&mut control).await.with(|| Ok(file(&content)));
    assert!(asked.await.unwrap() == Ok(Some(content)));
    drop(control);
    assert!(!socket.exists());
}

#[tokio::test]
async fn whoever_gets_no_backup_is_told_why() {
    let state = tempdir().unwrap();
    let mut control = Control::open(state.path());
    let refusal = Refusal {
        exit: 74,
        message: "the disk is full".to_owned(),
    };
    let asked = ask(state.path());
    wanted(&mut control).await.with(|| Err(refusal.clone()));
    assert_eq!(asked.await.unwrap(), Err(refusal));

    let asked = ask(state.path());
    wanted(&mut control)
        .await
        .with(|| panic!("a bug in the backup"));
    assert_eq!(
        asked.await.unwrap().map_err(|refusal| refusal.exit),
        Err(70)
    );

    let asked = ask(state.path());
    drop(control.asked().await);
    assert_eq!(
        asked.await.unwrap().map_err(|refusal| refusal.exit),
        Err(75)
    );
}

#[tokio::test(start_paused = true)]
async fn no_backup_is_made_during_a_pass_and_passes_go_on_after_it() {
    let lab = Lab::new([("acme", Plan::new(Act::Work(590), 600))]);
    let state = lab.dir.path().join("acme");
    fs::create_dir(&state).unwrap();
    let daemon = lab.start();
    secs(1).await;
    assert_eq!(ask(&state).await.unwrap(), Ok(Some(b"acme".to_vec())));
    let made = lab.times("acme", "is backed up");
    secs(1200).await;
    let (begun, ended) = (lab.times("acme", "begins"), lab.times("acme", "ends"));
    let mut passes = begun.iter().zip(&ended);
    assert!(
        !passes.any(|(begun, ended)| (begun + 1..*ended).contains(&made[0])),
        "at {made:?} in {begun:?}"
    );
    assert!(begun.last() > made.first(), "{begun:?}");
    daemon.stop().await;
    assert!(!state.join("control").exists());
}

#[tokio::test(start_paused = true)]
async fn a_wish_is_fulfilled_between_two_passes() {
    for (act, expected) in [
        (
            Act::Work(590),
            Ok(Some("Answered { request: 7 }".to_owned())),
        ),
        (Act::Fail, Err(64)),
    ] {
        let lab = Lab::new([("acme", Plan::new(act, 600))]);
        let state = lab.dir.path().join("acme");
        fs::create_dir(&state).unwrap();
        let daemon = lab.start();
        secs(1).await;
        let wish = Wish::Answered { request: 7 };
        let (tell, hear) = oneshot::channel();
        std::thread::spawn(move || tell.send(ask_for(&state, &wish)).unwrap());
        let answer = hear.await.unwrap().map_err(|refusal| refusal.exit);
        assert_eq!(answer, expected);
        let (at, begun) = (lab.times("acme", "fulfils"), lab.times("acme", "begins"));
        let ended = lab.times("acme", "ends");
        let mut passes = begun.iter().zip(&ended);
        assert!(!passes.any(|(begun, ended)| (begun + 1..*ended).contains(&at[0])));
        daemon.stop().await;
    }
}
