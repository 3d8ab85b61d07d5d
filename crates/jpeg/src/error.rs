//! What can go wrong.

/// A JPEG could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The first bytes are not a JPEG's.
    #[error("the data do not start with a JPEG's start-of-image marker; check the file's format")]
    NotJpeg,
    /// The data end before the image does.
    #[error(
        "the JPEG is cut short; download or copy it again (`Options::accept_truncated` decodes what is there)"
    )]
    Truncated,
    /// A segment, a table or a scan header breaks the rules, and libjpeg refuses it as well.
    #[error("the JPEG is damaged: {what}; download or copy it again")]
    Damaged {
        /// The rule that is broken.
        what: &'static str,
    },
    /// A kind of JPEG that is not decoded here.
    #[error(
        "{what} JPEGs are not decoded; convert the image to a baseline or progressive JPEG of 8 bits"
    )]
    Unsupported {
        /// The kind.
        what: &'static str,
    },
    /// The header promises more pixels than the limit allows.
    #[error(
        "the JPEG has {width} x {height} pixels, more than {limit}; raise `Options::max_pixels` if it is to be trusted"
    )]
    TooManyPixels {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
        /// The limit.
        limit: u64,
    },
    /// Decoding would take more memory than the limit allows.
    #[error(
        "decoding the JPEG takes {needed} bytes, more than {limit}; raise `Options::max_memory_bytes` if it is to be \
         trusted"
    )]
    TooMuchMemory {
        /// What decoding takes.
        needed: u64,
        /// The limit.
        limit: u64,
    },
    /// More scans than the limit allows: each may cost a pass over the whole image.
    #[error(
        "the JPEG has more than {limit} scans; raise `Options::max_scans` if it is to be trusted"
    )]
    TooManyScans {
        /// The limit.
        limit: u32,
    },
}

/// What libjpeg warns of and goes on: the pixels are still those it makes, but some are made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// A bit pattern that is no code of the Huffman table; it counts as a zero.
    BadHuffmanCode,
    /// A marker came before the scan's last block; what is missing stays zero, which is grey.
    ScanEndsEarly,
    /// A restart marker is missing or out of place.
    RestartOutOfPlace,
    /// The file ended early and [`accept_truncated`](crate::Options::accept_truncated) let it.
    Truncated,
}
