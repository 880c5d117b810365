//! The way of an edge across a picture.

use std::fmt;

/// Pixels of a bend between two straight pieces, at most.
const BEND_PX: usize = 8;

/// Pixels from the left and from the top.
pub(crate) type Point = (usize, usize);

/// Straight pieces, each across or down, and curves that begin and end level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    begin: Point,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Line(Point),
    Curve(Point),
}

impl Piece {
    fn end(self) -> Point {
        match self {
            Self::Line(end) | Self::Curve(end) => end,
        }
    }
}

impl Route {
    pub(crate) fn from(begin: Point) -> Self {
        Self { begin, pieces: Vec::new() }
    }

    /// Goes on straight across to there.
    pub(crate) fn across(&mut self, x: usize) {
        self.pieces.push(Piece::Line((x, self.end().1)));
    }

    /// Goes on straight up or down to there.
    pub(crate) fn down(&mut self, y: usize) {
        self.pieces.push(Piece::Line((self.end().0, y)));
    }

    /// Goes on in a curve.
    pub(crate) fn curve(&mut self, end: Point) {
        self.pieces.push(Piece::Curve(end));
    }

    pub(crate) fn end(&self) -> Point {
        self.pieces.last().map_or(self.begin, |piece| piece.end())
    }

    /// How far right and how far down it goes.
    pub(crate) fn reach_px(&self) -> Point {
        let further = |(x, y): Point, piece: &Piece| (x.max(piece.end().0), y.max(piece.end().1));
        self.pieces.iter().fold(self.begin, further)
    }

    /// Points on it, near enough to each other that lines between them are the way.
    #[cfg(test)]
    pub(crate) fn points(&self) -> Vec<Point> {
        let mut points = vec![self.begin];
        for piece in &self.pieces {
            if let Piece::Curve((x, y)) = *piece {
                let (from_x, from_y) = *points.last().unwrap();
                // Level at both ends, with both handles halfway: a third of a cubic in x and the smooth step in y.
                points.extend((1..32_usize).map(|n| {
                    let at = |from: usize, to: usize, share: usize, of: usize| (from * (of - share) + to * share) / of;
                    let (t, cube) = (n, 32 * 32 * 32);
                    let x_share = 3 * t * (32 - t) * 16 + t * t * t;
                    (at(from_x, x, x_share, cube), at(from_y, y, 3 * t * t * (32 - t) + t * t * t, cube))
                }));
            }
            points.push(piece.end());
        }
        points
    }
}

/// As the attribute `d` of a path has it.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut at = self.begin;
        write!(f, "M{} {}", at.0, at.1)?;
        for (n, piece) in self.pieces.iter().enumerate() {
            match (*piece, self.pieces.get(n + 1)) {
                (Piece::Curve((x, y)), _) => {
                    let middle = usize::midpoint(at.0, x);
                    write!(f, "C{middle} {} {middle} {y} {x} {y}", at.1)?;
                }
                (Piece::Line(corner), Some(Piece::Line(next))) => {
                    let ((x, y), (to_x, to_y)) = (toward(corner, at), toward(corner, *next));
                    write!(f, "L{x} {y}Q{} {} {to_x} {to_y}", corner.0, corner.1)?;
                }
                (Piece::Line((x, y)), _) => write!(f, "L{x} {y}")?,
            }
            at = piece.end();
        }
        Ok(())
    }
}

/// Where the bend at a corner ends that lies on the way to there.
fn toward(corner: Point, end: Point) -> Point {
    let near = |corner: usize, end: usize| {
        let bend = BEND_PX.min(corner.abs_diff(end) / 2);
        if end < corner { corner - bend } else { corner + bend }
    };
    (near(corner.0, end.0), near(corner.1, end.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_drawn_with_curves_and_with_bends_at_its_corners() {
        let mut route = Route::from((10, 10));
        route.across(100);
        route.down(50);
        route.across(90);
        assert_eq!(route.to_string(), "M10 10L92 10Q100 10 100 18L100 42Q100 50 95 50L90 50");
        let mut route = Route::from((0, 0));
        route.curve((100, 40));
        assert_eq!(route.to_string(), "M0 0C50 0 50 40 100 40");
        let points = route.points();
        assert_eq!((points[0], points[16], *points.last().unwrap()), ((0, 0), (50, 20), (100, 40)));
        assert!(points.is_sorted(), "{points:?}");
    }
}
