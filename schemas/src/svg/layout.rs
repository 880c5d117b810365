//! Where the boxes of a picture are.
//!
//! Columns first: a node is right of everything that flows into it, and what nothing flows into stands directly
//! left of where it is first used. Then rows: each column is put in the order of the middles of its neighbours, to
//! and fro a few times, which straightens most edges. A chain goes on below, as the lines of a text do; what is far
//! higher than wide, such as all that uses one Data, is cut into strips beside each other ([`strips`]).

mod strips;

use std::collections::HashMap;

use super::{TURN_PX, WIDTH_PX};
use strips::{Columns, Strips};

/// Pixels between two columns: room for edges to bend.
const COLUMN_GAP_PX: usize = 70;
/// Pixels between two boxes of a column.
const ROW_GAP_PX: usize = 14;
/// Columns beside each other in a picture that would be far wider than high.
const COLUMNS_MAX: usize = 8;
/// So many times as wide as high is far wider.
const FAR_WIDER: usize = 3;
/// Pixels between what is above and what goes on below: room for edges to lead back.
const BAND_GAP_PX: usize = 50;
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
    // What goes on in another row turns right of its box, and says so there.
    (right + TURN_PX, bottom + MARGIN_PX)
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

    /// What flows among these nodes.
    fn within(&self, order: &[Vec<usize>]) -> Self {
        let mut is_within = vec![false; self.before.len()];
        order.iter().flatten().for_each(|node| is_within[*node] = true);
        let among = |ends: &[Vec<usize>]| {
            let kept = |(node, ends): (usize, &Vec<usize>)| -> Vec<usize> {
                ends.iter().copied().filter(|end| is_within[node] && is_within[*end]).collect()
            };
            ends.iter().enumerate().map(kept).collect()
        };
        Self { before: among(&self.before), after: among(&self.after) }
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

/// Where the boxes of these heights are, each by the number of its node; between columns are `text_px` for what stands
/// on edges.
pub(crate) fn placed(flow: &Flow, heights: &[usize], text_px: usize) -> Vec<Place> {
    let columns = flow.columns();
    let mut order = vec![Vec::new(); columns.iter().max().map_or(0, |last| last + 1)];
    for (node, &column) in columns.iter().enumerate() {
        order[column].push(node);
    }
    let middles = settled(&mut order, flow, heights);
    let column_px = WIDTH_PX + COLUMN_GAP_PX + text_px;
    let columns_of_boxes = Columns { order: &order, flow, heights, middles: &middles, column_px };
    if let Some(strips) = Strips::of(&columns_of_boxes) {
        // What leads from one strip to one before it has its text left of the first column.
        return strips.placed(MARGIN_PX + text_px.max(TURN_PX));
    }
    let tops: Vec<f64> = (0..heights.len()).map(|node| middles[node] - half(heights[node])).collect();
    let (top, bottom) = reach(&order, &middles, heights);
    let beside = columns_beside(order.len(), column_px, bottom - top);
    let sinks = sinks(&columns, beside, &tops, heights);
    // What leads back to the left has its text left of the first column.
    let left_px = if sinks.len() > 1 { MARGIN_PX + text_px.max(TURN_PX) } else { MARGIN_PX };
    let place = |node: usize| Place {
        x_px: left_px + columns[node] % beside * column_px,
        y_px: whole(tops[node] + sinks[columns[node] / beside]),
        height_px: heights[node],
    };
    (0..heights.len()).map(place).collect()
}

/// Puts each of these columns in order; answers the middles of their boxes, by the number of the node.
fn settled(order: &mut [Vec<usize>], flow: &Flow, heights: &[usize]) -> Vec<f64> {
    let mut middles = vec![0.0; heights.len()];
    for column in order.iter() {
        stack(column, heights, &mut middles);
    }
    for sweep in 0..SWEEPS {
        if sweep % 2 == 0 {
            order.iter_mut().for_each(|column| settle(column, &flow.before, heights, &mut middles));
        } else {
            order.iter_mut().rev().for_each(|column| settle(column, &flow.after, heights, &mut middles));
        }
    }
    middles
}

/// Where the boxes of these columns begin and end.
fn reach(columns: &[Vec<usize>], middles: &[f64], heights: &[usize]) -> (f64, f64) {
    columns.iter().flatten().fold((f64::INFINITY, f64::NEG_INFINITY), |(top, bottom), &node| {
        (top.min(middles[node] - half(heights[node])), bottom.max(middles[node] + half(heights[node])))
    })
}

/// How many of the columns stand beside each other; the others go on below.
fn columns_beside(columns: usize, column_px: usize, high: f64) -> usize {
    let is_far_wider = count(columns * column_px) > count(FAR_WIDER) * high;
    if is_far_wider && columns > COLUMNS_MAX { COLUMNS_MAX } else { columns.max(1) }
}

/// By how much the boxes of each band of columns sink, so that the bands are below each other.
fn sinks(columns: &[usize], beside: usize, tops: &[f64], heights: &[usize]) -> Vec<f64> {
    let bands = columns.iter().max().map_or(0, |last| last / beside + 1);
    let mut reaches = vec![(f64::INFINITY, f64::NEG_INFINITY); bands];
    for (node, column) in columns.iter().enumerate() {
        let (top, bottom) = &mut reaches[column / beside];
        *top = top.min(tops[node]);
        *bottom = bottom.max(tops[node] + count(heights[node]));
    }
    let mut free_from = count(MARGIN_PX);
    let sink = |(top, bottom): (f64, f64)| {
        let sink = free_from - top;
        free_from += (bottom - top).max(0.0) + count(BAND_GAP_PX);
        sink
    };
    reaches.into_iter().map(sink).collect()
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
    fn a_long_chain_goes_on_below() {
        let edges: Vec<(usize, usize)> = (1..30).map(|node| (node - 1, node)).collect();
        let places = placed(&flow(&edges, 30), &[40; 30], 0);
        let (width, height) = size_px(&places);
        assert!(width < 9 * (WIDTH_PX + COLUMN_GAP_PX) && height < 500, "{width} × {height}");
        let goes_on = |from: Place, to: Place| to.x_px > from.x_px || to.y_px >= from.y_px + from.height_px;
        assert!(edges.iter().all(|(from, to)| goes_on(places[*from], places[*to])), "{places:?}");
        assert!(placed(&flow(&edges[..7], 8), &[40; 8], 0).iter().all(|place| place.y_px == MARGIN_PX));
    }

    #[test]
    fn what_uses_a_hub_stands_right_of_it_in_strips() {
        // The hub, 500 that use it, and what each of them makes.
        let uses = (1..=500).flat_map(|node| [(0, node), (node, 500 + node)]);
        let edges: Vec<(usize, usize)> = uses.collect();
        let heights = [40; 1_001];
        let places = placed(&flow(&edges, 1_001), &heights, 0);
        let (width, height) = size_px(&places);
        assert!(width < 3 * height && height < 2 * width, "{width} × {height}");
        assert!(edges.iter().all(|(from, to)| places[*from].x_px < places[*to].x_px), "all flows to the right");
        let beside = edges.iter().filter(|(from, _)| *from > 0);
        assert!(beside.clone().all(|(from, to)| places[*to].x_px - places[*from].x_px == WIDTH_PX + COLUMN_GAP_PX));
        assert!(no_two_overlap(&places), "{places:?}");
        // Each of those that use it takes another thing besides.
        let besides = (1..=500).map(|node| (1_000 + node, node));
        let edges: Vec<(usize, usize)> = edges.into_iter().chain(besides).collect();
        let places = placed(&flow(&edges, 1_501), &[40; 1_501], 0);
        assert!(places[1..].iter().all(|place| places[0].x_px < place.x_px), "the hub is left of all");
        assert!(edges.iter().all(|(from, to)| places[*from].x_px < places[*to].x_px), "all flows to the right");
        assert!(no_two_overlap(&places), "{places:?}");
        let few: Vec<(usize, usize)> = (1..20).map(|node| (0, node)).collect();
        let places = placed(&flow(&few, 20), &[40; 20], 0);
        assert!(places[1..].iter().all(|place| place.x_px == places[1].x_px), "a few stay in their column");
    }

    fn no_two_overlap(places: &[Place]) -> bool {
        let mut sorted: Vec<&Place> = places.iter().collect();
        sorted.sort_by_key(|place| (place.x_px, place.y_px));
        sorted.windows(2).all(|pair| pair[0].x_px != pair[1].x_px || pair[0].y_px + pair[0].height_px <= pair[1].y_px)
    }

    #[test]
    fn no_two_boxes_of_a_column_overlap() {
        let edges: Vec<(usize, usize)> = (1..40).map(|node| (0, node)).chain((40..50).map(|node| (7, node))).collect();
        let heights: Vec<usize> = (0..50).map(|node| 20 + node % 5 * 15).collect();
        let places = placed(&flow(&edges, 50), &heights, 0);
        assert!(no_two_overlap(&places), "{places:?}");
    }
}
