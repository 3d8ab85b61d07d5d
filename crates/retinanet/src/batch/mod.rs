//! Detection over any number of images: results in input order, resumable, shardable.
//!
//! A [`Batch`] writes one file in one of three [`Format`]s, image after image, and beside it (`OUT.run.json`) what
//! decides its bytes: configuration, weights, versions, list of names, shard. A run that ended early, by a
//! kill or a crash at any point, is continued from its last whole line ([`Existing::Resume`]) if all of
//! that is the same; [`merge`] joins the files of all [`Shard`](crate::data::Shard)s. The bytes are the same whatever the number of
//! shards, workers, threads or interruptions.

mod coco_ids;
mod csv;
mod files;
mod format;
mod identity;
mod merge;
mod output;
mod record;
mod run;
mod traced;

pub use crate::error::BatchError;
pub use format::Format;
pub use merge::merge;
pub use output::Existing;
pub use record::{Record, RecordDetection};
pub use run::{Answer, Batch, BatchConfig, Progress, Summary};
