//! A history that happens twice, to the model and to a real log, with everybody who reads it.
//!
//! The model says what may be appended: the real log must say the same, and have the same in the end. Commands
//! are also decided early and appended late, appended by several at once, or asked for again although they were
//! answered; projections follow in pieces, are saved, thrown away and brought back; the log is closed and opened.

pub(crate) mod carried;
mod followers;
mod model;
mod moves;
mod place;

use knit_histories::play::{Play, Step, Wish};
use knit_histories::{chance, invariants};
use knit_log::{Appended, Log, Request};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use carried::Elsewhere;
use followers::Followers;
use moves::Move;
pub(crate) use place::Place;

/// Histories are long enough for a Run to be made, run, used and deleted, and to be read by somebody meanwhile.
const MOVES_MAX: usize = 120;
/// Past positions that are looked back to in the end.
const LOOKS_BACK: usize = 3;
/// Tries to find a smaller history that fails; each takes as long as a history.
const SHRINKING_MAX: u32 = 150;
/// Events that are read at once when everything is read: several pages, also in a small log.
const PAGE: usize = 50;

/// Lets so many histories happen at `place`, one after the other, each in an empty log.
///
/// # Panics
/// When one is not as the model says; the message has the smallest one that was found.
pub(crate) fn hold(cases: u32, place: &Place) {
    let config = Config { max_shrink_iters: SHRINKING_MAX, ..chance::cases(cases) };
    let runtime = Runtime::new().expect("a runtime can be made");
    let elsewhere = Elsewhere::new();
    let histories = (moves::moves(MOVES_MAX), any::<[Index; LOOKS_BACK]>());
    let outcome = TestRunner::new(config).run(&histories, |(moves, looks)| {
        place.clear();
        runtime.block_on(rehearse(place, &elsewhere, moves, looks))
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

async fn rehearse(
    place: &Place,
    elsewhere: &Elsewhere,
    moves: Vec<Move>,
    looks: [Index; LOOKS_BACK],
) -> Result<(), TestCaseError> {
    let mut rehearsal = Rehearsal::begin(place).await?;
    for next in moves {
        rehearsal.take(next).await?;
    }
    rehearsal.end(elsewhere, looks).await
}

/// Everybody who takes part.
struct Rehearsal<'a> {
    place: &'a Place,
    /// Handles on the real log, as several processes have them.
    logs: Vec<Log>,
    /// The model, and who decides on it.
    play: Play,
    /// Decided and not appended yet.
    decided: Vec<Request>,
    /// Every request that was recorded, and the answer.
    recorded: Vec<(Request, Appended)>,
    followers: Followers,
}

impl Rehearsal<'_> {
    async fn take(&mut self, next: Move) -> Result<(), TestCaseError> {
        match next {
            Move::Step(Step::Now(wish)) => {
                let decided = self.decide(&wish);
                self.append(decided.into_iter().collect()).await
            }
            Move::Step(Step::Decide(wish)) => {
                let decided = self.decide(&wish);
                self.decided.extend(decided);
                Ok(())
            }
            Move::Step(Step::Append(at)) => {
                let late = self.late(at);
                self.append(late.into_iter().collect()).await
            }
            Move::AtOnce { wishes, late, twice } => {
                let mut all: Vec<Request> = wishes.iter().filter_map(|wish| self.decide(wish)).collect();
                all.extend(self.late(late));
                all.extend(all.first().filter(|_| twice).cloned());
                self.append(all).await
            }
            Move::Repeat(at) => self.repeat(at).await,
            Move::Trespass(at) => {
                let trespass = self.trespass(at);
                self.append(trespass.into_iter().collect()).await
            }
            Move::Follow(events) => self.followers.read_on(&self.logs[0], events).await,
            Move::Save => self.followers.save(&self.logs[0]).await,
            Move::Reopen => self.reopen().await,
        }
    }

    /// What comes of a wish now, as a request.
    fn decide(&mut self, wish: &Wish) -> Option<Request> {
        let decision = self.play.decide(wish)?.ok()?;
        (!decision.is_nothing()).then(|| model::request(decision))
    }

    /// Something that was decided earlier.
    fn late(&mut self, at: usize) -> Option<Request> {
        let at = at.checked_rem(self.decided.len())?;
        Some(self.decided.swap_remove(at))
    }

    /// An append that was recorded is asked for again, as after an answer that was lost.
    async fn repeat(&self, at: usize) -> Result<(), TestCaseError> {
        let Some(at) = at.checked_rem(self.recorded.len()) else { return Ok(()) };
        let (request, first) = &self.recorded[at];
        let again = self.logs[at % self.logs.len()].append(request.clone()).await.map_err(failed)?;
        prop_assert_eq!(again, Appended { repeated: true, ..first.clone() });
        Ok(())
    }

    async fn reopen(&mut self) -> Result<(), TestCaseError> {
        for log in self.logs.drain(..) {
            log.close().await;
        }
        self.logs = self.place.open().await;
        prop_assert_eq!(self.logs[0].position(), self.length());
        self.followers.come_back(&self.logs[0]).await
    }

    /// How many events the model has.
    fn length(&self) -> u64 {
        self.play.world.log.entries.len() as u64
    }

    async fn end(mut self, elsewhere: &Elsewhere, looks: [Index; LOOKS_BACK]) -> Result<(), TestCaseError> {
        invariants::check(&self.play.world.log);
        let events = self.compare_everything().await?;
        self.attachments_are_the_same().await?;
        self.is_the_same_elsewhere(elsewhere, &events).await?;
        self.followers.compare_everything(&self.logs[0], &events, looks).await?;
        for log in self.logs.drain(..) {
            log.close().await;
        }
        Ok(())
    }
}

/// The real log did what it should never do.
fn failed(error: impl std::error::Error) -> TestCaseError {
    TestCaseError::fail(format!("{error}: {error:?}"))
}
