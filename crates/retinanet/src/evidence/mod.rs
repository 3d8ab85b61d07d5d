//! Evidence for folders: a log of one line an image, chained by hashes, that anyone can re-run.
//!
//! # The file
//!
//! A log is text, one JSON object a line:
//! - the first line, [`LogHeader`], holds what all images have in common and what decides their bits: numerics and
//!   versions, the weights' SHA-256, configuration, class names, mode, and the list of names (its length and digest);
//! - then a line an image, [`LogLine`], in the order of the list: name, the file's length and SHA-256, and either the
//!   digest of every stage up to the detections or the error;
//! - the last line counts the images.
//!
//! Every line but the first has `previous`: the SHA-256 of the line before, its newline included. The *head* is the
//! SHA-256 of the last line; `tail -n 1 LOG | sha256sum` prints it. It stands for the whole log.
//!
//! # What a log does not depend on
//!
//! Neither threads, workers, groups and interruptions nor the machine and the folder in which it was made change a
//! byte: the environment is no part of it. A [`Shard`](crate::data::Shard)'s log is a chain of its own, and
//! [`merge`] checks each, takes the lines in the order of the list and chains them anew, so that the log, and the head,
//! are those of an unsharded run. Where the pictures and weights lay is kept beside it (`LOG.where.json`), as a hint.
//!
//! Lines can also be made one by one, anywhere, and be put together later: a worker of a cluster answers a
//! [`LooseLine`], and [`assemble`] writes the log. It, too, is the one that a single run would have written.
//!
//! # What is found, and by what
//!
//! [`Log::open`] finds a line that was removed, added, altered, moved or cut, by the chain, the count and the list's
//! digest. Who rewrites the whole chain leaves a sound log, but another head: compare it with the one that was
//! printed, or have it signed. [`Log::verify`] re-runs images, all or a [`Sample`] that the head itself chooses, and
//! names the first stage that differs.
//!
//! ```no_run
//! use retinanet::Detector;
//! use retinanet::batch::{Batch, BatchConfig};
//! use retinanet::data::Listing;
//! use retinanet::evidence::{Log, RerunConfig, Sample};
//!
//! let detector = Detector::builder().weights("person_r18.safetensors").build()?;
//! let config = BatchConfig { receipts: Some("log.jsonl".into()), ..BatchConfig::default() };
//! let summary = Batch::new(&detector, Listing::of(&["photos"])?, config)?.run(
//!     "results.jsonl".as_ref(),
//!     |_answer| Ok::<(), retinanet::Error>(()),
//!     |_progress| std::ops::ControlFlow::Continue(()),
//! )?;
//! println!("{:?}", summary.log.map(|log| log.head));
//!
//! let log = Log::open("log.jsonl")?;
//! let some = "1%".parse::<Sample>()?.choose(log.head(), "", log.len());
//! let verification = log.verify(Detector::builder(), &some, &RerunConfig::default(), |_| ())?;
//! assert!(verification.is_same(), "{verification}");
//! # Ok::<(), retinanet::Error>(())
//! ```

mod assemble;
mod chain;
mod difference;
mod file;
mod header;
mod kept;
mod line;
mod lines;
mod loose;
mod merge;
mod place;
mod rerun;
mod sample;
mod scan;
#[cfg(test)]
mod tests;
mod verification;
mod whereabouts;
mod writer;

pub use crate::error::EvidenceError;
pub use assemble::assemble;
pub(crate) use difference::first_difference;
pub(crate) use file::open_on_record;
pub use header::LogHeader;
pub use line::{Answered, FileRecord, LogLine};
pub use loose::LooseLine;
pub use merge::merge;
pub use rerun::{RerunConfig, RerunProgress};
pub use sample::Sample;
pub use scan::{Log, is_log};
pub use verification::{LineDifference, LogVerification, LoggedDifference};
pub(crate) use whereabouts::leave_hint;
pub use writer::LogSummary;
pub(crate) use writer::LogWriter;
