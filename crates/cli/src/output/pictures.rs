//! Files of each image: boxes drawn onto it, masks and crops of its detections, and YOLO's text.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use retinanet::detection::Detection;
use retinanet::image::Mask;
use retinanet::labels::Categories;
use retinanet::overlay::{OverlayBox, OverlayStyle, draw};
use retinanet::yolo::YoloClasses;
use retinanet::{Detections, Image};

use super::{OutputPaths, write_kept};
use crate::exit::{Failure, Outcome};
use crate::interrupt;

/// The list of classes beside YOLO's text files.
const CLASSES: &str = "classes.txt";

/// Which files of each image are made, and where; all mirror the inputs' relative paths.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Output")]
pub struct PictureOptions {
    /// Write each image with its boxes drawn to DIR/PATH.png
    #[arg(long, value_name = "DIR")]
    pub overlay: Option<PathBuf>,

    /// Write each detection as a filled box, 255 on 0, to DIR/PATH/NUMBER-LABEL.png
    #[arg(long, value_name = "DIR")]
    pub masks: Option<PathBuf>,

    /// Write what is inside each box to DIR/PATH/NUMBER-LABEL.png; other files are not overwritten
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub crops: Option<PathBuf>,

    /// Write YOLO's text: DIR/PATH with the ending .txt for each image (class, centre x, centre y,
    /// width, height, from 0 to 1), and DIR/classes.txt; other files are not overwritten
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub yolo: Option<PathBuf>,

    /// Give each line of `--yolo` its score as a sixth number
    #[arg(long, requires = "yolo")]
    pub yolo_scores: bool,
}

impl PictureOptions {
    /// The kinds that are made.
    pub fn kinds(&self) -> Vec<String> {
        let kinds = [
            ("overlay", self.overlay.is_some()),
            ("masks", self.masks.is_some()),
            ("crops", self.crops.is_some()),
            ("yolo", self.yolo.is_some()),
            ("yolo-scores", self.yolo_scores),
        ];
        kinds.iter().filter(|(_, made)| *made).map(|(kind, _)| (*kind).to_owned()).collect()
    }

    /// Whether none is made.
    pub fn is_empty(&self) -> bool {
        self.kinds().is_empty()
    }

    /// Before the first image: refuses images whose files would meet, and writes `classes.txt`.
    pub fn begin<'a>(
        &self,
        categories: &Categories,
        images: impl Iterator<Item = &'a Path>,
    ) -> Outcome<()> {
        let Some(folder) = &self.yolo else { return Ok(()) };
        let mut taken = HashMap::from([(PathBuf::from(CLASSES), None)]);
        for image in images {
            let text = image.with_extension("txt");
            let Some(other) = taken.insert(text.clone(), Some(image)) else { continue };
            let other =
                other.map_or_else(|| "the list of classes".to_owned(), |path| format!("{path:?}"));
            return Err(Failure::usage(format!(
                "--yolo would write {text:?} for {image:?} and for {other}; give them to runs of their own"
            )));
        }
        let classes = YoloClasses::of(categories)?;
        let path = OutputPaths::new(folder).beside(Path::new(CLASSES), "")?;
        write_kept(&path, classes.to_text().as_bytes())
    }

    /// Makes the files of one image.
    pub fn write(&self, relative: &Path, image: &Image, found: &Detections) -> Outcome<()> {
        if let Some(folder) = &self.overlay {
            let path = OutputPaths::new(folder).beside(relative, ".png")?;
            let boxes: Vec<OverlayBox<'_>> = found.iter().map(overlay_box).collect();
            let drawn = draw(image, &boxes, &OverlayStyle::default());
            interrupt::finish(|| drawn.save_png(path))?;
        }
        if let Some(folder) = &self.crops {
            let folder = OutputPaths::new(folder).folder_of(relative)?;
            for (number, one) in found.iter().enumerate() {
                let path = folder.join(format!("{number:03}-{}.png", in_file_name(&one.label)));
                write_kept(&path, &image.crop(one.bounding_box).to_png(&path)?)?;
            }
        }
        if let Some(folder) = &self.yolo {
            let path = OutputPaths::new(folder).beside(&relative.with_extension("txt"), "")?;
            let lines = YoloClasses::of(found.categories())?.lines(found, self.yolo_scores);
            write_kept(&path, lines.as_bytes())?;
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
