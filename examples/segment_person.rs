//! Which people are in this photo, and is the answer the same here as everywhere?

use retinanet::{Detector, Image};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let detector = Detector::builder()
        .weights(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/person_r18.safetensors"))
        .threads(2)
        .build()?;
    let image = Image::open(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/astronaut.png"))?;
    let t = std::time::Instant::now();
    let (found, stages) = detector.detect_traced(&image)?;
    eprintln!("{:?}", t.elapsed());
    let t = std::time::Instant::now();
    let found2 = detector.detect(&image)?;
    eprintln!("{:?} {}", t.elapsed(), found == found2);
    for d in &found {
        println!("{} {:?}", d.score, d.bounding_box);
    }
    println!("{stages}");
    Ok(())
}
