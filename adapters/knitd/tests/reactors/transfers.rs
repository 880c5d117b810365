//! Uploads, imports and downloads, with every reactor looking on (domain.md 9.11).

use knit_domain::decision::Decision;
use knit_domain::event::agent::AgentClosure;
use knit_domain::event::run::RunEvent;
use knit_domain::event::{Event, StreamId};
use knit_domain::id::{KnitId, RunId};
use knit_domain::plan::Builtin;
use knit_domain::reservation::Scope;
use knit_domain::run::{Status, start_import};
use knit_projections::worklists::Stage;
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
    let begin = |_| async {
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
    assert_eq!(agents(&world), 0);
}

#[tokio::test]
async fn upl_09_an_upload_whose_end_cannot_be_recorded_ends_failed_and_its_volume_goes_with_it() {
    let mut world = World::new().await;
    let browser = Browser::of(&world).await;
    world.runtime.hold(Op::Receive, Held::After);
    let uploading = browser.ask("POST", "/api/data", &["Content-Type: application/tar+gzip"], "what a table can hold");
    world.runtime.holds(Op::Receive, Held::After).await;
    let run = world.app.views().worklists.read().run_ids(Stage::Uploading, 0).next().unwrap();
    world.app.log().close().await;
    world.runtime.let_go(Op::Receive);
    assert!(uploading.await.unwrap().0 >= 500);
    assert_eq!(world.runtime.volumes().len(), 1, "it was stored before its end could not be recorded");
    world.crash().await;

    world.restart().await;
    world.start_all();
    world.becomes(run, Status::Failed).await;
    world.app.delete(&user(), run).await.unwrap();
    in_time("its volume is destroyed", || world.runtime.volumes().is_empty()).await;
}

#[tokio::test]
async fn dld_02_a_download_is_whole_though_its_agent_cannot_be_closed_and_that_is_done_later() {
    let mut world = World::new().await;
    let browser = Browser::of(&world).await;
    let (data, _) = large(&world).await;
    world.runtime.hold(Op::Send, Held::Before);
    let download = browser.get(&format!("/api/data/{data}"));
    world.runtime.holds(Op::Send, Held::Before).await;
    world.app.log().close().await;
    world.runtime.let_go(Op::Send);
    let (status, answer) = download.await.unwrap();
    assert!(status == 200 && is_whole(&answer));
    world.crash().await;

    world.restart().await;
    assert_eq!(agents(&world), 1);
    world.start(Role::Housekeeping);
    in_time("it is closed", || agents(&world) == 0).await;
}

/// Whether its checksum came behind it, which it does only behind the last byte.
fn is_whole(answer: &[u8]) -> bool {
    String::from_utf8_lossy(answer).contains("\r\nx-checksum-md5: ")
}

/// How many Data Agents are open.
fn agents(world: &World) -> usize {
    world.app.views().worklists.read().agents(0).count()
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
    assert_eq!(agents(&world), 1, "it is under way");
    world.runtime.let_go(Op::Send);
    let (status, answer) = download.await.unwrap();
    assert_eq!(status, 200);
    assert!(is_whole(&answer));
    assert!(content.chunks(1_000).all(|piece| answer.windows(piece.len()).any(|window| window == piece)));
}

#[tokio::test]
async fn agt_08_a_second_transfer_gets_an_agent_of_its_own() {
    let world = World::new().await;
    let browser = Browser::of(&world).await;
    let (data, _) = large(&world).await;
    world.runtime.hold(Op::Send, Held::Before);
    let downloads = [browser.get(&format!("/api/data/{data}")), browser.get(&format!("/api/data/{data}"))];
    in_time("each has one", || agents(&world) == 2).await;
    world.runtime.let_go(Op::Send);
    for download in downloads {
        assert_eq!(download.await.unwrap().0, 200);
    }
    in_time("both are closed", || agents(&world) == 0).await;
}
