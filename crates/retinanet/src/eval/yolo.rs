//! YOLO's text files as annotations.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::folder::{files_ending, read_small};
use super::{Annotation, CocoCategory, CocoImage, EvalError, GroundTruth};
use crate::Result;
use crate::error::YoloProblem;

/// What the list of classes is usually called.
const CLASSES: &str = "classes.txt";
/// How much of a value an error repeats, in characters.
const MAX_ECHO: usize = 40;

/// An image that YOLO's text files may be about; its size turns their shares into pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SizedImage {
    /// Its path below the images' folder, `/` between the parts.
    pub file_name: String,
    /// In pixels, upright.
    pub width: u64,
    /// In pixels, upright.
    pub height: u64,
}

/// Names of YOLO's classes, read from a file with one a line; the first is class 0. Empty lines may follow the last.
///
/// # Errors
/// [`EvalError::Yolo`] naming the line: no text, an empty name, a name twice, no name at all.
pub fn read_yolo_classes(path: impl AsRef<Path>) -> Result<Vec<String>> {
    let path = path.as_ref();
    let bytes = read_small(path)?;
    let refuse =
        |line: usize, problem| EvalError::Yolo { path: path.to_owned(), line: line + 1, problem };
    let lines: Vec<&[u8]> = lines(&bytes).collect();
    let last = lines.iter().rposition(|line| !line.is_empty());
    let last = last.ok_or_else(|| refuse(0, YoloProblem::NoClasses))?;
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut names = Vec::with_capacity(last + 1);
    for (number, line) in lines[..=last].iter().enumerate() {
        let name =
            std::str::from_utf8(line).map_err(|_| refuse(number, YoloProblem::NotText))?.trim();
        if name.is_empty() {
            return Err(refuse(number, YoloProblem::EmptyName).into());
        }
        if let Some(first) = seen.insert(name, number + 1) {
            let name = name.chars().take(MAX_ECHO).collect();
            return Err(refuse(number, YoloProblem::RepeatedName { name, first }).into());
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// Files of YOLO's text below `labels` that belong to none of the images; their images are missing.
///
/// # Errors
/// [`EvalError::Read`].
pub fn yolo_files_without_image(labels: &Path, images: &[SizedImage]) -> Result<Vec<PathBuf>> {
    let known: HashSet<PathBuf> = images.iter().map(|image| text_of(&image.file_name)).collect();
    let mut files = files_ending(labels, "txt")?;
    files.retain(|file| !known.contains(file) && file != Path::new(CLASSES));
    Ok(files)
}

impl GroundTruth {
    /// Reads YOLO's text files: for the image `a/1.jpg` the file `a/1.txt` below `labels`, with a line an object:
    /// class number, then centre x, centre y, width and height of its box as shares of the image's sides.
    ///
    /// An image without a file shows nothing, as in YOLO's own tools. Images, classes and annotations get the ids
    /// that counting gives them: images from 1 in their order, classes their number from 0, annotations from 1. An
    /// annotation's area is its box's, and none is a crowd: YOLO's text has no word for either.
    ///
    /// # Errors
    /// [`EvalError::Yolo`], naming file and line, for a line that is no such box (numbers that are not from 0 to 1,
    /// outlines, unknown classes); [`EvalError::NoAnnotations`] if not one image has a file.
    pub fn from_yolo(labels: &Path, classes: &[String], images: &[SizedImage]) -> Result<Self> {
        let mut listed = Vec::with_capacity(images.len());
        let mut annotations = Vec::new();
        let mut files = 0;
        for (image, id) in images.iter().zip(1..) {
            let SizedImage { file_name, width, height } = image;
            let (width, height) = (*width, *height);
            listed.push(CocoImage {
                id,
                file_name: file_name.clone(),
                width: Some(width),
                height: Some(height),
            });
            let path = labels.join(text_of(file_name));
            if !path.exists() {
                continue;
            }
            files += 1;
            for (number, line) in lines(&read_small(&path)?).enumerate() {
                let object = object(line, classes.len()).map_err(|problem| EvalError::Yolo {
                    path: path.clone(),
                    line: number + 1,
                    problem,
                })?;
                let Some((category_id, [x, y, w, h])) = object else { continue };
                let (width, height) = (width as f64, height as f64);
                let bbox = [(x - w / 2.0) * width, (y - h / 2.0) * height, w * width, h * height];
                annotations.push(Annotation {
                    id: annotations.len() as i64 + 1,
                    image_id: id,
                    category_id,
                    bbox,
                    area: bbox[2] * bbox[3],
                    iscrowd: false,
                });
            }
        }
        if files == 0 {
            let what = format!("YOLO text for any of {} images", images.len());
            let next = "a/1.jpg has its objects in a/1.txt, below this folder";
            return Err(EvalError::NoAnnotations { folder: labels.to_owned(), what, next }.into());
        }
        let categories = classes.iter().zip(0..);
        let categories = categories.map(|(name, id)| CocoCategory { id, name: name.clone() });
        Self::from_parts(listed, categories.collect(), annotations, &labels.to_string_lossy())
    }
}

/// The file of an image.
fn text_of(file_name: &str) -> PathBuf {
    Path::new(file_name).with_extension("txt")
}

/// Lines without their ends.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// A line's class and centre x, centre y, width, height; `None` for an empty line.
fn object(line: &[u8], known: usize) -> Result<Option<(i64, [f64; 4])>, YoloProblem> {
    const FIELDS: [&str; 4] = ["the centre's x", "the centre's y", "the width", "the height"];
    let line = std::str::from_utf8(line).map_err(|_| YoloProblem::NotText)?;
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [class, shares @ ..] = &fields[..] else { return Ok(None) };
    let Ok(shares) = <[&str; 4]>::try_from(shares) else {
        let count = fields.len();
        let hint = match count {
            6 => ": it looks like a detection with its score, which is no annotation",
            7.. => ": it looks like an outline or a turned box, and only upright boxes are read",
            _ => "",
        };
        return Err(YoloProblem::Fields { count, hint });
    };
    let echo = |value: &str| value.chars().take(MAX_ECHO).collect::<String>();
    let digits = class.bytes().all(|byte| byte.is_ascii_digit());
    let number = class.parse::<u64>().ok().filter(|_| digits);
    let number = number.ok_or_else(|| YoloProblem::Class { value: echo(class) })?;
    if number >= known as u64 {
        return Err(YoloProblem::UnknownClass { number, known });
    }
    let mut box_shares = [0.0; 4];
    for ((share, text), field) in box_shares.iter_mut().zip(shares).zip(FIELDS) {
        let value = text.parse::<f64>().ok().filter(|value| (0.0..=1.0).contains(value));
        *share = value.ok_or_else(|| YoloProblem::Share { field, value: echo(text) })?;
    }
    Ok(Some((number as i64, box_shares)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The problem of one label file with this content.
    fn told(content: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("1.txt"), content).unwrap();
        let images = [SizedImage { file_name: "1.jpg".to_owned(), width: 10, height: 10 }];
        let classes = ["cat".to_owned(), "dog".to_owned()];
        let truth = GroundTruth::from_yolo(folder.path(), &classes, &images);
        let error = truth.map(|truth| format!("{:?}", truth.annotations())).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("1.txt\", line "), "{error}");
        error
    }

    #[test]
    fn lines_that_are_no_boxes_are_refused_with_their_number() {
        for (line, part) in [
            ("0 0.5 0.5 0.5", "line 2: it has 4 fields, expected 5"),
            ("0 0.5 0.5 0.5 0.5 0.9", "a detection with its score"),
            ("0 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2", "an outline"),
            ("cat 0.5 0.5 0.5 0.5", "the class is \"cat\", expected its number"),
            ("-1 0.5 0.5 0.5 0.5", "the class is \"-1\""),
            ("+1 0.5 0.5 0.5 0.5", "the class is \"+1\""),
            ("1.0 0.5 0.5 0.5 0.5", "the class is \"1.0\""),
            ("99999999999999999999999 0.5 0.5 0.5 0.5", "the class is \"9999"),
            ("2 0.5 0.5 0.5 0.5", "the class is 2, but the list of classes has 2, 0 to 1"),
            ("0 NaN 0.5 0.5 0.5", "the centre's x is \"NaN\""),
            ("0 0.5 inf 0.5 0.5", "the centre's y is \"inf\""),
            ("0 0.5 0.5 320 0.5", "the width is \"320\", expected a number from 0 to 1"),
            ("0 0.5 0.5 0.5 -0.1", "the height is \"-0.1\""),
            ("0 0.5 0.5 0.5 1.01", "the height is \"1.01\""),
            ("0 0,5 0.5 0.5 0.5", "the centre's x is \"0,5\""),
        ] {
            let error = told(format!("1 0.5 0.5 1 1\n{line}\n").as_bytes());
            assert!(error.contains("line 2") && error.contains(part), "{line}: {error}");
        }
        assert!(told(b"\xff\xfe0\x000").contains("line 1: it is not UTF-8"));
        let long = format!("0 {}", "9".repeat(1 << 20));
        assert!(told(long.as_bytes()).len() < 400);
    }

    #[test]
    fn damaged_lines_are_read_or_refused_and_nothing_else() {
        let mut state = 0x9e37_79b9_u32;
        let mut next = |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % below
        };
        let (mut read, mut refused) = (0, 0);
        for _ in 0..50_000 {
            let mut line = b"1 0.5 0.25 0.5 1e-3".to_vec();
            for _ in 0..=next(3) {
                let place = next(line.len());
                line[place] = b"0123456789.eE+-naif \t\xff\x00"[next(23)];
            }
            match object(&line, 2) {
                Ok(Some((class, shares))) => {
                    assert!((0..2).contains(&class));
                    assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
                    read += 1;
                }
                Ok(None) => {}
                Err(problem) => {
                    assert!(!problem.to_string().is_empty());
                    refused += 1;
                }
            }
        }
        assert!(read > 1_000 && refused > 1_000, "{read} read, {refused} refused");
    }

    #[test]
    fn boxes_and_ids_are_those_of_the_same_annotations_as_json() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("a/1.txt"), "\u{feff}1 0.5 0.25 0.5 0.5\r\n\r\n")
            .unwrap();
        std::fs::write(folder.path().join("b.txt"), "0 0.5 0.5 1 1\n1\t0.125 0.125  0.25 0.25")
            .unwrap();
        std::fs::write(folder.path().join("gone.txt"), "").unwrap();
        std::fs::write(folder.path().join("classes.txt"), "cat\nsea lion\r\n\n").unwrap();
        let sized =
            |name: &str, width, height| SizedImage { file_name: name.to_owned(), width, height };
        let images = [sized("a/1.jpg", 40, 80), sized("b.png", 8, 8), sized("c.png", 8, 8)];
        let classes = read_yolo_classes(folder.path().join("classes.txt")).unwrap();
        let truth = GroundTruth::from_yolo(folder.path(), &classes, &images).unwrap();
        let json = br#"{"images": [{"id": 1, "file_name": "a/1.jpg", "width": 40, "height": 80},
            {"id": 2, "file_name": "b.png", "width": 8, "height": 8},
            {"id": 3, "file_name": "c.png", "width": 8, "height": 8}],
            "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "sea lion"}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 0, 20, 40]},
            {"id": 2, "image_id": 2, "category_id": 0, "bbox": [0, 0, 8, 8]},
            {"id": 3, "image_id": 2, "category_id": 1, "bbox": [0, 0, 2, 2]}]}"#;
        assert_eq!(truth, GroundTruth::from_json(json, "json").unwrap());
        let without = yolo_files_without_image(folder.path(), &images).unwrap();
        assert_eq!(without, [Path::new("gone.txt")]);
        let error = GroundTruth::from_yolo(folder.path(), &classes, &images[2..]).unwrap_err();
        assert!(error.to_string().contains("holds no YOLO text for any of 1 images"), "{error}");
    }

    #[test]
    fn a_list_of_classes_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("names.txt");
        for (content, part) in [
            (&b""[..], "line 1: the list of classes is empty"),
            (b"\n\n", "the list of classes is empty"),
            (b"cat\n\ndog\n", "line 2: it is empty"),
            (b"cat\ndog\ncat\n", "line 3: the class \"cat\" is listed before, as line 1"),
            (b"cat\n\xff\n", "line 2: it is not UTF-8"),
        ] {
            std::fs::write(&path, content).unwrap();
            let error = read_yolo_classes(&path).unwrap_err().to_string();
            assert!(error.contains("names.txt") && error.contains(part), "{error}");
        }
        assert!(read_yolo_classes(folder.path()).is_err());
    }
}
