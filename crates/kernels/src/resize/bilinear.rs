//! The fast version: bands of output rows in parallel; in a band, each source row is interpolated
//! horizontally once and then serves every output row that touches it.

use rayon::prelude::*;

use super::axis::{Axis, Tap};
use super::normalisation::Normalisation;
use super::spec::ResizeSpec;
use crate::with_ieee;

/// Output rows per band: large enough that the rows computed twice, at a band's edges, cost little.
const BAND_ROWS: usize = 32;

/// One source row interpolated horizontally: three planes, each as wide as the resized image.
struct Row {
    /// Which source row it holds; none at first.
    source: Option<usize>,
    planes: [Vec<f32>; 3],
}

impl Row {
    fn new(width: usize) -> Self {
        Self { source: None, planes: std::array::from_fn(|_| vec![0.0; width]) }
    }
}

pub(super) fn resize(
    spec: &ResizeSpec,
    normalisation: &Normalisation,
    rgb: &[u8],
    output: &mut [f32],
) {
    let [source_height, source_width] = spec.source();
    let [height, width] = spec.resized();
    let [padded_height, padded_width] = spec.padded();
    let (vertical, columns) = with_ieee(|| {
        let horizontal = Axis::new(source_width, width);
        let columns: Vec<Tap> = (0..width).map(|x| horizontal.tap(x)).collect();
        (Axis::new(source_height, height), columns)
    });

    let fill_row = |row: &mut Row, y: usize| {
        let source = &rgb[y * source_width * 3..][..source_width * 3];
        for (channel, plane) in row.planes.iter_mut().enumerate() {
            let table = normalisation.channel(channel);
            for (value, tap) in plane.iter_mut().zip(&columns) {
                *value = table[usize::from(source[tap.first * 3 + channel])] * tap.first_weight
                    + table[usize::from(source[tap.second * 3 + channel])] * tap.second_weight;
            }
        }
        row.source = Some(y);
    };

    let fill_band = |band: usize, mut planes: [&mut [f32]; 3]| {
        let mut upper = Row::new(width);
        let mut lower = Row::new(width);
        for line in 0..planes[0].len() / padded_width {
            let y = band * BAND_ROWS + line;
            let range = line * padded_width..(line + 1) * padded_width;
            if y >= height {
                planes.iter_mut().for_each(|plane| plane[range.clone()].fill(0.0));
                continue;
            }
            let tap = vertical.tap(y);
            if upper.source != Some(tap.first) {
                std::mem::swap(&mut upper, &mut lower);
                if upper.source != Some(tap.first) {
                    fill_row(&mut upper, tap.first);
                }
            }
            if lower.source != Some(tap.second) {
                fill_row(&mut lower, tap.second);
            }
            for (channel, plane) in planes.iter_mut().enumerate() {
                let (image, padding) = plane[range.clone()].split_at_mut(width);
                let rows = upper.planes[channel].iter().zip(&lower.planes[channel]);
                for (value, (above, below)) in image.iter_mut().zip(rows) {
                    *value = above * tap.first_weight + below * tap.second_weight;
                }
                padding.fill(0.0);
            }
        }
    };

    let (red, rest) = output.split_at_mut(padded_height * padded_width);
    let (green, blue) = rest.split_at_mut(padded_height * padded_width);
    let band = BAND_ROWS * padded_width;
    red.par_chunks_mut(band)
        .zip(green.par_chunks_mut(band))
        .zip(blue.par_chunks_mut(band))
        .enumerate()
        .for_each(|(index, ((red, green), blue))| {
            with_ieee(|| fill_band(index, [red, green, blue]));
        });
}
