//! One image's answer as rows of CSV, quoted as RFC 4180 says.

use super::record::Record;

/// The first row, with its newline. `detections` is how many rows the image has; it is empty for an image that
/// failed, and 0 for one that shows nothing: both have one row with nothing in the columns of a detection.
pub(super) const HEADER: &str = "image,label_id,label,score,x1,y1,x2,y2,detections,error\n";
/// How many columns there are.
const COLUMNS: usize = 10;

impl Record {
    /// The columns' names: the first row of a CSV file of records, without its newline.
    pub const CSV_HEADER: &str = HEADER.split_at(HEADER.len() - 1).0;

    /// The record's rows of CSV, without the last newline: one a detection, or a single row with the count 0 or with
    /// the error. Numbers have the digits that [`to_json`](Self::to_json) gives them.
    pub fn to_csv(&self) -> String {
        match self {
            Self::Failed { image, error } => format!("{},,,,,,,,,{}", quoted(image), quoted(error)),
            Self::Found { image, detections, .. } if detections.is_empty() => {
                format!("{},,,,,,,,0,", quoted(image))
            }
            Self::Found { image, detections, .. } => {
                let row = |[id, label, numbers]: [String; 3]| {
                    format!(
                        "{},{id},{},{numbers},{},",
                        quoted(image),
                        quoted(&label),
                        detections.len()
                    )
                };
                let rows = detections.iter().map(|one| row(one.csv_fields()));
                rows.collect::<Vec<_>>().join("\n")
            }
        }
    }
}

/// A field, in quotes where it has to be: a space at either end would be lost by some readers, too.
fn quoted(text: &str) -> String {
    let plain = !text.contains(['"', ',', '\n', '\r']) && text.trim() == text;
    if plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

/// Rows that belong to one image, as its lines are read one by one.
#[derive(Debug, Default)]
pub(super) struct ImageRows {
    /// How many rows the first one announces; known after it.
    expected: Option<usize>,
    rows: usize,
    in_quotes: bool,
    row: Vec<u8>,
}

impl ImageRows {
    /// Takes the next line, without its newline; whether the image's rows are all there.
    pub(super) fn take(&mut self, line: &[u8]) -> Result<bool, String> {
        let quotes = line.iter().filter(|&&byte| byte == b'"').count();
        self.in_quotes ^= quotes % 2 == 1;
        if self.expected.is_none() {
            self.row.extend_from_slice(line);
        }
        if self.in_quotes {
            self.row.push(b'\n');
            return Ok(false);
        }
        self.rows += 1;
        let expected = match self.expected {
            Some(expected) => expected,
            None => *self.expected.insert(first_row(&self.row)?.rows),
        };
        Ok(self.rows >= expected)
    }
}

/// What an image's first row says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FirstRow {
    pub(super) image: String,
    pub(super) failed: bool,
    /// How many rows the image has.
    rows: usize,
}

/// Reads the first of an image's rows.
pub(super) fn first_row(rows: &[u8]) -> Result<FirstRow, String> {
    let text = std::str::from_utf8(rows).map_err(|_| "is not UTF-8".to_owned())?;
    let fields = fields_of_first_row(text)?;
    let [image, .., count, error] = &fields[..] else { return Err("is no row".to_owned()) };
    let failed = count.is_empty();
    if failed == error.is_empty() {
        return Err("has neither a number of detections nor an error, or both".to_owned());
    }
    let rows = match failed {
        true => 1,
        false => count.parse::<usize>().map_err(|_| format!("has {count:?} detections"))?.max(1),
    };
    Ok(FirstRow { image: image.clone(), failed, rows })
}

fn fields_of_first_row(text: &str) -> Result<Vec<String>, String> {
    let mut fields = vec![String::new()];
    let mut chars = text.chars().peekable();
    let mut in_quotes = false;
    while let Some(c) = chars.next() {
        match c {
            '"' if in_quotes && chars.peek() == Some(&'"') => {
                chars.next();
                fields.last_mut().expect("never empty").push('"');
            }
            '"' => in_quotes = !in_quotes,
            ',' if !in_quotes => fields.push(String::new()),
            '\n' if !in_quotes => break,
            c => fields.last_mut().expect("never empty").push(c),
        }
    }
    match (in_quotes, fields.len()) {
        (false, COLUMNS) => Ok(fields),
        (true, _) => Err("ends inside quotes".to_owned()),
        (false, count) => Err(format!("has {count} fields, expected {COLUMNS}")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::detection::Detections;
    use crate::labels::Categories;
    use crate::postprocess::{Candidate, ScoredBox};

    fn record(image: &str, scores: &[f32]) -> Record {
        let one = |&score: &f32| ScoredBox {
            bounding_box: [1.5, 0.1, 4.0, 8.0].into(),
            label_id: 1,
            candidate: Candidate { score, level: 0, index: 0 },
        };
        let categories = Categories::new(["__background__", "wine, \"red\""]).unwrap();
        let boxes: Vec<ScoredBox> = scores.iter().map(one).collect();
        Record::found(image, &Detections::new([10, 20], Arc::new(categories), &boxes).unwrap())
            .unwrap()
    }

    /// Feeds lines until the image is whole; how many lines that took.
    fn lines_taken(text: &str) -> usize {
        let mut rows = ImageRows::default();
        let mut lines = text.split('\n');
        let mut taken = 0;
        while !rows.take(lines.next().expect("the rows are all there").as_bytes()).unwrap() {
            taken += 1;
        }
        assert_eq!(lines.next(), None, "{text}");
        taken + 1
    }

    #[test]
    fn a_detection_is_a_row_and_names_are_quoted() {
        assert_eq!(
            record("a.png", &[0.75, 0.1]).to_csv(),
            "a.png,1,\"wine, \"\"red\"\"\",0.75,1.5,0.1,4.0,8.0,2,\n\
             a.png,1,\"wine, \"\"red\"\"\",0.1,1.5,0.1,4.0,8.0,2,"
        );
        assert_eq!(record("a,\"b\".png", &[]).to_csv(), "\"a,\"\"b\"\".png\",,,,,,,,0,");
        assert_eq!(Record::failed("a.png", "no, way").to_csv(), "a.png,,,,,,,,,\"no, way\"");
        assert_eq!(Record::CSV_HEADER.split(',').count(), COLUMNS);
        assert_eq!(
            HEADER,
            format!(
                "{}
",
                Record::CSV_HEADER
            )
        );
    }

    #[test]
    fn an_images_rows_are_told_apart_from_the_next_ones() {
        for name in ["a.png", "line\nbreak, \"quoted\"\n.png", " ", "\"", "a\r"] {
            for scores in [&[][..], &[0.5], &[0.5, 0.4, 0.3]] {
                let text = record(name, scores).to_csv();
                let breaks = name.matches('\n').count();
                assert_eq!(lines_taken(&text), scores.len().max(1) * (1 + breaks), "{text:?}");
                let first = first_row(text.as_bytes()).unwrap();
                assert_eq!((first.image.as_str(), first.failed), (name, false));
            }
            let text = Record::failed(name, "broken\nreally").to_csv();
            lines_taken(&text);
            let first = first_row(text.as_bytes()).unwrap();
            assert_eq!((first.image.as_str(), first.failed), (name, true));
        }
    }

    #[test]
    fn rows_that_are_none_are_refused() {
        for (row, part) in [
            ("a.png", "has 1 fields, expected 10"),
            ("a.png,,,,,,,,,", "neither"),
            ("a.png,,,,,,,,1,broken", "or both"),
            ("a.png,,,,,,,,-1,", "has \"-1\" detections"),
            ("\"a.png,,,,,,,,1,", "ends inside quotes"),
        ] {
            let error = first_row(row.as_bytes()).unwrap_err();
            assert!(error.contains(part), "{row}: {error}");
        }
        assert!(first_row(b"\xff,,,,,,,,0,").unwrap_err().contains("UTF-8"));
        assert!(ImageRows::default().take(b"a.png").is_err());
    }
}
