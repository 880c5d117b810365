//! Uploads, imports and downloads, with every reactor looking on (domain.md 9.11).

use std::collections::BTreeSet;

use knit_domain::decision::Decision;
use knit_domain::event::agent::AgentClosure;
use knit_domain::event::run::RunEvent;
use knit_domain::event::{Event, StreamId};
use knit_domain::id::{KnitId, RunId};
use knit_domain::plan::Builtin;
use knit_domain::reservation::Scope;
use knit_domain::run::{Status, start_import};
use knitd::command::{self, Cause};
use knitd::streams;
use uuid::Uuid;

use crate::browser::Browser;
use crate::scripted::{Held, Op};
use crate::world::{Role, World, in_time, user};

#[tokio::test]
async fn upl_10_an_upload_that_somebody_writes_to_is_left_alone() {
    let mut world = World::new().await;
    let upload = world.begin_upload().await;
    let orphan = world.begin_upload().await;
    world.app.close_agent(&user(), &orphan.agent, AgentClosure::Finished).await.unwrap();
    world.start(Role::RunManagement);
    world.becomes(orphan.run_id, Status::Aborting).await;
    assert_eq!((world.status(upload.run_id), world.gate.ways_of(upload.run_id)), (Some(Status::Running), vec![]));
}

#[tokio::test]
async fn upl_11_12_an_orphaned_upload_is_aborted_once_the_gate_is_open() {
    let mut world = World::new().await;
    let upload = world.begin_upload().await;
    world.gate.close(Status::Aborting);
    world.start(Role::RunManagement);
    world.app.close_agent(&user(), &upload.agent, AgentClosure::Finished).await.unwrap();
    in_time("the gate is asked again", || world.gate.asked(Status::Aborting) >= 2).await;
    assert_eq!(world.status(upload.run_id), Some(Status::Running));
    assert_eq!(world.lines.with(&[&upload.run_id.to_string(), "the hook of this test says no"]).len(), 1);
    world.gate.open(Status::Aborting);
    world.becomes(upload.run_id, Status::Aborting).await;
    assert_eq!(world.record(upload.run_id).await.exit, None);
}

#[tokio::test]
async fn upl_12_an_upload_that_cannot_be_looked_at_stays_what_it_was() {
    let mut world = World::new().await;
    let upload = world.begin_upload().await;
    world.app.close_agent(&user(), &upload.agent, AgentClosure::Finished).await.unwrap();
    world.app.log().close().await;
    world.start(Role::RunManagement);
    world.says(&["run-management", &upload.run_id.to_string(), "to be tried again"]).await;
    assert_eq!(world.status(upload.run_id), Some(Status::Running));
}

/// An import that begins now and may take so long.
async fn import(world: &World, allowed_ms: u64) -> RunId {
    let (run, data) = (RunId(Uuid::new_v4()), KnitId(Uuid::new_v4()));
    let begin = || async {
        let plan = streams::plan(world.app.log(), Builtin::Imported.id()).await?;
        Ok(allowing(start_import(&plan, run, data)?, allowed_ms))
    };
    command::execute(world.app.log(), &Cause::request("importer"), begin).await.unwrap();
    world.becomes(run, Status::Running).await;
    run
}

/// The same decision with another patience.
fn allowing(mut decision: Decision, patience_ms: u64) -> Decision {
    for event in decision.writes.iter_mut().flat_map(|write| &mut write.events) {
        if let Event::Run(RunEvent::ImportStarted { allowed_ms, .. }) = event {
            *allowed_ms = patience_ms;
        }
    }
    decision
}

#[tokio::test]
async fn imp_10_an_import_is_left_alone_until_its_time_is_over() {
    let mut world = World::new().await;
    let in_time = import(&world, 60_000).await;
    let overdue = import(&world, 0).await;
    world.start(Role::RunManagement);
    world.becomes(overdue, Status::Aborting).await;
    assert_eq!((world.status(in_time), world.gate.ways_of(in_time)), (Some(Status::Running), vec![]));
    let story = world.app.log().load(&StreamId::run(overdue)).await.unwrap();
    assert!(story.last().unwrap().event.encode().contains("import-overdue"));
}

#[tokio::test]
async fn agt_04_a_data_that_nobody_transfers_has_no_agents() {
    let world = World::new().await;
    let data = world.push(&[]).await;
    assert_eq!(world.app.log().holders(&Scope::DataUse(data)).await.unwrap(), []);
    assert_eq!(world.app.views().worklists.read().agents(0).count(), 0);
}

/// Something to download, larger than what is sent in one piece.
async fn large(world: &World) -> (KnitId, Vec<u8>) {
    let data = world.push(&[]).await;
    let content: Vec<u8> = (0..5_000_u32).flat_map(u32::to_le_bytes).collect();
    world.runtime.replace(&knit_domain::id::VolumeRef::of(data), content.clone());
    (data, content)
}

#[tokio::test]
async fn agt_07_a_transfer_that_takes_long_is_served_completely() {
    let mut world = World::new().await;
    let browser = Browser::of(&world).await;
    let (data, content) = large(&world).await;
    world.runtime.hold(Op::Send, Held::Before);
    let download = browser.get(&format!("/api/data/{data}"));
    world.runtime.holds(Op::Send, Held::Before).await;
    world.start_all();
    let run = world.waiting_run("corpus").await;
    world.spawned(run).await;
    assert_eq!(world.app.views().worklists.read().agents(0).count(), 1, "it is under way");
    world.runtime.let_go(Op::Send);
    let (status, answer) = download.await.unwrap();
    assert_eq!(status, 200);
    assert!(answer.windows(14).any(|words| words == b"x-checksum-md5"), "its checksum comes behind it");
    assert!(content.chunks(1_000).all(|piece| answer.windows(piece.len()).any(|window| window == piece)));
}

#[tokio::test]
async fn agt_08_a_second_transfer_gets_an_agent_of_its_own() {
    let world = World::new().await;
    let browser = Browser::of(&world).await;
    let (data, _) = large(&world).await;
    world.runtime.hold(Op::Send, Held::Before);
    let downloads = [browser.get(&format!("/api/data/{data}")), browser.get(&format!("/api/data/{data}"))];
    let agents = || world.app.views().worklists.read().agents(0).map(|agent| agent.name).collect::<BTreeSet<_>>();
    in_time("both are under way", || agents().len() == 2).await;
    world.runtime.let_go(Op::Send);
    for download in downloads {
        assert_eq!(download.await.unwrap().0, 200);
    }
    in_time("both agents are closed", || agents().is_empty()).await;
}
