//! Does this CPU detect the same, to the bit, as the others? Two small networks with seeded weights, one
//! of each kind of head, from an image's pixels to named boxes; every stage's digest is printed, so that
//! two machines that differ see where. Then two steps of training, whose log is printed.
//!
//! `RETINANET_CPU_LEVEL` changes how it is computed and no line of the output.

use retinanet::model::RetinaNet;
use retinanet::{Detector, Determinism};
use retinanet_tests::reduced::{group_norm_heads, picture, plain_heads};
use retinanet_tests::reduced_training::two_steps;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let image = picture(53, 37);
    for (name, config) in [("plain heads", plain_heads()), ("GroupNorm heads", group_norm_heads())]
    {
        let model = RetinaNet::new(&config, Determinism::default())?;
        let detector = Detector::builder().threads(2).build_with_model(model)?;
        let (found, stages) = detector.detect_traced(&image)?;
        assert_eq!(found.len(), config.postprocess.detections_per_img, "{name}");
        println!("{name}\n{stages}");
    }
    println!("training\n{}", two_steps()?);
    Ok(())
}
