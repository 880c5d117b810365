//! Where the boxes of a picture are.
//!
//! Columns first: a node is right of everything that flows into it, and what nothing flows into stands directly
//! left of where it is first used. Then rows: each column is put in the order of the middles of its neighbours, to
//! and fro a few times, which straightens most edges.

use std::collections::HashMap;

use super::WIDTH_PX;

/// Pixels between two columns: room for edges to bend.
const COLUMN_GAP_PX: usize = 70;
/// Pixels between two boxes of a column.
const ROW_GAP_PX: usize = 14;
/// Pixels around everything.
const MARGIN_PX: usize = 20;
/// How often the rows are put in order again; more hardly changes anything.
const SWEEPS: usize = 4;

/// The upper left corner of a box, and its height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) x_px: usize,
    pub(crate) y_px: usize,
    pub(crate) height_px: usize,
}

/// Width and height of the picture.
pub(crate) fn size_px(places: &[Place]) -> (usize, usize) {
    let right = places.iter().map(|place| place.x_px + WIDTH_PX).max().unwrap_or(0);
    let bottom = places.iter().map(|place| place.y_px + place.height_px).max().unwrap_or(0);
    (right + MARGIN_PX, bottom + MARGIN_PX)
}

/// What flows into every node, and out of it.
pub(crate) struct Flow {
    before: Vec<Vec<usize>>,
    after: Vec<Vec<usize>>,
}

impl Flow {
    /// Among so many nodes, nothing flows yet.
    pub(crate) fn among(nodes: usize) -> Self {
        Self { before: vec![Vec::new(); nodes], after: vec![Vec::new(); nodes] }
    }

    /// Something flows from one node to another; both are numbers below those of the nodes.
    pub(crate) fn join(&mut self, from: usize, to: usize) {
        self.after[from].push(to);
        self.before[to].push(from);
    }

    /// The column of every node. Neither lineage nor Plans have cycles; nodes of one would stay in the first column.
    fn columns(&self) -> Vec<usize> {
        let mut columns = vec![0; self.before.len()];
        let mut waiting: Vec<usize> = self.before.iter().map(Vec::len).collect();
        let mut ready: Vec<usize> = (0..waiting.len()).filter(|node| waiting[*node] == 0).collect();
        while let Some(node) = ready.pop() {
            for &next in &self.after[node] {
                columns[next] = columns[next].max(columns[node] + 1);
                waiting[next] -= 1;
                if waiting[next] == 0 {
                    ready.push(next);
                }
            }
        }
        for node in (0..columns.len()).filter(|node| self.before[*node].is_empty()) {
            let first_use = self.after[node].iter().map(|next| columns[*next]).min();
            columns[node] = first_use.map_or(0, |column: usize| column.saturating_sub(1));
        }
        columns
    }
}

/// Where the boxes of these heights are, each by the number of its node.
pub(crate) fn placed(flow: &Flow, heights: &[usize]) -> Vec<Place> {
    let columns = flow.columns();
    let mut order = vec![Vec::new(); columns.iter().max().map_or(0, |last| last + 1)];
    for (node, &column) in columns.iter().enumerate() {
        order[column].push(node);
    }
    let mut middles = vec![0.0; heights.len()];
    for column in &order {
        stack(column, heights, &mut middles);
    }
    for sweep in 0..SWEEPS {
        if sweep % 2 == 0 {
            order.iter_mut().for_each(|column| settle(column, &flow.before, heights, &mut middles));
        } else {
            order.iter_mut().rev().for_each(|column| settle(column, &flow.after, heights, &mut middles));
        }
    }
    let top = (0..heights.len()).map(|node| middles[node] - half(heights[node])).fold(f64::INFINITY, f64::min);
    let place = |node: usize| Place {
        x_px: MARGIN_PX + columns[node] * (WIDTH_PX + COLUMN_GAP_PX),
        y_px: MARGIN_PX + whole(middles[node] - half(heights[node]) - top),
        height_px: heights[node],
    };
    (0..heights.len()).map(place).collect()
}

/// Puts a column's boxes below each other, from the top.
fn stack(column: &[usize], heights: &[usize], middles: &mut [f64]) {
    let mut y = 0.0;
    for &node in column {
        middles[node] = y + half(heights[node]);
        y += half(heights[node]) * 2.0 + half(ROW_GAP_PX) * 2.0;
    }
}

/// Orders a column by where its neighbours are, and puts it as near to them as its boxes allow.
fn settle(column: &mut [usize], neighbours: &[Vec<usize>], heights: &[usize], middles: &mut [f64]) {
    let mut wished: HashMap<usize, f64> = HashMap::new();
    for &node in column.iter() {
        let near = &neighbours[node];
        let sum: f64 = near.iter().map(|near| middles[*near]).sum();
        let wish = if near.is_empty() { middles[node] } else { sum / count(near.len()) };
        wished.insert(node, wish);
    }
    column.sort_by(|a, b| wished[a].total_cmp(&wished[b]));
    let mut free_from = f64::NEG_INFINITY;
    let mut moved = 0.0;
    for &node in column.iter() {
        middles[node] = wished[&node].max(free_from + half(heights[node]));
        moved += middles[node] - wished[&node];
        free_from = middles[node] + half(heights[node]) + half(ROW_GAP_PX) * 2.0;
    }
    // Boxes only push each other downwards; without this a column would hang below its neighbours.
    let back = moved / count(column.len().max(1));
    column.iter().for_each(|node| middles[*node] -= back);
}

fn half(px: usize) -> f64 {
    count(px) / 2.0
}

/// Pixels and counts of a picture are far below what a float holds exactly.
fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is measured from the top, so not negative, and casts saturate"
)]
fn whole(px: f64) -> usize {
    px.round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(edges: &[(usize, usize)], nodes: usize) -> Flow {
        let mut flow = Flow::among(nodes);
        edges.iter().for_each(|(from, to)| flow.join(*from, *to));
        flow
    }

    #[test]
    fn everything_flows_to_the_right() {
        let edges = [(0, 1), (1, 2), (2, 3), (4, 3), (0, 3)];
        let flow = flow(&edges, 5);
        let columns = flow.columns();
        assert!(edges.iter().all(|(from, to)| columns[*from] < columns[*to]), "{columns:?}");
        assert_eq!(columns[4], 2, "an origin stands beside where it is used");
    }

    #[test]
    fn no_two_boxes_of_a_column_overlap() {
        let edges: Vec<(usize, usize)> = (1..40).map(|node| (0, node)).chain((40..50).map(|node| (7, node))).collect();
        let heights: Vec<usize> = (0..50).map(|node| 20 + node % 5 * 15).collect();
        let places = placed(&flow(&edges, 50), &heights);
        for (a, one) in places.iter().enumerate() {
            let below = |other: &Place| one.y_px >= other.y_px + other.height_px;
            let mut others = places.iter().enumerate().filter(|(b, other)| *b != a && other.x_px == one.x_px);
            assert!(others.all(|(_, other)| below(other) || other.y_px >= one.y_px + one.height_px), "{a}: {one:?}");
        }
    }
}
