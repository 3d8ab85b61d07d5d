//! What is wrong with a line of YOLO's text or with a Pascal VOC file.

/// What is wrong with a line of YOLO's text, or with a list of classes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum YoloProblem {
    /// Not five numbers.
    #[error("it has {count} fields, expected 5 (class, centre x, centre y, width, height){hint}")]
    Fields {
        /// How many there are.
        count: usize,
        /// What such a line usually is.
        hint: &'static str,
    },
    /// A class that is no number from 0.
    #[error("the class is {value:?}, expected its number, from 0")]
    Class {
        /// What is there.
        value: String,
    },
    /// A class past the end of the list.
    #[error("the class is {number}, but the list of classes has {known}, 0 to {}; is it another model's list?", known.saturating_sub(1))]
    UnknownClass {
        /// Its number.
        number: u64,
        /// How many classes there are.
        known: usize,
    },
    /// A coordinate that is no share of a side.
    #[error(
        "{field} is {value:?}, expected a number from 0 to 1: a share of the image's side, not pixels"
    )]
    Share {
        /// Which one.
        field: &'static str,
        /// What is there.
        value: String,
    },
    /// Bytes that are no text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// A class without a name.
    #[error("it is empty, expected a class's name: each line is a class, the first is class 0")]
    EmptyName,
    /// A list of classes without any.
    #[error("the list of classes is empty; write one name a line")]
    NoClasses,
    /// Two classes of one name, so that no label of a model could be matched to either.
    #[error("the class {name:?} is listed before, as line {first}; names must differ")]
    RepeatedName {
        /// The name.
        name: String,
        /// The line it was first seen on.
        first: usize,
    },
}

/// What is wrong with a Pascal VOC file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VocProblem {
    /// Not XML, or XML with what is not read for safety: a document type, and with it all entities of its own.
    #[error("it is not XML that is read: {reason}")]
    Xml {
        /// What the parser said.
        reason: String,
    },
    /// The outermost element is another one.
    #[error("the outermost element is <{found}>, expected <annotation>")]
    Root {
        /// Its name.
        found: String,
    },
    /// An element that is not there.
    #[error("<{parent}> has no <{element}>")]
    Missing {
        /// What lacks it.
        parent: &'static str,
        /// What is not there.
        element: &'static str,
    },
    /// An element that is there twice.
    #[error("<{parent}> has <{element}> twice")]
    Repeated {
        /// What holds both.
        parent: &'static str,
        /// The element.
        element: &'static str,
    },
    /// A text that has to be a number, a name or a flag.
    #[error("<{element}> is {value:?}, expected {needs}")]
    Value {
        /// The element.
        element: &'static str,
        /// What is there.
        value: String,
        /// What must be there.
        needs: &'static str,
    },
    /// A box that is none, or not in the image.
    #[error(
        "the box ({corners}) is not in an image of {width} x {height} pixels counted from {origin}{hint}"
    )]
    Box {
        /// xmin, ymin, xmax, ymax.
        corners: String,
        /// The image's width.
        width: u64,
        /// The image's height.
        height: u64,
        /// What the first pixel is called.
        origin: u8,
        /// What to try.
        hint: &'static str,
    },
    /// Two files about one image.
    #[error("the image {file_name:?} has annotations in {other:?}, too")]
    Twice {
        /// The image.
        file_name: String,
        /// The other file.
        other: std::path::PathBuf,
    },
}
