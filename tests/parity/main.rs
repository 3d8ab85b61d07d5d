//! What live torchvision answers, this library answers: five models, six picture sizes each.
//!
//! The data keeps clear of pictures whose answer rounding could change (see `golden/margins.py`), so
//! the detections must be the same ones in the same order, ties aside.

use candle_core::{Device, Tensor};
use retinanet::candle::RetinaNetOutput;
use retinanet::model::RetinaNet;
use retinanet::ops::Level;
use retinanet::postprocess::{ImageSizes, LevelOutput, ScoredBox};
use retinanet_tests::generator;
use retinanet_tests::parity_data::{Case, ParityData, TensorSample};
use retinanet_tests::parity_models::model;

/// On scores.
const SCORE: f32 = 1e-4;
/// On box corners, in pixels of the picture.
const PIXELS: f32 = 0.05;
/// On feature maps, logits and regressions, in parts of the tensor's largest magnitude.
const TENSOR: f32 = 1e-4;

/// The largest errors seen.
#[derive(Debug, Default)]
struct Worst {
    score: f32,
    pixels: f32,
    tensor: f32,
    swapped_ties: usize,
}

fn raise(worst: &mut f32, error: f32) {
    // A NaN must not pass for a small error.
    if error > *worst || error.is_nan() {
        *worst = error;
    }
}

impl Worst {
    fn tensors(&mut self, what: &str, actual: &[Tensor], expected: &[TensorSample]) {
        assert_eq!(actual.len(), expected.len(), "levels of {what}");
        for (actual, expected) in actual.iter().zip(expected) {
            let name = &expected.name;
            let [channels, height, width] = expected.shape;
            assert_eq!(actual.dims(), [1, channels, height, width], "{name}");
            let actual: Vec<f32> = actual.flatten_all().unwrap().to_vec1().unwrap();
            let places = generator::places(name, expected.shape, expected.values.len());
            let largest = (expected.largest_at, expected.largest);
            let values = places.into_iter().zip(expected.values.iter().copied());
            for (at, value) in values.chain([largest]) {
                let error = (actual[at] - value).abs() / expected.largest.abs();
                raise(&mut self.tensor, error);
                assert!(error <= TENSOR, "{name} at {at}: {} for {value}", actual[at]);
            }
            // Every element has its part in this one.
            let sum: f64 = actual.iter().map(|x| f64::from(x.abs())).sum();
            let mean = sum / actual.len() as f64;
            let error = (mean / expected.mean_magnitude - 1.0).abs();
            assert!(error <= f64::from(TENSOR), "{name}: mean magnitude {mean}");
        }
    }

    fn detections(&mut self, what: &str, actual: &[ScoredBox], case: &Case) {
        assert_eq!(actual.len(), case.labels.len(), "{what}: detections");
        let mut taken = vec![false; actual.len()];
        for (rank, (label, score)) in case.labels.iter().zip(&case.scores).enumerate() {
            let corners = &case.boxes[4 * rank..4 * rank + 4];
            let errors = |found: &ScoredBox| {
                let b = found.bounding_box;
                let mut pixels = 0.0;
                for (a, b) in [b.x1, b.y1, b.x2, b.y2].into_iter().zip(corners) {
                    raise(&mut pixels, (a - b).abs());
                }
                ((found.candidate.score - score).abs(), pixels)
            };
            let same = |found: &ScoredBox| {
                let (score, pixels) = errors(found);
                found.label_id == *label && score <= SCORE && pixels <= PIXELS
            };
            // Its own rank, or that of one whose score is as good as equal.
            let near =
                (0..actual.len()).filter(|&at| (case.scores[at] - score).abs() <= 2.0 * SCORE);
            let at = [rank].into_iter().chain(near).find(|&at| !taken[at] && same(&actual[at]));
            let Some(at) = at else {
                panic!(
                    "{what}: rank {rank} should be class {label}, score {score}, box {corners:?}; is {:?}",
                    actual[rank]
                );
            };
            taken[at] = true;
            self.swapped_ties += usize::from(at != rank);
            let (score, pixels) = errors(&actual[at]);
            raise(&mut self.score, score);
            raise(&mut self.pixels, pixels);
        }
    }
}

/// The steps from logits to detections, as the detector takes them.
fn postprocess(model: &RetinaNet, output: &RetinaNetOutput, sizes: ImageSizes) -> Vec<ScoredBox> {
    let grids = output.grid_sizes();
    let anchors = model.anchors(output.input_size, &grids).unwrap();
    let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let logits: Vec<_> = output.cls_logits.iter().map(flat).collect();
    let regression: Vec<_> = output.bbox_regression.iter().map(flat).collect();
    let anchors: Vec<Vec<[f32; 4]>> = anchors.iter().map(|level| level.iter().collect()).collect();
    let levels: Vec<LevelOutput> = (0..grids.len())
        .map(|i| LevelOutput {
            grid: grids[i],
            logits: &logits[i],
            regression: &regression[i],
            anchors: &anchors[i],
        })
        .collect();
    let config = model.config();
    config.postprocess.apply(&levels, config.num_classes, sizes).unwrap()
}

fn check(model: &RetinaNet, data: &ParityData, case: &Case) {
    let what = format!("{} {}x{}", data.model, case.width, case.height);
    let image = case.image();
    let input = model.config().transform.apply(&image).unwrap();
    assert_eq!((input.resized, input.padded), (case.resized, case.padded), "{what}");
    let [height, width] = input.padded;
    let tensor = Tensor::from_vec(input.data, (1, 3, height, width), &Device::Cpu).unwrap();
    let features = model.features(&tensor).unwrap();
    let output = model.predict(&features, input.padded).unwrap();

    let mut worst = Worst::default();
    if !case.stages.is_empty() {
        let maps = |named: &[(String, Tensor)]| {
            named.iter().map(|(_, map)| map.clone()).collect::<Vec<_>>()
        };
        worst.tensors("stages", &maps(&features.backbone), &case.stages);
        worst.tensors("pyramid", &maps(&features.pyramid), &case.levels);
    }
    worst.tensors("logits", &output.cls_logits, &case.logits);
    worst.tensors("regression", &output.bbox_regression, &case.regression);
    let sizes = ImageSizes { original: input.original, resized: input.resized };
    worst.detections(&what, &postprocess(model, &output, sizes), case);
    println!(
        "{what}: {} detections; worst score {:.1e}, corner {:.1e} px, tensor {:.1e}; {} ties swapped",
        case.labels.len(),
        worst.score,
        worst.pixels,
        worst.tensor,
        worst.swapped_ties,
    );
}

fn answers_as_torchvision(name: &str) {
    let data = ParityData::read(name);
    let model = model(&data, Level::from_env().unwrap().into());
    for case in &data.cases {
        check(&model, &data, case);
    }
}

#[test]
fn retinanet_resnet50_fpn_answers_as_torchvision() {
    answers_as_torchvision("v1");
}

#[test]
fn retinanet_resnet50_fpn_v2_answers_as_torchvision() {
    answers_as_torchvision("v2");
}

#[test]
fn the_demo_checkpoint_answers_as_torchvision() {
    answers_as_torchvision("demo");
}

#[test]
fn uneven_parts_and_moved_numbers_answer_as_torchvision() {
    answers_as_torchvision("odd");
}

#[test]
fn a_fixed_size_and_no_extra_levels_answer_as_torchvision() {
    answers_as_torchvision("fixed");
}
