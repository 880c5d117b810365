//! The combinations of one pair with older pairs of the other inputs, walked through like the digits
//! of an odometer whose wheels have different sizes.

use super::numbers::Arrival;
use super::plans::{Pair, Pairs};

/// One position of the odometer. The last wheel turns fastest. Places are told by arrivals, not by
/// counting, so they stay true when pairs vanish in between.
#[derive(Debug)]
pub(super) struct Product<'a> {
    wheels: Vec<&'a Pairs>,
    /// Only pairs that arrived before this one take part.
    before: Arrival,
    /// A pair of each of the other inputs.
    members: Vec<Pair>,
    over: bool,
}

impl<'a> Product<'a> {
    /// The first combination. Without wheels there is exactly one, of nothing.
    fn first(wheels: Vec<&'a Pairs>, before: Arrival) -> Self {
        let mut product = Self { wheels, before, members: Vec::new(), over: false };
        product.fill_up();
        product
    }

    /// The first combination, or if a place is given, which [`Product::place`] told earlier, the first
    /// that does not come before it.
    pub(super) fn resume(wheels: Vec<&'a Pairs>, before: Arrival, place: Option<&[Arrival]>) -> Self {
        let mut product = Self::first(wheels, before);
        if let Some(place) = place
            && place.len() == product.wheels.len()
            && place.iter().all(|arrival| *arrival < before)
            && !product.over
        {
            product.seek(place);
        }
        product
    }

    /// The pairs of this combination, one for each wheel; none when the walk is over.
    pub(super) fn members(&self) -> Option<&[Pair]> {
        (!self.over).then_some(&self.members)
    }

    /// Where the walk is, to go on from there later.
    pub(super) fn place(&self) -> Box<[Arrival]> {
        self.members.iter().map(|(arrival, _)| *arrival).collect()
    }

    /// Goes to the next combination.
    pub(super) fn advance(&mut self) {
        while let Some((arrival, _)) = self.members.pop() {
            if let Some(next) = self.on_wheel(self.members.len(), arrival + 1) {
                self.members.push(next);
                self.fill_up();
                return;
            }
        }
        self.over = true;
    }

    fn seek(&mut self, place: &[Arrival]) {
        self.members.clear();
        for (wheel, wanted) in place.iter().enumerate() {
            match self.on_wheel(wheel, *wanted) {
                Some(found) => {
                    self.members.push(found);
                    if found.0 > *wanted {
                        return self.fill_up();
                    }
                }
                None => return self.advance(),
            }
        }
    }

    /// Turns the wheels that have no member yet to their first.
    fn fill_up(&mut self) {
        while self.members.len() < self.wheels.len() {
            match self.on_wheel(self.members.len(), 0) {
                Some(first) => self.members.push(first),
                None => {
                    self.over = true;
                    return;
                }
            }
        }
    }

    /// The first pair on `wheel` that arrived at `from` or later, and in time.
    fn on_wheel(&self, wheel: usize, from: Arrival) -> Option<Pair> {
        self.wheels[wheel].from(|(arrival, _)| *arrival < from).next().filter(|pair| pair.0 < self.before).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::super::numbers::DataNo;
    use super::*;

    fn wheel(arrivals: &[Arrival]) -> Pairs {
        let mut wheel = Pairs::default();
        arrivals.iter().for_each(|arrival| assert!(wheel.insert((*arrival, data_of(*arrival)))));
        wheel
    }

    fn data_of(arrival: Arrival) -> DataNo {
        DataNo(arrival * 10)
    }

    fn walk(mut product: Product<'_>) -> Vec<Vec<Arrival>> {
        let mut walked = Vec::new();
        while product.members().is_some() {
            walked.push(product.place().to_vec());
            product.advance();
        }
        walked
    }

    #[test]
    fn every_combination_of_older_pairs_comes_once_in_order() {
        let (a, b) = (wheel(&[0, 3, 9]), wheel(&[1, 4]));
        assert_eq!(walk(Product::first(vec![&a, &b], 5)), [[0, 1], [0, 4], [3, 1], [3, 4]]);
    }

    #[test]
    fn an_empty_wheel_leaves_no_combination_and_no_wheel_leaves_one() {
        let (a, b) = (wheel(&[0, 1]), wheel(&[7]));
        assert!(walk(Product::first(vec![&a, &b], 5)).is_empty());
        assert_eq!(walk(Product::first(Vec::new(), 5)), [Vec::<Arrival>::new()]);
    }

    #[test]
    fn a_walk_resumes_at_every_place_even_when_members_have_vanished() {
        let (a, b, c) = (wheel(&[0, 3, 6]), wheel(&[1, 4]), wheel(&[2, 5, 7]));
        let all = walk(Product::first(vec![&a, &b, &c], 10));
        assert_eq!(all.len(), 18);
        for place in &all {
            for vanished in 0..8 {
                let [a, b, c] = [&a, &b, &c].map(|wheel| {
                    let mut wheel = wheel.clone();
                    wheel.remove(&(vanished, data_of(vanished)));
                    wheel
                });
                let rest = walk(Product::resume(vec![&a, &b, &c], 10, Some(place)));
                let expected: Vec<_> =
                    all.iter().filter(|other| *other >= place && !other.contains(&vanished)).cloned().collect();
                assert_eq!(rest, expected, "from {place:?} without {vanished}");
            }
        }
    }
}
