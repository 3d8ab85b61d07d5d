//! A training set: annotations and files, checked before training begins.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use retinanet::eval::{CocoImage, GroundTruth};
use retinanet::image::DecodeLimits;
use retinanet::labels::Categories;
use retinanet_kernels::with_ieee;

use crate::error::DataError;
use crate::losses::Object;

/// Beyond this, f32 no longer counts single pixels.
const MAX_SIDE: u64 = 1 << 24;
/// How many missing files an error names.
const MAX_LISTED: usize = 10;
/// What class 0 is called.
const BACKGROUND: &str = "__background__";

/// What of the annotations is trained on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainingSetConfig {
    /// The model's classes: categories are matched with them by equal names. By default the annotations' own
    /// categories in order of id are the classes from 1, after the background.
    pub categories: Option<Categories>,
    /// Keep images on which nothing is annotated, as pure background. Images with nothing but crowd regions are left out
    /// all the same: what the region shows is no background. By default, as in torchvision's reference, images without
    /// a usable box are left out.
    pub keep_empty: bool,
}

/// An image and what is to be found in it.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingImage {
    /// Its entry in the annotations.
    pub image: CocoImage,
    /// Height and width in pixels, by the annotations.
    pub size: [usize; 2],
    /// Its objects in pixels of the image, cut to it, in the annotations' order.
    pub objects: Vec<Object>,
}

/// What of the annotations is not trained on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeftOut {
    /// Crowd regions.
    pub crowds: usize,
    /// Boxes without width or height, or that have none inside their image.
    pub degenerate: usize,
    /// Boxes that are used, but were cut to their image.
    pub clipped: usize,
    /// Images with nothing but crowd regions.
    pub images_of_crowds: usize,
    /// Images on which nothing is annotated, or nothing that is thicker than a pixel.
    pub images_without_box: usize,
}

/// Images with their objects, in order of image id.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingSet {
    folder: PathBuf,
    images: Vec<TrainingImage>,
    categories: Categories,
    left_out: LeftOut,
}

impl TrainingSet {
    /// Reads a COCO annotations file, for images in `folder`.
    ///
    /// # Errors
    /// [`DataError::Annotations`] for a file that cannot be read, and all of [`new`](Self::new)'s.
    pub fn open(
        annotations: &Path,
        folder: &Path,
        config: &TrainingSetConfig,
    ) -> Result<Self, DataError> {
        let truth = GroundTruth::open(annotations).map_err(annotations_error)?;
        Self::new(&truth, folder, config, &annotations.to_string_lossy())
    }

    /// A training set of annotations from anywhere (COCO, [Pascal VOC](GroundTruth), YOLO); `name` is for messages.
    ///
    /// - Crowd regions are dropped.
    /// - A box is left, top, left + width, top + height, each rounded to f32 and then added in f32, cut to the image.
    ///   What then has no width or height is dropped.
    /// - An image is kept if one of its boxes is wider and higher than a pixel as annotated; such an image keeps
    ///   its thin ones too.
    ///
    /// That is what torchvision's reference does (`coco_utils.py`), but for images with nothing but crowd regions,
    /// which it trains on as pure background.
    ///
    /// # Errors
    /// [`DataError::Category`] for a category that is no class of the model; [`DataError::NoSize`] and
    /// [`DataError::Size`]; [`DataError::MissingFiles`], naming the files; [`DataError::Empty`].
    pub fn new(
        truth: &GroundTruth,
        folder: &Path,
        config: &TrainingSetConfig,
        name: &str,
    ) -> Result<Self, DataError> {
        let (categories, class_of) = classes(truth, config.categories.as_ref())?;
        let mut left_out = LeftOut::default();
        let mut of_image: HashMap<i64, Found> = HashMap::with_capacity(truth.images().len());
        let sizes = truth.images().iter().map(|image| Ok((image.id, size(image)?)));
        let sizes: HashMap<i64, [usize; 2]> = sizes.collect::<Result<_, DataError>>()?;
        for annotation in truth.annotations() {
            let found = of_image.entry(annotation.image_id).or_default();
            if annotation.iscrowd {
                left_out.crowds += 1;
                found.crowd = true;
                continue;
            }
            let (corners, clipped) = corners(annotation.bbox, sizes[&annotation.image_id]);
            let [x1, y1, x2, y2] = corners;
            if !(x1 < x2 && y1 < y2) {
                left_out.degenerate += 1;
                continue;
            }
            left_out.clipped += usize::from(clipped);
            found.thick |= annotation.bbox[2] > 1.0 && annotation.bbox[3] > 1.0;
            found.objects.push(Object { corners, class: class_of[&annotation.category_id] });
        }

        let mut images = Vec::with_capacity(truth.images().len());
        for image in truth.images() {
            let Found { objects, thick, crowd } = of_image.remove(&image.id).unwrap_or_default();
            if objects.is_empty() && crowd {
                left_out.images_of_crowds += 1;
            } else if thick || (objects.is_empty() && config.keep_empty) {
                images.push(TrainingImage {
                    image: image.clone(),
                    size: sizes[&image.id],
                    objects,
                });
            } else {
                left_out.images_without_box += 1;
            }
        }
        let set = Self { folder: folder.to_owned(), images, categories, left_out };
        if set.images.is_empty() {
            return Err(DataError::Empty { name: name.to_owned(), summary: set.to_string() });
        }
        set.check_files()?;
        Ok(set)
    }

    /// The images, in order of id.
    pub fn images(&self) -> &[TrainingImage] {
        &self.images
    }

    /// The classes of the objects, the background first.
    pub fn categories(&self) -> &Categories {
        &self.categories
    }

    /// Where the images are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What of the annotations is not trained on.
    pub fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// How many objects there are of each class.
    pub fn objects_by_class(&self) -> Vec<usize> {
        let mut counts = vec![0; self.categories.len()];
        for object in self.images.iter().flat_map(|image| &image.objects) {
            counts[object.class] += 1;
        }
        counts
    }

    /// Every file is there; those that are not are named together.
    fn check_files(&self) -> Result<(), DataError> {
        let mut missing = Vec::new();
        for image in self.images.iter().map(|one| &one.image) {
            let path = image.path(&self.folder).map_err(annotations_error)?;
            if !std::fs::metadata(&path).is_ok_and(|found| found.is_file()) {
                missing.push(format!("{:?} (image {})", image.file_name, image.id));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let mut first = missing[..missing.len().min(MAX_LISTED)].join(", ");
        if missing.len() > MAX_LISTED {
            first.push_str(", ..");
        }
        let (folder, images) = (self.folder.clone(), self.images.len());
        Err(DataError::MissingFiles { folder, missing: missing.len(), images, first })
    }
}

impl fmt::Display for TrainingSet {
    /// One line: how much there is, and what was left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let objects: usize = self.images.iter().map(|image| image.objects.len()).sum();
        let classes = self.categories.len() - 1;
        write!(f, "{} images, {objects} boxes, {classes} classes", self.images.len())?;
        let LeftOut { crowds, degenerate, clipped, images_of_crowds, images_without_box } =
            self.left_out;
        let empty = self.images.iter().filter(|image| image.objects.is_empty()).count();
        for (count, what) in [
            (empty, "images are pure background"),
            (clipped, "boxes cut to their image"),
            (crowds, "crowd regions left out"),
            (degenerate, "boxes without area left out"),
            (images_without_box, "images without a usable box left out"),
            (images_of_crowds, "images with nothing but crowd regions left out"),
        ] {
            if count > 0 {
                write!(f, "; {count} {what}")?;
            }
        }
        Ok(())
    }
}

/// What is known of an image while annotations are read.
#[derive(Default)]
struct Found {
    objects: Vec<Object>,
    thick: bool,
    crowd: bool,
}

/// The classes, and the class of each category's id.
fn classes(
    truth: &GroundTruth,
    model: Option<&Categories>,
) -> Result<(Categories, HashMap<i64, usize>), DataError> {
    let mut names = HashSet::from([BACKGROUND]);
    let mut class_of = HashMap::with_capacity(truth.categories().len());
    for (category, class) in truth.categories().iter().zip(1..) {
        let refuse = |reason: String| DataError::Category {
            id: category.id,
            name: category.name.chars().take(64).collect(),
            reason,
        };
        if !names.insert(&category.name) {
            let reason = "another class has this name; names must differ, so rename one of them";
            return Err(refuse(reason.to_owned()));
        }
        let class = match model {
            None => class,
            Some(model) => model.id_of(&category.name).map_err(|error| {
                let next = "rename the category, or train on those that the model has";
                refuse(format!("it is no class of the model: {error}; {next}"))
            })?,
        };
        class_of.insert(category.id, class);
    }
    let categories = match model {
        Some(model) => model.clone(),
        None => {
            let own = truth.categories().iter().map(|category| category.name.clone());
            Categories::new(std::iter::once(BACKGROUND.to_owned()).chain(own))
                .map_err(annotations_error)?
        }
    };
    Ok((categories, class_of))
}

/// Height and width, within bounds.
fn size(image: &CocoImage) -> Result<[usize; 2], DataError> {
    let file_name = || image.file_name.chars().take(256).collect();
    let (Some(width), Some(height)) = (image.width, image.height) else {
        return Err(DataError::NoSize { image_id: image.id, file_name: file_name() });
    };
    let max_pixels = DecodeLimits::default().max_pixels;
    let sides = [height, width];
    let usable = sides.iter().all(|side| (1..=MAX_SIDE).contains(side));
    if !usable || width * height > max_pixels {
        let (image_id, max_side) = (image.id, MAX_SIDE);
        let file_name = file_name();
        return Err(DataError::Size { image_id, file_name, width, height, max_side, max_pixels });
    }
    Ok(sides.map(|side| side as usize))
}

/// A box as corners, cut to the image of `size` [height, width]; whether it had to be cut.
fn corners(bbox: [f64; 4], [height, width]: [usize; 2]) -> ([f32; 4], bool) {
    with_ieee(|| {
        let [left, top, wide, high] = bbox.map(|side| side as f32);
        let drawn = [left, top, left + wide, top + high];
        let within = |value: f32, side: usize| {
            let side = side as f32;
            if value < 0.0 {
                0.0
            } else if value > side {
                side
            } else {
                value
            }
        };
        let [x1, y1, x2, y2] = drawn;
        let cut = [within(x1, width), within(y1, height), within(x2, width), within(y2, height)];
        (cut, cut != drawn)
    })
}

fn annotations_error(error: retinanet::Error) -> DataError {
    DataError::Annotations { reason: error.to_string() }
}
