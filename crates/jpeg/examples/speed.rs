//! How long decoding takes, beside zune-jpeg: in turns, on one thread, the fastest of several rounds.
//!
//!     cargo run --release -p retinanet-jpeg --example speed -- FILE...

use std::hint::black_box;
use std::time::{Duration, Instant};

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

const ROUNDS: usize = 15;

fn time(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

fn main() -> std::io::Result<()> {
    let mut sums = [Duration::ZERO; 2];
    for path in std::env::args_os().skip(1) {
        let bytes = std::fs::read(&path)?;
        let mut best = [Duration::MAX; 2];
        let mut pixels = 0;
        for _ in 0..ROUNDS {
            let ours = time(|| {
                let image =
                    retinanet_jpeg::decode_rgb(&bytes, &Default::default()).expect("a sound file");
                pixels = black_box(image).pixels.len() / 3;
            });
            let theirs = time(|| {
                let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB);
                let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&bytes), options);
                black_box(decoder.decode().expect("a sound file"));
            });
            best = [best[0].min(ours), best[1].min(theirs)];
        }
        sums = [sums[0] + best[0], sums[1] + best[1]];
        let ratio = best[0].as_secs_f64() / best[1].as_secs_f64();
        println!("{:?} {:?} {ratio:.2} {pixels} {}", best[0], best[1], path.display());
    }
    let ratio = sums[0].as_secs_f64() / sums[1].as_secs_f64();
    println!("all: {:?}, zune-jpeg {:?}, ratio {ratio:.2}", sums[0], sums[1]);
    Ok(())
}
