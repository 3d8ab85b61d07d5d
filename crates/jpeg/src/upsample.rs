//! Rows of subsampled components, stretched to the image's width as libjpeg-turbo does.

use crate::error::Error;
use crate::frame::{Component, Frame};

/// How a component's samples become the image's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upsampling {
    /// They are the image's.
    None,
    /// Each stands for so many columns and rows.
    Repeat { columns: usize, rows: usize },
    /// Twice as many columns, each 3/4 of the nearer sample and 1/4 of the next ("fancy").
    Columns,
    /// The same for rows.
    Rows,
    /// The same for both.
    Both,
}

impl Upsampling {
    /// What libjpeg chooses for a component.
    pub(crate) fn of(component: &Component, frame: &Frame) -> Result<Self, Error> {
        let columns = frame.h_max / component.h;
        let rows = frame.v_max / component.v;
        if !frame.h_max.is_multiple_of(component.h) || !frame.v_max.is_multiple_of(component.v) {
            return Err(Error::Unsupported { what: "fractionally subsampled" });
        }
        // Rows of one or two samples are repeated, unless only rows are to be interpolated.
        let wide = component.width > 2;
        Ok(match (columns, rows) {
            (1, 1) => Self::None,
            (2, 1) if wide => Self::Columns,
            (1, 2) => Self::Rows,
            (2, 2) if wide => Self::Both,
            _ => Self::Repeat { columns, rows },
        })
    }

    /// Whether neighbouring rows are needed.
    pub(crate) fn needs_context(self) -> bool {
        matches!(self, Self::Rows | Self::Both)
    }
}

/// Room for a row on its way to the image's width.
#[derive(Default)]
pub(crate) struct Scratch {
    /// Sums of samples, with the first and the last one doubled.
    sums: Vec<u16>,
    row: Vec<u8>,
}

impl Scratch {
    /// Makes a row of the image out of a component's rows. `row` gives the component's rows, which are
    /// `width` samples wide; beyond the top and the bottom it gives the first and the last one.
    pub(crate) fn upsampled<'a>(
        &'a mut self,
        upsampling: Upsampling,
        y: usize,
        width: usize,
        row: impl Fn(isize) -> &'a [u8],
    ) -> &'a [u8] {
        // The nearer row, and the next one, which is above for even rows and below for odd ones.
        let half = (y / 2) as isize;
        let other = if y.is_multiple_of(2) { half - 1 } else { half + 1 };
        match upsampling {
            Upsampling::None => row(y as isize),
            Upsampling::Repeat { columns, rows } => {
                let samples = &row((y / rows) as isize)[..width];
                self.row.resize(width * columns, 0);
                for (to, &sample) in self.row.chunks_exact_mut(columns).zip(samples) {
                    to.fill(sample);
                }
                &self.row
            }
            Upsampling::Rows => {
                let (near, far) = (&row(half)[..width], &row(other)[..width]);
                self.row.resize(width, 0);
                let bias = 1 + (y % 2) as u16;
                for ((to, &near), &far) in self.row.iter_mut().zip(near).zip(far) {
                    *to = ((u16::from(near) * 3 + u16::from(far) + bias) >> 2) as u8;
                }
                &self.row
            }
            Upsampling::Columns => {
                self.sums.resize(width + 2, 0);
                for (sum, &sample) in self.sums[1..].iter_mut().zip(&row(y as isize)[..width]) {
                    *sum = u16::from(sample);
                }
                self.interpolate::<2>(width, [1, 2])
            }
            Upsampling::Both => {
                let (near, far) = (&row(half)[..width], &row(other)[..width]);
                self.sums.resize(width + 2, 0);
                for ((sum, &near), &far) in self.sums[1..].iter_mut().zip(near).zip(far) {
                    *sum = u16::from(near) * 3 + u16::from(far);
                }
                self.interpolate::<4>(width, [8, 7])
            }
        }
    }

    /// Doubles the columns of `sums`, which is what is wanted times 4 when multiplied by 4.
    fn interpolate<const SHIFT: u32>(&mut self, width: usize, bias: [u16; 2]) -> &[u8] {
        self.sums[0] = self.sums[1];
        self.sums[width + 1] = self.sums[width];
        self.row.resize(width * 2, 0);
        let (left, near, right) = (&self.sums[..width], &self.sums[1..=width], &self.sums[2..]);
        let (pairs, _) = self.row.as_chunks_mut::<2>();
        for (((to, &left), &near), &right) in pairs.iter_mut().zip(left).zip(near).zip(right) {
            *to = [
                ((near * 3 + left + bias[0]) >> SHIFT) as u8,
                ((near * 3 + right + bias[1]) >> SHIFT) as u8,
            ];
        }
        &self.row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(h_max: usize, v_max: usize) -> Frame {
        Frame { progressive: false, width: 64, height: 64, components: Vec::new(), h_max, v_max }
    }

    fn component(h: usize, v: usize, width: usize) -> Component {
        Component {
            id: 1,
            h,
            v,
            quantisation: 0,
            width,
            height: 1,
            blocks_wide: 1,
            blocks_high: 1,
            padded_blocks_wide: 1,
            padded_blocks_high: 1,
        }
    }

    #[test]
    fn libjpegs_choices_are_made() {
        let choice = |h, v, width, h_max, v_max| {
            Upsampling::of(&component(h, v, width), &frame(h_max, v_max)).ok()
        };
        assert_eq!(choice(1, 1, 9, 1, 1), Some(Upsampling::None));
        assert_eq!(choice(1, 1, 3, 2, 1), Some(Upsampling::Columns));
        assert_eq!(choice(2, 2, 3, 4, 4), Some(Upsampling::Both));
        assert_eq!(choice(1, 1, 2, 1, 2), Some(Upsampling::Rows));
        assert_eq!(choice(1, 1, 2, 2, 2), Some(Upsampling::Repeat { columns: 2, rows: 2 }));
        assert_eq!(choice(1, 1, 9, 4, 1), Some(Upsampling::Repeat { columns: 4, rows: 1 }));
        assert_eq!(choice(2, 1, 9, 3, 1), None);
    }

    #[test]
    fn columns_at_the_edges_are_kept() {
        let mut scratch = Scratch::default();
        let samples = [10, 20, 200];
        let row = scratch.upsampled(Upsampling::Columns, 0, 3, |_| &samples);
        assert_eq!(row, [10, 13, 17, 65, 155, 200]);
    }

    #[test]
    fn rows_are_rounded_down_and_up_in_turn() {
        let rows = [[10, 7], [11, 9]];
        for (y, expected) in [(0, [10, 7]), (1, [10, 8]), (2, [11, 8])] {
            let row = |y: isize| &rows[y.clamp(0, 1) as usize][..];
            assert_eq!(Scratch::default().upsampled(Upsampling::Rows, y, 2, row), expected);
        }
    }
}
