//! Writes what the kernels and the whole network answer, for `compare.py` to hold against float64 and
//! against PyTorch. Not timed.
//!
//!     cargo run --release -p retinanet-benches --example accuracy -- OUTPUT.safetensors

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use retinanet::model::RetinaNetConfig;
use retinanet::{Determinism, Image};
use retinanet_benches::layers::Layer;
use retinanet_benches::{drawn, photo, v2};
use retinanet_kernels::conv2d::Conv2d;
use retinanet_kernels::norm::{GroupNormSpec, group_norm_nchw};
use retinanet_kernels::pointwise::{exp_slice, sigmoid_slice};
use retinanet_kernels::{Level, resize};
use safetensors::tensor::{Dtype, TensorView};

type Failure = Box<dyn std::error::Error>;

/// [in, out, kernel, stride]; the name says which kernel answers. compare.py reads the same numbers
/// from the names of the tensors.
const CONVS: [(&str, [usize; 4]); 12] = [
    ("winograd", [64, 64, 3, 1]),
    ("winograd", [128, 128, 3, 1]),
    ("winograd", [256, 256, 3, 1]),
    ("winograd", [512, 512, 3, 1]),
    ("direct", [3, 64, 7, 2]),
    ("direct", [128, 128, 3, 2]),
    ("direct", [256, 256, 3, 2]),
    ("direct", [512, 512, 3, 2]),
    ("pointwise", [64, 256, 1, 1]),
    ("pointwise", [256, 64, 1, 1]),
    ("pointwise", [512, 128, 1, 1]),
    ("pointwise", [2048, 512, 1, 1]),
];
/// Height and width of the convolutions' inputs.
const SIZE: [usize; 2] = [50, 68];

fn main() -> Result<(), Failure> {
    let path = std::env::args().nth(1).ok_or("expected: accuracy OUTPUT.safetensors")?;
    let level = Level::from_env()?;
    let mut answers = Answers::default();
    for (kind, [inputs, outputs, kernel, stride]) in CONVS {
        let layer = Layer::new(kind, [inputs, outputs, kernel, stride], SIZE, 1);
        let [height, width] = layer.output_size();
        let mut output = vec![f32::NAN; outputs * height * width];
        Conv2d::new(level, layer.spec, &layer.weight(), None)?.forward_nchw(
            &layer.input(),
            SIZE,
            None,
            false,
            &mut output,
        )?;
        let name = format!("conv/{kind}/{inputs}/{outputs}/{kernel}/{stride}");
        answers.add(name, &[outputs, height, width], output);
    }
    group_norm(level, &mut answers)?;
    functions(level, &mut answers)?;
    resized(&mut answers)?;
    network(&mut answers)?;
    answers.write(&path)
}

/// Groups whose mean is a few standard deviations away from 0.
fn group_norm(level: Level, answers: &mut Answers) -> Result<(), Failure> {
    let (channels, [height, width]) = (256, SIZE);
    let spec = GroupNormSpec { channels, groups: 32, eps: 1e-5 };
    let mut input = drawn("group_norm.bias", &[channels * height * width]);
    input.iter_mut().for_each(|value| *value += 0.25);
    let (gamma, beta) = (drawn("norm.weight", &[channels]), drawn("norm.bias", &[channels]));
    let mut output = vec![f32::NAN; input.len()];
    group_norm_nchw(level, &spec, &gamma, &beta, SIZE, false, &input, &mut output)?;
    answers.add("group_norm".to_owned(), &[channels, height, width], output);
    Ok(())
}

/// Over -16 to 16.
fn functions(level: Level, answers: &mut Answers) -> Result<(), Failure> {
    let mut input = drawn("function.bias", &[100_000]);
    input.iter_mut().for_each(|value| *value *= 128.0);
    let mut output = vec![f32::NAN; input.len()];
    exp_slice(level, &input, &mut output)?;
    answers.add("exp".to_owned(), &[input.len()], output.clone());
    sigmoid_slice(level, &input, &mut output)?;
    answers.add("sigmoid".to_owned(), &[input.len()], output);
    Ok(())
}

/// A picture of 640 x 480 to 1066 x 800.
fn resized(answers: &mut Answers) -> Result<(), Failure> {
    let picture = retinanet_benches::generator::picture(3, 640, 480);
    let spec = resize::ResizeSpec::new([480, 640], [800, 1066], [800, 1066])?;
    let config = retinanet::image::TransformConfig::default();
    let normalisation = resize::Normalisation::new(config.image_mean, config.image_std)?;
    let mut output = vec![f32::NAN; spec.output_len()];
    resize::resize_normalised(&spec, &normalisation, &picture, &mut output)?;
    answers.add("resize".to_owned(), &[3, 800, 1066], output);
    Ok(())
}

/// The network in both modes, on the bundled photo.
fn network(answers: &mut Answers) -> Result<(), Failure> {
    let config = RetinaNetConfig::resnet50_fpn_v2();
    let input = config.transform.apply(&Image::open(photo())?)?;
    let shape = [1, 3, input.padded[0], input.padded[1]];
    let tensor = Tensor::from_slice(&input.data, &shape, &Device::Cpu)?;
    for (mode, determinism) in [("network", Determinism::default()), ("fast", Determinism::fast())]
    {
        let output = v2(&config, &determinism)?.forward(&tensor)?;
        for (kind, levels) in
            [("logits", output.cls_logits), ("regression", output.bbox_regression)]
        {
            for (level, map) in levels.iter().enumerate() {
                let values = map.flatten_all()?.to_vec1()?;
                answers.add(format!("{mode}/{kind}/{level}"), map.dims(), values);
            }
        }
    }
    answers.add("network/input".to_owned(), &shape, input.data);
    Ok(())
}

/// Tensors to be written.
#[derive(Default)]
struct Answers(BTreeMap<String, (Vec<usize>, Vec<u8>)>);

impl Answers {
    fn add(&mut self, name: String, shape: &[usize], values: Vec<f32>) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.0.insert(name, (shape.to_vec(), bytes));
    }

    fn write(&self, path: &str) -> Result<(), Failure> {
        let views = self.0.iter().map(|(name, (shape, bytes))| {
            Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?))
        });
        let views = views.collect::<Result<Vec<_>, Failure>>()?;
        safetensors::serialize_to_file(views, None, path.as_ref())?;
        Ok(())
    }
}
