//! Pictures of what was found: boxes drawn onto the image, and a mask file for each detection.

use std::path::{Path, PathBuf};

use retinanet::detection::Detection;
use retinanet::image::Mask;
use retinanet::overlay::{OverlayBox, OverlayStyle, draw};
use retinanet::{Detections, Image};

use super::OutputPaths;
use crate::exit::Outcome;
use crate::interrupt;

/// Which pictures are made, and where; both mirror the inputs' relative paths.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Output")]
pub struct PictureOptions {
    /// Write each image with its boxes drawn to DIR/PATH.png
    #[arg(long, value_name = "DIR")]
    pub overlay: Option<PathBuf>,

    /// Write each detection as a filled box, 255 on 0, to DIR/PATH/NUMBER-LABEL.png
    #[arg(long, value_name = "DIR")]
    pub masks: Option<PathBuf>,
}

impl PictureOptions {
    /// The kinds that are made.
    pub fn kinds(&self) -> Vec<String> {
        let kinds = [("overlay", &self.overlay), ("masks", &self.masks)];
        kinds.iter().filter(|(_, to)| to.is_some()).map(|(kind, _)| (*kind).to_owned()).collect()
    }

    /// Whether none is made.
    pub fn is_empty(&self) -> bool {
        self.overlay.is_none() && self.masks.is_none()
    }

    /// Makes the pictures of one image.
    pub fn write(&self, relative: &Path, image: &Image, found: &Detections) -> Outcome<()> {
        if let Some(folder) = &self.overlay {
            let path = OutputPaths::new(folder).beside(relative, ".png")?;
            let boxes: Vec<OverlayBox<'_>> = found.iter().map(overlay_box).collect();
            let drawn = draw(image, &boxes, &OverlayStyle::default());
            interrupt::finish(|| drawn.save_png(path))?;
        }
        if let Some(folder) = &self.masks {
            let folder = OutputPaths::new(folder).folder_of(relative)?;
            for (number, one) in found.iter().enumerate() {
                let mask = Mask::filled_box(image.width(), image.height(), one.bounding_box)?;
                let path = folder.join(format!("{number:03}-{}.png", in_file_name(&one.label)));
                interrupt::finish(|| mask.save_png(path))?;
            }
        }
        Ok(())
    }
}

fn overlay_box(found: &Detection) -> OverlayBox<'_> {
    OverlayBox {
        in_image: found.bounding_box,
        label: &found.label,
        score: found.score,
        label_id: found.label_id,
    }
}

/// A label as part of a file's name: letters, digits and `-`, at most 40 of them.
fn in_file_name(label: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() { c } else { '-' };
    label.chars().take(40).map(plain).collect()
}
