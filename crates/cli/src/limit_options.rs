//! What an image may cost, as options.

use clap::Args;
use clap::builder::RangedU64ValueParser;
use retinanet::image::{DecodeLimits, DecodeOptions};

/// Limits of the images that are read; no answer depends on them, only whether there is one.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitOptions {
    /// The most pixels of an image, width times height; raise it for images that are to be trusted
    #[arg(long, value_name = "N", value_parser = positive())]
    #[arg(default_value_t = DecodeLimits::default().max_pixels)]
    pub max_pixels: u64,

    /// The largest image file, in bytes
    #[arg(long, value_name = "N", value_parser = positive())]
    #[arg(default_value_t = DecodeLimits::default().max_file_bytes)]
    pub max_file_bytes: u64,

    /// The most memory that decoding an image may take, in bytes
    #[arg(long, value_name = "N", value_parser = positive())]
    #[arg(default_value_t = DecodeLimits::default().max_memory_bytes)]
    pub max_decode_memory: u64,
}

impl LimitOptions {
    /// As the library has them.
    pub fn limits(&self) -> DecodeLimits {
        DecodeLimits {
            max_file_bytes: self.max_file_bytes,
            max_pixels: self.max_pixels,
            max_memory_bytes: self.max_decode_memory,
        }
    }

    /// Everything else about decoding is the default.
    pub fn decode(&self) -> DecodeOptions {
        DecodeOptions { limits: self.limits(), ..DecodeOptions::default() }
    }
}

fn positive() -> RangedU64ValueParser {
    clap::value_parser!(u64).range(1..)
}
