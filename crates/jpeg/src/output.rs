//! Samples to pixels, a few rows at a time: only two rows of block groups are kept.

use crate::color::{ColorSpace, to_rgb};
use crate::error::Error;
use crate::frame::Frame;
use crate::upsample::{Scratch, Upsampling};

/// Takes rows of block groups and makes rows of pixels of them.
pub(crate) struct Output {
    planes: Vec<Plane>,
    space: ColorSpace,
    width: usize,
    height: usize,
    /// Rows that a row of block groups has in the image, and the last of them that must wait for the next
    /// one's samples.
    group_rows: usize,
    held_back: usize,
    rows_done: usize,
    rgb: Vec<u8>,
}

/// A component's samples: a ring of two rows of block groups.
struct Plane {
    samples: Vec<u8>,
    stride: usize,
    ring_rows: usize,
    width: usize,
    height: usize,
    upsampling: Upsampling,
    scratch: Scratch,
}

impl Output {
    pub(crate) fn new(frame: &Frame, space: ColorSpace) -> Result<Self, Error> {
        let mut planes = Vec::new();
        for component in &frame.components {
            let stride = component.padded_blocks_wide * 8;
            let ring_rows = component.v * 16;
            planes.push(Plane {
                samples: vec![0; stride * ring_rows],
                stride,
                ring_rows,
                width: component.width,
                height: component.height,
                upsampling: Upsampling::of(component, frame)?,
                scratch: Scratch::default(),
            });
        }
        let needs_context = planes.iter().any(|plane| plane.upsampling.needs_context());
        Ok(Self {
            planes,
            space,
            width: frame.width,
            height: frame.height,
            group_rows: frame.v_max * 8,
            held_back: if needs_context { frame.v_max } else { 0 },
            rows_done: 0,
            rgb: vec![0; frame.width * frame.height * 3],
        })
    }

    /// Where a block's samples go, from its top left one on, and the distance from row to row.
    #[inline(always)]
    pub(crate) fn block(&mut self, component: usize, x: usize, y: usize) -> (&mut [u8], usize) {
        let plane = &mut self.planes[component];
        let start = (y * 8 % plane.ring_rows) * plane.stride + x * 8;
        (&mut plane.samples[start..], plane.stride)
    }

    /// Makes the pixels that can be made once the row of block groups `group_row` is complete.
    pub(crate) fn emit(&mut self, group_row: usize) {
        let complete = (group_row + 1) * self.group_rows;
        let end = if complete >= self.height { self.height } else { complete - self.held_back };
        for y in self.rows_done..end {
            let mut rows: [&[u8]; 4] = [&[]; 4];
            for (row, plane) in rows.iter_mut().zip(&mut self.planes) {
                let Plane { samples, stride, ring_rows, width, height, upsampling, scratch } =
                    plane;
                let last = *height as isize - 1;
                *row = scratch.upsampled(*upsampling, y, *width, |y| {
                    let y = y.clamp(0, last) as usize % *ring_rows;
                    &samples[y * *stride..][..*stride]
                });
            }
            let start = y * self.width * 3;
            to_rgb(self.space, &rows, &mut self.rgb[start..start + self.width * 3]);
        }
        self.rows_done = self.rows_done.max(end);
    }

    pub(crate) fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }
}
