//! What may happen next.

use knit_histories::play::{Step, Wish, step, wish};
use proptest::collection::vec;
use proptest::prelude::*;

/// Commands that are appended at once; more than one batch of an appender now and then.
const AT_ONCE_MAX: usize = 6;
/// Events that a follower reads at once; more than there are now and then.
const FOLLOWED_MAX: usize = 60;
/// Numbers choose by remainder among what there is.
const ANY: std::ops::Range<usize> = 0..1_000;

/// One thing that happens to a log, or to those who read it.
#[derive(Debug, Clone)]
pub(crate) enum Move {
    /// A command, at once or late.
    Step(Step),
    /// Commands that were decided on one state, and one that was decided earlier, appended by several at once. The
    /// first may be sent twice, as by somebody who gave up waiting for the answer.
    AtOnce { wishes: Vec<Wish>, late: usize, twice: bool },
    /// An append that was recorded is asked for again.
    Repeat(usize),
    /// Somebody wants to write a Data to which another is writing. No rule of the domain comes to that, so that the
    /// log alone stands against it.
    Trespass(usize),
    /// The projections read on, so many events.
    Follow(usize),
    /// Snapshots of all projections are saved, and old ones pruned.
    Save,
    /// The log is closed and opened again, and the projections come back from their snapshots.
    Reopen,
}

/// A history of up to `most` moves.
pub(crate) fn moves(most: usize) -> impl Strategy<Value = Vec<Move>> {
    vec(a_move(), most / 4..most)
}

fn a_move() -> impl Strategy<Value = Move> {
    let at_once = (vec(wish(), 2..=AT_ONCE_MAX), ANY, any::<bool>());
    prop_oneof![
        24 => step().prop_map(Move::Step),
        6 => at_once.prop_map(|(wishes, late, twice)| Move::AtOnce { wishes, late, twice }),
        2 => ANY.prop_map(Move::Repeat),
        1 => ANY.prop_map(Move::Trespass),
        4 => (1..FOLLOWED_MAX).prop_map(Move::Follow),
        2 => Just(Move::Save),
        1 => Just(Move::Reopen),
    ]
}
