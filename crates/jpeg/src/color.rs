//! From a JPEG's colours to RGB: libjpeg's guess of what its components are, and its integer arithmetic.

use crate::markers::Segments;

/// What a JPEG's components are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColorSpace {
    /// One component.
    Grey,
    /// Luminance and two colour differences, the usual case.
    YCbCr,
    /// Red, green and blue, as they are.
    Rgb,
    /// Cyan, magenta, yellow and black, taken as inverted, which is how Adobe stores them.
    Cmyk,
    /// CMYK whose first three components are stored as luminance and colour differences.
    Ycck,
}

impl ColorSpace {
    /// libjpeg's guess, from the components' number and names and the application segments so far.
    pub(crate) fn guess(segments: &Segments, ids: &[u8]) -> Self {
        match (ids, segments.adobe_transform) {
            ([_], _) => Self::Grey,
            ([_, _, _], _) if segments.jfif => Self::YCbCr,
            ([_, _, _], Some(0)) => Self::Rgb,
            ([_, _, _], Some(_)) => Self::YCbCr,
            (b"RGB", None) => Self::Rgb,
            ([_, _, _], None) => Self::YCbCr,
            (_, None | Some(0)) => Self::Cmyk,
            (_, Some(_)) => Self::Ycck,
        }
    }
}

/// Pixels converted at a time.
const CHUNK: usize = 16;

/// Makes RGB pixels of a row of each component.
pub(crate) fn to_rgb(space: ColorSpace, rows: &[&[u8]; 4], rgb: &mut [u8]) {
    let width = rgb.len() / 3;
    let [first, second, third, fourth] = *rows;
    match space {
        ColorSpace::Grey => {
            for (pixel, &grey) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(first) {
                *pixel = [grey; 3];
            }
        }
        ColorSpace::Rgb => {
            convert([first, second, third, third], width, rgb, |red, green, blue, _| {
                [red, green, blue]
            })
        }
        ColorSpace::YCbCr => {
            convert([first, second, third, third], width, rgb, |y, cb, cr, _| ycc(y, cb, cr))
        }
        ColorSpace::Cmyk => convert([first, second, third, fourth], width, rgb, |c, m, y, k| {
            [c, m, y].map(|color| blacken(color, k))
        }),
        ColorSpace::Ycck => convert([first, second, third, fourth], width, rgb, |y, cb, cr, k| {
            // libjpeg makes CMY of it: 255 less what would be red, green and blue.
            ycc(y, cb, cr).map(|color| blacken(255 - color, k))
        }),
    }
}

/// Converts whole chunks, then the rest, which is copied to a chunk.
#[inline(always)]
fn convert(
    rows: [&[u8]; 4],
    width: usize,
    rgb: &mut [u8],
    pixel: impl Fn(u8, u8, u8, u8) -> [u8; 3],
) {
    let mut start = 0;
    let mut chunks = rgb.chunks_exact_mut(CHUNK * 3);
    for chunk in &mut chunks {
        let rows = rows.map(|row| row[start..].first_chunk::<CHUNK>());
        if let [Some(a), Some(b), Some(c), Some(d)] = rows {
            convert_chunk([a, b, c, d], chunk, &pixel);
        }
        start += CHUNK;
    }
    let rest = chunks.into_remainder();
    if !rest.is_empty() {
        let rows = rows.map(|row| {
            let mut padded = [0; CHUNK];
            padded[..width - start].copy_from_slice(&row[start..width]);
            padded
        });
        let mut chunk = [0; CHUNK * 3];
        convert_chunk(rows.each_ref(), &mut chunk, &pixel);
        rest.copy_from_slice(&chunk[..rest.len()]);
    }
}

#[inline(always)]
fn convert_chunk(
    [a, b, c, d]: [&[u8; CHUNK]; 4],
    rgb: &mut [u8],
    pixel: &impl Fn(u8, u8, u8, u8) -> [u8; 3],
) {
    // Planes first: that loop becomes vector code.
    let mut red = [0; CHUNK];
    let mut green = [0; CHUNK];
    let mut blue = [0; CHUNK];
    for i in 0..CHUNK {
        [red[i], green[i], blue[i]] = pixel(a[i], b[i], c[i], d[i]);
    }
    for (i, to) in rgb.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        *to = [red[i], green[i], blue[i]];
    }
}

/// Luminance and colour differences to RGB. The factors have 16 fractional bits; whole parts are taken out
/// of them so that they fit in 16 bits, which changes no result.
#[inline(always)]
fn ycc(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    const fn fix(x: f64) -> i32 {
        (x * 65536.0 + 0.5) as i32
    }
    let (y, cb, cr) = (i16::from(y), i16::from(cb) - 128, i16::from(cr) - 128);
    let times = |value: i16, factor: i32| i32::from(value) * i32::from(factor as i16);
    const RED_CR: i32 = fix(1.402) - (1 << 16);
    const BLUE_CB: i32 = fix(1.772) - (2 << 16);
    const GREEN_CB: i32 = -fix(0.34414);
    const GREEN_CR: i32 = (1 << 16) - fix(0.71414);
    let red = ((times(cr, RED_CR) + HALF) >> 16) as i16 + cr;
    let green = ((times(cb, GREEN_CB) + times(cr, GREEN_CR) + HALF) >> 16) as i16 - cr;
    let blue = ((times(cb, BLUE_CB) + HALF) >> 16) as i16 + 2 * cb;
    [y + red, y + green, y + blue].map(|value| value.clamp(0, 255) as u8)
}

/// PIL's conversion of a stored ink and a stored black to a channel of RGB. It takes both as inverted: the
/// ink is 255 less `color`, the white that black leaves is `white`.
#[inline(always)]
fn blacken(color: u8, white: u8) -> u8 {
    let ink = u32::from(255 - color);
    let product = ink * u32::from(white) + 128;
    white - ((product + (product >> 8)) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ycc_equals_libjpegs_formula_for_all_colours() {
        let exact = |value: i64, half: i64| (value + half) >> 16;
        for cb in 0..=255_u8 {
            for cr in 0..=255_u8 {
                let (b, r) = (i64::from(cb) - 128, i64::from(cr) - 128);
                let offsets = [
                    exact(91_881 * r, 32_768),
                    exact(-22_554 * b - 46_802 * r, 32_768),
                    exact(116_130 * b, 32_768),
                ];
                for y in [0_u8, 1, 77, 128, 200, 254, 255] {
                    let expected =
                        offsets.map(|offset| (i64::from(y) + offset).clamp(0, 255) as u8);
                    assert_eq!(ycc(y, cb, cr), expected);
                }
            }
        }
    }

    #[test]
    fn every_width_is_converted_whole() {
        let row: Vec<u8> = (0..50).collect();
        for width in 1..50 {
            let mut rgb = vec![0; width * 3];
            to_rgb(ColorSpace::Rgb, &[&row, &row, &row, &row], &mut rgb);
            assert!(rgb.chunks(3).zip(0..).all(|(pixel, i)| pixel == [i; 3]));
        }
    }

    #[test]
    fn full_black_is_black_and_no_ink_is_white() {
        assert_eq!(blacken(200, 0), 0);
        assert_eq!(blacken(255, 255), 255);
        assert_eq!(blacken(0, 255), 0);
    }
}
