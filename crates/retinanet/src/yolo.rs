//! Detections as YOLO's text files hold them.

use std::fmt::Write;

use crate::Result;
use crate::detection::Detections;
use crate::error::LabelError;
use crate::labels::Categories;

/// Names of class ids that are no class: torchvision's background, and COCO's unused ids.
const NO_CLASSES: [&str; 2] = ["__background__", "N/A"];

/// The classes of a model as YOLO counts them: from 0, without the background and without unused ids.
///
/// torchvision's 91 COCO labels so become the 80 that YOLO models have, in the same order: `person` is 0.
///
/// ```
/// use retinanet::{labels::Categories, yolo::YoloClasses};
///
/// let classes = YoloClasses::of(&Categories::coco_v1())?;
/// assert_eq!(classes.names().len(), 80);
/// assert_eq!((classes.number(1), classes.number(90)), (Some(0), Some(79)));
/// # Ok::<(), retinanet::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YoloClasses {
    names: Vec<String>,
    /// For each class id of the model.
    numbers: Vec<Option<usize>>,
}

impl YoloClasses {
    /// The classes of a model's categories.
    ///
    /// # Errors
    /// [`LabelError::LineBreak`] for a name that cannot be one line of `classes.txt`.
    pub fn of(categories: &Categories) -> Result<Self> {
        let mut classes = Self { names: Vec::new(), numbers: Vec::new() };
        for (id, name) in categories.names().iter().enumerate() {
            if name.contains(['\n', '\r']) {
                return Err(LabelError::LineBreak { id, name: name.clone() }.into());
            }
            let is_class = !NO_CLASSES.contains(&name.as_str());
            classes.numbers.push(is_class.then_some(classes.names.len()));
            if is_class {
                classes.names.push(name.clone());
            }
        }
        Ok(classes)
    }

    /// The names in YOLO's order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// YOLO's number of a class id of the model; `None` for the background and unused ids.
    pub fn number(&self, label_id: usize) -> Option<usize> {
        self.numbers.get(label_id).copied().flatten()
    }

    /// The file `classes.txt`: a name a line, the first being class 0.
    pub fn to_text(&self) -> String {
        self.names.iter().map(|name| format!("{name}\n")).collect()
    }

    /// An image's file: a line a detection, best score first: class number, centre x, centre y, width and height of
    /// the box as shares of the image's sides (between 0 and 1, nine digits), and, if asked for, the score.
    ///
    /// Nothing found is an empty text. A detection of a class without a number is left out.
    pub fn lines(&self, found: &Detections, with_scores: bool) -> String {
        let [height, width] = found.image_size().map(|side| side as f64);
        let mut text = String::new();
        for one in found {
            let Some(number) = self.number(one.label_id) else { continue };
            let [x1, y1, x2, y2] = <[f32; 4]>::from(one.bounding_box).map(f64::from);
            let (x, y) = ((x1 + x2) / 2.0 / width, (y1 + y2) / 2.0 / height);
            let (w, h) = ((x2 - x1) / width, (y2 - y1) / height);
            write!(text, "{number} {x:.9} {y:.9} {w:.9} {h:.9}").expect("a text takes everything");
            if with_scores {
                write!(text, " {}", one.score).expect("a text takes everything");
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::postprocess::{Candidate, ScoredBox};

    #[test]
    fn boxes_are_shares_of_the_images_sides() {
        let names = ["__background__", "person", "N/A", "dog"];
        let categories = Categories::new(names).unwrap();
        let one = |label_id, score, corners: [f32; 4]| ScoredBox {
            bounding_box: corners.into(),
            label_id,
            candidate: Candidate { score, level: 0, index: 0 },
        };
        let boxes = [one(3, 0.75, [10.0, 0.0, 20.0, 40.0]), one(1, 0.5, [0.0, 0.0, 40.0, 80.0])];
        let classes = YoloClasses::of(&categories).unwrap();
        let found = Detections::new([80, 40], Arc::new(categories), &boxes).unwrap();
        assert_eq!(classes.to_text(), "person\ndog\n");
        assert_eq!(
            classes.lines(&found, true),
            "1 0.375000000 0.250000000 0.250000000 0.500000000 0.75\n\
             0 0.500000000 0.500000000 1.000000000 1.000000000 0.5\n"
        );
        assert!(
            classes
                .lines(&found, false)
                .starts_with("1 0.375000000 0.250000000 0.250000000 0.500000000\n")
        );
        assert_eq!(classes.lines(&found.above(0.9), true), "");
    }

    #[test]
    fn a_name_of_two_lines_is_refused() {
        let categories = Categories::new(["a\nb"]).unwrap();
        let error = YoloClasses::of(&categories).unwrap_err().to_string();
        assert!(error.contains(r#"category 0 is called "a\nb""#), "{error}");
    }
}
