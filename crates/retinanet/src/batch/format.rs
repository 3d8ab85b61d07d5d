//! The forms of an output file. In all, every image has lines of its own, in input order.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::csv::{self, FirstRow};
use super::record::Record;
use crate::Result;
use crate::detection::Detections;
use crate::eval::CocoDetection;

/// How results are written.
///
/// - [`Jsonl`](Self::Jsonl): one [`Record`] a line, and nothing else.
/// - [`Csv`](Self::Csv): a row with the columns' names ([`Record::CSV_HEADER`]), then [`Record::to_csv`] of each image: a
///   row a detection, or one row for an image without any and for one that failed.
/// - [`Coco`](Self::Coco): COCO's results: one array of `{image_id, category_id, bbox: [x, y, width, height], score}`, as
///   pycocotools' `loadRes` reads it: [`CocoDetection`]s, to the bit those that [`eval`](crate::eval) scores.
///   `image_id` and `category_id` are those that the annotations give to the image's and the label's name, or else
///   the index in the list, from 0, and the model's class id. The first line is `[`, the last
///   `]`; each line between holds the detections of one image: none for an image without any, a single space
///   for one that failed (COCO has no place for errors).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// A record a line.
    #[default]
    Jsonl,
    /// COCO results.
    Coco,
    /// A row a detection.
    Csv,
}

/// Stands for a failed image where there is no place for its error.
const FAILED: &str = " ";

/// What a line says about its image.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LineContent<'a> {
    /// Where the format has it.
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) failed: bool,
    /// The line without what depends on the lines before.
    pub(super) body: &'a [u8],
}

#[derive(Deserialize)]
struct JsonlLine<'a> {
    #[serde(borrow)]
    image: Cow<'a, str>,
    error: Option<IgnoredAny>,
}

impl Format {
    /// The file's first bytes.
    pub(super) fn header(self) -> &'static [u8] {
        match self {
            Self::Jsonl => b"",
            Self::Coco => b"[\n",
            Self::Csv => csv::HEADER.as_bytes(),
        }
    }

    /// The file's last bytes.
    pub(super) fn footer(self) -> &'static [u8] {
        match self {
            Self::Jsonl | Self::Csv => b"",
            Self::Coco => b"]\n",
        }
    }

    /// The line of an image that has an answer, to be completed by [`Joiner::line`].
    pub(super) fn found(
        self,
        name: &str,
        found: &Detections,
        results: impl FnOnce() -> Vec<CocoDetection>,
    ) -> Result<String> {
        let json = |result| serde_json::to_string(result).expect("a result has string keys only");
        match self {
            Self::Jsonl => Ok(Record::found(name, found)?.to_json()),
            Self::Csv => Ok(Record::found(name, found)?.to_csv()),
            Self::Coco => Ok(results().iter().map(json).collect::<Vec<_>>().join(",")),
        }
    }

    /// The line of an image without an answer, to be completed by [`Joiner::line`].
    pub(super) fn failed(self, name: &str, error: &str) -> String {
        match self {
            Self::Jsonl => Record::failed(name, error).to_json(),
            Self::Csv => Record::failed(name, error).to_csv(),
            Self::Coco => FAILED.to_owned(),
        }
    }

    /// Reads an image's lines, without the last newline, back.
    pub(super) fn parse(self, line: &[u8]) -> Result<LineContent<'_>, String> {
        match self {
            Self::Jsonl => {
                let parsed: JsonlLine<'_> = serde_json::from_slice(line)
                    .map_err(|error| format!("is no record: {error}"))?;
                Ok(LineContent {
                    name: Some(parsed.image),
                    failed: parsed.error.is_some(),
                    body: line,
                })
            }
            Self::Csv => {
                let FirstRow { image, failed, .. } = csv::first_row(line)?;
                Ok(LineContent { name: Some(Cow::Owned(image)), failed, body: line })
            }
            Self::Coco => {
                let body = line.strip_prefix(b",").unwrap_or(line);
                let failed = body == FAILED.as_bytes();
                let results = body.starts_with(b"{\"image_id\":") && body.ends_with(b"}");
                if !failed && !body.is_empty() && !results {
                    return Err("is no image's results".to_owned());
                }
                Ok(LineContent { name: None, failed, body })
            }
        }
    }
}

/// Completes lines with what depends on the lines before them.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    results_before: bool,
}

impl Joiner {
    /// The whole line of a body, with its newline.
    pub(super) fn line(&mut self, format: Format, body: &[u8]) -> Vec<u8> {
        let results = format == Format::Coco && !body.is_empty() && body != FAILED.as_bytes();
        let mut line = Vec::with_capacity(body.len() + 2);
        if results && self.results_before {
            line.push(b',');
        }
        self.results_before |= results;
        line.extend_from_slice(body);
        line.push(b'\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Categories;
    use crate::postprocess::{Candidate, ScoredBox};

    fn found(format: Format, count: usize, image_id: i64) -> String {
        let one = ScoredBox {
            bounding_box: [1.5, 2.0, 4.0, 8.0].into(),
            label_id: 1,
            candidate: Candidate { score: 0.25, level: 0, index: 0 },
        };
        let boxes = vec![one; count];
        let detections = Detections::new([10, 20], Categories::coco_v1().into(), &boxes).unwrap();
        let result = |one| CocoDetection::new(image_id, 1, one);
        format.found("1.jpg", &detections, || detections.iter().map(result).collect()).unwrap()
    }

    #[test]
    fn coco_lines_are_one_json_array_whatever_is_empty() {
        for counts in [vec![0, 2, 0, 1], vec![1, 1], vec![0, 0], vec![]] {
            let mut joiner = Joiner::default();
            let mut file = Format::Coco.header().to_vec();
            for (id, &count) in counts.iter().enumerate() {
                let body = found(Format::Coco, count, id as i64);
                let line = joiner.line(Format::Coco, body.as_bytes());
                let parsed = Format::Coco.parse(&line[..line.len() - 1]).unwrap();
                assert_eq!((parsed.body, parsed.failed), (body.as_bytes(), false));
                file.extend(line);
            }
            let failed = Format::Coco.failed("2.jpg", "broken");
            assert!(Format::Coco.parse(failed.as_bytes()).unwrap().failed);
            file.extend(joiner.line(Format::Coco, failed.as_bytes()));
            file.extend(Format::Coco.footer());
            let array: Vec<serde_json::Value> = serde_json::from_slice(&file).unwrap();
            assert_eq!(array.len(), counts.iter().sum::<usize>());
            if let Some(first) = array.first() {
                assert_eq!(first["bbox"], serde_json::json!([1.5, 2.0, 2.5, 6.0]));
                assert_eq!((&first["category_id"], &first["score"]), (&1.into(), &0.25.into()));
            }
        }
    }

    #[test]
    fn a_csv_file_begins_with_the_names_of_its_columns() {
        assert_eq!(Format::Csv.header(), format!("{}\n", Record::CSV_HEADER).as_bytes());
        let rows = found(Format::Csv, 2, 0);
        let parsed = Format::Csv.parse(rows.as_bytes()).unwrap();
        assert_eq!((parsed.name.as_deref(), parsed.failed), (Some("1.jpg"), false));
        assert_eq!(
            Joiner::default().line(Format::Csv, rows.as_bytes()),
            format!("{rows}\n").as_bytes()
        );
    }

    #[test]
    fn jsonl_lines_tell_name_and_failure() {
        let json = found(Format::Jsonl, 1, 0);
        let parsed = Format::Jsonl.parse(json.as_bytes()).unwrap();
        assert_eq!((parsed.name.as_deref(), parsed.failed), (Some("1.jpg"), false));
        let json = Format::Jsonl.failed("a\"b", "broken");
        let parsed = Format::Jsonl.parse(json.as_bytes()).unwrap();
        assert_eq!((parsed.name.as_deref(), parsed.failed), (Some("a\"b"), true));
        assert!(Format::Jsonl.parse(b"{}").is_err());
        assert!(Format::Coco.parse(b"hello").is_err());
    }
}
