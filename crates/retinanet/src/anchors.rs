//! Anchors: the boxes every prediction starts from.

use retinanet_kernels::with_ieee;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::error::ModelError;

/// More anchors a location than any model has.
const MAX_ANCHORS: usize = 1 << 12;
/// More levels than a canvas can be halved.
const MAX_LEVELS: usize = 32;
/// Beyond this, f32 no longer counts single pixels.
const MAX_PIXELS: f32 = 16_777_216.0;

/// Sizes and aspect ratios of the anchors, level by level, finest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorConfig {
    /// Per level: side lengths in input pixels of a square anchor.
    pub sizes: Vec<Vec<f32>>,
    /// Per level: height / width.
    pub aspect_ratios: Vec<Vec<f32>>,
}

impl Default for AnchorConfig {
    /// torchvision's RetinaNet: for x in 32, 64, 128, 256, 512 the sizes x, int(x * 2^(1/3)),
    /// int(x * 2^(2/3)), each with the ratios 0.5, 1, 2.
    fn default() -> Self {
        let sizes: [[f32; 3]; 5] = [
            [32.0, 40.0, 50.0],
            [64.0, 80.0, 101.0],
            [128.0, 161.0, 203.0],
            [256.0, 322.0, 406.0],
            [512.0, 645.0, 812.0],
        ];
        Self { sizes: sizes.map(Vec::from).to_vec(), aspect_ratios: vec![vec![0.5, 1.0, 2.0]; 5] }
    }
}

impl AnchorConfig {
    /// Anchors at each location, the same on every level.
    ///
    /// # Errors
    /// [`ModelError::Config`] naming the field, also where levels have different numbers of anchors
    /// (the heads are shared by all levels).
    pub(crate) fn num_anchors(&self) -> Result<usize, ModelError> {
        let levels = self.sizes.len();
        if !(1..=MAX_LEVELS).contains(&levels) {
            let reason = format!("has {levels} levels; expected 1 to {MAX_LEVELS}");
            return Err(ModelError::config("anchors.sizes", reason));
        }
        if self.aspect_ratios.len() != levels {
            let ratios = self.aspect_ratios.len();
            let reason = format!("has {ratios} levels where `anchors.sizes` has {levels}");
            return Err(ModelError::config("anchors.aspect_ratios", reason));
        }
        let mut expected = None;
        for (level, (sizes, ratios)) in self.sizes.iter().zip(&self.aspect_ratios).enumerate() {
            for (field, values) in [("sizes", sizes), ("aspect_ratios", ratios)] {
                let bad = values.iter().find(|&&v| !(v > 0.0 && v <= MAX_PIXELS));
                if let Some(value) = bad {
                    let reason = format!("holds {value}; expected a value above 0, up to 2^24");
                    return Err(ModelError::config(format!("anchors.{field}[{level}]"), reason));
                }
            }
            let count = sizes.len().saturating_mul(ratios.len());
            if !(1..=MAX_ANCHORS).contains(&count) {
                let reason = format!("makes {count} anchors; expected 1 to {MAX_ANCHORS}");
                return Err(ModelError::config(format!("anchors.sizes[{level}]"), reason));
            }
            let first = *expected.get_or_insert(count);
            if count != first {
                let reason = format!(
                    "makes {count} anchors where level 0 makes {first}; the heads are shared, so \
                     every level needs the same number"
                );
                return Err(ModelError::config(format!("anchors.sizes[{level}]"), reason));
            }
        }
        expected.ok_or_else(|| ModelError::config("anchors.sizes", "is empty"))
    }
}

/// Anchors around the origin for every level: `torchvision.models.detection.anchor_utils
/// .AnchorGenerator`.
#[derive(Debug, Clone, PartialEq)]
pub struct AnchorGenerator {
    cells: Vec<Vec<[f32; 4]>>,
}

impl AnchorGenerator {
    /// Computes the cell anchors, all in f32.
    ///
    /// # Errors
    /// [`ModelError::Config`] naming the field, also where levels have different numbers of anchors.
    pub fn new(config: &AnchorConfig) -> Result<Self> {
        config.num_anchors()?;
        let levels = config.sizes.iter().zip(&config.aspect_ratios);
        let cells = levels.map(|(sizes, ratios)| cell_anchors(sizes, ratios));
        Ok(Self { cells: with_ieee(|| cells.collect()) })
    }

    /// How many levels there are.
    pub fn levels(&self) -> usize {
        self.cells.len()
    }

    /// The anchors of every level for a padded canvas of `padded` and maps of `grids`, all
    /// [height, width], finest level first.
    ///
    /// # Errors
    /// [`ModelError::Input`] when the number of grids is not the number of levels, or a grid is
    /// empty or larger than the canvas.
    pub fn anchors(&self, padded: [usize; 2], grids: &[[usize; 2]]) -> Result<Vec<LevelAnchors>> {
        if grids.len() != self.cells.len() {
            return Err(ModelError::Input {
                what: "the list of grids",
                shape: vec![grids.len()],
                expected: format!("{} levels", self.cells.len()),
            }
            .into());
        }
        let levels = self.cells.iter().zip(grids);
        levels.map(|(cell, &grid)| Ok(LevelAnchors::new(cell.clone(), padded, grid)?)).collect()
    }
}

/// x1, y1, x2, y2 of each anchor around the origin: ratio-major, then size.
fn cell_anchors(sizes: &[f32], ratios: &[f32]) -> Vec<[f32; 4]> {
    let mut cells = Vec::with_capacity(sizes.len() * ratios.len());
    for &ratio in ratios {
        let h_ratio = ratio.sqrt();
        let w_ratio = 1.0 / h_ratio;
        for &size in sizes {
            let (w, h) = (w_ratio * size, h_ratio * size);
            cells.push([-w, -h, w, h].map(|side| (side / 2.0).round_ties_even()));
        }
    }
    cells
}

/// The anchors of one level, computed as they are asked for.
///
/// In input pixels (the resized and padded canvas). Location-major (row by row), then anchor.
#[derive(Debug, Clone, PartialEq)]
pub struct LevelAnchors {
    cell: Vec<[f32; 4]>,
    /// [height, width] of the map.
    grid: [usize; 2],
    /// Pixels between neighbouring locations, [down, across]: canvas // grid, which need not be a
    /// power of two.
    stride: [usize; 2],
}

impl LevelAnchors {
    fn new(cell: Vec<[f32; 4]>, padded: [usize; 2], grid: [usize; 2]) -> Result<Self, ModelError> {
        let refuse = |expected: String| ModelError::Input {
            what: "an anchor grid",
            shape: grid.to_vec(),
            expected,
        };
        let fits = |grid: usize, padded: usize| grid > 0 && grid <= padded;
        if !fits(grid[0], padded[0]) || !fits(grid[1], padded[1]) {
            return Err(refuse(format!("at least [1, 1] and at most {padded:?}")));
        }
        let locations = grid[0].checked_mul(grid[1]);
        if locations.and_then(|n| n.checked_mul(cell.len())).is_none() {
            return Err(refuse("a countable number of locations".to_owned()));
        }
        Ok(Self { cell, grid, stride: [padded[0] / grid[0], padded[1] / grid[1]] })
    }

    /// How many anchors there are: height * width * anchors a location.
    pub fn len(&self) -> usize {
        self.grid[0] * self.grid[1] * self.cell.len()
    }

    /// Whether there are none (never, for a level an [`AnchorGenerator`] made).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Anchor `index` as x1, y1, x2, y2 in input pixels.
    pub fn get(&self, index: usize) -> Option<[f32; 4]> {
        let location = index / self.cell.len();
        let (y, x) = (location / self.grid[1], location % self.grid[1]);
        let [x1, y1, x2, y2] = self.cell[index % self.cell.len()];
        if y >= self.grid[0] {
            return None;
        }
        let dx = (x * self.stride[1]) as f32;
        let dy = (y * self.stride[0]) as f32;
        Some([dx + x1, dy + y1, dx + x2, dy + y2])
    }

    /// All anchors in order.
    pub fn iter(&self) -> impl Iterator<Item = [f32; 4]> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_to_even_and_the_order_is_ratio_then_size() {
        // torchvision: AnchorGenerator.generate_anchors([32, 40, 50], [0.5, 1.0, 2.0]).
        let cells = cell_anchors(&[32.0, 40.0, 50.0], &[0.5, 1.0, 2.0]);
        let expected: [[f32; 4]; 9] = [
            [-23.0, -11.0, 23.0, 11.0],
            [-28.0, -14.0, 28.0, 14.0],
            [-35.0, -18.0, 35.0, 18.0],
            [-16.0, -16.0, 16.0, 16.0],
            [-20.0, -20.0, 20.0, 20.0],
            [-25.0, -25.0, 25.0, 25.0],
            [-11.0, -23.0, 11.0, 23.0],
            [-14.0, -28.0, 14.0, 28.0],
            [-18.0, -35.0, 18.0, 35.0],
        ];
        assert_eq!(cells, expected);
        // 645 / 2 = 322.5 and 161 / 2 = 80.5 round to the even neighbour.
        assert_eq!(cell_anchors(&[645.0], &[1.0])[0][3], 322.0);
        assert_eq!(cell_anchors(&[161.0], &[1.0])[0][3], 80.0);
        assert_eq!(cell_anchors(&[203.0], &[1.0])[0][3], 102.0);
    }

    #[test]
    fn the_stride_is_canvas_over_grid_on_each_axis() {
        let config =
            AnchorConfig { sizes: vec![vec![32.0], vec![64.0]], aspect_ratios: vec![vec![1.0]; 2] };
        let generator = AnchorGenerator::new(&config).unwrap();
        let levels = generator.anchors([800, 224], &[[13, 4], [7, 2]]).unwrap();
        // Second row, second column of each level.
        assert_eq!(levels[0].get(5), Some([40.0, 45.0, 72.0, 77.0]));
        assert_eq!(levels[1].get(3), Some([80.0, 82.0, 144.0, 146.0]));
        assert_eq!(levels[1].len(), 14);
        assert_eq!(levels[1].get(14), None);
        assert_eq!(levels[1].iter().count(), 14);
    }

    #[test]
    fn levels_with_different_numbers_of_anchors_are_refused() {
        let mut config = AnchorConfig::default();
        config.sizes[3].pop();
        let error = config.num_anchors().unwrap_err().to_string();
        assert!(error.contains("anchors.sizes[3]"), "{error}");
        assert!(error.contains("6 anchors where level 0 makes 9"), "{error}");
    }

    #[test]
    fn sizes_and_ratios_must_be_positive_numbers() {
        for wrong in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            let mut config = AnchorConfig::default();
            config.aspect_ratios[1][2] = wrong;
            let error = config.num_anchors().unwrap_err().to_string();
            assert!(error.contains("anchors.aspect_ratios[1]"), "{error}");
        }
    }

    #[test]
    fn a_grid_that_does_not_fit_the_canvas_is_refused() {
        let config = AnchorConfig { sizes: vec![vec![32.0]], aspect_ratios: vec![vec![1.0]] };
        let generator = AnchorGenerator::new(&config).unwrap();
        for grid in [[0, 1], [1, 33], [usize::MAX, 1]] {
            assert!(generator.anchors([32, 32], &[grid]).is_err(), "{grid:?}");
        }
        assert!(generator.anchors([32, 32], &[]).is_err());
    }
}
