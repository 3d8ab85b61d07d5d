//! Captions: one line of text on a plate of the box's colour, kept within the picture.

use ab_glyph::{Font, FontRef, GlyphId, PxScale, ScaleFont, point};

use super::canvas::{Canvas, Rect};

/// Roboto Medium, Apache-2.0 (see `assets/README.md`).
static FONT: &[u8] = include_bytes!("../../assets/Roboto-Medium-Latin.ttf");

/// Text below this is no longer legible; a caption that needs it smaller is cut instead.
const SMALLEST_TEXT: usize = 7;

/// The most characters of a caption that are looked at.
const MOST_CHARACTERS: usize = 200;

/// The captions of one picture: their font, and where those already drawn stand.
pub(super) struct Captions {
    font: FontRef<'static>,
    text_height: usize,
    picture: [usize; 2],
    taken: Vec<Rect>,
}

/// A caption that has its place.
pub(super) struct Caption {
    line: Line,
    plate: Rect,
    padding: usize,
    color: [u8; 3],
}

/// A line of glyphs, set out from x = 0.
struct Line {
    glyphs: Vec<(GlyphId, f32)>,
    scale: PxScale,
    width: usize,
    ascent: f32,
    height: usize,
}

impl Captions {
    pub(super) fn new(canvas: &Canvas, text_height: usize) -> Self {
        let font = FontRef::try_from_slice(FONT).expect("the bundled font is whole");
        let picture = [canvas.height, canvas.width];
        Self { font, text_height, picture, taken: Vec::new() }
    }

    /// Sets `text` on a plate of `color` near `rect`, whose frame is `line_width` wide, and keeps
    /// the place for it.
    pub(super) fn plan(
        &mut self,
        text: &str,
        rect: Rect,
        line_width: usize,
        color: [u8; 3],
    ) -> Caption {
        let padding = (self.text_height / 5).max(1);
        let line = self.fit(text, self.picture[1].saturating_sub(2 * padding));
        let size = [line.height + padding, line.width + 2 * padding];
        let plate = self.place(size, rect, line_width);
        self.taken.push(plate);
        Caption { line, plate, padding, color }
    }

    /// Paints a planned caption.
    pub(super) fn paint(&self, canvas: &mut Canvas, caption: Caption) {
        let Caption { line, plate, padding, color } = caption;
        canvas.fill(plate, color);
        let [red, green, blue] = color.map(u32::from);
        // Rec. 601 luma: dark text on light plates, light on dark.
        let ink = if 299 * red + 587 * green + 114 * blue > 128_000 { [0; 3] } else { [255; 3] };
        let baseline = (plate.top + padding / 2) as f32 + line.ascent;
        for (glyph, x) in line.glyphs {
            let position = point((plate.left + padding) as f32 + x, baseline);
            let glyph = glyph.with_scale_and_position(line.scale, position);
            let Some(outline) = self.font.outline_glyph(glyph) else {
                continue;
            };
            let origin = outline.px_bounds().min;
            outline.draw(|x, y, coverage| {
                let at = |start: f32, offset: u32| start as i64 + i64::from(offset);
                let (x, y) = (at(origin.x, x), at(origin.y, y));
                let inside = x >= plate.left as i64
                    && x < plate.right as i64
                    && y >= plate.top as i64
                    && y < plate.bottom as i64;
                if inside {
                    canvas.blend(x as usize, y as usize, (coverage * 255.0) as u8, ink);
                }
            });
        }
    }

    /// Sets `text` at the usual height, or smaller, so that it is at most `width` wide; cut if even
    /// the smallest is wider.
    fn fit(&self, text: &str, width: usize) -> Line {
        let text: Vec<char> = text
            .chars()
            .take(MOST_CHARACTERS)
            .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
            .collect();
        let line = self.set(&text, self.text_height);
        if line.width <= width {
            return line;
        }
        let smaller = self.text_height * width / line.width.max(1);
        let height = smaller.clamp(SMALLEST_TEXT.min(self.text_height), self.text_height);
        let mut line = self.set(&text, height);
        let mut kept = text.len();
        while line.width > width && kept > 1 {
            kept = (kept * width / line.width.max(1)).clamp(1, kept - 1);
            let mut cut = text[..kept - 1].to_vec();
            cut.push('…');
            line = self.set(&cut, height);
        }
        line
    }

    fn set(&self, text: &[char], text_height: usize) -> Line {
        let scale = PxScale::from(text_height as f32);
        let font = self.font.as_scaled(scale);
        let mut x = 0.0;
        let mut glyphs = Vec::with_capacity(text.len());
        let mut before = None;
        for &character in text {
            let glyph = font.glyph_id(character);
            if let Some(before) = before {
                x += font.kern(before, glyph);
            }
            glyphs.push((glyph, x));
            x += font.h_advance(glyph);
            before = Some(glyph);
        }
        let height = (font.ascent() - font.descent()).ceil() as usize;
        Line { glyphs, scale, width: x.ceil() as usize, ascent: font.ascent(), height }
    }

    /// Where a plate of `[height, width]` goes: above the box, else inside at its top, else inside
    /// at its bottom, else below; the first that is in the picture and free, else the first in the
    /// picture, else wherever it fits.
    fn place(&self, [height, width]: [usize; 2], rect: Rect, line_width: usize) -> Rect {
        let [picture_height, picture_width] = self.picture;
        let height = height.min(picture_height);
        let width = width.min(picture_width);
        let left = rect.left.min(picture_width - width);
        let at = |top: usize| Rect { left, top, right: left + width, bottom: top + height };
        let candidates = [
            rect.top.checked_sub(height),
            Some(rect.top),
            rect.bottom.checked_sub(height + line_width),
            Some(rect.bottom),
        ];
        let in_picture: Vec<Rect> = candidates
            .into_iter()
            .flatten()
            .filter(|top| top + height <= picture_height)
            .map(at)
            .collect();
        let free = |plate: &&Rect| !self.taken.iter().any(|other| other.overlaps(plate));
        let chosen = in_picture.iter().find(free).or(in_picture.first()).copied();
        chosen.unwrap_or_else(|| at(rect.top.min(picture_height - height)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image;

    fn captions(width: usize, height: usize) -> Captions {
        let image = Image::from_rgb8(width, height, vec![0; width * height * 3]).unwrap();
        Captions::new(&Canvas::new(&image), 20)
    }

    #[test]
    fn a_caption_too_wide_for_the_picture_is_set_smaller_then_cut() {
        let captions = captions(100, 100);
        let whole = captions.fit("person 0.93", 1000);
        let smaller = captions.fit("person 0.93", 60);
        assert!(smaller.width <= 60 && smaller.scale.y < whole.scale.y);
        assert_eq!(smaller.glyphs.len(), whole.glyphs.len());
        let cut = captions.fit("person 0.93", 20);
        assert!(cut.width <= 20 && cut.glyphs.len() < whole.glyphs.len());
    }

    #[test]
    fn plates_lie_within_the_picture_and_apart_where_they_can() {
        let mut captions = captions(100, 100);
        for rect in [
            Rect { left: 0, top: 0, right: 100, bottom: 100 },
            Rect { left: 90, top: 95, right: 100, bottom: 100 },
            Rect { left: 0, top: 50, right: 9, bottom: 60 },
            Rect { left: 0, top: 50, right: 9, bottom: 60 },
        ] {
            let plate = captions.place([22, 60], rect, 2);
            assert!(plate.right <= 100 && plate.bottom <= 100, "{plate:?}");
            assert!(!captions.taken.iter().any(|other| other.overlaps(&plate)), "{plate:?}");
            captions.taken.push(plate);
        }
    }

    #[test]
    fn the_font_has_the_letters_captions_need() {
        let captions = captions(10, 10);
        for character in ('!'..='~').chain("éüßñøÅČžЖя…\u{fffd}".chars()) {
            assert_ne!(captions.font.glyph_id(character).0, 0, "{character:?}");
        }
    }
}
