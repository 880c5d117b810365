//! The ways of edges between the boxes of a picture whose columns are all whole.
//!
//! An edge that spans columns takes its place in each of them, as if a thin box stood there; so none runs behind a box.
//! What goes on below leads there around the ends of the rows, each source on a lane of its own.

use std::collections::{HashMap, HashSet};

use super::{
    BAND_GAP_PX, COLUMN_GAP_PX, Edge, Flow, MARGIN_PX, Picture, Place, TURN_PX, WIDTH_PX, by_column, columns_beside,
    count, half, into_view, reach, settled, whole,
};
use crate::svg::Route;

/// Passages of a picture. Nobody follows the edges of one with more, of which those that are left run behind boxes.
const PASSAGES_MAX: usize = 20_000;
/// Pixels of a passage from top to bottom.
const PASSAGE_PX: usize = 4;
/// Pixels from one lane to the next.
const LANE_PX: usize = 5;

/// The lane of everything that goes on below, by where it comes from and the row it leaves.
type Lanes = HashMap<((usize, usize), usize), usize>;

/// Boxes, then the passages between them.
struct Nodes {
    columns: Vec<usize>,
    heights: Vec<usize>,
    /// For each edge what it passes, its ends included.
    ways: Vec<Vec<usize>>,
}

impl Nodes {
    fn of(edges: &[Edge], columns: Vec<usize>, heights: &[usize]) -> Self {
        let mut nodes = Self { columns, heights: heights.to_vec(), ways: Vec::new() };
        let mut known = HashMap::new();
        for edge in edges {
            let mut way = vec![edge.from];
            let is_full = nodes.columns.len() - heights.len() >= PASSAGES_MAX;
            let between = nodes.columns[edge.from] + 1..if is_full { 0 } else { nodes.columns[edge.to] };
            for column in between {
                // What leaves a box in one place stays together until it must part.
                way.push(*known.entry((edge.source(), column)).or_insert_with(|| nodes.passage(column)));
            }
            way.push(edge.to);
            nodes.ways.push(way);
        }
        nodes
    }

    fn passage(&mut self, column: usize) -> usize {
        self.columns.push(column);
        self.heights.push(PASSAGE_PX);
        self.columns.len() - 1
    }

    fn flow(&self) -> Flow {
        let mut flow = Flow::among(self.columns.len());
        let mut known = HashSet::new();
        for step in self.ways.iter().flat_map(|way| way.windows(2)) {
            if known.insert((step[0], step[1])) {
                flow.join(step[0], step[1]);
            }
        }
        flow
    }
}

/// Rows of columns below each other, and the lanes between them.
struct Bands<'a> {
    edges: &'a [Edge],
    nodes: &'a Nodes,
    /// Columns of a row.
    beside: usize,
    column_px: usize,
    left_px: usize,
    /// Pixels left of a row that lanes leave to turns and texts.
    turn_px: usize,
    lanes: Lanes,
    /// Where below each row its first lane is.
    below_px: Vec<f64>,
    /// By how much the boxes of each row sink.
    sinks: Vec<f64>,
}

impl<'a> Bands<'a> {
    fn of(
        edges: &'a [Edge],
        nodes: &'a Nodes,
        tops: &[f64],
        beside: usize,
        (column_px, text_px): (usize, usize),
    ) -> Self {
        let bands = nodes.columns.iter().max().map_or(0, |last| last / beside + 1);
        let (lanes, counts) = lanes(edges, nodes, beside, bands);
        let turn_px = text_px.max(TURN_PX);
        let most = counts.iter().max().copied().unwrap_or(0);
        let left_px = if bands > 1 { MARGIN_PX + turn_px + most * LANE_PX } else { MARGIN_PX };
        let mut reaches = vec![(f64::INFINITY, f64::NEG_INFINITY); bands];
        for (node, column) in nodes.columns.iter().enumerate() {
            let (top, bottom) = &mut reaches[column / beside];
            *top = top.min(tops[node]);
            *bottom = bottom.max(tops[node] + count(nodes.heights[node]));
        }
        let (mut free_from, mut sinks, mut below_px) = (count(MARGIN_PX), Vec::new(), Vec::new());
        for ((top, bottom), lanes) in reaches.into_iter().zip(counts) {
            sinks.push(free_from - top);
            let end = free_from + (bottom - top).max(0.0);
            below_px.push(end + half(BAND_GAP_PX));
            free_from = end + count(BAND_GAP_PX + lanes * LANE_PX);
        }
        Self { edges, nodes, beside, column_px, left_px, turn_px, lanes, below_px, sinks }
    }

    fn places(&self, tops: &[f64]) -> Vec<Place> {
        let place = |node: usize| Place {
            x_px: self.left_px + self.nodes.columns[node] % self.beside * self.column_px,
            y_px: whole(tops[node] + self.sinks[self.nodes.columns[node] / self.beside]),
            height_px: self.nodes.heights[node],
        };
        (0..tops.len()).map(place).collect()
    }

    fn route(&self, number: usize, places: &[Place]) -> Route {
        let (edge, way) = (&self.edges[number], &self.nodes.ways[number]);
        let mut route = Route::from(edge.begin(places));
        for step in way.windows(2) {
            let is_end = step[1] == edge.to;
            let place = places[step[1]];
            let to = if is_end { edge.end(places) } else { (place.x_px, place.y_px + PASSAGE_PX / 2) };
            let (row, next_row) =
                (self.nodes.columns[step[0]] / self.beside, self.nodes.columns[step[1]] / self.beside);
            if next_row > row {
                self.go_on_below(&mut route, self.lanes[&(edge.source(), row)], row, to);
            } else {
                route.curve(to);
            }
            if !is_end {
                route.across(place.x_px + WIDTH_PX);
            }
        }
        route
    }

    fn go_on_below(&self, route: &mut Route, lane: usize, row: usize, to: (usize, usize)) {
        let right_px = self.left_px + (self.beside - 1) * self.column_px + WIDTH_PX;
        route.across(right_px + TURN_PX / 3 + lane * LANE_PX);
        route.down(whole(self.below_px[row]) + lane * LANE_PX);
        route.across(self.left_px - self.turn_px - lane * LANE_PX);
        route.down(to.1);
        route.across(to.0);
    }
}

/// Every lane, and how many of them are below each row.
fn lanes(edges: &[Edge], nodes: &Nodes, beside: usize, bands: usize) -> (Lanes, Vec<usize>) {
    let (mut lanes, mut counts) = (HashMap::new(), vec![0; bands]);
    for (edge, way) in edges.iter().zip(&nodes.ways) {
        for step in way.windows(2) {
            let row = nodes.columns[step[0]] / beside;
            if nodes.columns[step[1]] / beside > row {
                lanes.entry((edge.source(), row)).or_insert_with(|| {
                    counts[row] += 1;
                    counts[row] - 1
                });
            }
        }
    }
    (lanes, counts)
}

/// The picture of boxes that have these columns.
pub(super) fn picture(
    edges: &[Edge],
    columns: Vec<usize>,
    heights: &[usize],
    (column_px, text_px): (usize, usize),
    start: Option<usize>,
) -> Picture {
    let nodes = Nodes::of(edges, columns, heights);
    let mut order = by_column(&nodes.columns);
    let middles = settled(&mut order, &nodes.flow(), &nodes.heights);
    let tops: Vec<f64> = middles.iter().zip(&nodes.heights).map(|(middle, height)| middle - half(*height)).collect();
    let (top, bottom) = reach(&order, &middles, &nodes.heights);
    let beside = columns_beside(order.len(), column_px, bottom - top);
    let bands = Bands::of(edges, &nodes, &tops, beside, (column_px, text_px));
    let mut places = bands.places(&tops);
    if let Some(column) = start.map(|start| nodes.columns[start]).filter(|column| *column < beside) {
        into_view(&order[column], start, &mut places);
    }
    let routes: Vec<Route> = (0..edges.len()).map(|number| bands.route(number, &places)).collect();
    places.truncate(heights.len());
    Picture::of(places, routes, COLUMN_GAP_PX / 2)
}
