//! A picture to the network's input: normalise, resize, pad; the sizes are kept for the way back.

use retinanet_kernels::resize::{Normalisation, ResizeSpec, resize_normalised};
use retinanet_kernels::{with_ieee, zeros};
use serde::{Deserialize, Serialize};

use super::{Image, ImageError};
use crate::Result;

/// The most pixels a padded input may have (8192 x 8192, 805 MB as f32): a configuration from a
/// file cannot ask for more.
pub const MAX_INPUT_PIXELS: usize = 1 << 26;

/// How pictures become the network's input. The defaults are torchvision's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TransformConfig {
    /// The short side is scaled to this many pixels, unless the long side then exceeds `max_size`.
    /// Default: 800.
    pub min_size: usize,
    /// The most pixels of the long side. Default: 1333.
    pub max_size: usize,
    /// `Some([width, height])` resizes every picture to exactly this, whatever its proportions, and
    /// `min_size` and `max_size` are not used; width first, as in torchvision. Default: none.
    pub fixed_size: Option<[usize; 2]>,
    /// The canvas' sides are multiples of this; the padding, right and below, is zero. Default: 32.
    pub size_divisible: usize,
    /// Subtracted per channel, on the scale where white is 1. Default: ImageNet's.
    pub image_mean: [f32; 3],
    /// Divided by, per channel, after the mean. Default: ImageNet's.
    pub image_std: [f32; 3],
}

impl Default for TransformConfig {
    fn default() -> Self {
        Self {
            min_size: 800,
            max_size: 1333,
            fixed_size: None,
            size_divisible: 32,
            image_mean: [0.485, 0.456, 0.406],
            image_std: [0.229, 0.224, 0.225],
        }
    }
}

/// The network's input and the sizes it came by, all `[height, width]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Transformed {
    /// `3 x padded_height x padded_width` values: red, green and blue plane, rows from the top.
    pub data: Vec<f32>,
    /// The picture as it was given.
    pub original: [usize; 2],
    /// After the resize: the part of the canvas that shows the picture.
    pub resized: [usize; 2],
    /// The whole canvas.
    pub padded: [usize; 2],
}

impl Transformed {
    /// What x and y of a box in the input (before padding) are multiplied by to be in original
    /// pixels: `[original_width / resized_width, original_height / resized_height]`, each one f32
    /// division.
    ///
    /// Source: torchvision `resize_boxes`.
    pub fn ratios_to_image(&self) -> [f32; 2] {
        with_ieee(|| [1, 0].map(|axis| self.original[axis] as f32 / self.resized[axis] as f32))
    }
}

impl TransformConfig {
    /// The sizes `([height, width] resized, [height, width] padded)` for a picture of `height` by
    /// `width` pixels.
    ///
    /// `scale = smaller of min_size / short and max_size / long` in f64, each side is
    /// `floor(side * scale)`. So a short side of 385 becomes 799, and 1 x 1 becomes 800 x 800.
    ///
    /// # Errors
    ///
    /// [`ImageError::ZeroSide`]; [`ImageError::ResizedToNothing`] when a side floors to 0;
    /// [`ImageError::CanvasTooLarge`] above [`MAX_INPUT_PIXELS`]; [`ImageError::Transform`] when a
    /// field of the configuration makes no sense.
    ///
    /// Source: torchvision `_resize_image_and_masks` and `batch_images`, for one image alone.
    pub fn output_sizes(&self, height: usize, width: usize) -> Result<([usize; 2], [usize; 2])> {
        self.validate()?;
        if height == 0 || width == 0 {
            let (width, height) = (width as u64, height as u64);
            return Err(ImageError::ZeroSide { name: "input".to_owned(), width, height }.into());
        }
        let [resized_height, resized_width] = match self.fixed_size {
            Some([width, height]) => [height, width],
            None => with_ieee(|| {
                let (short, long) = (height.min(width), height.max(width));
                let by_short = self.min_size as f64 / short as f64;
                let by_long = self.max_size as f64 / long as f64;
                let scale = if by_long < by_short { by_long } else { by_short };
                [height, width].map(|side| (side as f64 * scale).floor() as usize)
            }),
        };
        if resized_height == 0 || resized_width == 0 {
            let max_size = self.max_size;
            return Err(ImageError::ResizedToNothing {
                width,
                height,
                resized_width,
                resized_height,
                max_size,
            }
            .into());
        }
        let padded = [resized_height, resized_width]
            .map(|side| side.checked_next_multiple_of(self.size_divisible));
        match padded {
            [Some(padded_height), Some(padded_width)]
                if padded_height
                    .checked_mul(padded_width)
                    .is_some_and(|pixels| pixels <= MAX_INPUT_PIXELS) =>
            {
                Ok(([resized_height, resized_width], [padded_height, padded_width]))
            }
            _ => Err(ImageError::CanvasTooLarge { width, height, limit: MAX_INPUT_PIXELS }.into()),
        }
    }

    /// Normalises, resizes and pads one picture onto a canvas of its own.
    ///
    /// The arithmetic is [`retinanet_kernels::resize`]'s, on rayon's ambient pool; its bits depend
    /// on the picture and this configuration only.
    ///
    /// # Errors
    ///
    /// As [`output_sizes`](Self::output_sizes).
    ///
    /// Source: torchvision `GeneralizedRCNNTransform`.
    ///
    /// ```
    /// use retinanet::image::{Image, TransformConfig};
    ///
    /// let image = Image::from_rgb8(640, 480, vec![128; 640 * 480 * 3])?;
    /// let input = TransformConfig::default().apply(&image)?;
    /// assert_eq!(input.resized, [800, 1066]);
    /// assert_eq!(input.padded, [800, 1088]);
    /// # Ok::<(), retinanet::Error>(())
    /// ```
    pub fn apply(&self, image: &Image) -> Result<Transformed> {
        let original = [image.height(), image.width()];
        let (resized, padded) = self.output_sizes(original[0], original[1])?;
        let spec = ResizeSpec::new(original, resized, padded)?;
        let normalisation = Normalisation::new(self.image_mean, self.image_std)?;
        let mut data = zeros(spec.output_len())?;
        resize_normalised(&spec, &normalisation, image.as_rgb8(), &mut data)?;
        Ok(Transformed { data, original, resized, padded })
    }

    /// Checks that every field makes sense by itself.
    ///
    /// # Errors
    ///
    /// [`ImageError::Transform`], naming the field and its value.
    pub fn validate(&self) -> Result<()> {
        let refuse = |field: &'static str, value: String, expected: &'static str| {
            Err(ImageError::Transform { field, value, expected }.into())
        };
        let sizes = [
            ("min_size", self.min_size),
            ("max_size", self.max_size),
            ("size_divisible", self.size_divisible),
        ];
        for (field, value) in sizes {
            if value == 0 {
                return refuse(field, value.to_string(), "it must be at least 1");
            }
        }
        if let Some(size) = self.fixed_size.filter(|size| size.contains(&0)) {
            let expected = "both sides ([width, height]) must be at least 1";
            return refuse("fixed_size", format!("{size:?}"), expected);
        }
        if self.image_mean.iter().any(|mean| !mean.is_finite()) {
            let expected = "every mean must be finite";
            return refuse("image_mean", format!("{:?}", self.image_mean), expected);
        }
        if self.image_std.iter().any(|&std| !std.is_finite() || std == 0.0) {
            let expected = "every standard deviation must be finite and not 0";
            return refuse("image_std", format!("{:?}", self.image_std), expected);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(height: usize, width: usize) -> ([usize; 2], [usize; 2]) {
        TransformConfig::default().output_sizes(height, width).unwrap()
    }

    #[test]
    fn sizes_are_torchvisions() {
        type Case = ((usize, usize), [usize; 2], [usize; 2]);
        const TORCHVISION_SIZES: [Case; 15] = [
            ((480, 640), [800, 1066], [800, 1088]),
            ((640, 427), [1199, 800], [1216, 800]),
            ((512, 512), [800, 800], [800, 800]),
            ((53, 37), [1145, 800], [1152, 800]),
            ((200, 1333), [200, 1333], [224, 1344]),
            ((1203, 799), [1204, 800], [1216, 800]),
            ((385, 600), [799, 1246], [800, 1248]),
            ((386, 386), [799, 799], [800, 800]),
            ((390, 391), [799, 802], [800, 832]),
            ((1, 1), [800, 800], [800, 800]),
            ((1, 1333), [1, 1333], [32, 1344]),
            ((2, 1666), [1, 1333], [32, 1344]),
            ((3000, 4000), [800, 1066], [800, 1088]),
            ((801, 1334), [800, 1332], [800, 1344]),
            ((7, 11), [800, 1257], [800, 1280]),
        ];
        // torchvision 0.29.2: `GeneralizedRCNNTransform(800, 1333, ...)` on zeros of (h, w).
        for ((height, width), resized, padded) in TORCHVISION_SIZES {
            assert_eq!(sizes(height, width), (resized, padded), "{height} x {width}");
        }
    }

    #[test]
    fn some_short_sides_floor_to_799() {
        for side in [385, 386, 390] {
            assert_eq!(sizes(side, 600).0[0], 799, "height {side}");
            assert_eq!(sizes(600, side).0[1], 799, "width {side}");
        }
    }

    #[test]
    fn one_pixel_becomes_800_by_800() {
        assert_eq!(sizes(1, 1), ([800, 800], [800, 800]));
        let input = TransformConfig::default()
            .apply(&Image::from_rgb8(1, 1, vec![255, 0, 128]).unwrap())
            .unwrap();
        assert_eq!(input.data.len(), 3 * 800 * 800);
        let white = (1.0 - 0.485) / 0.229;
        assert!(input.data[..800 * 800].iter().all(|&value| value == white));
    }

    #[test]
    fn a_side_that_floors_to_nothing_is_a_clear_error() {
        for (height, width) in [(1, 5000), (5000, 1)] {
            let error = TransformConfig::default().output_sizes(height, width).unwrap_err();
            let message = error.to_string();
            assert!(message.contains("would be resized to "), "{message}");
            assert!(message.contains("crop it, or raise the transform's `max_size` (1333)"));
        }
    }

    #[test]
    fn a_fixed_size_is_width_first_and_ignores_proportions() {
        let config = TransformConfig { fixed_size: Some([300, 200]), ..Default::default() };
        assert_eq!(config.output_sizes(37, 5000).unwrap(), ([200, 300], [224, 320]));
    }

    #[test]
    fn an_absurd_canvas_is_refused_before_it_is_made() {
        for config in [
            TransformConfig { min_size: 1 << 40, max_size: usize::MAX, ..Default::default() },
            TransformConfig { fixed_size: Some([usize::MAX, usize::MAX]), ..Default::default() },
            TransformConfig { size_divisible: usize::MAX, ..Default::default() },
        ] {
            let error = config.output_sizes(480, 640).unwrap_err().to_string();
            assert!(error.contains("more than 67108864 pixels"), "{error}");
        }
    }

    #[test]
    fn senseless_fields_are_named() {
        let default = TransformConfig::default;
        for (config, message) in [
            (TransformConfig { min_size: 0, ..default() }, "`min_size` is 0"),
            (TransformConfig { max_size: 0, ..default() }, "`max_size` is 0"),
            (TransformConfig { size_divisible: 0, ..default() }, "`size_divisible` is 0"),
            (TransformConfig { fixed_size: Some([0, 9]), ..default() }, "`fixed_size` is [0, 9]"),
            (TransformConfig { image_mean: [f32::NAN; 3], ..default() }, "`image_mean` is [NaN"),
            (TransformConfig { image_std: [1.0, 0.0, 1.0], ..default() }, "`image_std` is [1.0, 0"),
        ] {
            let error = config.output_sizes(480, 640).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn boxes_go_back_by_two_ratios() {
        let image = Image::from_rgb8(640, 480, vec![0; 640 * 480 * 3]).unwrap();
        let input = TransformConfig::default().apply(&image).unwrap();
        assert_eq!(input.ratios_to_image(), [640.0 / 1066.0, 480.0 / 800.0]);
    }

    #[test]
    fn a_configuration_survives_json_and_misspelt_fields_do_not() {
        let config = TransformConfig { fixed_size: Some([300, 200]), ..Default::default() };
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<TransformConfig>(&json).unwrap(), config);
        let error = serde_json::from_str::<TransformConfig>(r#"{"min_sise": 1}"#).unwrap_err();
        assert!(error.to_string().contains("min_sise"), "{error}");
    }
}
