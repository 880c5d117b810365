//! Something is redacted in the log of a running server (D15): it forgets it, wherever it showed it.

use knit_domain::event::{Metadata, Recorded};
use knit_domain::redaction::{Content, Search};
use knit_domain::tag::Tag;
use knit_log::{Log, Request};
use knit_projections::matcher::Matcher;
use knit_projections::store::Store;
use knit_projections::worklists::Worklists;
use serde_json::Value;
use tokio::time::timeout;

use crate::client::PATIENCE;
use crate::following::assert_is_fold_of;
use crate::kit::{World, spec};

/// The whole log.
async fn history(log: &Log) -> Vec<Recorded> {
    let mut events: Vec<Recorded> = Vec::new();
    loop {
        let page = log.read(events.len() as u64, 100).await.unwrap();
        if page.is_empty() {
            return events;
        }
        events.extend(page);
    }
}

/// Redacts a tag, as an administrator will; answers the position of the last redaction, once the server shows it.
async fn forget(world: &World, tag: &str) -> u64 {
    let (log, views) = (world.app.log(), world.app.views());
    let content = Content::Tag(Tag::parse(tag).unwrap());
    let mut search = Search::new(content, "a person asked for it").unwrap();
    history(log).await.iter().for_each(|recorded| search.take(recorded));
    log.note_envelopes(&mut search).await.unwrap();
    let decision = search.decide().unwrap();
    let metadata = Metadata { actor: "an administrator".to_owned(), ..Metadata::default() };
    let position = log.append(Request::new(decision, metadata)).await.unwrap().position;
    let mut followed = views.watch_followed();
    let shown = followed.wait_for(|followed| followed.caught_up && followed.position == position);
    timeout(PATIENCE, shown).await.expect("in time").unwrap();
    assert!(views.are_without(position, PATIENCE).await, "in time");
    position
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d15_a_server_that_runs_forgets_what_is_redacted_also_of_the_past() {
    let world = World::new().await;
    let data = world.push(&["owner:alice", "type:corpus"]).await;
    let plan = world.plan(&spec("owner:alice")).await;
    let run = world.run_of(&plan).await;
    let before = history(world.app.log()).await.len() as u64;
    let position = forget(&world, "owner:alice").await;
    assert!(position > before);
    for target in [
        "/api/data".to_owned(),
        "/api/plans".to_owned(),
        format!("/api/data?as-of={before}"),
        format!("/api/data/{data}/lineage"),
        "/api/events".to_owned(),
        "/api/events/export".to_owned(),
        "/api/tags?prefix=owner".to_owned(),
    ] {
        let answer = world.get(&target).await.expect(200);
        let text = String::from_utf8(answer.body).unwrap();
        assert!(!text.contains("alice"), "{target}: {text}");
    }
    // What it led to is still led to by it, under another word.
    let word = format!("owner:redacted-{before}");
    let found = world.get(&format!("/api/data?tag={word}&as-of={before}")).await.expect(200).json();
    assert_eq!(found[0]["knitId"].as_str(), Some(data.as_str()));
    world.get(&format!("/api/runs/{run}")).await.expect(200);
    assert_eq!(world.run_of(&plan).await, run, "nothing else has become due");

    let (log, views) = (world.app.log(), world.app.views());
    assert_is_fold_of::<Store>(log, &views.store).await;
    assert_is_fold_of::<Matcher>(log, &views.matcher).await;
    assert_is_fold_of::<Worklists>(log, &views.worklists).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_was_redacted_says_so_and_what_remains_of_it() {
    let world = World::new().await;
    let _ = world.push(&["owner:alice"]).await;
    let log = history(world.app.log()).await;
    let tagged = log.iter().find(|recorded| recorded.event.type_name() == "DataTagsChanged").unwrap().position;
    let redaction = forget(&world, "owner:alice").await;
    let shown = world.get(&format!("/api/events/{tagged}")).await.expect(200).json();
    let seal = &shown["seal"];
    assert_eq!((&seal["leafHolds"], &seal["chainHolds"]), (&Value::Bool(false), &Value::Bool(true)));
    assert_eq!((&seal["redactedAt"], &seal["payload"], &seal["salt"]), (&redaction.into(), &"{}".into(), &"".into()));
    assert_eq!(seal["envelopeHolds"], true);
    assert_eq!(shown["event"]["payload"]["added"][0][1], format!("redacted-{}", log.len()));
    let admission = world.get(&format!("/api/events/{redaction}")).await.expect(200).json();
    assert_eq!(admission["event"]["actor"], "an administrator");
    assert_eq!(admission["event"]["payload"]["position"], tagged);
}
