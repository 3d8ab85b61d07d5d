//! The pictures of a report with their boxes, as many as there is room for.

use std::fmt::Write;

use clap::Args;
use retinanet::Image;

use super::answer::{Answer, Found, Outcome};
use super::thumbnail::Thumbnail;
use crate::svg::escaped;

/// Bright colours that stand out from photos and from each other for every kind of colour vision.
const COLORS: [&str; 7] =
    ["#56b4e9", "#e69f00", "#00c08b", "#f0e442", "#ff7a3d", "#e69ac4", "#7aa2ff"];

/// The least score of a box that has a caption; weaker ones are many, and would hide each other and the picture.
pub(super) const CAPTION_FROM: f32 = 0.3;

/// How large a report gets.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Pictures")]
pub struct PictureLimits {
    /// The most images that are shown with their picture, the first ones
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub pictures: usize,

    /// The longer side of a picture, in pixels
    #[arg(long, value_name = "PX", default_value_t = 480)]
    #[arg(value_parser = clap::value_parser!(u64).range(64..=4096))]
    pub picture_size: u64,

    /// The most bytes that all pictures take together
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    pub max_picture_bytes: usize,
}

/// Cards of images.
#[derive(Debug)]
pub struct Pictures {
    limits: PictureLimits,
    /// Labels in the order in which they came; their places are the numbers that the page filters by.
    labels: Vec<String>,
    cards: String,
    bytes: usize,
    count: usize,
    full: bool,
}

impl Pictures {
    /// None yet.
    pub fn new(limits: PictureLimits) -> Self {
        let (labels, cards) = (Vec::new(), String::new());
        Self { limits, labels, cards, bytes: 0, count: 0, full: false }
    }

    /// Whether another image would be shown.
    pub fn has_room(&self) -> bool {
        !self.full && self.count < self.limits.pictures
    }

    /// Adds an image's card, if there is room; `truth` are its annotated boxes: left, top, width, height and name.
    pub fn add(&mut self, answer: &Answer, image: &Image, truth: &[([f64; 4], String)]) {
        let Outcome::Found(found) = &answer.outcome else { return };
        if !self.has_room() {
            return;
        }
        let Some(small) = Thumbnail::of(image, self.limits.picture_size as usize) else { return };
        if self.bytes + small.data_uri.len() > self.limits.max_picture_bytes {
            // Not the next smaller one either: which images are shown would be hard to tell.
            self.full = true;
            return;
        }
        self.bytes += small.data_uri.len();
        self.count += 1;
        self.card(&answer.name, found, image, &small, truth).expect("a text takes everything");
    }

    fn card(
        &mut self,
        name: &str,
        found: &Found,
        image: &Image,
        small: &Thumbnail,
        truth: &[([f64; 4], String)],
    ) -> std::fmt::Result {
        let detections = &found.detections;
        let Thumbnail { width, height, data_uri } = small;
        let scale = *width as f64 / image.width() as f64;
        let best = detections.iter().next().map_or(0.0, |one| one.score);
        let name = escaped(name);
        let mut out = String::new();
        writeln!(
            out,
            r#"<figure class="card" data-n="{}" data-s="{best}" data-i="{}"><svg viewBox="0 0 {width} {height}" role="img" aria-label="{name}"><image href="{data_uri}" width="{width}" height="{height}"/>"#,
            detections.len(),
            self.count,
        )?;
        for ([x, y, w, h], label) in truth {
            let [x, y, w, h] = [x, y, w, h].map(|side| side * scale);
            writeln!(
                out,
                r##"<g class="truth"><title>annotated: {}</title><rect x="{x:.1}" y="{y:.1}" width="{w:.1}" height="{h:.1}" fill="none" stroke="#000" stroke-opacity=".6" stroke-width="3.5"/><rect x="{x:.1}" y="{y:.1}" width="{w:.1}" height="{h:.1}" fill="none" stroke="#fff" stroke-width="1.5" stroke-dasharray="5 4"/></g>"##,
                escaped(label)
            )?;
        }
        let width = *width as f64;
        // The best are drawn last: on top.
        for one in detections.iter().rev() {
            let number = self.number(&one.label);
            let color = COLORS[number % COLORS.len()];
            let [x1, y1, x2, y2] =
                <[f32; 4]>::from(one.bounding_box).map(|side| f64::from(side) * scale);
            let (w, h) = (x2 - x1, y2 - y1);
            let (label, score) = (escaped(&one.label), one.score);
            let sides =
                format!(r#"x="{x1:.1}" y="{y1:.1}" width="{w:.1}" height="{h:.1}" fill="none""#);
            write!(
                out,
                r#"<g class="box" data-l="{number}" data-s="{score}"><title>{label} {score:.3}</title>"#
            )?;
            if score < CAPTION_FROM {
                writeln!(out, r#"<rect {sides} stroke="{color}" stroke-opacity=".75"/></g>"#)?;
                continue;
            }
            // Inside the box where there is no room above it, and to the left from its right end near the edge.
            let y = if y1 > 14.0 { y1 - 4.0 } else { y1 + 12.0 };
            let near_edge = x1 > width - 90.0;
            let (x, anchor) = match near_edge {
                true => (if x2 < width - 2.0 { x2 } else { width - 2.0 }, "end"),
                false => (if x1 > 2.0 { x1 } else { x1 + 2.0 }, "start"),
            };
            writeln!(
                out,
                r##"<rect {sides} stroke="#000" stroke-opacity=".55" stroke-width="4"/><rect {sides} stroke="{color}" stroke-width="2"/><text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" paint-order="stroke" stroke="#000" stroke-width="3" stroke-linejoin="round" fill="{color}">{label} {score:.2}</text></g>"##
            )?;
        }
        let count = match detections.len() {
            0 => "nothing found".to_owned(),
            1 => "1 detection".to_owned(),
            count => format!("{count} detections"),
        };
        let [height, width] = detections.image_size();
        writeln!(
            out,
            r#"</svg><figcaption><b>{name}</b><span>{count}, {width} x {height}</span><code title="digest of the detections">{}</code></figcaption></figure>"#,
            found.digest
        )?;
        self.cards.push_str(&out);
        Ok(())
    }

    fn number(&mut self, label: &str) -> usize {
        if let Some(place) = self.labels.iter().position(|known| known == label) {
            return place;
        }
        self.labels.push(label.to_owned());
        self.labels.len() - 1
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn cards(&self) -> &str {
        &self.cards
    }

    pub(super) fn labels(&self) -> &[String] {
        &self.labels
    }
}
