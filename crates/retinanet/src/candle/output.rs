//! What the network answers: feature maps, logits and box regressions.

use candle_core::{Result, Tensor};

/// The feature maps of a batch, by name, finest first.
///
/// The map called C*n* or P*n* has one pixel for 2^n input pixels, so the levels that torchvision
/// calls "p6" and "p7" are P5 and P6 over a backbone cut after C4.
#[derive(Debug, Clone)]
pub struct Features {
    /// The backbone's maps, such as C3, C4, C5, each (N, channels, H, W).
    pub backbone: Vec<(String, Tensor)>,
    /// The pyramid's maps, such as P3 to P7, each (N, out_channels, H, W).
    pub pyramid: Vec<(String, Tensor)>,
}

impl Features {
    /// The map of this name, such as "C4" or "P3".
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        let mut maps = self.backbone.iter().chain(&self.pyramid);
        maps.find(|(found, _)| found == name).map(|(_, map)| map)
    }
}

/// The heads' predictions for a batch, level by level, finest first.
#[derive(Debug, Clone)]
pub struct RetinaNetOutput {
    /// Per level (N, A * K, H, W): channel a * K + k is the logit of class k at anchor a.
    pub cls_logits: Vec<Tensor>,
    /// Per level (N, A * 4, H, W): channel a * 4 + c is coordinate c (dx, dy, dw, dh) of anchor a.
    pub bbox_regression: Vec<Tensor>,
    /// [height, width] of the input canvas.
    pub input_size: [usize; 2],
    /// Anchors a location (A).
    pub num_anchors: usize,
    /// Classes (K), the background included.
    pub num_classes: usize,
}

impl RetinaNetOutput {
    /// [height, width] of each level's map.
    pub fn grid_sizes(&self) -> Vec<[usize; 2]> {
        let sizes = self.cls_logits.iter().map(|logits| match *logits.dims() {
            [.., h, w] => [h, w],
            _ => [0, 0],
        });
        sizes.collect()
    }

    /// Logits (N, sum of H*W*A, K) and regressions (N, sum of H*W*A, 4): all levels one after the
    /// other, location-major, then anchor; torchvision's `head_outputs`.
    ///
    /// # Errors
    /// When candle cannot allocate the copies.
    pub fn flattened(&self) -> Result<(Tensor, Tensor)> {
        Ok((flatten(&self.cls_logits, self.num_classes)?, flatten(&self.bbox_regression, 4)?))
    }
}

fn flatten(levels: &[Tensor], values: usize) -> Result<Tensor> {
    let flat = levels.iter().map(|level| {
        let (n, channels, h, w) = level.dims4()?;
        let anchors = channels / values;
        level.reshape((n, anchors, values, h, w))?.permute((0, 3, 4, 1, 2))?.reshape((
            n,
            h * w * anchors,
            values,
        ))
    });
    Tensor::cat(&flat.collect::<Result<Vec<_>>>()?, 1)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn flattening_is_location_then_anchor_then_class() {
        // Two anchors, three classes, a 1x2 map: value = 100 * anchor + 10 * class + x.
        let values: Vec<f32> =
            (0..12).map(|i| (100 * (i / 6) + 10 * (i / 2 % 3) + i % 2) as f32).collect();
        let level = Tensor::from_vec(values, (1, 6, 1, 2), &Device::Cpu).unwrap();
        let flat = flatten(&[level.clone(), level], 3).unwrap();
        assert_eq!(flat.dims(), [1, 8, 3]);
        let rows: Vec<Vec<f32>> = flat.squeeze(0).unwrap().to_vec2().unwrap();
        assert_eq!(rows[0], [0.0, 10.0, 20.0]);
        assert_eq!(rows[1], [100.0, 110.0, 120.0]);
        assert_eq!(rows[2], [1.0, 11.0, 21.0]);
        assert_eq!(rows[4], rows[0]);
    }
}
