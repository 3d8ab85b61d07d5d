//! Annotations, and detections to be scored.

use super::{VocProblem, YoloProblem};

/// Annotations cannot be read, or detections do not fit them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// The file cannot be read.
    #[error("cannot read {path:?}: {source}; give the path of a COCO file")]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is larger than any annotations file.
    #[error("{path:?} has more than {limit} bytes, the most that are accepted")]
    FileTooLarge {
        /// The file.
        path: std::path::PathBuf,
        /// The limit.
        limit: u64,
    },
    /// The file is not COCO's JSON.
    #[error(
        "{name:?} is not a COCO annotations file (an object with `images`, `annotations` and `categories`): {reason}"
    )]
    Format {
        /// The file.
        name: String,
        /// Where it departs, and how.
        reason: String,
    },
    /// The file is not COCO's list of results.
    #[error(
        "{path:?} is not a COCO results file (a list of `image_id`, `category_id`, `bbox`, `score`): {reason}"
    )]
    Results {
        /// The file.
        path: std::path::PathBuf,
        /// Where it departs, and how.
        reason: String,
    },
    /// A line of YOLO's text, or a file of it, that cannot be used.
    #[error("{path:?}, line {line}: {problem}")]
    Yolo {
        /// The file.
        path: std::path::PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: YoloProblem,
    },
    /// A Pascal VOC file that cannot be used.
    #[error("{path:?}, line {line}: {problem}")]
    Voc {
        /// The file.
        path: std::path::PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        problem: VocProblem,
    },
    /// A folder of annotations that holds none for any image.
    #[error("{folder:?} holds no {what}; {next}")]
    NoAnnotations {
        /// The folder.
        folder: std::path::PathBuf,
        /// What was looked for.
        what: String,
        /// What to do.
        next: &'static str,
    },
    /// Two entries share an id.
    #[error("{name:?}: two {list} have the id {id}; ids must differ")]
    RepeatedId {
        /// The file.
        name: String,
        /// `images`, `annotations` or `categories`.
        list: &'static str,
        /// The id.
        id: i64,
    },
    /// An annotation is of an image or category that the file does not list.
    #[error("{name:?}: annotation {id} is of {kind} {target}, which the file does not list")]
    Dangling {
        /// The file.
        name: String,
        /// The annotation's id.
        id: i64,
        /// `image` or `category`.
        kind: &'static str,
        /// The id it names.
        target: i64,
    },
    /// An annotation whose numbers make no box.
    #[error("{name:?}: annotation {id} has {field} {value}; {needs}")]
    Value {
        /// The file.
        name: String,
        /// The annotation's id.
        id: i64,
        /// The field.
        field: &'static str,
        /// What it holds.
        value: String,
        /// What it must hold.
        needs: &'static str,
    },
    /// An image's file name that does not stay in the images' folder.
    #[error(
        "image {id} has the file name {file_name:?}, which is not a path inside the images' folder"
    )]
    FileName {
        /// The image's id.
        id: i64,
        /// Its file name.
        file_name: String,
    },
    /// An image on disk is not the one that was annotated.
    #[error(
        "{path:?} is {width} x {height}, but its annotations are for {annotated_width} x {annotated_height}; is this the right folder?"
    )]
    ImageSize {
        /// The file.
        path: std::path::PathBuf,
        /// Its width.
        width: usize,
        /// Its height.
        height: usize,
        /// The width annotated.
        annotated_width: u64,
        /// The height annotated.
        annotated_height: u64,
    },
    /// A name shared by several of the file's categories, so that a label cannot be matched to it.
    #[error("categories {first} and {second} of the annotations are both called {name:?}")]
    AmbiguousCategory {
        /// The name.
        name: String,
        /// One id.
        first: i64,
        /// Another.
        second: i64,
    },
    /// No label of the model is a category of the annotations.
    #[error(
        "none of the model's labels is a category of the annotations: the model knows {model}, the annotations {annotations}; names must be equal"
    )]
    NoCommonCategory {
        /// The model's first labels.
        model: String,
        /// The annotations' first categories.
        annotations: String,
    },
    /// Asked for an image or category that is not there.
    #[error("the annotations list no {kind} {target}")]
    Unlisted {
        /// `image` or `category`.
        kind: &'static str,
        /// Its id or name.
        target: String,
    },
    /// A detection that cannot be scored.
    #[error("detection {index}: {field} is {value}; {needs}")]
    Detection {
        /// Its place in the list.
        index: usize,
        /// The field.
        field: &'static str,
        /// What it holds.
        value: String,
        /// What it must hold.
        needs: &'static str,
    },
}
