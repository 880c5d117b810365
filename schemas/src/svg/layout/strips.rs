//! A picture that would be far higher than wide, cut into strips that stand beside each other as the columns of a
//! newspaper do.
//!
//! Only the highest columns of boxes are cut, and those between them. What is left of these stays left of all strips,
//! and what is right of them right: a hub stands before all that uses it.

use std::ops::Range;

use super::{Flow, MARGIN_PX, Place, ROW_GAP_PX, count, half, reach, settled, whole};

/// So many times as high as wide is far higher.
const FAR_HIGHER: f64 = 3.0;
/// How many times as wide as high strips are beside each other: about as screens are.
const ASPECT: f64 = 1.5;

/// Columns of boxes whose middles are known, but for where the columns are.
#[derive(Clone, Copy)]
pub(super) struct Columns<'a> {
    pub(super) order: &'a [Vec<usize>],
    pub(super) flow: &'a Flow,
    pub(super) heights: &'a [usize],
    pub(super) middles: &'a [f64],
    pub(super) column_px: usize,
}

impl Columns<'_> {
    /// The columns, and which of them are cut, after what flows into more than one strip was taken out of the first of
    /// these: it stands in a column of its own before them, though what is used together with it is beside its uses.
    fn with_hubs_before(&self, cut: Range<usize>, strip_px: f64) -> (Vec<Vec<usize>>, Range<usize>) {
        let (hubs, others): (Vec<usize>, Vec<usize>) =
            self.order[cut.start].iter().partition(|node| self.is_hub(**node, strip_px));
        let mut order = self.order.to_vec();
        if hubs.is_empty() || others.is_empty() {
            return (order, cut);
        }
        order[cut.start] = others;
        order.insert(cut.start, hubs);
        (order, cut.start + 1..cut.end + 1)
    }

    /// Whether what a node flows into is further apart than a strip is high.
    fn is_hub(&self, node: usize, strip_px: f64) -> bool {
        let uses = || self.flow.after[node].iter().map(|to| self.middles[*to]);
        uses().fold(f64::NEG_INFINITY, f64::max) - uses().fold(f64::INFINITY, f64::min) > strip_px
    }
}

/// How columns are cut.
pub(super) struct Strips<'a> {
    columns: &'a Columns<'a>,
    /// The columns, with one more of hubs before those that are cut, if there are any.
    order: Vec<Vec<usize>>,
    /// Those that are cut.
    cut: Range<usize>,
    count: usize,
    /// Of which strip each node is that is in one.
    of_nodes: Vec<Option<usize>>,
}

impl<'a> Strips<'a> {
    /// `None` for a picture that is not far higher than wide.
    pub(super) fn of(columns: &'a Columns<'a>) -> Option<Self> {
        let Columns { order, heights, middles, column_px, .. } = *columns;
        let (top, bottom) = reach(order, middles, heights);
        let wide = count(order.len() * column_px);
        if bottom - top <= FAR_HIGHER * wide {
            return None;
        }
        // Were all columns cut, these would be too high for a strip.
        let strip_px = (bottom - top) / strips_of(bottom - top, wide);
        let stacked = |column: &Vec<usize>| column.iter().map(|node| count(heights[*node] + ROW_GAP_PX)).sum::<f64>();
        let is_high = |column: &Vec<usize>| stacked(column) > strip_px;
        let cut = order.iter().position(is_high)?..order.iter().rposition(is_high)? + 1;
        let (order, cut) = columns.with_hubs_before(cut, strip_px);
        let (top, bottom) = reach(&order[cut.clone()], middles, heights);
        let strips = strips_of(bottom - top, count(cut.len() * column_px));
        let of_nodes = vec![None; heights.len()];
        let mut cutting = Self { columns, order, cut, count: whole(strips), of_nodes };
        cutting.assign(top, (bottom - top) / strips);
        Some(cutting)
    }

    /// Puts every node of the columns that are cut into a strip: that of the nearest that flows into it, unless this is a
    /// hub, and otherwise the one of its place.
    fn assign(&mut self, top: f64, strip_px: f64) {
        let Columns { flow, middles, .. } = *self.columns;
        for &node in self.order[self.cut.clone()].iter().flatten() {
            let away = |other: &usize| (middles[*other] - middles[node]).abs();
            let leads = |other: &&usize| self.of_nodes[**other].is_some() && !self.columns.is_hub(**other, strip_px);
            let leader = flow.before[node].iter().filter(leads).min_by(|a, b| away(a).total_cmp(&away(b)));
            let by_place = || whole(((middles[node] - top) / strip_px).floor()).min(self.count - 1);
            let strip = leader.and_then(|leader| self.of_nodes[*leader]).unwrap_or_else(by_place);
            self.of_nodes[node] = Some(strip);
        }
    }

    /// Where the boxes are, each by the number of its node.
    pub(super) fn placed(&self, left_px: usize) -> Vec<Place> {
        let (order, Columns { heights, middles, column_px, .. }) = (&self.order, *self.columns);
        let mut places: Vec<Place> =
            heights.iter().map(|height_px| Place { x_px: left_px, y_px: MARGIN_PX, height_px: *height_px }).collect();
        let mut begin = vec![f64::INFINITY; self.count];
        let in_strips = |column: &usize| {
            order[*column].iter().filter_map(|node| Some((*node, self.of_nodes[*node]?))).collect::<Vec<_>>()
        };
        for (node, strip) in self.cut.clone().flat_map(|column| in_strips(&column)) {
            begin[strip] = begin[strip].min(middles[node] - half(heights[node]));
        }
        for column in self.cut.clone() {
            for (node, strip) in in_strips(&column) {
                let place = &mut places[node];
                place.x_px += (strip * self.cut.len() + column) * column_px;
                place.y_px += whole(middles[node] - half(heights[node]) - begin[strip]);
            }
        }
        self.put(0..self.cut.start, 0, &mut places);
        self.put(self.cut.end..order.len(), (self.count - 1) * self.cut.len(), &mut places);
        places
    }

    /// Puts columns that are not cut at the top, where a reader begins, by so many columns further right than they were.
    fn put(&self, columns: Range<usize>, further: usize, places: &mut [Place]) {
        let Columns { flow, heights, column_px, .. } = *self.columns;
        let mut order = self.order[columns.clone()].to_vec();
        let within = flow.within(&order);
        let middles = settled(&mut order, &within, heights);
        let (top, _) = reach(&order, &middles, heights);
        for (column, nodes) in columns.zip(&order) {
            for &node in nodes {
                let place = &mut places[node];
                place.x_px += (column + further) * column_px;
                place.y_px += whole(middles[node] - half(heights[node]) - top);
            }
        }
    }
}

/// Into how many strips something of this height and width is cut.
fn strips_of(high: f64, wide: f64) -> f64 {
    (ASPECT * high / wide).sqrt().round().max(1.0)
}
