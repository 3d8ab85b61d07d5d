//! Steps of the optimisers on whole networks: the change of the weights is PyTorch's within 1e-4 of its largest, beside the
//! rounding of the weights themselves. The pictures were chosen so that no unit stands at its ReLU's edge: there, two
//! sums in other orders part for good, as PyTorch's in f32 and in f64 do.

use std::collections::BTreeMap;

use retinanet::model::{RetinaNetConfig, expected_tensors};
use retinanet::ops::Level;
use retinanet::training::{Memory, TrainableNetwork};
use retinanet::weights::{StoredDtype, TensorData, save_safetensors};
use retinanet_train::clip::clip;
use retinanet_train::gradient_sum::{GradientSum, ImageLoss};
use retinanet_train::losses::LossConfig;
use retinanet_train::optimiser::{
    AdamWConfig, GroupsConfig, Optimiser, OptimiserConfig, SgdConfig,
};
use retinanet_train::parameters::Parameters;
use retinanet_train::state::open_model;

use crate::golden::{Case, Golden, Trained, Weights};
use crate::gradients::losses_and_gradients;

const STEPS: usize = 20;
const CLIP: f32 = 5.0;
/// The most that rounding to f32 changes a value, relative to it.
const HALF_UNIT: f32 = 1.0 / 16_777_216.0;

/// The case's tensors, of which those train that PyTorch trained.
fn parameters(config: &RetinaNetConfig, weights: &Weights, layers: u8) -> Parameters {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("start.safetensors");
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = expected_tensors(config)
        .unwrap()
        .into_iter()
        .map(|(name, shape)| {
            let bytes = weights.0[&name].iter().flat_map(|value| value.to_le_bytes()).collect();
            (name, shape, bytes)
        })
        .collect();
    let tensors: Vec<TensorData<'_>> = tensors
        .iter()
        .map(|(name, shape, bytes)| TensorData { name, dtype: StoredDtype::F32, shape, bytes })
        .collect();
    let metadata = BTreeMap::from([("config".to_owned(), config.to_json().unwrap())]);
    save_safetensors(&path, &tensors, &metadata).unwrap();
    open_model(&path, layers).unwrap()
}

fn trained(golden: &Golden, case: &Case, config: OptimiserConfig, decay: f64, theirs: &Trained) {
    let (model, weights, box_loss) = golden.network(case);
    let layers = if case.name == "demo" { 3 } else { 5 };
    let mut parameters = parameters(&model, &weights, layers);
    let names: Vec<String> = parameters.trainable().map(|one| one.name().to_owned()).collect();
    assert!(names.iter().eq(names.iter().filter(|name| theirs.change.contains_key(*name))));
    assert_eq!(names.len(), theirs.change.len(), "{}", case.name);
    let before: Vec<Vec<f32>> = parameters.trainable().map(|one| one.values().to_vec()).collect();

    let groups = GroupsConfig {
        weight_decay: decay,
        norm_weight_decay: decay,
        bias_weight_decay: decay,
        backbone_factor: 1.0,
    };
    let mut optimiser = Optimiser::new(config, groups, &parameters).unwrap();
    let (level, loss) = (Level::from_env().unwrap(), LossConfig::new(box_loss));
    let inputs = golden.inputs();
    let mut memory = Memory::default();
    let mut sum = GradientSum::of(&parameters, inputs.len() as u64).unwrap();
    let mut last_loss = 0.0;
    for _ in 0..STEPS {
        sum.clear();
        let network = TrainableNetwork::new(&model, level, &parameters, &names).unwrap();
        for (input, image) in inputs.iter().zip(0..) {
            let (losses, gradients) =
                losses_and_gradients(&network, &mut memory, &loss, model.num_classes, input);
            sum.add(image, &gradients, &ImageLoss::from(&losses)).unwrap();
        }
        let images = sum.losses().images;
        last_loss = (sum.losses().classification + sum.losses().regression) / images as f64;
        let mut gradients = sum.finish(images).unwrap();
        clip(level, &mut gradients, CLIP).unwrap();
        optimiser.step(&mut parameters, &gradients, theirs.rate).unwrap();
    }

    let difference = (last_loss - theirs.last_loss).abs() / theirs.last_loss;
    println!(
        "{} {:?}: last loss {last_loss}, relative difference {difference:e}",
        case.name, config
    );
    assert!(difference < 1e-5, "{}: {last_loss} is not {}", case.name, theirs.last_loss);
    let mut worst = (0.0, String::new());
    // Tensors that change by far more than what their rounding may come to.
    let mut sharp = 0;
    for (one, before) in parameters.trainable().zip(&before) {
        let change: Vec<f32> = one.values().iter().zip(before).map(|(a, b)| a - b).collect();
        // Each step rounds the weight itself, AdamW's twice, here and there.
        let roundings = (2 * STEPS) as f32;
        let rounding = |place: usize| roundings * HALF_UNIT * before[place].abs();
        let difference = theirs.change[one.name()].difference_beyond(&change, rounding);
        let largest = theirs.change[one.name()].largest;
        let allowed = (0..before.len()).map(rounding).max_by(f32::total_cmp).unwrap_or(0.0);
        sharp += usize::from(allowed < 1e-2 * largest);
        if difference > worst.0 {
            worst = (difference, one.name().to_owned());
        }
    }
    println!(
        "{}: worst change {:e}, {}; PyTorch's own {:e}; {sharp} sharp",
        case.name, worst.0, worst.1, theirs.doubt
    );
    assert!(worst.0 < 1e-4, "{} {}: {:e}", case.name, worst.1, worst.0);
    assert!(sharp > 0, "{}: rounding hides every change", case.name);
}

#[test]
fn weights_after_twenty_steps_of_sgd_are_pytorchs() {
    let golden = Golden::read();
    for case in &golden.cases {
        let config = OptimiserConfig::Sgd(SgdConfig { momentum: 0.9 });
        trained(&golden, case, config, 1e-4, &case.sgd);
    }
}

#[test]
fn weights_after_twenty_steps_of_adamw_are_pytorchs() {
    let golden = Golden::read();
    for case in &golden.cases {
        let config = OptimiserConfig::AdamW(AdamWConfig { eps: 1e-3, ..AdamWConfig::default() });
        trained(&golden, case, config, 0.05, &case.adamw);
    }
}
