//! What is done to a sample, and the random numbers that decide it.

use retinanet::determinism::{Purpose, Stream};
use retinanet::image::{MAX_INPUT_PIXELS, TransformConfig};
use retinanet_kernels::with_ieee;
use serde::{Deserialize, Serialize};

use crate::losses::Object;
use crate::{Error, Result};

use super::colour::Curve;
use super::dataset::TrainingImage;
use super::paste::{ObjectIndex, Paste, PasteConfig};
use super::tile::{Layout, Tile, objects_of, scaled};

/// The longest side that a configuration may ask for: squares of it are still inputs.
const MAX_SIDE: usize = 1 << 13;
/// The shortest square: a mosaic needs room for four.
const MIN_SQUARE: usize = 32;
/// More objects laid over a sample than one can see.
const MAX_PASTED: usize = 64;
/// More scales than anyone lists.
const MAX_SCALES: usize = 1 << 10;

/// How samples are changed. The default is the recipe of torchvision's v1: flipped half of the time, at the size at
/// which the model detects (800, at most 1333 for torchvision's models).
///
/// The canvas is normalised and padded as the model's [`TransformConfig`] says, in every case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// The probability of a flip, left to right. Default: 0.5.
    pub flip: f64,
    /// The short side is scaled to one of these, each as likely as the other. Default: none listed, which is the size at
    /// which the model detects. torchvision's `multiscale` lists 480 to 800 in steps of 32.
    pub scales: Vec<usize>,
    /// The most pixels of the long side. Default: the model's.
    pub max_size: Option<usize>,
    /// A square canvas of fixed size with a randomly scaled part of the image, instead of `scales`. Default: none.
    pub square: Option<SquareConfig>,
    /// Four images in one square. Needs `square`. Default: none.
    pub mosaic: Option<MosaicConfig>,
    /// Objects of other images laid over the sample. Needs `square`. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paste: Option<PasteConfig>,
    /// Brightness and contrast. Default: none.
    pub colour: Option<ColourConfig>,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            flip: 0.5,
            scales: vec![],
            max_size: None,
            square: None,
            mosaic: None,
            paste: None,
            colour: None,
        }
    }
}

/// A square canvas: the image is scaled to fit it, times a random factor; of what is larger than the canvas a random part
/// is shown, what is smaller lies at the top left, as in torchvision's `ScaleJitter` and `FixedSizeCrop`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SquareConfig {
    /// Pixels a side, 32 to 8192. Default: 640.
    pub side: usize,
    /// The least and the largest factor, uniformly drawn; 1 fits the long side. Default: 0.1 to 2, as in torchvision.
    pub scale: [f64; 2],
    /// An object of which less than this share of its area is in view is dropped. Default: 0.25.
    pub min_visible: f64,
}

impl Default for SquareConfig {
    fn default() -> Self {
        Self { side: 640, scale: [0.1, 2.0], min_visible: 0.25 }
    }
}

/// Four images around a random centre, which lies in the middle half of the square: the sample's own and three drawn from
/// the set. Each is scaled to fit the square, times a random factor; a random part of it is shown in its quarter, and
/// one that is smaller touches the centre.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MosaicConfig {
    /// The probability that a sample becomes one. Default: 1.
    pub probability: f64,
    /// Only in the steps before this share of the run: with S steps, in those below the whole part of `until` times S.
    /// Default: 0.8.
    pub until: f64,
    /// The least and the largest factor, uniformly drawn. Default: 0.5 to 1.25, which leaves about a tenth of the
    /// square empty.
    pub scale: [f64; 2],
}

impl Default for MosaicConfig {
    fn default() -> Self {
        Self { probability: 1.0, until: 0.8, scale: [0.5, 1.25] }
    }
}

/// Brightness and contrast of 8-bit pixels, in whole numbers: a value v becomes 128 + brightness + (v - 128) * contrast
/// / 100, rounded half up and held within 0 to 255. All channels alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ColourConfig {
    /// The brightness is a whole number from minus this to this, uniformly drawn; at most 255. Default: 24.
    pub brightness: u8,
    /// The contrast is 100 minus this to 100 plus this, in percent, uniformly drawn; at most 100. Default: 20.
    pub contrast: u8,
}

impl Default for ColourConfig {
    fn default() -> Self {
        Self { brightness: 24, contrast: 20 }
    }
}

impl AugmentConfig {
    /// No change at all: the canvas is what a detector feeds its network.
    pub fn none() -> Self {
        Self { flip: 0.0, ..Self::default() }
    }

    /// torchvision's `multiscale`, the recipe of its v2: the short side 480 to 800 in steps of 32, the long one at most
    /// 1333, and flips.
    pub fn multiscale() -> Self {
        Self { scales: (480..=800).step_by(32).collect(), max_size: Some(1333), ..Self::default() }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Setting`], naming the field.
    pub fn validate(&self) -> Result<()> {
        let refuse =
            |setting, value: String, expected| Err(Error::Setting { setting, value, expected });
        let share = |setting, value: f64| match (0.0..=1.0).contains(&value) {
            true => Ok(()),
            false => refuse(setting, value.to_string(), "0 to 1"),
        };
        let factors = |setting, [least, largest]: [f64; 2], side: usize| {
            let ordered = least > 0.0 && least <= largest;
            match ordered && with_ieee(|| side as f64 * largest) <= MAX_SIDE as f64 {
                true => Ok(()),
                false => refuse(
                    setting,
                    format!("[{least}, {largest}]"),
                    "two numbers above 0, the smaller first, that make no side longer than 8192",
                ),
            }
        };
        share("augment.flip", self.flip)?;
        if self.scales.len() > MAX_SCALES {
            let count = format!("a list of {}", self.scales.len());
            return refuse("augment.scales", count, "at most 1024 of them");
        }
        let outside = |side: &usize| !(1..=MAX_SIDE).contains(side);
        if let Some(side) = self.scales.iter().find(|side| outside(side)) {
            return refuse("augment.scales", side.to_string(), "sides of 1 to 8192");
        }
        if let Some(side) = self.max_size.filter(outside) {
            return refuse("augment.max_size", side.to_string(), "1 to 8192");
        }
        if let Some(SquareConfig { side, scale, min_visible }) = self.square {
            if !(MIN_SQUARE..=MAX_SIDE).contains(&side) {
                return refuse("augment.square.side", side.to_string(), "32 to 8192");
            }
            factors("augment.square.scale", scale, side)?;
            share("augment.square.min_visible", min_visible)?;
            if !self.scales.is_empty() || self.max_size.is_some() {
                let value = "set beside `augment.scales` or `augment.max_size`".to_owned();
                return refuse(
                    "augment.square",
                    value,
                    "only one of the two ways to size a sample",
                );
            }
        }
        if let Some(MosaicConfig { probability, until, scale }) = self.mosaic {
            let Some(square) = &self.square else {
                let value = "set without `augment.square`".to_owned();
                return refuse("augment.mosaic", value, "a square to put the four images in");
            };
            share("augment.mosaic.probability", probability)?;
            share("augment.mosaic.until", until)?;
            factors("augment.mosaic.scale", scale, square.side)?;
        }
        if let Some(PasteConfig { most, margin, scale }) = self.paste {
            let Some(square) = &self.square else {
                let value = "set without `augment.square`".to_owned();
                return refuse("augment.paste", value, "a square to lay objects over");
            };
            if !(1..=MAX_PASTED).contains(&most) {
                return refuse("augment.paste.most", most.to_string(), "1 to 64");
            }
            share("augment.paste.margin", margin)?;
            factors("augment.paste.scale", scale, square.side)?;
        }
        if let Some(ColourConfig { contrast, .. }) = self.colour
            && contrast > 100
        {
            return refuse("augment.colour.contrast", contrast.to_string(), "0 to 100 percent");
        }
        Ok(())
    }

    /// Checks that an image of `size` [height, width] can be resized to whatever may be drawn for it.
    pub(super) fn check_size(
        &self,
        transform: &TransformConfig,
        [height, width]: [usize; 2],
    ) -> retinanet::Result<()> {
        if self.square.is_some() {
            // Each side is then at least a pixel and at most 8192.
            return Ok(());
        }
        let scales = self.scales.iter().map(|scale| Some(*scale));
        for scale in scales.chain(self.scales.is_empty().then_some(None)) {
            self.sized(transform, scale).output_sizes(height, width)?;
        }
        Ok(())
    }

    /// The model's transform, with the short side at `scale` if there is one.
    fn sized(&self, transform: &TransformConfig, scale: Option<usize>) -> TransformConfig {
        let mut transform = transform.clone();
        if let Some(scale) = scale {
            (transform.min_size, transform.fixed_size) = (scale, None);
        }
        transform.max_size = self.max_size.unwrap_or(transform.max_size);
        transform
    }

    /// The first step of a run of `steps` in which there are no mosaics any more.
    pub(super) fn mosaics_until(&self, steps: u64) -> u64 {
        // Both sides are whole or exact in f64 far beyond any run; a float to integer cast keeps within 64 bits.
        let until = self.mosaic.as_ref().map_or(0.0, |mosaic| mosaic.until);
        with_ieee(|| (until * steps as f64).floor() as u64)
    }
}

/// The random choices of one sample.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choices<'a> {
    pub(super) config: &'a AugmentConfig,
    pub(super) transform: &'a TransformConfig,
    pub(super) seed: u64,
    pub(super) epoch: u64,
    pub(super) image_id: i64,
    /// The set.
    pub(super) images: &'a [TrainingImage],
    /// All its objects.
    pub(super) objects: &'a [ObjectIndex],
}

impl Choices<'_> {
    /// The sample whose own image is `index` of the set, and what is to be found in it.
    pub(super) fn layout(
        &self,
        index: usize,
        mosaics: bool,
    ) -> retinanet::Result<(Layout, Vec<Object>)> {
        let mut layout = self.arranged(index, mosaics)?;
        let mut objects = objects_of(&layout, self.images);
        if let (Some(square), Some(paste)) = (&self.config.square, &self.config.paste) {
            with_ieee(|| self.paste(square, paste, &mut layout, &mut objects))?;
        }
        Ok((layout, objects))
    }

    /// The sample before anything is laid over it.
    fn arranged(&self, index: usize, mosaics: bool) -> retinanet::Result<Layout> {
        let size = |index: usize| self.images[index].size;
        with_ieee(|| match (&self.config.square, &self.config.mosaic) {
            (Some(square), Some(mosaic)) if mosaics => {
                let mut stream = self.stream("mosaic");
                if stream.uniform_f64() >= mosaic.probability {
                    return self.square(square, index, size(index));
                }
                let mut drawn = [index; 4];
                for other in &mut drawn[1..] {
                    *other = stream.range(self.images.len() as u64)? as usize;
                }
                self.mosaic(square, mosaic, drawn, &mut stream)
            }
            (Some(square), _) => self.square(square, index, size(index)),
            (None, _) => self.whole(index, size(index)),
        })
    }

    /// The whole image, on a canvas of its own.
    fn whole(&self, index: usize, [height, width]: [usize; 2]) -> retinanet::Result<Layout> {
        let scales = &self.config.scales;
        let scale = match scales.len() {
            0 => None,
            count => Some(scales[self.stream("scale").range(count as u64)? as usize]),
        };
        let transform = self.config.sized(self.transform, scale);
        let (resized, canvas) = transform.output_sizes(height, width)?;
        let tile = Tile {
            index,
            flip: self.flip("flip"),
            curve: self.curve("colour")?,
            resized,
            from: [0, 0],
            size: resized,
            at: [0, 0],
        };
        Ok(Layout { canvas, content: resized, tiles: vec![tile], min_visible: 0.0 })
    }

    /// One image in a square.
    fn square(
        &self,
        square: &SquareConfig,
        index: usize,
        size: [usize; 2],
    ) -> retinanet::Result<Layout> {
        let space = [square.side; 2];
        let tile = self.part("", index, size, square.side, square.scale, space)?;
        let content = tile.size;
        self.in_square(square, vec![tile], content)
    }

    /// Four images around a centre.
    fn mosaic(
        &self,
        square: &SquareConfig,
        mosaic: &MosaicConfig,
        images: [usize; 4],
        stream: &mut Stream,
    ) -> retinanet::Result<Layout> {
        let side = square.side;
        let quarter = side / 4;
        let span = (side - 2 * quarter) as u64 + 1;
        let [y, x] = [stream.range(span)?, stream.range(span)?].map(|v| quarter + v as usize);
        let mut tiles = Vec::with_capacity(4);
        for (number, index) in images.into_iter().enumerate() {
            let (below, right) = (number >= 2, number % 2 == 1);
            let space = [if below { side - y } else { y }, if right { side - x } else { x }];
            let name = format!("mosaic/{number}/");
            let mut tile =
                self.part(&name, index, self.images[index].size, side, mosaic.scale, space)?;
            // A tile touches the centre.
            tile.at = [
                if below { y } else { y - tile.size[0] },
                if right { x } else { x - tile.size[1] },
            ];
            tiles.push(tile);
        }
        self.in_square(square, tiles, [side; 2])
    }

    /// Lays objects of the set over what is in the square.
    fn paste(
        &self,
        square: &SquareConfig,
        config: &PasteConfig,
        layout: &mut Layout,
        present: &mut Vec<Object>,
    ) -> retinanet::Result<()> {
        if self.objects.is_empty() {
            return Ok(());
        }
        let (images, objects, side) = (self.images, self.objects, square.side);
        let paste = Paste { config, images, objects, side };
        let count = self.stream("paste").range(config.most as u64 + 1)?;
        for number in 0..count {
            let name = format!("paste/{number}/");
            let mut stream = self.stream(&format!("{name}place"));
            let flip = self.flip(&format!("{name}flip"));
            if let Some(mut tile) = paste.place(flip, layout.content, present, &mut stream)? {
                tile.curve = self.curve(&format!("{name}colour"))?;
                let image = &images[tile.index];
                present.extend(tile.objects(&image.objects, image.size, layout.min_visible));
                layout.tiles.push(tile);
            }
        }
        Ok(())
    }

    fn in_square(
        &self,
        square: &SquareConfig,
        tiles: Vec<Tile>,
        content: [usize; 2],
    ) -> retinanet::Result<Layout> {
        let exactly =
            TransformConfig { fixed_size: Some([square.side; 2]), ..self.transform.clone() };
        let (_, canvas) = exactly.output_sizes(square.side, square.side)?;
        Ok(Layout { canvas, content, tiles, min_visible: square.min_visible as f32 })
    }

    /// A random part, no larger than `space`, of an image that is scaled to fit `side` times a random factor.
    fn part(
        &self,
        name: &str,
        index: usize,
        original: [usize; 2],
        side: usize,
        factors: [f64; 2],
        space: [usize; 2],
    ) -> retinanet::Result<Tile> {
        let resized = scaled(original, side, factors, &mut self.stream(&format!("{name}scale")));
        let mut crop = self.stream(&format!("{name}crop"));
        let (mut from, mut size) = ([0; 2], resized);
        for axis in 0..2 {
            if resized[axis] > space[axis] {
                size[axis] = space[axis];
                from[axis] = crop.range((resized[axis] - space[axis]) as u64 + 1)? as usize;
            }
        }
        Ok(Tile {
            index,
            flip: self.flip(&format!("{name}flip")),
            curve: self.curve(&format!("{name}colour"))?,
            resized,
            from,
            size,
            at: [0, 0],
        })
    }

    fn flip(&self, name: &str) -> bool {
        self.stream(name).uniform_f64() < self.config.flip
    }

    fn curve(&self, name: &str) -> retinanet::Result<Option<Curve>> {
        let Some(ColourConfig { brightness, contrast }) = self.config.colour else {
            return Ok(None);
        };
        let mut stream = self.stream(name);
        let mut around = |spread: u8| -> retinanet::Result<i32> {
            Ok(stream.range(2 * u64::from(spread) + 1)? as i32 - i32::from(spread))
        };
        let (brightness, contrast) = (around(brightness)?, 100 + around(contrast)?);
        Ok(Some(Curve::new(brightness, contrast)))
    }

    fn stream(&self, name: &str) -> Stream {
        let name = format!("train/epoch/{}/{name}", self.epoch);
        Stream::new(self.seed, Purpose::Augmentation, &name, self.image_id.cast_unsigned())
    }
}

const _: () = assert!(MAX_SIDE * MAX_SIDE <= MAX_INPUT_PIXELS);
