//! What is not there at some time: when it began, or when it went and by whom.

use knit_domain::event::data::{DataEvent, DiscardReason};
use knit_domain::event::{Entity, Event, Position, Recorded};
use knit_projections::projection::Projection as _;
use knit_projections::store::{At, Span};

use super::front::Api;
use super::problem::Problem;

/// Whether `of` existed at the time that is asked about.
///
/// # Errors
/// 404 that says when it began or went, if it ever was; 503 when the log cannot say.
pub(super) async fn existed(api: &Api, of: Entity, at: At) -> Result<(), Problem> {
    let (what, id) = named(of);
    let (span, reached) = {
        let store = api.app.views().store.read();
        (store.span(of), at.position(store.position()))
    };
    match span {
        None => Err(Problem::not_found(what, &id)),
        Some(Span { from, .. }) if reached < from => {
            let made = event_at(api, from).await?;
            Err(Problem::absent(format!("ask about position {from} or later"))
                .because(format!("{what} `{id}` was made only at {}, position {from}", made.recorded_at)))
        }
        Some(Span { gone: Some(gone), .. }) if gone <= reached => Err(went(api, of, gone).await?),
        Some(_) => Ok(()),
    }
}

async fn went(api: &Api, of: Entity, gone: Position) -> Result<Problem, Problem> {
    let (what, id) = named(of);
    let Recorded { recorded_at, event, metadata, .. } = event_at(api, gone).await?;
    let how = match event {
        Event::Data(DataEvent::DataDiscarded { reason: DiscardReason::Retry, .. }) => "when its Run was retried",
        Event::Data(_) | Event::Run(_) => "when its Run was deleted",
        Event::Plan(_) | Event::Catalog(_) | Event::Agent(_) | Event::Journal(_) => "for another reason",
    };
    Ok(Problem::absent(format!("ask about position {} or earlier to see it as it was", gone - 1))
        .because(format!("{what} `{id}` went {how}, at {recorded_at}, position {gone}, by {}", metadata.actor)))
}

async fn event_at(api: &Api, position: Position) -> Result<Recorded, Problem> {
    let page = api.app.log().read(position - 1, 1).await.map_err(Problem::of_log)?;
    page.into_iter().next().ok_or_else(|| Problem::unexpected(format!("event {position} is not in the log")))
}

fn named(of: Entity) -> (&'static str, String) {
    match of {
        Entity::Plan(id) => ("Plan", id.to_string()),
        Entity::Run(id) => ("Run", id.to_string()),
        Entity::Data(id) => ("Data", id.to_string()),
    }
}
