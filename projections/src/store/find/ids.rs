//! Finding by the beginning of an id: what people type, and what a shell completes.

use uuid::Uuid;

use crate::store::{At, Store};

/// Hex digits of an id.
const DIGITS_MAX: u32 = 32;

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdKind {
    /// Data that are there.
    Data,
    /// Plans.
    Plan,
    /// Runs, tombstones included.
    Run,
}

/// The beginning of an id: some of its first hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdPrefix {
    digits: u128,
    mask: u128,
}

impl IdPrefix {
    /// Reads hex digits; dashes may stand anywhere, and nothing is the beginning of every id. `None` for other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut prefix = Self { digits: 0, mask: 0 };
        let mut left = DIGITS_MAX;
        for digit in text.chars().filter(|c| *c != '-') {
            left = left.checked_sub(1)?;
            prefix.digits |= u128::from(digit.to_digit(16)?) << (4 * left);
            prefix.mask |= 0xf << (4 * left);
        }
        Some(prefix)
    }

    fn begins(self, id: Uuid) -> bool {
        id.as_u128() & self.mask == self.digits
    }
}

impl Store {
    /// At most `count_max` ids that begin so, the newest first. Every id is looked at: a million in some
    /// milliseconds.
    #[must_use]
    pub fn ids_beginning(&self, kind: IdKind, prefix: IdPrefix, at: At, count_max: usize) -> Vec<Uuid> {
        let limit = at.limit();
        match kind {
            IdKind::Data => {
                let rows = self.data.ids.rows().rev().map(|row| (row, self.data.ids.id(row)));
                let there = |row| self.data.exists(row, limit, &self.runs.steps);
                first(rows, prefix, there, count_max)
            }
            IdKind::Plan => {
                let rows = self.plans.rows().rev().map(|row| (row, self.plans.id(row).0));
                first(rows, prefix, |row| self.plans.exists(row, limit), count_max)
            }
            IdKind::Run => {
                let rows = self.runs.ids.rows().rev().map(|row| (row, self.runs.ids.id(row)));
                first(rows, prefix, |row| self.runs.status(row, limit).is_some(), count_max)
            }
        }
    }

    /// At most `count_max` ids that begin so of all that there ever were, gone or not, the newest first.
    #[must_use]
    pub fn ids_ever_beginning(&self, kind: IdKind, prefix: IdPrefix, count_max: usize) -> Vec<Uuid> {
        let fitting =
            |ids: &mut dyn Iterator<Item = Uuid>| ids.filter(|id| prefix.begins(*id)).take(count_max).collect();
        match kind {
            IdKind::Data => fitting(&mut self.data.ids.rows().rev().map(|row| self.data.ids.id(row))),
            IdKind::Plan => fitting(&mut self.plans.rows().rev().map(|row| self.plans.id(row).0)),
            IdKind::Run => fitting(&mut self.runs.ids.rows().rev().map(|row| self.runs.ids.id(row))),
        }
    }
}

fn first<R: Copy>(
    rows: impl Iterator<Item = (R, Uuid)>,
    prefix: IdPrefix,
    there: impl Fn(R) -> bool,
    count_max: usize,
) -> Vec<Uuid> {
    rows.filter(|(row, id)| prefix.begins(*id) && there(*row)).map(|(_, id)| id).take(count_max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_some_first_digits_with_dashes_or_without() {
        let id: Uuid = "6cd03965-619d-4429-afcd-de2db9e7a326".parse().unwrap();
        for begins in ["", "6", "6cd0", "6CD03965-61", "6cd03965619d", &id.to_string(), &id.simple().to_string()] {
            assert!(IdPrefix::parse(begins).unwrap().begins(id), "{begins}");
        }
        for other in ["7", "cd03", "6cd03965-61a"] {
            assert!(!IdPrefix::parse(other).unwrap().begins(id), "{other}");
        }
        for none in ["x", "6cd0 ", "é", &format!("{id}0")] {
            assert_eq!(IdPrefix::parse(none), None, "{none}");
        }
    }
}
