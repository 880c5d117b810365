//! The follower on a long log: what it folds while it reads ahead is what the log says.

use std::sync::Arc;

use knit_domain::decision::Decision;
use knit_domain::event::data::DataEvent;
use knit_domain::event::{Metadata, Position, StreamId};
use knit_domain::tag::Tag;
use knit_log::{Log, Request};
use knit_projections::matcher::Matcher;
use knit_projections::projection::Projection;
use knit_projections::store::Store;
use knit_projections::worklists::Worklists;
use knitd::follower::Follower;
use knitd::views::{View, Views};
use tokio::time::timeout;

use crate::client::PATIENCE;
use crate::kit::World;

/// Changes of one Data: some pages of what a follower reads at once, and a part of one.
const CHANGES: u64 = 9_876;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d6_a_follower_that_reads_ahead_folds_what_one_by_one_folds() {
    let world = World::new().await;
    let data = StreamId::data(world.push(&["type:corpus"]).await.parse().unwrap());
    let log = world.app.log();
    let position = change(log, &data).await;

    let views = Arc::new(Views::default());
    let following = tokio::spawn(Follower::new(log.clone(), Arc::clone(&views)).run());
    let mut followed = views.watch_followed();
    timeout(PATIENCE, followed.wait_for(|followed| followed.caught_up)).await.expect("in time").unwrap();
    following.abort();

    assert_eq!(views.followed().position, position);
    assert_eq!(Some(views.followed().chain), log.chain_at(position).await.unwrap());
    assert_is_fold_of::<Store>(log, &views.store).await;
    assert_is_fold_of::<Matcher>(log, &views.matcher).await;
    assert_is_fold_of::<Worklists>(log, &views.worklists).await;
}

/// Changes the tags of a Data over and over; answers the position of the last change.
async fn change(log: &Log, data: &StreamId) -> Position {
    let version = log.load(data).await.unwrap().len() as u64;
    let events = (0..CHANGES).map(|count| {
        let tag = Tag::new("count", (count / 2).to_string());
        match count % 2 {
            0 => DataEvent::DataTagsChanged { added: [tag].into(), removed: [].into() },
            _ => DataEvent::DataTagsChanged { added: [].into(), removed: [tag].into() },
        }
    });
    let decision = Decision::write(data.clone(), version, events);
    let metadata = Metadata { actor: "anonymous".to_owned(), ..Metadata::default() };
    log.append(Request::new(decision, metadata)).await.unwrap().position
}

pub(crate) async fn assert_is_fold_of<P: Projection>(log: &Log, view: &View<P>) {
    let mut fold = P::default();
    loop {
        let events = log.read(fold.position(), 100).await.unwrap();
        if events.is_empty() {
            break;
        }
        events.iter().for_each(|event| fold.apply(event).unwrap());
    }
    assert_eq!(view.read().position(), fold.position(), "{}", P::NAME);
    assert_eq!(view.read().digest(), fold.digest(), "{}", P::NAME);
}
