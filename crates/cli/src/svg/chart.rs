//! A chart of lines over a range of their own, with ticks at round numbers.

use std::fmt::Write;

use super::text::escaped;

/// How a line is drawn: colour, width, opacity, dashes.
#[derive(Debug, Clone, Copy)]
pub struct Stroke(pub &'static str, pub f64, pub f64, pub &'static str);

/// A line through points.
#[derive(Debug, Clone)]
pub struct Trace {
    /// What the legend says; empty for one that is not in it.
    pub name: String,
    /// How it is drawn.
    pub stroke: Stroke,
    /// Whether each point has a dot.
    pub dots: bool,
    /// The points, in order of x.
    pub points: Vec<(f64, f64)>,
}

/// A chart.
#[derive(Debug, Clone)]
pub struct Chart {
    /// Above it.
    pub title: &'static str,
    /// Below the horizontal axis.
    pub x_name: &'static str,
    /// The lines; the first is drawn first.
    pub traces: Vec<Trace>,
    /// What the horizontal axis shows at least.
    pub x: (f64, f64),
    /// What the vertical axis shows at least.
    pub y: (f64, f64),
}

const LEFT: f64 = 64.0;
const TOP: f64 = 34.0;
const PLOT: (f64, f64) = (520.0, 200.0);
const BELOW: f64 = 44.0;
const RIGHT: f64 = 20.0;
const LEGEND_ROW: f64 = 20.0;
/// No more places than dots of the axis: more would not be seen.
const MOST_TICKS: usize = 6;

impl Chart {
    /// How wide every chart is.
    pub const WIDTH: f64 = LEFT + PLOT.0 + RIGHT;

    /// How high this one is.
    pub fn height(&self) -> f64 {
        let rows = self.traces.iter().filter(|trace| !trace.name.is_empty()).count();
        TOP + PLOT.1 + BELOW + rows as f64 * LEGEND_ROW + 8.0
    }

    /// The chart, its corner at (0, 0), without an `<svg>` around it.
    pub fn content(&self) -> String {
        let mut text = String::new();
        // A text takes everything that is written to it.
        self.write(&mut text).expect("a text takes everything");
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let (bottom, right) = (TOP + PLOT.1, LEFT + PLOT.0);
        let points = || self.traces.iter().flat_map(|trace| &trace.points);
        let y_ticks = Ticks::over(points().map(|point| point.1), self.y);
        let x_ticks = Ticks::over(points().map(|point| point.0), self.x);
        // The horizontal axis ends where the run does.
        let (x_from, x_to) = x_ticks.range;
        let (y_from, y_to) = (y_ticks.places[0], *y_ticks.places.last().unwrap_or(&1.0));
        let at_x = |x: f64| LEFT + (x - x_from) / (x_to - x_from) * PLOT.0;
        let at_y = |y: f64| bottom - (y - y_from) / (y_to - y_from) * PLOT.1;
        writeln!(
            out,
            r#"<text x="{LEFT}" y="20" font-size="14" font-weight="600">{}</text>"#,
            escaped(self.title)
        )?;
        for &value in x_ticks.places.iter().filter(|place| (x_from..=x_to).contains(*place)) {
            let (x, below, label) = (at_x(value), bottom + 17.0, x_ticks.label(value));
            writeln!(
                out,
                r#"<path d="M{x:.1} {TOP}V{bottom}" stroke="currentColor" stroke-opacity=".14"/><text x="{x:.1}" y="{below}" text-anchor="middle">{label}</text>"#
            )?;
        }
        for &value in &y_ticks.places {
            let (y, beside, label) = (at_y(value), LEFT - 8.0, y_ticks.label(value));
            let lower = y + 4.0;
            writeln!(
                out,
                r#"<path d="M{LEFT} {y:.1}H{right}" stroke="currentColor" stroke-opacity=".14"/><text x="{beside}" y="{lower:.1}" text-anchor="end">{label}</text>"#
            )?;
        }
        writeln!(
            out,
            r#"<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="currentColor" stroke-opacity=".7"/>"#
        )?;
        let (middle, below) = (LEFT + PLOT.0 / 2.0, bottom + 36.0);
        writeln!(
            out,
            r#"<text x="{middle}" y="{below}" text-anchor="middle">{}</text>"#,
            escaped(self.x_name)
        )?;
        let mut row = bottom + BELOW + 14.0;
        for Trace { name, stroke, dots, points } in &self.traces {
            let Stroke(color, width, opacity, dashes) = *stroke;
            let style = format!(
                r#"stroke="{color}" stroke-width="{width}" stroke-opacity="{opacity}" stroke-dasharray="{dashes}""#
            );
            let mut path = String::new();
            for (place, &(x, y)) in points.iter().enumerate() {
                let letter = if place == 0 { 'M' } else { 'L' };
                write!(path, "{letter}{:.1} {:.1}", at_x(x), at_y(y))?;
            }
            writeln!(out, r#"<path d="{path}" fill="none" {style} stroke-linejoin="round"/>"#)?;
            if *dots || points.len() == 1 {
                for &(x, y) in points {
                    let (x, y) = (at_x(x), at_y(y));
                    writeln!(out, r#"<circle cx="{x:.1}" cy="{y:.1}" r="2.5" fill="{color}"/>"#)?;
                }
            }
            if name.is_empty() {
                continue;
            }
            let (to, baseline, words) = (LEFT + 34.0, row - 4.0, LEFT + 42.0);
            writeln!(out, r#"<path d="M{LEFT} {baseline}H{to}" fill="none" {style}/>"#)?;
            writeln!(out, r#"<text x="{words}" y="{row}">{}</text>"#, escaped(name))?;
            row += LEGEND_ROW;
        }
        Ok(())
    }
}

/// Round numbers that span what is to be shown.
#[derive(Debug, PartialEq)]
struct Ticks {
    places: Vec<f64>,
    /// What is to be shown.
    range: (f64, f64),
    /// Digits after the point; none for powers of ten.
    digits: Option<usize>,
}

impl Ticks {
    fn over(values: impl Iterator<Item = f64>, least: (f64, f64)) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let (from, mut to) = finite.fold(least, |(from, to), value| {
            (if value < from { value } else { from }, if value > to { value } else { to })
        });
        if to <= from {
            to = if from == 0.0 { 1.0 } else { from + from.abs() };
        }
        let rough = (to - from) / (MOST_TICKS - 1) as f64;
        // A power of ten times 1, 2 or 5, without a logarithm: whose last digit depends on the machine.
        let (mut unit, mut exponent) = (1.0_f64, 0_i32);
        while unit > rough && exponent > -300 {
            (unit, exponent) = (unit / 10.0, exponent - 1);
        }
        while unit * 10.0 <= rough && exponent < 300 {
            (unit, exponent) = (unit * 10.0, exponent + 1);
        }
        let factors = [1.0, 2.0, 5.0, 10.0];
        let factor = factors.into_iter().find(|factor| factor * unit >= rough).unwrap_or(10.0);
        let step = factor * unit;
        let (first, last) = ((from / step).floor(), (to / step).ceil());
        let places = (0..=(last - first) as u32).map(|count| (first + f64::from(count)) * step);
        let digits = match exponent {
            -4.. => Some(usize::try_from(-exponent).unwrap_or(0)),
            _ => None,
        };
        Self { places: places.collect(), range: (from, to), digits }
    }

    fn label(&self, value: f64) -> String {
        match self.digits {
            Some(digits) if value.abs() < 1e9 => format!("{value:.digits$}"),
            _ if value == 0.0 => "0".to_owned(),
            _ => format!("{value:.1e}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_span_the_values() {
        let labels = |values: &[f64], least| {
            let ticks = Ticks::over(values.iter().copied(), least);
            ticks.places.iter().map(|place| ticks.label(*place)).collect::<Vec<_>>()
        };
        assert_eq!(labels(&[0.3, 1.72], (0.0, 0.0)), ["0.0", "0.5", "1.0", "1.5", "2.0"]);
        assert_eq!(labels(&[50.0], (0.0, 0.0)), ["0", "10", "20", "30", "40", "50"]);
        assert_eq!(labels(&[0.0004, 0.0021], (0.0, 0.0))[1], "0.0005");
        assert_eq!(labels(&[3e-9], (0.0, 0.0))[1], "1.0e-9");
        assert_eq!(labels(&[], (0.0, 0.0)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&[f64::NAN, f64::INFINITY], (0.0, 1.0)).len(), 6);
        assert!(labels(&[1e300, -1e300], (0.0, 0.0)).len() < 20);
        assert!(labels(&[5.0, 5.0], (5.0, 5.0)).len() > 1);
    }
}
