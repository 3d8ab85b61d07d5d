//! Losses and gradients of one image.

use retinanet::determinism::Init;
use retinanet::model::TensorSource;
use retinanet::ops::Level;
use retinanet::training::{Memory, TrainableNetwork};
use retinanet_train::losses::{ImageLosses, LossConfig, Predictions, image_losses};

use crate::golden::{Golden, Input, Weights};

/// One image's losses, and the gradients of the tensors named.
pub fn losses_and_gradients(
    network: &TrainableNetwork,
    memory: &mut Memory,
    loss: &LossConfig,
    classes: usize,
    input: &Input,
) -> (ImageLosses, Vec<Vec<f32>>) {
    let forward = network.forward(memory, &input.canvas, input.size).unwrap();
    let said = Predictions { classes, logits: forward.logits(), regression: forward.regression() };
    let level = Level::from_env().unwrap();
    let losses = image_losses(level, loss, forward.anchors(), &input.objects, &said).unwrap();
    let gradients = forward.backward(&losses.by_logits, &losses.by_regression).unwrap();
    (losses, gradients)
}

#[test]
fn losses_and_gradients_are_pytorchs() {
    let golden = Golden::read();
    for case in &golden.cases {
        let (config, weights, box_loss): (_, Weights, _) = golden.network(case);
        for (input, image) in golden.inputs().iter().zip(&case.images) {
            let names: Vec<String> = image.gradients.keys().cloned().collect();
            let level = Level::from_env().unwrap();
            let network = TrainableNetwork::new(&config, level, &weights, &names).unwrap();
            let loss = LossConfig::new(box_loss);
            let mut memory = Memory::default();
            let (losses, gradients) =
                losses_and_gradients(&network, &mut memory, &loss, config.num_classes, input);
            for (ours, theirs) in [
                (losses.classification, image.classification),
                (losses.regression, image.regression),
            ] {
                let difference = (ours - theirs).abs() / theirs;
                println!("{}: loss {theirs}, relative difference {difference:e}", case.name);
                assert!(difference < 1e-5, "{}: {ours} is not {theirs}", case.name);
            }
            let mut worst = (0.0, "");
            for ((name, sample), gradient) in image.gradients.iter().zip(&gradients) {
                let difference = sample.difference(gradient);
                if difference > worst.0 {
                    worst = (difference, name);
                }
                assert!(difference < 1e-3, "{} {name}: {difference:e}", case.name);
            }
            println!("{}: worst gradient {:e}, {}", case.name, worst.0, worst.1);
        }
    }
}

#[test]
fn gradients_have_the_same_bits_at_every_level_and_thread_count() {
    let golden = Golden::read();
    for case in &golden.cases {
        let (config, weights, box_loss) = golden.network(case);
        let names: Vec<String> = case.images[0].gradients.keys().cloned().collect();
        let inputs = golden.inputs();
        let bits = |level: Level, threads: usize| -> Vec<u32> {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let network = TrainableNetwork::new(&config, level, &weights, &names).unwrap();
                let mut memory = Memory::default();
                let loss = LossConfig::new(box_loss);
                let mut bits = Vec::new();
                // The second image in the first one's memory.
                for input in &inputs {
                    let (losses, gradients) = losses_and_gradients(
                        &network,
                        &mut memory,
                        &loss,
                        config.num_classes,
                        input,
                    );
                    bits.push(losses.classification.to_bits());
                    bits.extend(gradients.iter().flatten().map(|value| value.to_bits()));
                }
                bits
            })
        };
        let expected = bits(Level::best(), 1);
        for &level in Level::available() {
            for threads in [1, 2, 3] {
                assert!(bits(level, threads) == expected, "{} {level} {threads}", case.name);
            }
        }
    }
}

#[test]
fn an_updated_network_is_a_new_one_and_memory_of_before_changes_nothing() {
    let golden = Golden::read();
    let level = Level::from_env().unwrap();
    for case in &golden.cases {
        let (config, weights, box_loss) = golden.network(case);
        let names: Vec<String> = case.images[0].gradients.keys().cloned().collect();
        let changed = Halved { weights: &weights, names: &names };
        let loss = LossConfig::new(box_loss);
        let input = &golden.inputs()[0];
        let bits = |network: &TrainableNetwork, memory: &mut Memory| -> Vec<u32> {
            let (losses, mut gradients) =
                losses_and_gradients(network, memory, &loss, config.num_classes, input);
            let bits = gradients.iter().flatten().map(|value| value.to_bits());
            let bits = bits.chain([losses.classification.to_bits()]).collect();
            gradients.iter_mut().flatten().for_each(|value| *value = f32::NAN);
            memory.reuse(gradients);
            bits
        };
        let wanted = [&weights as &dyn TensorSource, &changed].map(|source| {
            let network = TrainableNetwork::new(&config, level, source, &names).unwrap();
            bits(&network, &mut Memory::default())
        });
        assert!(wanted[0] != wanted[1]);
        let mut network = TrainableNetwork::new(&config, level, &changed, &names).unwrap();
        let mut memory = Memory::default();
        for (source, wanted) in
            [(&weights as &dyn TensorSource, &wanted[0]), (&changed, &wanted[1])]
        {
            // Memory of other lengths is not used, and what is in it is not read.
            let other = Some(vec![vec![f32::NAN; 5]; names.len()]);
            for left in [None, other, Some(Vec::new()), None] {
                left.into_iter().for_each(|left| memory.reuse(left));
                network.update(source).unwrap();
                assert!(bits(&network, &mut memory) == *wanted, "{}", case.name);
            }
        }
    }
}

/// Weights, of which some are halved.
struct Halved<'a> {
    weights: &'a Weights,
    names: &'a [String],
}

impl TensorSource for Halved<'_> {
    fn tensor(&self, name: &str, shape: &[usize], init: Init) -> retinanet::Result<Vec<f32>> {
        let mut values = self.weights.tensor(name, shape, init)?;
        if self.names.iter().any(|one| one == name) {
            values.iter_mut().for_each(|value| *value *= 0.5);
        }
        Ok(values)
    }
}

#[test]
fn what_cannot_train_is_named() {
    let golden = Golden::read();
    let (config, weights, _) = golden.network(&golden.cases[1]);
    let level = Level::from_env().unwrap();
    let error = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let network = TrainableNetwork::new(&config, level, &weights, &names);
        network.err().map(|error| error.to_string()).unwrap_or_default()
    };
    let of_norm = error(&["backbone.body.bn1.weight"]);
    assert!(of_norm.contains("bn1.weight") && of_norm.contains("frozen"), "{of_norm}");
    let unknown = error(&["backbone.body.fc.weight"]);
    assert!(unknown.contains("no tensor \"backbone.body.fc.weight\""), "{unknown}");
    let twice = error(&["backbone.body.conv1.weight", "backbone.body.conv1.weight"]);
    assert!(twice.contains("twice"), "{twice}");
}

#[test]
fn a_canvas_of_another_size_is_refused() {
    let golden = Golden::read();
    let (config, weights, _) = golden.network(&golden.cases[1]);
    let level = Level::from_env().unwrap();
    let network = TrainableNetwork::new(&config, level, &weights, &[]).unwrap();
    for size in [[32, 33], [0, 0], [usize::MAX, 3]] {
        let mut memory = Memory::default();
        let refused = network.forward(&mut memory, &[0.0; 3 * 32 * 32], size);
        let error = refused.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("canvas"), "{size:?}: {error}");
    }
}

#[test]
fn the_first_layer_that_is_not_finite_is_named() {
    let golden = Golden::read();
    let (config, mut weights, _) = golden.network(&golden.cases[1]);
    let level = Level::from_env().unwrap();
    let mut memory = Memory::default();
    let input = &golden.inputs()[0];
    let mut stage = |weights: &Weights| {
        let network = TrainableNetwork::new(&config, level, weights, &[]).unwrap();
        network.first_not_finite(&mut memory, &input.canvas, input.size).unwrap()
    };
    assert_eq!(stage(&weights), None);
    for value in weights.0.get_mut("backbone.fpn.inner_blocks.1.0.weight").unwrap() {
        *value = 3e38;
    }
    assert_eq!(stage(&weights).as_deref(), Some("P2"));
}
