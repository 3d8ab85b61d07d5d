//! COCO's annotations file: which images hold which boxes.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Deserializer};

use super::EvalError;
use super::files::read_within;
use crate::Result;
use crate::image::{DecodeOptions, Image, read_file};

/// The largest annotations file read; COCO's own largest has 450 MB.
const MAX_FILE_BYTES: u64 = 4 << 30;

/// An image that annotations are of. Other fields of the file are not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CocoImage {
    /// Its id.
    pub id: i64,
    /// Its path in the images' folder.
    pub file_name: String,
    /// Width in pixels, if the file says.
    pub width: Option<u64>,
    /// Height in pixels, if the file says.
    pub height: Option<u64>,
}

/// A category of objects.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CocoCategory {
    /// Its id; COCO's 80 categories have ids between 1 and 90, with gaps.
    pub id: i64,
    /// Its name.
    pub name: String,
}

/// An object in an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotation {
    /// Its id.
    pub id: i64,
    /// The image it is in.
    pub image_id: i64,
    /// What it is.
    pub category_id: i64,
    /// Left, top, width, height in pixels.
    pub bbox: [f64; 4],
    /// Pixels it covers; decides whether it is small, medium or large. Where the file says
    /// nothing: the box's area.
    pub area: f64,
    /// Whether it is a group of objects, which neither counts as found nor as missed. Where the file
    /// says nothing: no.
    pub iscrowd: bool,
}

/// Images, categories and annotations of a data set, checked; the first two in order of id.
#[derive(Debug, Clone, PartialEq)]
pub struct GroundTruth {
    images: Vec<CocoImage>,
    categories: Vec<CocoCategory>,
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Layout {
    images: Vec<CocoImage>,
    categories: Vec<CocoCategory>,
    annotations: Vec<RawAnnotation>,
}

#[derive(Deserialize)]
struct RawAnnotation {
    id: i64,
    image_id: i64,
    category_id: i64,
    bbox: [f64; 4],
    area: Option<f64>,
    #[serde(default, deserialize_with = "zero_or_one")]
    iscrowd: bool,
}

impl From<RawAnnotation> for Annotation {
    fn from(raw: RawAnnotation) -> Self {
        let RawAnnotation { id, image_id, category_id, bbox, area, iscrowd } = raw;
        let area = area.unwrap_or(bbox[2] * bbox[3]);
        Self { id, image_id, category_id, bbox, area, iscrowd }
    }
}

fn zero_or_one<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Flag {
        Number(u64),
        Truth(bool),
    }
    match Flag::deserialize(deserializer)? {
        Flag::Number(0) | Flag::Truth(false) => Ok(false),
        Flag::Number(1) | Flag::Truth(true) => Ok(true),
        Flag::Number(_) => Err(serde::de::Error::custom("iscrowd must be 0 or 1")),
    }
}

impl GroundTruth {
    /// Reads an annotations file (`instances_val2017.json` and the like).
    ///
    /// # Errors
    /// [`EvalError`]: the file cannot be read, is not COCO's JSON, has repeated ids, or annotations of
    /// images or categories it does not list, or boxes that are none.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::from_json(&read(path)?, &path.to_string_lossy())
    }

    /// Reads the JSON of an annotations file; `name` is for messages.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_json(json: &[u8], name: &str) -> Result<Self> {
        let read: Layout = serde_json::from_slice(json).map_err(|error| EvalError::Format {
            name: name.to_owned(),
            reason: error.to_string().escape_debug().to_string(),
        })?;
        let Layout { images, categories, annotations } = read;
        let annotations = annotations.into_iter().map(Annotation::from).collect();
        Self::from_parts(images, categories, annotations, name)
    }

    /// A data set from its parts; `name` is for messages.
    ///
    /// # Errors
    /// [`EvalError`]: repeated ids, annotations of images or categories that are not listed, boxes that are none.
    pub fn from_parts(
        mut images: Vec<CocoImage>,
        mut categories: Vec<CocoCategory>,
        annotations: Vec<Annotation>,
        name: &str,
    ) -> Result<Self> {
        images.sort_by_key(|image| image.id);
        categories.sort_by_key(|category| category.id);
        let image_ids = distinct(images.iter().map(|image| image.id), "images", name)?;
        let category_ids = distinct(categories.iter().map(|one| one.id), "categories", name)?;
        distinct(annotations.iter().map(|annotation| annotation.id), "annotations", name)?;
        for &Annotation { id, image_id, category_id, bbox, area, .. } in &annotations {
            let dangling =
                |kind, target| EvalError::Dangling { name: name.to_owned(), id, kind, target };
            if !image_ids.contains(&image_id) {
                return Err(dangling("image", image_id).into());
            }
            if !category_ids.contains(&category_id) {
                return Err(dangling("category", category_id).into());
            }
            let value = |field, value, needs| {
                Err(EvalError::Value { name: name.to_owned(), id, field, value, needs }.into())
            };
            if !(bbox.iter().all(|side| side.is_finite()) && bbox[2] >= 0.0 && bbox[3] >= 0.0) {
                let needs = "left, top, width and height must be finite, the last two not negative";
                return value("bbox", format!("{bbox:?}"), needs);
            }
            if !(area.is_finite() && area >= 0.0) {
                return value("area", area.to_string(), "it must be finite and not negative");
            }
        }
        Ok(Self { images, categories, annotations })
    }

    /// The images, in order of id.
    pub fn images(&self) -> &[CocoImage] {
        &self.images
    }

    /// The categories, in order of id.
    pub fn categories(&self) -> &[CocoCategory] {
        &self.categories
    }

    /// The annotations, in the file's order.
    pub fn annotations(&self) -> &[Annotation] {
        &self.annotations
    }

    /// The same annotations as if the data set held only these images (pycocotools' `imgIds`).
    ///
    /// # Errors
    /// [`EvalError::Unlisted`].
    pub fn only_images(&self, ids: &[i64]) -> Result<Self> {
        let kept: HashSet<i64> = ids.iter().copied().collect();
        let listed: HashSet<i64> = self.images.iter().map(|image| image.id).collect();
        if let Some(id) = ids.iter().find(|id| !listed.contains(id)) {
            return Err(EvalError::Unlisted { kind: "image", target: id.to_string() }.into());
        }
        let mut narrowed = self.clone();
        narrowed.images.retain(|image| kept.contains(&image.id));
        narrowed.annotations.retain(|annotation| kept.contains(&annotation.image_id));
        Ok(narrowed)
    }

    /// The same annotations as if the data set knew only these categories (pycocotools' `catIds`).
    ///
    /// # Errors
    /// [`EvalError::Unlisted`], or [`EvalError::AmbiguousCategory`] for a name of two categories.
    pub fn only_categories<S: AsRef<str>>(&self, names: &[S]) -> Result<Self> {
        let by_name = by_name(&self.categories)?;
        let unlisted = |name: &str| EvalError::Unlisted {
            kind: "category",
            target: format!("{:?}", name.chars().take(64).collect::<String>()),
        };
        let id = |name: &S| by_name.get(name.as_ref()).ok_or_else(|| unlisted(name.as_ref()));
        let kept = names.iter().map(id).collect::<Result<HashSet<_>, _>>()?;
        let mut narrowed = self.clone();
        narrowed.categories.retain(|category| kept.contains(&category.id));
        narrowed.annotations.retain(|annotation| kept.contains(&annotation.category_id));
        Ok(narrowed)
    }
}

/// The ids of categories by their names, which must differ.
pub(super) fn by_name(categories: &[CocoCategory]) -> Result<HashMap<&str, i64>, EvalError> {
    let mut by_name = HashMap::with_capacity(categories.len());
    for category in categories {
        if let Some(first) = by_name.insert(category.name.as_str(), category.id) {
            let (name, second) = (category.name.clone(), category.id);
            return Err(EvalError::AmbiguousCategory { name, first, second });
        }
    }
    Ok(by_name)
}

impl CocoImage {
    /// Where the image is, given the images' folder.
    ///
    /// # Errors
    /// [`EvalError::FileName`] for a name that leaves the folder.
    pub fn path(&self, folder: &Path) -> Result<PathBuf> {
        let relative = Path::new(&self.file_name);
        let inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if self.file_name.is_empty() || !inside || self.file_name.contains('\0') {
            let file_name = self.file_name.chars().take(256).collect();
            return Err(EvalError::FileName { id: self.id, file_name }.into());
        }
        Ok(folder.join(relative))
    }

    /// Decodes the image in the frame its annotations are in: upright as its EXIF data say, or as
    /// stored, whichever has the size annotated (COCO's boxes are in the frame of the stored pixels).
    ///
    /// # Errors
    /// [`path`](Self::path)'s and [`Image::open`]'s; [`EvalError::ImageSize`] if the file has neither way
    /// the size annotated.
    pub fn open(&self, folder: &Path, options: &DecodeOptions) -> Result<Image> {
        let path = self.path(folder)?;
        open_as_annotated(&path, &path.to_string_lossy(), options, self.size())
    }

    /// Width and height, if the file says.
    pub(crate) fn size(&self) -> Option<[u64; 2]> {
        Some([self.width?, self.height?])
    }
}

/// Decodes an image upright or as stored, whichever has the size annotated; `name` is for messages.
pub(crate) fn open_as_annotated(
    path: &Path,
    name: &str,
    options: &DecodeOptions,
    size: Option<[u64; 2]>,
) -> Result<Image> {
    let bytes = read_file(path, name, options.limits.max_file_bytes)?;
    Ok(decode_as_annotated(&bytes, name, options, size)?.0)
}

/// Decodes an image file's content upright or as stored, whichever has the size annotated; whether it is as
/// stored. `name` is for messages.
pub(crate) fn decode_as_annotated(
    bytes: &[u8],
    name: &str,
    options: &DecodeOptions,
    size: Option<[u64; 2]>,
) -> Result<(Image, bool)> {
    let image = Image::decode_with(bytes, name, options)?;
    let Some(annotated) = size else { return Ok((image, false)) };
    let fits = |image: &Image| [image.width(), image.height()].map(|side| side as u64) == annotated;
    if fits(&image) {
        return Ok((image, false));
    }
    let stored = DecodeOptions { apply_exif_orientation: false, ..options.clone() };
    let stored = Image::decode_with(bytes, name, &stored)?;
    if fits(&stored) {
        return Ok((stored, true));
    }
    let (path, [annotated_width, annotated_height]) = (PathBuf::from(name), annotated);
    let (width, height) = (image.width(), image.height());
    Err(EvalError::ImageSize { path, width, height, annotated_width, annotated_height }.into())
}

/// A whole file, within the limit.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, EvalError> {
    read_within(path, MAX_FILE_BYTES)
}

fn distinct(
    ids: impl Iterator<Item = i64>,
    list: &'static str,
    name: &str,
) -> Result<HashSet<i64>, EvalError> {
    let mut seen = HashSet::new();
    for id in ids {
        if !seen.insert(id) {
            return Err(EvalError::RepeatedId { name: name.to_owned(), list, id });
        }
    }
    Ok(seen)
}
