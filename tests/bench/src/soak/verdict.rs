//! What a course says: how a figure stood at the beginning and at the end, and whether it grew.

use super::figures::{Course, Expected, Figure};
use crate::statistics::Sample;

/// Minutes that one line of the table stands for.
pub(super) const WINDOW_MINUTES: f64 = 10.0;
/// Minutes that a median is taken of at least: in fewer there may be no sample.
const MINUTES_MIN: f64 = 1.5;
/// Share of the time after which a server counts as warm: until then pools fill, caches grow, and nothing is old
/// enough to be deleted.
const WARM_SHARE: f64 = 0.25;
/// A growth that is not told from chance.
const CHANCE_SHARE: f64 = 0.05;

/// What became of one figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Trend {
    /// Median of the first window.
    pub(super) first: f64,
    /// Median of the window in which the server counts as warm.
    pub(super) warm: f64,
    /// Median of the last window.
    pub(super) last: f64,
    /// Growth for each event that was recorded, since the server is warm, as a straight line has it.
    pub(super) per_event: f64,
    pub(super) judged: Judged,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    Flat,
    /// Grew, as it should with the history.
    Explained,
    /// Grew although it should not have, or by more than it should; or was there although it should not be.
    Defect,
    Tells,
}

impl Judged {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Explained => "grows with the history",
            Self::Defect => "**grows**",
            Self::Tells => "–",
        }
    }
}

/// What became of `figure`; none if the server has no such figure, or was never looked at.
pub(super) fn trend(course: &Course, figure: Figure) -> Option<Trend> {
    let end = course.0.last()?.minute;
    let warm_from = end * WARM_SHARE;
    let window = WINDOW_MINUTES.min((end / 4.0).max(MINUTES_MIN));
    let points = course.of(figure);
    let median = |from: f64, to: f64| {
        let values: Vec<f64> =
            points.iter().filter(|(at, _)| *at >= from && *at <= to).map(|(_, value)| *value).collect();
        (!values.is_empty()).then(|| Sample::of(values).median())
    };
    let (first, warm, last) =
        (median(0.0, window)?, median(warm_from, warm_from + window)?, median(end - window, end)?);
    let per_event = slope(&by_position(course, figure, warm_from));
    let ever = points.iter().any(|(_, value)| *value > 0.0);
    let judged = judge(figure.expected(), warm, last - warm, per_event, ever);
    Some(Trend { first, warm, last, per_event, judged })
}

/// Judges what `grew` from its value when the server was warm; `ever` is whether it was more than nothing once.
fn judge(expected: Expected, warm: f64, grew: f64, per_event: f64, ever: bool) -> Judged {
    match expected {
        Expected::Nothing if ever => Judged::Defect,
        Expected::Nothing => Judged::Flat,
        Expected::Flat { slack } if grew <= slack.max(warm * CHANCE_SHARE) => Judged::Flat,
        Expected::Flat { .. } => Judged::Defect,
        Expected::Grows { .. } if grew <= warm * CHANCE_SHARE => Judged::Flat,
        Expected::Grows { per_event_max } if per_event <= per_event_max => Judged::Explained,
        Expected::Grows { .. } => Judged::Defect,
        Expected::Tells => Judged::Tells,
    }
}

/// The figure over the position of the log, since `from`.
fn by_position(course: &Course, figure: Figure, from: f64) -> Vec<(f64, f64)> {
    let warm = course.0.iter().filter(|sample| sample.minute >= from);
    warm.filter_map(|sample| Some((*sample.values.get(&Figure::Position)?, *sample.values.get(&figure)?))).collect()
}

/// The slope of the straight line that lies nearest to the points; 0 when there is none.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
    let across: f64 = points.iter().map(|point| (point.0 - x) * (point.0 - x)).sum();
    let along: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    if across > 0.0 { along / across } else { 0.0 }
}

/// The medians of each window, for the table: its end in minutes, and one value for each of `figures`.
pub(super) fn windows(course: &Course, figures: &[Figure]) -> Vec<(f64, Vec<Option<f64>>)> {
    let end = course.0.last().map_or(0.0, |sample| sample.minute);
    let count = (end / WINDOW_MINUTES).ceil();
    let ends = (1..).map(f64::from).take_while(|number| *number <= count).map(|number| number * WINDOW_MINUTES);
    ends.map(|end| {
        let median = |figure: &Figure| {
            let points = course.of(*figure).into_iter();
            let inside = points.filter(|(at, _)| *at > end - WINDOW_MINUTES && *at <= end).map(|(_, value)| value);
            let inside: Vec<f64> = inside.collect();
            (!inside.is_empty()).then(|| Sample::of(inside).median())
        };
        (end, figures.iter().map(median).collect())
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::figures;
    use super::*;

    /// Two hours in which `figure` is what `of` says of the minute, and 100 events are recorded each minute.
    fn course(figure: Figure, of: impl Fn(f64) -> f64) -> Course {
        let sample = |minute: i32| {
            let minute = f64::from(minute);
            let values = [(Figure::Position, 100.0 * minute), (figure, of(minute))].into();
            figures::Sample { minute, values }
        };
        Course((1..=120).map(sample).collect())
    }

    #[test]
    fn what_stays_is_flat_whatever_the_first_minutes_were() {
        let handles = course(Figure::Files, |minute| if minute < 15.0 { minute } else { 15.0 });
        let trend = trend(&handles, Figure::Files).unwrap();
        assert_eq!(trend.judged, Judged::Flat);
        assert!(trend.first < trend.warm && trend.per_event.abs() < 1e-9, "{trend:?}");
    }

    #[test]
    fn handles_that_leak_are_a_defect() {
        let leaking = course(Figure::Files, |minute| 20.0 + minute / 5.0);
        assert_eq!(trend(&leaking, Figure::Files).unwrap().judged, Judged::Defect);
    }

    #[test]
    fn history_grows_by_so_much_for_each_event() {
        let growing = course(Figure::Database, |minute| 5e6 + 100.0 * minute * 900.0);
        let trend = trend(&growing, Figure::Database).unwrap();
        assert_eq!(trend.judged, Judged::Explained);
        assert!((trend.per_event - 900.0).abs() < 1e-6, "{trend:?}");
    }

    #[test]
    fn more_for_each_event_than_can_be_explained_is_a_defect() {
        let growing = course(Figure::Resident, |minute| 30e6 + 100.0 * minute * 5_000.0);
        assert_eq!(trend(&growing, Figure::Resident).unwrap().judged, Judged::Defect);
    }

    #[test]
    fn a_short_run_has_a_trend_too() {
        let mut short = course(Figure::Files, |_| 20.0);
        short.0.truncate(3);
        assert_eq!(trend(&short, Figure::Files).unwrap().judged, Judged::Flat);
    }

    #[test]
    fn one_fault_is_one_too_many() {
        let fault = course(Figure::Faults, |minute| if minute < 60.0 { 0.0 } else { 1.0 });
        assert_eq!(trend(&fault, Figure::Faults).unwrap().judged, Judged::Defect);
        assert_eq!(trend(&course(Figure::Faults, |_| 0.0), Figure::Faults).unwrap().judged, Judged::Flat);
    }

    #[test]
    fn a_window_has_the_medians_of_its_minutes() {
        let windows = windows(&course(Figure::Files, |minute| minute), &[Figure::Files, Figure::WriteAhead]);
        assert_eq!(windows.len(), 12);
        assert_eq!(windows[0], (10.0, vec![Some(5.5), None]));
        assert_eq!(windows[11], (120.0, vec![Some(115.5), None]));
    }

    #[test]
    fn nothing_is_said_of_what_was_not_looked_at() {
        assert_eq!(trend(&Course::default(), Figure::Files), None);
        assert_eq!(trend(&course(Figure::Files, |_| 1.0), Figure::WriteAhead), None);
    }

    #[test]
    fn a_csv_has_a_cell_for_every_column() {
        let csv = figures::csv_head() + &course(Figure::Find, |_| 0.25).csv("SQLite");
        let widths: std::collections::BTreeSet<usize> = csv.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(widths.len(), 1, "{csv}");
        assert!(csv.contains("SQLite,1.00,100,") && csv.contains(",0.250000,"), "{csv}");
    }
}
