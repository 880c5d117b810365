//! Plots as SVG, drawn here so that they need no other program: bars for comparisons, lines for courses.

use std::fmt::Write as _;

use crate::row::number;

const WIDTH: f64 = 760.0;
const BAR_HEIGHT: f64 = 18.0;
const GROUP_GAP: f64 = 14.0;
const LABEL_WIDTH: f64 = 250.0;
const VALUE_WIDTH: f64 = 130.0;
const TOP: f64 = 44.0;
const LINES_HEIGHT: f64 = 340.0;
const MARGIN: f64 = 60.0;
/// Told apart also by those who do not see red and green (Okabe and Ito).
const COLOURS: [&str; 6] = ["#0072b2", "#e69f00", "#999999", "#009e73", "#cc79a7", "#d55e00"];
/// Lines of the grid along an axis.
const TICKS: u32 = 5;
const FONT: &str = "font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\"";

/// A picture with a title.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plot {
    pub(crate) title: String,
    pub(crate) drawing: Drawing,
}

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Drawing {
    /// Bars in groups, on a scale from 0, or logarithmic where they differ by magnitudes.
    Bars { unit: &'static str, logarithmic: bool, groups: Vec<Group> },
    /// Lines through points, both scales from 0.
    Lines { x: &'static str, y: &'static str, series: Vec<Series> },
}

/// Bars that belong together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) bars: Vec<(String, f64)>,
    /// Where the bar that is ours should reach to, or stay below.
    pub(crate) target: Option<f64>,
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Plot {
    pub(crate) fn bars(title: impl Into<String>, unit: &'static str, groups: Vec<Group>) -> Self {
        Self { title: title.into(), drawing: Drawing::Bars { unit, logarithmic: false, groups } }
    }

    pub(crate) fn magnitudes(title: impl Into<String>, unit: &'static str, groups: Vec<Group>) -> Self {
        Self { title: title.into(), drawing: Drawing::Bars { unit, logarithmic: true, groups } }
    }

    pub(crate) fn lines(title: impl Into<String>, x: &'static str, y: &'static str, series: Vec<Series>) -> Self {
        Self { title: title.into(), drawing: Drawing::Lines { x, y, series } }
    }

    /// The picture as an SVG document.
    pub(crate) fn svg(&self) -> String {
        match &self.drawing {
            Drawing::Bars { unit, logarithmic, groups } => self.svg_of_bars(unit, *logarithmic, groups),
            Drawing::Lines { x, y, series } => self.svg_of_lines(x, y, series),
        }
    }

    fn svg_of_bars(&self, unit: &str, logarithmic: bool, groups: &[Group]) -> String {
        let scale = Scale::of(groups, logarithmic);
        let mut body = String::new();
        let mut y = TOP;
        for group in groups {
            draw_group(&mut body, group, &scale, y);
            y += BAR_HEIGHT * (group.bars.len() as f64 + 1.0) + GROUP_GAP;
        }
        let note = if logarithmic { format!("{unit}, logarithmic") } else { unit.to_owned() };
        document(&format!("{} ({note})", self.title), y + 6.0, &body)
    }

    fn svg_of_lines(&self, x: &str, y: &str, series: &[Series]) -> String {
        let points = || series.iter().flat_map(|series| &series.points);
        let (x_max, y_max) = (largest(points().map(|point| point.0)), largest(points().map(|point| point.1)));
        let (width, height) = (WIDTH - 2.0 * MARGIN, LINES_HEIGHT - 2.0 * MARGIN);
        let at = |(x, y): (f64, f64)| (MARGIN + x / x_max * width, LINES_HEIGHT - MARGIN - y / y_max * height);
        let mut body = String::new();
        for tick in 0..=TICKS {
            let share = f64::from(tick) / f64::from(TICKS);
            let ((x, _), (_, y)) = (at((share * x_max, 0.0)), at((0.0, share * y_max)));
            line(&mut body, (MARGIN, y), (WIDTH - MARGIN, y), "#ddd");
            text(&mut body, (MARGIN - 6.0, y + 4.0), "end", &number(share * y_max));
            text(&mut body, (x, LINES_HEIGHT - MARGIN + 18.0), "middle", &number(share * x_max));
        }
        text(&mut body, (WIDTH / 2.0, LINES_HEIGHT - MARGIN + 36.0), "middle", x);
        text(&mut body, (MARGIN - 6.0, TOP), "start", y);
        for (place, (series, colour)) in series.iter().zip(COLOURS.iter().cycle()).enumerate() {
            let path: Vec<String> =
                series.points.iter().map(|point| format!("{:.1},{:.1}", at(*point).0, at(*point).1)).collect();
            let path = path.join(" ");
            writeln!(body, "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>")
                .expect("a text grows");
            let y = TOP + 16.0 * (place as f64 + 1.0);
            line(&mut body, (MARGIN + 10.0, y), (MARGIN + 30.0, y), colour);
            text(&mut body, (MARGIN + 36.0, y + 4.0), "start", &series.name);
        }
        document(&self.title, LINES_HEIGHT, &body)
    }
}

/// From values to lengths of bars.
struct Scale {
    from: f64,
    to: f64,
    logarithmic: bool,
}

impl Scale {
    fn of(groups: &[Group], logarithmic: bool) -> Self {
        let values = || groups.iter().flat_map(|group| group.bars.iter().map(|bar| bar.1).chain(group.target));
        let (to, positive) = (largest(values()), values().filter(|value| *value > 0.0));
        let from = positive.fold(to, f64::min);
        // The shortest bar is to be seen, and decades are easier to read from.
        Self { from: 10_f64.powf(from.log10().floor() - 0.2), to, logarithmic }
    }

    fn length(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value.max(self.from) / self.from).log10() / (self.to / self.from).log10()
        } else {
            value / self.to
        };
        share * (WIDTH - LABEL_WIDTH - VALUE_WIDTH)
    }
}

fn draw_group(body: &mut String, group: &Group, scale: &Scale, y: f64) {
    text(body, (8.0, y + 13.0), "start", &group.name);
    let bottom = y + BAR_HEIGHT * (group.bars.len() as f64 + 1.0);
    if let Some(target) = group.target {
        let x = LABEL_WIDTH + scale.length(target);
        line(body, (x, y + BAR_HEIGHT - 4.0), (x, bottom), "#d55e00");
        text(body, (x, y + 12.0), "middle", &format!("target {}", number(target)));
    }
    for (place, ((name, value), colour)) in group.bars.iter().zip(COLOURS.iter().cycle()).enumerate() {
        let y = y + BAR_HEIGHT * (place as f64 + 1.0);
        let length = scale.length(*value).max(1.0);
        text(body, (LABEL_WIDTH - 8.0, y + 13.0), "end", name);
        writeln!(
            body,
            "<rect x=\"{LABEL_WIDTH}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>",
            y + 2.0,
            BAR_HEIGHT - 4.0
        )
        .expect("a text grows");
        text(body, (LABEL_WIDTH + length + 6.0, y + 13.0), "start", &number(*value));
    }
}

fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::MIN_POSITIVE, f64::max)
}

fn line(body: &mut String, from: (f64, f64), to: (f64, f64), colour: &str) {
    let (from_x, from_y) = from;
    let (to_x, to_y) = to;
    writeln!(
        body,
        "<line x1=\"{from_x:.1}\" y1=\"{from_y:.1}\" x2=\"{to_x:.1}\" y2=\"{to_y:.1}\" stroke=\"{colour}\" stroke-width=\"2\"/>"
    )
    .expect("a text grows");
}

fn text(body: &mut String, at: (f64, f64), anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    writeln!(body, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" {FONT}>{words}</text>", at.0, at.1)
        .expect("a text grows");
}

fn document(title: &str, height: f64, body: &str) -> String {
    let mut head = String::new();
    text(&mut head, (WIDTH / 2.0, 20.0), "middle", title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" height=\"{height:.0}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{head}{body}</svg>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widths(svg: &str) -> Vec<f64> {
        let rects = svg.split("<rect x=").skip(1);
        rects.filter_map(|rect| rect.split("width=\"").nth(1)?.split('"').next()?.parse().ok()).collect()
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let bars = vec![("ours".to_owned(), 200.0), ("theirs".to_owned(), 50.0)];
        let group = Group { name: "rate <1>".to_owned(), bars, target: Some(100.0) };
        let svg = Plot::bars("rates & more", "per second", vec![group]).svg();
        let widths = widths(&svg);
        assert!((widths[0] / widths[1] - 4.0).abs() < 0.01, "{widths:?}");
        assert!(svg.contains("rates &amp; more (per second)") && svg.contains("rate &lt;1&gt;"), "{svg}");
        assert!(svg.contains("target 100"));
    }

    #[test]
    fn on_a_logarithmic_scale_equal_factors_are_equal_lengths() {
        let bars = [1.0, 10.0, 100.0].map(|value| ("x".to_owned(), value)).to_vec();
        let svg = Plot::magnitudes("times", "ms", vec![Group { name: String::new(), bars, target: None }]).svg();
        let widths = widths(&svg);
        assert!((widths[2] - widths[1] - (widths[1] - widths[0])).abs() < 0.5, "{widths:?}");
    }

    #[test]
    fn a_line_goes_through_its_points() {
        let series = Series { name: "memory".to_owned(), points: vec![(0.0, 0.0), (10.0, 5.0)] };
        let svg = Plot::lines("growth", "nodes", "bytes", vec![series]).svg();
        assert!(svg.contains("points=\"60.0,280.0 700.0,60.0\""), "{svg}");
    }
}
