//! Data Agents of servers that died are closed, and no others (domain.md 9.11).

use std::sync::Arc;
use std::time::Duration;

use knit_domain::id::{AgentName, KnitId};
use knit_domain::run::Status;
use knitd::app::App;

use crate::world::{Role, World, in_time, user};

fn open_agents(world: &World) -> Vec<AgentName> {
    world.app.views().worklists.read().agents(0).map(|agent| agent.name).collect()
}

/// Opens a reading agent in the name of another server.
async fn read_elsewhere(world: &World, server: &str, data: KnitId) -> AgentName {
    let views = Arc::new(knitd::views::Views::default());
    let runtime = Arc::new(world.runtime.clone());
    let elsewhere = App::new(world.app.log().clone(), views, runtime, server.to_owned(), false);
    // Nobody folds the projections of this one, so it is asked for the event alone.
    let agent = AgentName::of(data, knit_domain::id::AgentMode::Read, rand::random());
    let decide = |_| async {
        let data = knitd::streams::data(elsewhere.log(), data).await?;
        Ok(knit_domain::agent::open_reader(&data, &agent, server)?)
    };
    knitd::command::execute(elsewhere.log(), &user(), decide).await.unwrap();
    in_time("it is known", || open_agents(world).contains(&agent)).await;
    agent
}

#[tokio::test]
async fn hsk_01_04_while_everybody_lives_nothing_is_closed() {
    let mut world = World::with_replicas().await;
    let data = world.push(&[]).await;
    let here = world.app.open_reader(&user(), data).await.unwrap();
    let log = world.app.log().clone();
    log.acquire_lease("server/elsewhere", "elsewhere", Duration::from_secs(600)).await.unwrap().unwrap();
    let there = read_elsewhere(&world, "elsewhere", data).await;
    world.start(Role::Housekeeping);
    // One that is closed shows that all were looked at.
    let dead = read_elsewhere(&world, "place-of-this-test/killed", data).await;
    in_time("the agent of the dead is closed", || !open_agents(&world).contains(&dead)).await;
    let mut living = vec![here.agent, there];
    living.sort();
    let mut open = open_agents(&world);
    open.sort();
    assert_eq!(open, living);
}

#[tokio::test]
async fn hsk_02_03_06_all_agents_of_a_server_that_died_are_closed_and_those_of_this_one_stay() {
    let mut world = World::new().await;
    let data = world.push(&[]).await;
    for _ in 0..3 {
        world.app.open_reader(&user(), data).await.unwrap();
    }
    world.crash().await;
    world.restart().await;
    let here = world.app.open_reader(&user(), data).await.unwrap();
    assert_eq!(open_agents(&world).len(), 4);
    world.start(Role::Housekeeping);
    in_time("three are closed", || open_agents(&world).len() == 1).await;
    assert_eq!(open_agents(&world), [here.agent]);
}

#[tokio::test]
async fn hsk_06_an_upload_whose_server_died_ends_failed_and_can_be_deleted() {
    let mut world = World::new().await;
    let upload = world.begin_upload().await;
    world.crash().await;
    world.restart().await;
    world.start_all();
    world.becomes(upload.run_id, Status::Failed).await;
    assert_eq!(open_agents(&world), []);
    world.app.delete(&user(), upload.run_id).await.unwrap();
}

#[tokio::test]
async fn hsk_07_a_download_that_is_under_way_is_not_disturbed() {
    let mut world = World::new().await;
    let data = world.push(&[]).await;
    let reading = world.app.open_reader(&user(), data).await.unwrap();
    let root = world.app.views().store.read().producer_of(data).unwrap();
    world.start_all();
    let upload = world.begin_upload().await;
    world.app.delete(&user(), root).await.unwrap_err();
    assert_eq!(open_agents(&world).len(), 2, "this one's and the upload's: {}", upload.agent);
    world.app.close_agent(&user(), &reading.agent, knit_domain::event::agent::AgentClosure::Finished).await.unwrap();
    world.app.delete(&user(), root).await.unwrap();
}

#[tokio::test]
async fn hsk_05_08_an_agent_that_cannot_be_looked_at_is_kept_reported_and_closed_later() {
    let mut world = World::new().await;
    let data = world.push(&[]).await;
    let reading = world.app.open_reader(&user(), data).await.unwrap();
    world.crash().await;
    world.restart().await;
    world.app.log().close().await;
    world.start(Role::Housekeeping);
    world.says(&["housekeeping", &reading.agent.to_string(), "to be tried again"]).await;
    assert_eq!(open_agents(&world), [reading.agent]);
    world.crash().await;

    world.restart().await;
    world.start(Role::Housekeeping);
    in_time("it is closed", || open_agents(&world).is_empty()).await;
}
