//! Optimisers, clipping, schedules and averages: against PyTorch by tolerance, over threads by bits, and bad input.

use retinanet::determinism::{Determinism, Purpose};
use retinanet_kernels::Level;
use retinanet_train::architecture::resnet18_c4_fpn_gn;
use retinanet_train::clip::clip;
use retinanet_train::digest::TensorDigests;
use retinanet_train::ema::{Ema, EmaConfig};
use retinanet_train::optimiser::{
    AdamWConfig, GroupsConfig, Optimiser, OptimiserConfig, SgdConfig,
};
use retinanet_train::parameters::Parameters;
use retinanet_train::schedule::{Decay, Schedule};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    /// In units of 1/4096, as the gradients.
    values: Vec<Vec<f32>>,
    gradients: Vec<Vec<Vec<f32>>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    settings: Settings,
    learning_rates: Vec<f64>,
    norms: Vec<f32>,
    after: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Settings {
    kind: String,
    learning_rate: f64,
    momentum: Option<f64>,
    beta1: Option<f64>,
    beta2: Option<f64>,
    eps: Option<f64>,
    weight_decay: f64,
    bias_weight_decay: f64,
    backbone_factor: f64,
    clip_norm: Option<f32>,
    schedule: String,
    milestones: Option<Vec<u64>>,
    gamma: Option<f64>,
    last_factor: Option<f64>,
    warm_up_steps: u64,
    warm_up_factor: f64,
}

impl Settings {
    fn optimiser(&self) -> OptimiserConfig {
        match self.kind.as_str() {
            "sgd" => OptimiserConfig::Sgd(SgdConfig { momentum: self.momentum.unwrap() }),
            "adam_w" => OptimiserConfig::AdamW(AdamWConfig {
                beta1: self.beta1.unwrap(),
                beta2: self.beta2.unwrap(),
                eps: self.eps.unwrap(),
            }),
            other => panic!("{other}"),
        }
    }

    fn groups(&self) -> GroupsConfig {
        GroupsConfig {
            weight_decay: self.weight_decay,
            norm_weight_decay: 0.0,
            bias_weight_decay: self.bias_weight_decay,
            backbone_factor: self.backbone_factor,
        }
    }

    fn schedule(&self, steps: u64) -> Schedule {
        let decay = match self.schedule.as_str() {
            "constant" => Decay::Constant,
            "multi_step" => Decay::MultiStep {
                milestones: self.milestones.clone().unwrap(),
                gamma: self.gamma.unwrap(),
            },
            "cosine" => Decay::Cosine { last_factor: self.last_factor.unwrap() },
            other => panic!("{other}"),
        };
        let (warm_up, factor) = (self.warm_up_steps, self.warm_up_factor);
        Schedule::new(self.learning_rate, warm_up, factor, decay, steps).unwrap()
    }
}

/// A matrix of the backbone, a matrix and a bias of the head: the golden values are their first ones, and all
/// others have no gradient.
const TENSORS: [&str; 3] = [
    "backbone.body.layer3.0.conv1.weight",
    "head.classification_head.conv.0.0.weight",
    "head.regression_head.bbox_reg.bias",
];

fn model(layers: u8) -> Parameters {
    let mut config = resnet18_c4_fpn_gn(2);
    config.fpn.out_channels = 32;
    Parameters::initialised(&config, layers, &Determinism::strict(1)).unwrap()
}

#[test]
fn twenty_steps_are_pytorchs() {
    let golden: Golden = serde_json::from_str(include_str!("testdata/optimisers.json")).unwrap();
    assert_eq!((golden.cases.len(), golden.gradients.len()), (4, 20));
    let scaled = |values: &[f32]| values.iter().map(|v| v / 4096.0).collect::<Vec<f32>>();
    for case in &golden.cases {
        let settings = &case.settings;
        let what = format!("{}, {}", settings.kind, settings.schedule);
        let mut parameters = model(2);
        let places = TENSORS
            .map(|name| parameters.trainable().position(|tensor| tensor.name() == name).unwrap());
        let mut before = Vec::new();
        for (place, values) in places.iter().zip(&golden.values) {
            let tensor = parameters.trainable_mut().nth(*place).unwrap();
            tensor.values_mut()[..values.len()].copy_from_slice(&scaled(values));
            before.push(scaled(values));
        }
        let mut optimiser =
            Optimiser::new(settings.optimiser(), settings.groups(), &parameters).unwrap();
        let schedule = settings.schedule(20);
        for (step, of_step) in golden.gradients.iter().enumerate() {
            let mut gradients: Vec<Vec<f32>> =
                parameters.trainable().map(|tensor| vec![0.0; tensor.values().len()]).collect();
            for (place, gradient) in places.iter().zip(of_step) {
                gradients[*place][..gradient.len()].copy_from_slice(&scaled(gradient));
            }
            if let Some(max_norm) = settings.clip_norm {
                let norm = clip(Level::best(), &mut gradients, max_norm).unwrap();
                let expected = case.norms[step];
                assert!((norm - expected).abs() <= 1e-6 * expected, "{what}: {norm} {expected}");
            }
            let rate = schedule.learning_rate(step as u64);
            let expected = case.learning_rates[step];
            assert!((rate - expected).abs() <= 1e-12 * expected, "{what}: {rate} {expected}");
            optimiser.step(&mut parameters, &gradients, rate).unwrap();
        }
        for ((place, expected), before) in places.iter().zip(&case.after).zip(&before) {
            let tensor = parameters.trainable().nth(*place).unwrap();
            let changes = expected.iter().zip(before).map(|(e, b)| (e - b).abs());
            let largest = changes.max_by(f32::total_cmp).unwrap();
            assert!(largest > 1e-3, "{what}");
            for (i, (value, expected)) in tensor.values().iter().zip(expected).enumerate() {
                // A last place of the value itself may be more than that of a small change.
                let allowed = 1e-6 * largest + 1.2e-7 * expected.abs();
                let error = (value - expected).abs();
                assert!(error <= allowed, "{what}, {}[{i}]: {error:e}", tensor.name());
            }
        }
    }
}

fn random(parameters: &Parameters, step: u64) -> Vec<Vec<f32>> {
    let mut stream = Determinism::strict(2).stream(Purpose::TestData, "gradients", step);
    parameters
        .trainable()
        .map(|tensor| tensor.values().iter().map(|_| stream.uniform_f32() - 0.5).collect())
        .collect()
}

/// Digests of everything after some steps.
fn run(config: OptimiserConfig, threads: usize) -> Vec<String> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let mut parameters = model(2);
        let groups = GroupsConfig { backbone_factor: 0.3, ..GroupsConfig::default() };
        let mut optimiser = Optimiser::new(config, groups, &parameters).unwrap();
        let mut ema = Ema::new(EmaConfig { decay: 0.99, ramp: 10.0 }, &parameters).unwrap();
        for step in 0..3 {
            let mut gradients = random(&parameters, step);
            clip(Level::best(), &mut gradients, 5.0).unwrap();
            optimiser.step(&mut parameters, &gradients, 1e-3).unwrap();
            ema.update(&parameters, step + 1).unwrap();
        }
        let digests = [
            TensorDigests::of_weights(&parameters).unwrap(),
            TensorDigests::of_optimiser(&optimiser, &parameters).unwrap(),
            TensorDigests::of_ema(&ema, &parameters).unwrap(),
        ];
        digests.iter().map(|digests| digests.root().to_string()).collect()
    })
}

#[test]
fn bits_do_not_depend_on_threads() {
    for config in
        [OptimiserConfig::Sgd(SgdConfig::default()), OptimiserConfig::AdamW(AdamWConfig::default())]
    {
        let expected = run(config, 1);
        for threads in [2, 4] {
            assert_eq!(run(config, threads), expected, "{config:?}, {threads} threads");
        }
    }
}

#[test]
fn what_is_frozen_stays_and_the_average_follows() {
    let mut parameters = model(0);
    let before = parameters.clone();
    let config = OptimiserConfig::Sgd(SgdConfig { momentum: 0.0 });
    let mut optimiser = Optimiser::new(config, GroupsConfig::default(), &parameters).unwrap();
    let mut ema = Ema::new(EmaConfig { decay: 0.75, ramp: 0.0 }, &parameters).unwrap();
    optimiser.step(&mut parameters, &random(&before, 0), 0.1).unwrap();
    ema.update(&parameters, 1).unwrap();
    let mut averages = ema.values().iter();
    for (before, after) in before.tensors().iter().zip(parameters.tensors()) {
        assert_eq!(before == after, !before.trains(), "{}", before.name());
        if before.trains() {
            let pairs = before.values().iter().zip(after.values());
            for ((before, after), average) in pairs.zip(averages.next().unwrap()) {
                assert!((average - (0.75 * before + 0.25 * after)).abs() < 1e-6);
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let mut parameters = model(0);
    let new = |config, groups| Optimiser::new(config, groups, &model(0));
    let (sgd, adam_w) = (OptimiserConfig::Sgd, OptimiserConfig::AdamW);
    let groups = GroupsConfig::default();
    let adam = AdamWConfig::default();
    for (name, made) in [
        ("`momentum`", new(sgd(SgdConfig { momentum: 1.0 }), groups)),
        ("`beta1`", new(adam_w(AdamWConfig { beta1: 0.3, ..adam }), groups)),
        ("`beta2`", new(adam_w(AdamWConfig { beta2: f64::NAN, ..adam }), groups)),
        ("`eps`", new(adam_w(AdamWConfig { eps: 0.0, ..adam }), groups)),
        ("`weight_decay`", new(adam_w(adam), GroupsConfig { weight_decay: -1.0, ..groups })),
        ("`backbone_factor`", new(adam_w(adam), GroupsConfig { backbone_factor: -1.0, ..groups })),
    ] {
        let error = made.unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
    let mut optimiser = new(adam_w(adam), groups).unwrap();
    let mut gradients = random(&parameters, 0);
    let error = optimiser.step(&mut parameters, &gradients, f64::NAN).unwrap_err().to_string();
    assert!(error.contains("`learning_rate` is NaN"), "{error}");
    // Those of another number of layers.
    let error = optimiser.step(&mut model(2), &gradients, 0.1).unwrap_err().to_string();
    assert!(error.contains("gradients: expected"), "{error}");
    gradients[0].pop();
    assert!(optimiser.step(&mut parameters, &gradients, 0.1).is_err());
    assert_eq!(optimiser.steps(), 0);
    for (decay, ramp) in [(1.0, 0.0), (-0.5, 0.0), (0.5, f64::NAN)] {
        assert!(Ema::new(EmaConfig { decay, ramp }, &parameters).is_err());
    }
}
