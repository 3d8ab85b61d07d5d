//! How do I get at the network's tensors, as with any candle model?

use candle_core::{DType, Device, Tensor};
use retinanet::Image;
use retinanet::model::{RetinaNet, RetinaNetConfig, expected_tensors};
use retinanet::weights::{Checkpoint, ExpectedTensor};
use retinanet_examples::{Failure, PHOTO, WEIGHTS};

fn main() -> Result<(), Failure> {
    let checkpoint = Checkpoint::open(WEIGHTS)?;
    let config = RetinaNetConfig::from_json(&checkpoint.metadata()["config"])?;

    // Any `VarBuilder` over torchvision's names would do; this one is read strictly.
    let expected: Vec<ExpectedTensor> = expected_tensors(&config)?
        .into_iter()
        .map(|(name, shape)| ExpectedTensor::new(name, shape))
        .collect();
    let vb = checkpoint.load(&expected)?.into_var_builder(DType::F32, &Device::Cpu);
    let model = RetinaNet::new(&config, vb)?;

    // Normalised, resized and padded: (1, 3, height, width).
    let input = config.transform.apply(&Image::open(PHOTO)?)?;
    let [height, width] = input.padded;
    let images = Tensor::from_vec(input.data, (1, 3, height, width), &Device::Cpu)?;

    let features = model.features(&images)?;
    for (name, map) in features.backbone.iter().chain(&features.pyramid) {
        println!("{name:6} {:?}", map.dims());
    }
    let output = model.predict(&features, input.padded)?; // or at once: model.forward(&images)
    let levels = output.cls_logits.iter().zip(&output.bbox_regression);
    for (name, (logits, regression)) in model.pyramid_names().iter().zip(levels) {
        println!("{name:6} logits {:?}, regression {:?}", logits.dims(), regression.dims());
    }

    let (logits, regression) = output.flattened()?;
    println!("all    logits {:?}, regression {:?}", logits.dims(), regression.dims());
    let best: f32 = candle_nn::ops::sigmoid(&logits)?.max_all()?.to_scalar()?;
    println!("best score {best:.4}");
    Ok(())
}
