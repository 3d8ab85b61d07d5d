//! A chart: two axes from 0 to 1, stepped lines and a legend below.

use std::fmt::Write;

use super::text::{escaped, shortened};

/// Colours that people of every kind of colour vision tell apart (Okabe and Ito), without those that are too pale on
/// white; each with dashes of its own, for print without colour.
const STYLES: [(&str, &str); 6] = [
    ("#0072b2", ""),
    ("#d55e00", "7 3"),
    ("#009e73", "2 2.5"),
    ("#cc79a7", "9 3 2 3"),
    ("#e69f00", "4 3"),
    ("#56b4e9", "12 3"),
];
/// How many lines can be told apart.
pub(super) const MOST_LINES: usize = STYLES.len();
/// Room for the axes' names and numbers.
const LEFT: f64 = 48.0;
const TOP: f64 = 34.0;
/// The square that is drawn in.
const SIDE: f64 = 320.0;
const RIGHT: f64 = 16.0;
const AXIS: f64 = 46.0;
const LEGEND_ROW: f64 = 20.0;
/// The longest text of the legend, in characters.
const MOST_CHARS: usize = 34;

/// A line over equally spaced places from 0 to 1.
#[derive(Debug, Clone)]
pub struct Line {
    /// What the legend says.
    pub name: String,
    /// The legend's number.
    pub value: String,
    /// Heights from 0 to 1 at 0, 1/n, .. 1: between two places the line is as high as at the right one.
    pub heights: Vec<f64>,
}

/// A chart of lines.
#[derive(Debug, Clone)]
pub struct Plot {
    /// Above the chart.
    pub title: String,
    /// Below the horizontal axis.
    pub x_name: &'static str,
    /// Beside the vertical axis.
    pub y_name: &'static str,
    /// Each in a style of its own, at most six.
    pub lines: Vec<Line>,
    /// Thin grey lines behind them, with the words that the legend has for all of them.
    pub others: (String, Vec<Vec<f64>>),
}

impl Plot {
    /// How wide every chart is.
    pub const WIDTH: f64 = LEFT + SIDE + RIGHT;

    /// How high this one is.
    pub fn height(&self) -> f64 {
        let rows = self.lines.len() + usize::from(!self.others.1.is_empty());
        TOP + SIDE + AXIS + rows as f64 * LEGEND_ROW + 8.0
    }

    /// The chart, its corner at (0, 0), without an `<svg>` around it.
    pub fn content(&self) -> String {
        let mut text = String::new();
        // A text takes everything that is written to it.
        self.write(&mut text).expect("a text takes everything");
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let (bottom, right) = (TOP + SIDE, LEFT + SIDE);
        let middle = LEFT + SIDE / 2.0;
        writeln!(
            out,
            r#"<text x="{LEFT}" y="20" font-size="14" font-weight="600">{}</text>"#,
            escaped(&shortened(&self.title, 44))
        )?;
        for step in 0..=5 {
            let value = f64::from(step) * 0.2;
            let (x, y) = (LEFT + value * SIDE, bottom - value * SIDE);
            writeln!(
                out,
                r#"<path d="M{x:.1} {TOP}V{bottom}M{LEFT} {y:.1}H{right}" stroke="currentColor" stroke-opacity=".14"/>"#
            )?;
            let below = bottom + 17.0;
            writeln!(
                out,
                r#"<text x="{x:.1}" y="{below}" text-anchor="middle">{value:.1}</text>"#
            )?;
            let (beside, lower) = (LEFT - 8.0, y + 4.0);
            writeln!(
                out,
                r#"<text x="{beside}" y="{lower:.1}" text-anchor="end">{value:.1}</text>"#
            )?;
        }
        writeln!(
            out,
            r#"<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="currentColor" stroke-opacity=".7"/>"#
        )?;
        let below = bottom + 36.0;
        writeln!(
            out,
            r#"<text x="{middle}" y="{below}" text-anchor="middle">{}</text>"#,
            self.x_name
        )?;
        let (x, y) = (13.0, TOP + SIDE / 2.0);
        writeln!(
            out,
            r#"<text x="{x}" y="{y}" text-anchor="middle" transform="rotate(-90 {x} {y})">{}</text>"#,
            self.y_name
        )?;
        let mut row = bottom + AXIS + 14.0;
        let (words, others) = &self.others;
        for heights in others {
            let path = steps(heights);
            writeln!(
                out,
                r#"<path d="{path}" fill="none" stroke="currentColor" stroke-opacity=".35"/>"#
            )?;
        }
        // The first line is drawn last: on top.
        for (line, (color, dashes)) in self.lines.iter().zip(STYLES).rev() {
            let path = steps(&line.heights);
            writeln!(
                out,
                r#"<path d="{path}" fill="none" stroke="{color}" stroke-width="2" stroke-dasharray="{dashes}" stroke-linejoin="round"/>"#
            )?;
        }
        for (Line { name, value, .. }, (color, dashes)) in self.lines.iter().zip(STYLES) {
            let (from, to, baseline) = (LEFT, LEFT + 34.0, row - 4.0);
            writeln!(
                out,
                r#"<path d="M{from} {baseline}H{to}" stroke="{color}" stroke-width="2.5" stroke-dasharray="{dashes}"/>"#
            )?;
            let words = LEFT + 42.0;
            writeln!(
                out,
                r#"<text x="{words}" y="{row}"><title>{}</title>{}</text>"#,
                escaped(name),
                escaped(&shortened(name, MOST_CHARS))
            )?;
            writeln!(
                out,
                r#"<text x="{right}" y="{row}" text-anchor="end">{}</text>"#,
                escaped(value)
            )?;
            row += LEGEND_ROW;
        }
        if !others.is_empty() {
            let (from, to, baseline) = (LEFT, LEFT + 34.0, row - 4.0);
            writeln!(
                out,
                r#"<path d="M{from} {baseline}H{to}" stroke="currentColor" stroke-opacity=".35"/>"#
            )?;
            writeln!(out, r#"<text x="{}" y="{row}">{}</text>"#, LEFT + 42.0, escaped(words))?;
        }
        Ok(())
    }
}

/// The way of a line.
fn steps(heights: &[f64]) -> String {
    let last = heights.len().saturating_sub(1) as f64;
    let x = |place: usize| LEFT + place as f64 / last * SIDE;
    let y = |height: f64| TOP + (1.0 - height) * SIDE;
    let mut path = String::new();
    let mut before = None;
    for (place, &height) in heights.iter().enumerate() {
        match before {
            None => write!(path, "M{:.1} {:.1}", x(place), y(height)),
            Some(same) if same == height => Ok(()),
            Some(_) => write!(path, "H{:.1}V{:.1}", x(place - 1), y(height)),
        }
        .expect("a text takes everything");
        before = Some(height);
    }
    write!(path, "H{:.1}", x(heights.len().saturating_sub(1))).expect("a text takes everything");
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_two_places_a_line_is_as_high_as_at_the_right_one() {
        assert_eq!(steps(&[1.0, 1.0, 0.5, 0.5, 0.0]), "M48.0 34.0H128.0V194.0H288.0V354.0H368.0");
        assert_eq!(steps(&[1.0, 1.0]), "M48.0 34.0H368.0");
    }
}
