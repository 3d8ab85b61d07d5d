//! The frame header, and the sizes that follow from it.

use crate::error::Error;

/// What the frame header says.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) progressive: bool,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) components: Vec<Component>,
    /// The largest sampling factors, horizontal and vertical.
    pub(crate) h_max: usize,
    pub(crate) v_max: usize,
}

/// A component of the frame, and its sizes.
#[derive(Clone, Debug)]
pub(crate) struct Component {
    pub(crate) id: u8,
    /// Sampling factors, horizontal and vertical.
    pub(crate) h: usize,
    pub(crate) v: usize,
    /// The slot of its quantisation table.
    pub(crate) quantisation: usize,
    /// Samples in a row and in a column: the image's, scaled by the sampling factors.
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Blocks that hold these samples.
    pub(crate) blocks_wide: usize,
    pub(crate) blocks_high: usize,
    /// Blocks up to a multiple of the sampling factors.
    pub(crate) padded_blocks_wide: usize,
    pub(crate) padded_blocks_high: usize,
}

impl Frame {
    pub(crate) fn parse(content: &[u8], progressive: bool) -> Result<Self, Error> {
        const BAD: Error =
            Error::Damaged { what: "the frame header's length does not fit its content" };
        let (header, rest) = content.split_first_chunk::<6>().ok_or(BAD)?;
        let &[precision, y1, y0, x1, x0, count] = header;
        let height = usize::from(u16::from_be_bytes([y1, y0]));
        let width = usize::from(u16::from_be_bytes([x1, x0]));
        if precision != 8 {
            return Err(Error::Unsupported { what: "12-bit" });
        }
        if width == 0 || height == 0 || count == 0 {
            return Err(Error::Damaged { what: "a side of the image is zero" });
        }
        if rest.len() != usize::from(count) * 3 {
            return Err(BAD);
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(Error::Unsupported { what: "two-component and many-component" });
        }
        let specs = || rest.chunks_exact(3).map(|c| (c[0], c[1] >> 4, c[1] & 15, c[2]));
        if specs().any(|(_, h, v, _)| !(1..=4).contains(&h) || !(1..=4).contains(&v)) {
            return Err(Error::Damaged { what: "a sampling factor is not 1 to 4" });
        }
        let h_max = specs().map(|(_, h, ..)| usize::from(h)).max().unwrap_or(1);
        let v_max = specs().map(|(_, _, v, _)| usize::from(v)).max().unwrap_or(1);
        let components = specs()
            .map(|(id, h, v, quantisation)| {
                let (h, v) = (usize::from(h), usize::from(v));
                Component {
                    id,
                    h,
                    v,
                    quantisation: usize::from(quantisation),
                    width: (width * h).div_ceil(h_max),
                    height: (height * v).div_ceil(v_max),
                    blocks_wide: (width * h).div_ceil(h_max * 8),
                    blocks_high: (height * v).div_ceil(v_max * 8),
                    padded_blocks_wide: width.div_ceil(h_max * 8) * h,
                    padded_blocks_high: height.div_ceil(v_max * 8) * v,
                }
            })
            .collect();
        Ok(Self { progressive, width, height, components, h_max, v_max })
    }

    /// Groups of blocks in a row, each of which covers the same part of the image in all components.
    pub(crate) fn groups_wide(&self) -> usize {
        self.width.div_ceil(self.h_max * 8)
    }

    /// Rows of such groups.
    pub(crate) fn groups_high(&self) -> usize {
        self.height.div_ceil(self.v_max * 8)
    }
}
