//! What a user of the command has where the library's messages name a part of the library.

/// What the library's messages advise, and what stands in its place.
const ADVICE: [(&str, &str); 5] = [
    ("`DecodeLimits::max_file_bytes`", "`--max-file-bytes`"),
    ("`DecodeLimits::max_pixels`", "`--max-pixels`"),
    ("`DecodeLimits::max_memory_bytes`", "`--max-decode-memory`"),
    (" (`DecodeOptions::accept_damaged_jpeg` decodes what is left)", ""),
    ("`DetectorBuilder::batch_norm_eps`", "`--batch-norm-eps`"),
];

/// A message of the library, naming the command's options in place of its own parts.
pub fn in_options(message: &str) -> String {
    ADVICE.iter().fold(message.to_owned(), |text, (field, option)| text.replace(field, option))
}
