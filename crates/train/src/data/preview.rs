//! The first samples as pictures with their boxes: people should look at what they train on.

use std::path::{Path, PathBuf};

use retinanet::Image;
use retinanet::image::TransformConfig;
use retinanet::overlay::{OverlayBox, OverlayStyle, draw};
use retinanet_kernels::with_ieee;

use crate::error::DataError;

use super::source::{Sample, SampleSource};

/// A picture that was written, and what it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewFile {
    /// Where it is.
    pub path: PathBuf,
    /// The position in the run.
    pub position: u64,
    /// The images that it shows.
    pub image_ids: Vec<i64>,
    /// How many objects it has.
    pub objects: usize,
}

/// Writes the samples of the first `count` positions, or of all there are, into `folder` as
/// `POSITION-IMAGE.png`; the folder is made if it is not there.
///
/// Pixels are the canvas' taken back to 8 bits. Where there are several classes, boxes have captions: the class' name, and
/// a score of 1; where there is one, nothing hides what is in them.
///
/// # Errors
/// Those of [`SampleSource::sample`], and [`DataError::Preview`] for what cannot be written.
pub fn write_preview(
    source: &SampleSource,
    count: u64,
    folder: &Path,
) -> Result<Vec<PreviewFile>, DataError> {
    let unwritten = |reason: String| DataError::Preview { reason };
    std::fs::create_dir_all(folder).map_err(|error| {
        unwritten(format!("cannot make the folder {folder:?}: {error}; choose another"))
    })?;
    let mut written = Vec::new();
    for position in 0..count.min(source.positions()) {
        let sample = source.sample(position)?;
        let drawn = picture(&sample, source).map_err(|error| unwritten(error.to_string()))?;
        let path = folder.join(format!("{position:06}-{}.png", sample.image_id));
        drawn.save_png(&path).map_err(|error| unwritten(error.to_string()))?;
        let objects = sample.objects.len();
        written.push(PreviewFile { path, position, image_ids: sample.shown, objects });
    }
    Ok(written)
}

fn picture(sample: &Sample, source: &SampleSource) -> retinanet::Result<Image> {
    let [height, width] = sample.size;
    let image = Image::from_rgb8(width, height, to_rgb8(&sample.canvas, source.transform()))?;
    let names = source.set().categories().names();
    let boxes: Vec<OverlayBox<'_>> = sample
        .objects
        .iter()
        .map(|object| OverlayBox {
            in_image: object.corners.into(),
            label: &names[object.class],
            score: 1.0,
            label_id: object.class,
        })
        .collect();
    // Background and one class.
    let without_captions = names.len() <= 2;
    let style = OverlayStyle { mask_opacity: 0.0, without_captions, ..OverlayStyle::default() };
    Ok(draw(&image, &boxes, &style))
}

/// Planes as interleaved bytes: the normalisation undone, rounded half up, held within 0 to 255.
fn to_rgb8(canvas: &[f32], transform: &TransformConfig) -> Vec<u8> {
    let pixels = canvas.len() / 3;
    let mut rgb = vec![0; canvas.len()];
    with_ieee(|| {
        for channel in 0..3 {
            let (mean, std) = (transform.image_mean[channel], transform.image_std[channel]);
            let plane = &canvas[channel * pixels..(channel + 1) * pixels];
            for (value, pixel) in plane.iter().zip(rgb.chunks_exact_mut(3)) {
                // A float to integer cast holds within the integer's range.
                pixel[channel] = ((value * std + mean) * 255.0 + 0.5) as u8;
            }
        }
    });
    rgb
}
