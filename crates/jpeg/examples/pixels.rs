//! Prints SHA-256 of the RGB pixels, width and height of JPEG files, one a line; or the error.
//!
//!     cargo run --release -p retinanet-jpeg --example pixels -- FILE...
//!
//! With the environment variable ACCEPT_TRUNCATED, files may be cut short.

use sha2::{Digest, Sha256};

fn main() -> std::io::Result<()> {
    let accept_truncated = std::env::var_os("ACCEPT_TRUNCATED").is_some();
    let options = retinanet_jpeg::Options { accept_truncated, ..Default::default() };
    for path in std::env::args_os().skip(1) {
        let path = std::path::PathBuf::from(path);
        match retinanet_jpeg::decode_rgb(&std::fs::read(&path)?, &options) {
            Ok(image) => {
                let hash: String = Sha256::digest(&image.pixels)
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                println!("{hash} {} {} {}", image.width, image.height, path.display());
            }
            Err(error) => println!("error - - {}: {error}", path.display()),
        }
    }
    Ok(())
}
