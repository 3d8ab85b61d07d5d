//! Annotations in the forms that people have them, as options.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum, ValueHint};
use retinanet::Image;
use retinanet::data::Listing;
use retinanet::eval::{
    GroundTruth, SizedImage, VocOrigin, read_yolo_classes, yolo_files_without_image,
};
use retinanet::image::DecodeOptions;

use crate::exit::{Failure, Outcome};
use crate::inputs::refuse_url_or_stdin;
use crate::progress::Progress;

/// What a list of YOLO's classes is called where nothing else is said.
const CLASSES: &str = "classes.txt";

/// How annotations are read; which ones is each command's own option.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Annotations")]
pub struct AnnotationOptions {
    /// What the annotations are [default: a file is COCO's; a folder is Pascal VOC's where it holds
    /// .xml files, else YOLO's]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub annotation_format: Option<AnnotationFormat>,

    /// The names of YOLO's classes, one a line [default: classes.txt in the annotations' folder or in
    /// the one above]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub annotation_classes: Option<PathBuf>,

    /// What Pascal VOC's files call the first pixel: its own are 1; some tools write 0
    #[arg(long, value_name = "0|1", default_value = "1", value_parser = ["0", "1"])]
    pub voc_origin: String,
}

/// The forms of annotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AnnotationFormat {
    /// One JSON file
    Coco,
    /// A folder with a text file an image
    Yolo,
    /// A folder with an XML file an image
    Voc,
}

/// Annotations, and what is said about images that they have and the folder has not.
#[derive(Debug)]
pub struct Annotations {
    /// What the images hold.
    pub truth: GroundTruth,
    /// Annotations whose image is not there: of YOLO's text files, which have no size without it.
    pub without_image: Vec<String>,
}

impl AnnotationOptions {
    /// What `annotations` are.
    pub fn format(&self, annotations: &Path) -> Outcome<AnnotationFormat> {
        refuse_url_or_stdin(annotations)?;
        if let Some(format) = self.annotation_format {
            return Ok(format);
        }
        if !annotations.is_dir() {
            return Ok(AnnotationFormat::Coco);
        }
        let unreadable =
            |error| Failure::bad_input(format!("cannot read {annotations:?}: {error}"));
        let mut folders = vec![annotations.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
                let entry = entry.map_err(unreadable)?;
                let path = entry.path();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(path);
                } else if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("xml"))
                {
                    return Ok(AnnotationFormat::Voc);
                }
            }
        }
        Ok(AnnotationFormat::Yolo)
    }

    /// Reads them. YOLO's need the images' folder, for their sizes.
    pub fn open(
        &self,
        annotations: &Path,
        images: Option<&Path>,
        decode: &DecodeOptions,
    ) -> Outcome<Annotations> {
        let mut without_image = Vec::new();
        let format = self.format(annotations)?;
        if self.annotation_classes.is_some() && format != AnnotationFormat::Yolo {
            return Err(Failure::usage("--annotation-classes is for YOLO's text files"));
        }
        let truth = match format {
            AnnotationFormat::Coco => GroundTruth::open(annotations)?,
            AnnotationFormat::Voc => GroundTruth::from_voc(annotations, self.voc_origin())?,
            AnnotationFormat::Yolo => {
                let images = images.ok_or_else(|| {
                    Failure::usage(
                        "YOLO's text files need the sizes of their images: say where these are, with --images DIR",
                    )
                })?;
                let classes = read_yolo_classes(self.classes_beside(annotations)?)?;
                let sized = sizes(images, decode)?;
                let left = yolo_files_without_image(annotations, &sized)?;
                without_image =
                    left.iter().map(|path| path.to_string_lossy().into_owned()).collect();
                GroundTruth::from_yolo(annotations, &classes, &sized)?
            }
        };
        Ok(Annotations { truth, without_image })
    }

    fn voc_origin(&self) -> VocOrigin {
        if self.voc_origin == "0" { VocOrigin::Zero } else { VocOrigin::One }
    }

    fn classes_beside(&self, annotations: &Path) -> Outcome<PathBuf> {
        if let Some(classes) = &self.annotation_classes {
            refuse_url_or_stdin(classes)?;
            return Ok(classes.clone());
        }
        let beside = [annotations.join(CLASSES), annotations.join("..").join(CLASSES)];
        beside.into_iter().find(|path| path.is_file()).ok_or_else(|| {
            Failure::usage(format!(
                "no {CLASSES} is in {annotations:?} or in the folder above: give the names of YOLO's classes, \
                 one a line, with --annotation-classes FILE (from a data.yaml, the list `names`)"
            ))
        })
    }
}

/// The size of every image of a folder.
fn sizes(folder: &Path, decode: &DecodeOptions) -> Outcome<Vec<SizedImage>> {
    let listing = Listing::of(&[folder])?;
    let mut progress = Progress::new(listing.len() as u64, "image sizes");
    let size = |index| {
        let image = Image::open_with(listing.path(index), decode)?;
        progress.step();
        Ok(SizedImage {
            file_name: listing.name(index).into_owned(),
            width: image.width() as u64,
            height: image.height() as u64,
        })
    };
    (0..listing.len()).map(size).collect()
}
