//! How do I detect in several images at once, each of its own size?

use retinanet::{Detector, Image};
use retinanet_examples::{Failure, PHOTO, WEIGHTS};

fn main() -> Result<(), Failure> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let mut images = paths.iter().map(Image::open).collect::<Result<Vec<_>, _>>()?;
    if images.is_empty() {
        println!("give the paths of images; for now, three cuts of the bundled photo:");
        let photo = Image::open(PHOTO)?;
        images = vec![cut(&photo, 300, 400)?, photo.clone(), cut(&photo, 512, 200)?];
    }

    let detector = Detector::builder().weights(WEIGHTS).score_threshold(0.3).build()?;
    let answers = detector.detect_batch(&images)?;
    for (image, found) in images.iter().zip(&answers) {
        println!("{} x {}: {} found", image.width(), image.height(), found.len());
        for one in found {
            println!("  {} {:.4} {:?}", one.label.escape_debug(), one.score, one.bounding_box);
        }
    }

    // Its neighbours change nothing about an image's answer.
    for (image, found) in images.iter().zip(&answers) {
        assert_eq!(detector.detect(image)?.digest()?, found.digest()?);
    }
    println!("each answer equals, bit for bit, that for the image alone");
    Ok(())
}

/// The upper left part of an image.
fn cut(image: &Image, width: usize, height: usize) -> retinanet::Result<Image> {
    let rows = image.as_rgb8().chunks_exact(image.width() * 3).take(height);
    Image::from_rgb8(width, height, rows.flat_map(|row| &row[..width * 3]).copied().collect())
}
