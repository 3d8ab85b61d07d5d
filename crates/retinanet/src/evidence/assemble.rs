//! Putting lines that were made elsewhere together into the log that a single run would have written.

use std::path::Path;

use super::EvidenceError;
use super::chain::{check_free, write_chained};
use super::header::LogHeader;
use super::line::LogLine;
use super::loose::LooseLine;
use super::whereabouts::leave_hint;
use super::writer::LogSummary;
use crate::data::{Listing, Shard};
use crate::{Detector, Error, Result};

/// Writes the lines of all images of `listing`, in its order, as a log: byte for byte, and so with the same head, the
/// one that [`Batch`](crate::batch::Batch) writes. It appears whole or not at all; where the images and the weights are
/// is left beside it as a hint.
///
/// `detector` computes nothing here: it says what the lines must have been made with. Lines are taken one by one;
/// memory does not grow with their number.
///
/// ```no_run
/// use retinanet::Detector;
/// use retinanet::data::Listing;
/// use retinanet::evidence::{LooseLine, assemble};
/// use retinanet::image::DecodeLimits;
///
/// let detector = Detector::builder().weights("person_r18.safetensors").build()?;
/// let photos = Listing::of(&["photos"])?;
/// // In a cluster, on many machines.
/// let lines = (0..photos.len()).map(|index| {
///     let (path, name) = (photos.path(index), photos.name(index));
///     let (line, _found) = LooseLine::record(&detector, path, &name, &DecodeLimits::default())?;
///     Ok::<_, retinanet::Error>(line)
/// });
/// let summary = assemble("log.jsonl".as_ref(), &detector, &photos, lines, false)?;
/// println!("{}", summary.head);
/// # Ok::<(), retinanet::Error>(())
/// ```
///
/// # Errors
/// [`EvidenceError::Unfit`]: a line about another image than the list has there, of another detector, one too few or
/// too many. [`BatchError::Exists`](crate::batch::BatchError::Exists): an output that is there, unless `overwrite`.
/// [`Error::Write`](crate::Error::Write). The first error among the lines. Nothing is written then.
pub fn assemble<E: From<Error>>(
    out: &Path,
    detector: &Detector,
    listing: &Listing,
    lines: impl IntoIterator<Item = Result<LooseLine, E>>,
    overwrite: bool,
) -> Result<LogSummary, E> {
    check_free(out, overwrite)?;
    let header = LogHeader::of(detector, listing, Shard::default())?;
    let made_with = LogHeader::made_with(detector)?;
    let mut lines = lines.into_iter();
    let mut place = 0;
    let mut foreign = None;
    let fitting = std::iter::from_fn(|| {
        let unfit = |reason: String| EvidenceError::Unfit {
            path: out.to_owned(),
            // After the header.
            line: place + 2,
            reason,
        };
        let fit = |line: LooseLine| -> Result<LogLine, EvidenceError> {
            if place == listing.len() {
                let count = listing.len();
                return Err(unfit(format!("it is about one image more than the {count} listed")));
            }
            let (found, expected) = (&line.line.image, listing.name(place));
            if *found != expected {
                let reason = format!(
                    "it is about {found:?}, expected {expected:?}; give the lines in the order of the list"
                );
                return Err(unfit(reason));
            }
            if line.made_with != made_with {
                let reason = format!(
                    "what {found:?} was detected with (weights, configuration, categories, mode or version) is not \
                     this detector's; detect again, by workers that all have the same"
                );
                return Err(unfit(reason));
            }
            Ok(line.line)
        };
        let fitted = match lines.next() {
            Some(Ok(line)) => fit(line),
            // It is told as it is, below.
            Some(Err(error)) => {
                foreign = Some(error);
                Err(unfit("it is an error".to_owned()))
            }
            None if place < listing.len() => Err(unfit(format!(
                "there is none about {:?}, image {} of {}",
                listing.name(place),
                place + 1,
                listing.len()
            ))),
            None => return None,
        };
        place += 1;
        Some(fitted.map_err(Error::from))
    });
    let written = write_chained(out, &header, fitting);
    if let Some(error) = foreign {
        return Err(error);
    }
    let summary = written?;
    leave_hint(out, listing.root(), detector)?;
    Ok(summary)
}
