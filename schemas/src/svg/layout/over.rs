//! The ways of edges of a picture that is cut into strips: what does not lead into the next column goes up, over all
//! strips, and down again.

use std::collections::HashMap;

use super::strips::Strips;
use super::{COLUMN_GAP_PX, Edge, MARGIN_PX, Picture, Place, TURN_PX, WIDTH_PX, into_view};
use crate::svg::Route;

/// Lanes above the strips. What has more sources shares them: each more moves the boxes down.
const LANES_MAX: usize = 24;
/// Pixels from one lane to the next.
const LANE_PX: usize = 5;
/// Lanes beside each other between two columns; there are curves as well.
const LANES_BESIDE: usize = 8;
/// Pixels from one of these to the next.
const LANE_BESIDE_PX: usize = 3;

/// The picture of boxes in strips.
pub(super) fn picture(
    edges: &[Edge],
    strips: &Strips<'_>,
    (column_px, text_px): (usize, usize),
    start: Option<usize>,
) -> Picture {
    // What leads from one strip to one before it turns left of the first column.
    let mut places = strips.placed(MARGIN_PX + text_px + TURN_PX);
    let mut lanes = HashMap::new();
    for edge in edges.iter().filter(|edge| !is_beside(edge, &places, column_px)) {
        let next = lanes.len();
        lanes.entry(edge.source()).or_insert(next % LANES_MAX);
    }
    let sink_px = lanes.len().min(LANES_MAX) * LANE_PX;
    places.iter_mut().for_each(|place| place.y_px += sink_px);
    if let Some(at) = start.map(|start| places[start].x_px) {
        let column: Vec<usize> = (0..places.len()).filter(|node| places[*node].x_px == at).collect();
        into_view(&column, start, &mut places);
    }
    let routes = edges.iter().map(|edge| {
        let lane = lanes.get(&edge.source()).copied().unwrap_or(0);
        route(edge, &places, lane, (column_px, text_px))
    });
    let routes = routes.collect();
    Picture::of(places, routes, COLUMN_GAP_PX)
}

fn is_beside(edge: &Edge, places: &[Place], column_px: usize) -> bool {
    places[edge.to].x_px == places[edge.from].x_px + column_px
}

fn route(edge: &Edge, places: &[Place], lane: usize, (column_px, text_px): (usize, usize)) -> Route {
    let mut route = Route::from(edge.begin(places));
    let to = edge.end(places);
    if is_beside(edge, places, column_px) {
        route.curve(to);
        return route;
    }
    let beside_px = COLUMN_GAP_PX / 6 + lane % LANES_BESIDE * LANE_BESIDE_PX;
    route.across(places[edge.from].x_px + WIDTH_PX + beside_px);
    route.down(MARGIN_PX + lane * LANE_PX);
    route.across(to.0 - text_px - beside_px);
    route.down(to.1);
    route.across(to.0);
    route
}
