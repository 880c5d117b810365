//! The stories of those who look after a server: its snapshots, a rebuild, an event that is passed over.

use knit_tests::plans::PlanFile;

use super::tale::{Died, Tale, Told};

pub(super) fn snapshots(tale: &mut Tale) -> Told<()> {
    let data = tale.push("x", "a:b")?;
    for n in 0..40 {
        tale.tag(&data, &format!("n:{n}"))?;
    }
    Ok(())
}

pub(super) fn rebuild(tale: &mut Tale) -> Told<()> {
    let data = tale.push("x", "a:b")?;
    for n in 0..10 {
        tale.tag(&data, &format!("n:{n}"))?;
    }
    tale.remember(is_verified);
    for words in [&["admin", "rebuild-projection", "--keep-old", "store"][..], &["admin", "rollback", "store"]] {
        if tale.server.knit().run(words).code != 0 {
            tale.server.wait_for_death();
            return Err(Died);
        }
    }
    tale.tag(&data, "after:it")
}

/// The rebuild is held until a Plan is registered.
pub(super) fn broken_rebuild(tale: &mut Tale) -> Told<()> {
    let data = tale.push("x", "a:b")?;
    tale.remember(is_verified);
    let _rebuilding = tale.server.knit().start(["admin", "rebuild-projection", "store"]);
    tale.until_held()?;
    let _ending = tale.server.knit().start(["admin", "rebuild-projection", "--cancel", "store"]);
    tale.until("the server to be told", |tale| Ok(tale.server.log().contains("told to end a rebuild").then_some(())))?;
    let _ = tale.register(&PlanFile::shell("true").input("/in", &["never:there"]))?;
    tale.tag(&data, "after:it")
}

fn is_verified(tale: &Tale) -> Result<(), String> {
    let verified = tale.server.knit().run(["admin", "rebuild-projection", "--verify-only", "all"]);
    if verified.code == 0 { Ok(()) } else { Err(format!("the projections are what the log says: {verified}")) }
}

/// In its first life the server has nothing to skip yet.
pub(super) fn skip(tale: &mut Tale) -> Told<()> {
    let Some(position) = tale.contradiction.map(|position| position.to_string()) else {
        return tale.push("x", "a:b").map(drop);
    };
    tale.until("the event to be skipped", |tale| {
        let words = ["admin", "skip", &position, "--projection", "store", "--reason", "a mistake"];
        let skipped = tale.server.knit().run(words);
        if tale.server.has_died() { Err(Died) } else { Ok((skipped.code == 0).then_some(())) }
    })?;
    tale.remember(|tale| {
        let skips = tale.server.knit().run(["events", "--type", "EventSkipped", "--output", "json"]);
        let verified = tale.server.knit().run(["admin", "rebuild-projection", "--verify-only", "all"]);
        if (skips.stdout.lines().count(), verified.code) == (1, 0) {
            return Ok(());
        }
        Err(format!("one event is skipped, and whoever folds the log again knows it: {skips}\n{verified}"))
    });
    Ok(())
}
