//! Where the boxes of a picture are.
//!
//! Columns first: a node is right of everything that flows into it, and what nothing flows into stands directly
//! left of where it is first used. Then rows: each column is put in the order of the middles of its neighbours, to
//! and fro a few times, which straightens most edges. A chain goes on below, as the lines of a text do; what is far
//! higher than wide, such as all that uses one Data, is cut into strips beside each other ([`strips`]).
//!
//! Edges go between the boxes, never behind one ([`between`], [`over`]).

mod between;
mod over;
mod strips;

use std::collections::HashMap;

use super::{Route, WIDTH_PX};
use strips::{Columns, Strips};

/// Pixels for an edge to turn at the end of a row.
const TURN_PX: usize = 60;

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
/// Pixels from the top that a browser shows first, on a small screen.
const VIEW_PX: usize = 600;
/// How often the rows are put in order again; more hardly changes anything.
const SWEEPS: usize = 4;

/// The upper left corner of a box, and its height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) x_px: usize,
    pub(crate) y_px: usize,
    pub(crate) height_px: usize,
}

/// From a row of a box to a row of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    /// The number of the box.
    pub(crate) from: usize,
    /// Pixels from its top.
    pub(crate) from_px: usize,
    /// The number of the box.
    pub(crate) to: usize,
    /// Pixels from its top.
    pub(crate) to_px: usize,
}

impl Edge {
    /// Where it leaves which box.
    fn source(&self) -> (usize, usize) {
        (self.from, self.from_px)
    }

    fn begin(&self, places: &[Place]) -> (usize, usize) {
        (places[self.from].x_px + WIDTH_PX, places[self.from].y_px + self.from_px)
    }

    fn end(&self, places: &[Place]) -> (usize, usize) {
        (places[self.to].x_px, places[self.to].y_px + self.to_px)
    }
}

/// Where everything is.
pub(crate) struct Picture {
    /// Each box, by its number.
    pub(crate) places: Vec<Place>,
    /// The ways of the edges, in their order.
    pub(crate) routes: Vec<Route>,
    /// Width and height.
    pub(crate) size_px: (usize, usize),
}

impl Picture {
    fn of(places: Vec<Place>, routes: Vec<Route>, margin_px: usize) -> Self {
        let ends = places.iter().map(|place| (place.x_px + WIDTH_PX, place.y_px + place.height_px));
        let further = |(x, y): (usize, usize), (to_x, to_y): (usize, usize)| (x.max(to_x), y.max(to_y));
        let (right, bottom) = ends.chain(routes.iter().map(Route::reach_px)).fold((0, 0), further);
        Self { places, routes, size_px: (right + margin_px, bottom + MARGIN_PX) }
    }
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

/// The picture of boxes of these heights; between columns are `text_px` for what stands on edges. The box `start` is to be
/// seen at once, where that can be.
pub(crate) fn picture(edges: &[Edge], heights: &[usize], text_px: usize, start: Option<usize>) -> Picture {
    let mut flow = Flow::among(heights.len());
    edges.iter().for_each(|edge| flow.join(edge.from, edge.to));
    let columns = flow.columns();
    let mut order = by_column(&columns);
    let middles = settled(&mut order, &flow, heights);
    let column_px = WIDTH_PX + COLUMN_GAP_PX + text_px;
    let columns_of_boxes = Columns { order: &order, flow: &flow, heights, middles: &middles, column_px };
    match Strips::of(&columns_of_boxes) {
        Some(strips) => over::picture(edges, &strips, (column_px, text_px), start),
        None => between::picture(edges, columns, heights, (column_px, text_px), start),
    }
}

/// The nodes of each column.
fn by_column(columns: &[usize]) -> Vec<Vec<usize>> {
    let mut order = vec![Vec::new(); columns.iter().max().map_or(0, |last| last + 1)];
    for (node, &column) in columns.iter().enumerate() {
        order[column].push(node);
    }
    order
}

/// Moves a column up until `start`, which is in it, is among what is seen first, as far as the others leave room.
fn into_view(column: &[usize], start: Option<usize>, places: &mut [Place]) {
    let Some(Place { y_px, height_px, .. }) = start.map(|start| places[start]) else { return };
    let hidden_px = (y_px + height_px.min(VIEW_PX)).saturating_sub(VIEW_PX);
    let room_px = column.iter().map(|node| places[*node].y_px.saturating_sub(MARGIN_PX)).min().unwrap_or(0);
    column.iter().for_each(|node| places[*node].y_px -= hidden_px.min(room_px));
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
    use crate::svg::tests::Numbers;

    /// From the first row of one box to the first of another.
    fn edges(pairs: &[(usize, usize)]) -> Vec<Edge> {
        pairs.iter().map(|(from, to)| Edge { from: *from, from_px: 10, to: *to, to_px: 10 }).collect()
    }

    fn drawn(pairs: &[(usize, usize)], nodes: usize) -> Picture {
        let picture = picture(&edges(pairs), &vec![40; nodes], 0, Some(0));
        assert_no_edge_is_hidden(pairs, &picture);
        picture
    }

    #[track_caller]
    fn assert_no_edge_is_hidden(pairs: &[(usize, usize)], picture: &Picture) {
        for (pair, route) in pairs.iter().zip(&picture.routes) {
            let (points, near) = (route.points(), |points: &[(usize, usize)]| {
                let (across, down) = (points.iter().map(|point| point.0), points.iter().map(|point| point.1));
                let (left, right) = (across.clone().min().unwrap(), across.max().unwrap());
                let (top, bottom) = (down.clone().min().unwrap(), down.max().unwrap());
                move |place: &&Place| {
                    let is_beside = right <= place.x_px || left >= place.x_px + WIDTH_PX;
                    !is_beside && bottom > place.y_px && top < place.y_px + place.height_px
                }
            });
            let places: Vec<&Place> = picture.places.iter().filter(near(&points)).collect();
            for piece in points.windows(2) {
                let hidden = places.iter().copied().find(near(piece));
                assert_eq!(hidden, None, "the edge {pair:?} runs behind it: {route} {:?}", picture.places);
            }
            let (right, bottom) = picture.size_px;
            assert!(points.iter().all(|(x, y)| *x < right && *y < bottom), "{route} is outside");
        }
        assert!(no_two_overlap(&picture.places), "{:?}", picture.places);
    }

    #[test]
    fn no_edge_runs_behind_a_box() {
        for seed in 0..200 {
            let mut numbers = Numbers(seed);
            let nodes = 2 + numbers.below(60);
            // From near boxes, so that there are layers, or from any.
            let reach = [2, 5, nodes][numbers.below(3)];
            let mut pairs = Vec::new();
            for to in 1..nodes {
                for _ in 0..numbers.below(4) {
                    pairs.push((to - 1 - numbers.below(reach.min(to)), to));
                }
            }
            let heights: Vec<usize> = (0..nodes).map(|_| 21 + 15 * numbers.below(8)).collect();
            let mut row = |node: usize| 10 + 15 * numbers.below(heights[node] / 15);
            let edges: Vec<Edge> = pairs
                .iter()
                .map(|(from, to)| Edge { from: *from, from_px: row(*from), to: *to, to_px: row(*to) })
                .collect();
            let start = (0..nodes).nth(usize::try_from(seed).unwrap() % nodes);
            for text_px in [0, super::super::EDGE_TEXT_PX] {
                assert_no_edge_is_hidden(&pairs, &picture(&edges, &heights, text_px, start));
            }
        }
    }

    #[test]
    fn everything_flows_to_the_right() {
        let pairs = [(0, 1), (1, 2), (0, 3), (2, 3), (4, 3)];
        let mut flow = Flow::among(5);
        pairs.iter().for_each(|(from, to)| flow.join(*from, *to));
        let columns = flow.columns();
        assert!(pairs.iter().all(|(from, to)| columns[*from] < columns[*to]), "{columns:?}");
        assert_eq!(columns[4], 2, "an origin stands beside where it is used");
    }

    #[test]
    fn a_long_chain_goes_on_below_and_its_arrows_lead_there() {
        let mut pairs: Vec<(usize, usize)> = (1..30).map(|node| (node - 1, node)).collect();
        // One that spans three rows.
        pairs.push((2, 20));
        let Picture { places, routes, size_px: (width, height) } = drawn(&pairs, 30);
        assert!(width < 9 * (WIDTH_PX + COLUMN_GAP_PX) && height < 600, "{width} × {height}");
        let goes_on = |from: Place, to: Place| to.x_px > from.x_px || to.y_px >= from.y_px + from.height_px;
        assert!(pairs.iter().all(|(from, to)| goes_on(places[*from], places[*to])), "{places:?}");
        assert!(routes.iter().zip(&pairs).all(|(route, (_, to))| route.end().0 == places[*to].x_px));
        assert!(drawn(&pairs[..7], 8).places.iter().all(|place| place.y_px == MARGIN_PX));
    }

    #[test]
    fn what_uses_a_hub_stands_right_of_it_in_strips() {
        // The hub, 500 that use it, and what each of them makes.
        let uses = (1..=500).flat_map(|node| [(0, node), (node, 500 + node)]);
        let pairs: Vec<(usize, usize)> = uses.collect();
        let Picture { places, size_px: (width, height), .. } = drawn(&pairs, 1_001);
        assert!(width < 3 * height && height < 2 * width, "{width} × {height}");
        assert!(pairs.iter().all(|(from, to)| places[*from].x_px < places[*to].x_px), "all flows to the right");
        let beside = pairs.iter().filter(|(from, _)| *from > 0);
        assert!(beside.clone().all(|(from, to)| places[*to].x_px - places[*from].x_px == WIDTH_PX + COLUMN_GAP_PX));
        assert!(places[0].y_px < VIEW_PX, "the hub is to be seen at once: {:?}", places[0]);
        // Each of those that use it takes another thing besides, and one takes all that they make.
        let besides = (1..=500).map(|node| (1_000 + node, node));
        let pairs: Vec<(usize, usize)> = pairs.into_iter().chain(besides).collect();
        let places = drawn(&pairs, 1_501).places;
        assert!(places[1..].iter().all(|place| places[0].x_px < place.x_px), "the hub is left of all");
        assert!(pairs.iter().all(|(from, to)| places[*from].x_px < places[*to].x_px), "all flows to the right");
        let gathered: Vec<(usize, usize)> =
            pairs.iter().copied().chain((501..=1_000).map(|node| (node, 1_501))).collect();
        drawn(&gathered, 1_502);
        let few: Vec<(usize, usize)> = (1..20).map(|node| (0, node)).collect();
        let places = drawn(&few, 20).places;
        assert!(places[1..].iter().all(|place| place.x_px == places[1].x_px), "a few stay in their column");
    }

    #[test]
    fn where_the_picture_is_higher_than_a_screen_the_start_is_moved_to_where_it_begins() {
        let pairs: Vec<(usize, usize)> = (1..40).map(|node| (0, node)).collect();
        let places = drawn(&pairs, 40).places;
        assert!(places[39].y_px > 2 * VIEW_PX && places[0].y_px + 40 <= VIEW_PX, "{places:?}");
    }

    fn no_two_overlap(places: &[Place]) -> bool {
        let mut sorted: Vec<&Place> = places.iter().collect();
        sorted.sort_by_key(|place| (place.x_px, place.y_px));
        sorted.windows(2).all(|pair| pair[0].x_px != pair[1].x_px || pair[0].y_px + pair[0].height_px <= pair[1].y_px)
    }
}
