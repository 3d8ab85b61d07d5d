//! Which people are in this photo, and is the answer the same here as everywhere?

use std::path::PathBuf;

use clap::Parser;
use retinanet::{Detector, Image, OverlayStyle};
use retinanet_examples::{Failure, PHOTO, PUBLISHED_DIGEST, WEIGHTS};

/// Finds people in a photo: a table, a drawing, and one mask (a filled box) for each.
#[derive(Parser)]
struct Args {
    /// The photo; by default the bundled one
    #[arg(default_value = PHOTO, hide_default_value = true)]
    image: PathBuf,
    /// A file, or a name to fetch (retinanet_resnet50_fpn_v2.coco_v1)
    #[arg(long, default_value = WEIGHTS, hide_default_value = true)]
    weights: PathBuf,
    /// What to look for
    #[arg(long, default_value = "person")]
    label: String,
    /// How many threads; by default one per core
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, |n| n.get()))]
    threads: usize,
    /// Show what scores above this
    #[arg(long, default_value_t = 0.5)]
    score_threshold: f32,
    /// The folder to write to
    #[arg(long, default_value = "segment_person_out")]
    out: PathBuf,
}

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let image = Image::open(&args.image)?;
    let detector = Detector::builder().weights(&args.weights).threads(args.threads).build()?;
    let found = detector.detect(&image)?;
    let shown = found.above(args.score_threshold);
    println!("{:12} {:>6}  box (x1, y1, x2, y2)", "label", "score");
    for one in shown.of(&args.label)? {
        let (label, corners) = (one.label.escape_debug(), <[f32; 4]>::from(one.bounding_box));
        println!("{:12} {:6.4}  {corners:.1?}", label.to_string(), one.score);
    }
    let make_folder = std::fs::create_dir_all(&args.out);
    make_folder.map_err(|error| format!("cannot make the folder {:?}: {error}", args.out))?;
    shown.overlay(&image, &OverlayStyle::default())?.save_png(args.out.join("overlay.png"))?;
    for (index, mask) in shown.masks(&args.label)?.iter().enumerate() {
        mask.save_png(args.out.join(format!("mask_{index}.png")))?;
    }
    println!("overlay.png and a mask_N.png for each: {:?}", args.out);
    let digest = found.digest()?.to_string();
    let bundled = args.image.as_os_str() == PHOTO && args.weights.as_os_str() == WEIGHTS;
    let verdict = match digest == PUBLISHED_DIGEST {
        _ if !bundled => "nothing is published to compare with",
        true => "equal, bit for bit, to the published one",
        false => "DIFFERENT from the published one, please report it",
    };
    println!("digest {digest}: {verdict}");
    Ok(())
}
