//! Masks, boxes and captions drawn onto a copy of the picture.

mod canvas;
mod caption;

use super::Image;
use crate::{BoundingBox, Detection};
use canvas::{Canvas, Rect};
use caption::Captions;

/// What to draw of one detection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OverlayBox<'a> {
    /// Where it is, in the picture's pixels.
    pub in_image: BoundingBox,
    /// The label's text; control characters are shown as a replacement character.
    pub label: &'a str,
    /// The score.
    pub score: f32,
    /// The label's id; it chooses the colour.
    pub label_id: usize,
}

impl<'a> From<&'a Detection> for OverlayBox<'a> {
    fn from(found: &'a Detection) -> Self {
        let Detection { bounding_box: in_image, ref label, score, label_id } = *found;
        Self { in_image, label, score, label_id }
    }
}

/// How to draw. `None` takes a size that suits the picture.
#[derive(Debug, Clone, PartialEq)]
pub struct OverlayStyle {
    /// The width of the boxes' lines in pixels; by default 1 and a further one per 400 pixels of the
    /// picture's short side.
    pub line_width: Option<usize>,
    /// The height of the captions' text in pixels; by default 9 and a further one per 60 pixels of
    /// the picture's short side. A caption wider than the picture is set smaller, then cut.
    pub text_height: Option<usize>,
    /// Leave the captions out.
    pub without_captions: bool,
    /// How much of the label's colour the masks put over the picture: from 0, no masks, to 1, nothing
    /// of the picture left. It is rounded to 255ths; what lies outside is held within, and a NaN is 0.
    /// By default 0.35.
    pub mask_opacity: f32,
}

impl Default for OverlayStyle {
    fn default() -> Self {
        Self { line_width: None, text_height: None, without_captions: false, mask_opacity: 0.35 }
    }
}

/// Draws boxes with captions (`label score`) onto a copy of the picture.
///
/// Boxes are given best first; the best is drawn on top. Each label id has a colour of its own.
/// Captions stand above their boxes where there is room, keep clear of each other where they can, and
/// always lie within the picture. Coordinates outside the picture are held within it; a box of NaNs
/// is drawn at the top left corner.
///
/// ```
/// use retinanet::image::{Image, overlay};
///
/// let image = Image::from_rgb8(100, 80, vec![60; 100 * 80 * 3])?;
/// let in_image = [20.0, 30.0, 60.0, 70.0].into();
/// let person = overlay::OverlayBox { in_image, label: "person", score: 0.93, label_id: 1 };
/// let drawn = overlay::draw(&image, &[person], &overlay::OverlayStyle::default());
/// assert_ne!(drawn, image);
/// # Ok::<(), retinanet::Error>(())
/// ```
pub fn draw(image: &Image, boxes: &[OverlayBox<'_>], style: &OverlayStyle) -> Image {
    let mut canvas = Canvas::new(image);
    let short = image.width().min(image.height());
    let line = style.line_width.unwrap_or(1 + short / 400).clamp(1, short);
    let text = style.text_height.unwrap_or(9 + short / 60).clamp(1, short.max(9));
    let rects: Vec<Rect> = boxes.iter().map(|one| canvas.rect_of(&one.in_image)).collect();
    // The cast holds what is outside 0..=255 within it and makes a NaN 0.
    let coverage = (style.mask_opacity * 255.0).round() as u8;
    if coverage > 0 {
        for one in boxes.iter().rev() {
            let (rows, columns) = one.in_image.pixels(image.height(), image.width());
            for y in rows {
                for x in columns.clone() {
                    canvas.blend(x, y, coverage, color(one.label_id));
                }
            }
        }
    }
    for (one, &rect) in boxes.iter().zip(&rects).rev() {
        canvas.outline(rect, line, color(one.label_id));
    }
    if !style.without_captions {
        let mut captions = Captions::new(&canvas, text);
        // The best choose their places first and are painted last, where places run out.
        let planned: Vec<_> = boxes
            .iter()
            .zip(&rects)
            .map(|(one, &rect)| {
                let text = format!("{} {:.2}", one.label, one.score);
                captions.plan(&text, rect, line, color(one.label_id))
            })
            .collect();
        for caption in planned.into_iter().rev() {
            captions.paint(&mut canvas, caption);
        }
    }
    canvas.into_image()
}

/// A bright colour for a label id: hues a golden section of the circle apart, in three shades.
fn color(label_id: usize) -> [u8; 3] {
    // Hue in 1536 steps: six sectors of 256. 949 / 1536 is the golden section; 160 starts at orange.
    let hue = (label_id % 1536 * 949 + 160) % 1536;
    let (sector, rise) = (hue / 256, hue % 256);
    let fall = 255 - rise;
    let pure = match sector {
        0 => [255, rise, 0],
        1 => [fall, 255, 0],
        2 => [0, 255, rise],
        3 => [0, fall, 255],
        4 => [rise, 0, 255],
        _ => [255, 0, fall],
    };
    let (floor, ceiling) = [(40, 255), (90, 255), (20, 215)][label_id % 3];
    pure.map(|value| (floor + value * (ceiling - floor) / 255) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: usize, height: usize) -> Image {
        Image::from_rgb8(width, height, vec![90; width * height * 3]).unwrap()
    }

    fn person(in_image: [f32; 4]) -> OverlayBox<'static> {
        OverlayBox { in_image: in_image.into(), label: "person", score: 0.934, label_id: 1 }
    }

    fn pixel(image: &Image, x: usize, y: usize) -> [u8; 3] {
        let start = (y * image.width() + x) * 3;
        image.as_rgb8()[start..start + 3].try_into().unwrap()
    }

    #[test]
    fn nothing_to_draw_changes_nothing() {
        let image = grey(40, 30);
        assert_eq!(draw(&image, &[], &OverlayStyle::default()), image);
    }

    #[test]
    fn the_box_is_outlined_in_its_labels_colour_and_left_open_without_a_mask() {
        let style =
            OverlayStyle { without_captions: true, mask_opacity: 0.0, ..Default::default() };
        let drawn = draw(&grey(100, 80), &[person([20.5, 30.0, 60.0, 70.0])], &style);
        for (x, y) in [(20, 30), (20, 69), (59, 30), (59, 69), (40, 30)] {
            assert_eq!(pixel(&drawn, x, y), color(1), "({x}, {y})");
        }
        for (x, y) in [(40, 50), (10, 10), (62, 72)] {
            assert_eq!(pixel(&drawn, x, y), [90; 3], "({x}, {y})");
        }
    }

    /// `over` mixed over `under` by `coverage` 255ths, to the nearest.
    fn mixed(under: [u8; 3], over: [u8; 3], coverage: u32) -> [u8; 3] {
        std::array::from_fn(|channel| {
            let (under, over) = (u32::from(under[channel]), u32::from(over[channel]));
            ((under * (255 - coverage) + over * coverage + 127) / 255) as u8
        })
    }

    #[test]
    fn the_mask_is_the_filled_box_and_the_best_lies_on_top() {
        let best = person([10.0, 10.0, 40.0, 40.0]);
        let worst = OverlayBox { label_id: 18, ..person([20.0, 20.0, 60.0, 60.0]) };
        let style = OverlayStyle { without_captions: true, ..Default::default() };
        let drawn = draw(&grey(100, 80), &[best, worst], &style);
        // 0.35 is 89 255ths.
        let below = mixed([90; 3], color(18), 89);
        assert_eq!(pixel(&drawn, 15, 15), mixed([90; 3], color(1), 89), "the best alone");
        assert_eq!(pixel(&drawn, 50, 50), below, "the worst alone");
        assert_eq!(pixel(&drawn, 30, 30), mixed(below, color(1), 89), "both");
        assert_eq!(pixel(&drawn, 39, 30), color(1), "an outline above the masks");
        assert_eq!(pixel(&drawn, 30, 20), color(18), "the worst's outline above the best's mask");
        assert_eq!(pixel(&drawn, 60, 50), [90; 3], "outside");
    }

    #[test]
    fn opacities_beyond_0_and_1_are_held_within() {
        let inside = |mask_opacity| {
            let style = OverlayStyle { without_captions: true, mask_opacity, ..Default::default() };
            pixel(&draw(&grey(50, 50), &[person([10.0, 10.0, 40.0, 40.0])], &style), 25, 25)
        };
        for none in [0.0, -0.0, -1.0, f32::NEG_INFINITY, f32::NAN, 0.001] {
            assert_eq!(inside(none), [90; 3], "{none}");
        }
        for all in [1.0, 2.0, f32::INFINITY] {
            assert_eq!(inside(all), color(1), "{all}");
        }
    }

    #[test]
    fn the_caption_stands_above_the_box() {
        let [with, without] = [false, true].map(|without_captions| {
            let style = OverlayStyle { without_captions, ..Default::default() };
            draw(&grey(200, 200), &[person([50.0, 80.0, 150.0, 160.0])], &style)
        });
        let rows_that_differ: Vec<usize> = (0..200)
            .filter(|&y| (0..200).any(|x| pixel(&with, x, y) != pixel(&without, x, y)))
            .collect();
        assert!(rows_that_differ.len() > 8, "{rows_that_differ:?}");
        assert!(rows_that_differ.iter().all(|&y| (55..=81).contains(&y)), "{rows_that_differ:?}");
    }

    #[test]
    fn awkward_boxes_and_pictures_are_drawn_without_harm() {
        let boxes = [
            person([0.0, 0.0, 1e9, 1e9]),
            person([-50.0, -50.0, -10.0, -10.0]),
            person([f32::NAN; 4]),
            person([60.0, 60.0, 20.0, 20.0]),
            person([f32::NEG_INFINITY, 0.0, f32::INFINITY, 3.0]),
        ];
        for (width, height) in [(1, 1), (1, 50), (50, 1), (7, 5), (100, 80), (801, 3)] {
            let drawn = draw(&grey(width, height), &boxes, &OverlayStyle::default());
            assert_eq!((drawn.width(), drawn.height()), (width, height));
            let style = OverlayStyle {
                line_width: Some(usize::MAX),
                text_height: Some(usize::MAX),
                ..Default::default()
            };
            draw(&grey(width, height), &boxes, &style);
        }
    }

    #[test]
    fn labels_of_any_text_are_drawn_without_harm() {
        let long = "x".repeat(10_000);
        for label in ["", "\u{0}\n\r\t\u{1b}[31m", "\u{202e}evil", "人 Ünïcödé", &long] {
            let one = OverlayBox { label, score: f32::NAN, ..person([5.0, 5.0, 60.0, 60.0]) };
            draw(&grey(100, 80), &[one], &OverlayStyle::default());
        }
    }

    #[test]
    fn neighbouring_label_ids_have_distinct_colours() {
        for first in 0..91 {
            for second in 0..first {
                assert_ne!(color(first), color(second), "{first} and {second}");
            }
        }
    }
}
