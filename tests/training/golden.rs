//! PyTorch's answers (golden/make_training.py), and the networks, pictures and objects they are about.

use std::collections::BTreeMap;
use std::sync::Mutex;

use retinanet::Result;
use retinanet::determinism::Init;
use retinanet::model::{
    AnchorConfig, BatchNormConfig, ExtraLevels, FpnConfig, HeadConfig, ResNetConfig, ResNetDepth,
    RetinaNetConfig, TensorSource, expected_tensors,
};
use retinanet::weights::{Checkpoint, ExpectedTensor};
use retinanet_tests::generator::{self, Lively};
use retinanet_tests::parity_data::in_repository;
use retinanet_train::losses::{BoxLoss, Object};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Golden {
    seed: u64,
    pictures: Vec<Picture>,
    pub cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Picture {
    /// Width and height.
    size: [usize; 2],
    /// x1, y1, x2, y2, class.
    objects: Vec<[f32; 5]>,
}

#[derive(Deserialize)]
pub struct Case {
    pub name: String,
    pub images: Vec<Image>,
    pub sgd: Trained,
    pub adamw: Trained,
}

/// What twenty steps over both images made of the weights.
#[derive(Deserialize)]
pub struct Trained {
    pub rate: f64,
    pub last_loss: f64,
    /// How far PyTorch in f32 is from itself in f64, over the largest change.
    pub doubt: f32,
    pub change: BTreeMap<String, Sample>,
}

#[derive(Deserialize)]
pub struct Image {
    pub classification: f32,
    pub regression: f32,
    pub gradients: BTreeMap<String, Sample>,
}

/// Some of a tensor's values, evenly spread from the first to the last.
#[derive(Deserialize)]
pub struct Sample {
    pub largest: f32,
    values: Vec<f32>,
}

impl Sample {
    /// The largest difference, over the largest magnitude of the tensor.
    pub fn difference(&self, ours: &[f32]) -> f32 {
        self.difference_beyond(ours, |_| 0.0)
    }

    /// The largest difference beyond what is allowed to the value at a place, over the largest magnitude of the tensor.
    pub fn difference_beyond(&self, ours: &[f32], allowed: impl Fn(usize) -> f32) -> f32 {
        let last = self.values.len() - 1;
        let places = (0..=last).map(|i| i * (ours.len() - 1) / last);
        let beyond = |(place, theirs): (usize, &f32)| {
            let difference = (ours[place] - theirs).abs() - allowed(place);
            if difference > 0.0 { difference } else { 0.0 }
        };
        let worst = places.zip(&self.values).map(beyond).max_by(f32::total_cmp);
        worst.unwrap_or(0.0) / self.largest
    }
}

/// One picture as the network gets it.
pub struct Input {
    pub canvas: Vec<f32>,
    /// Height and width.
    pub size: [usize; 2],
    pub objects: Vec<Object>,
}

impl Golden {
    pub fn read() -> Self {
        serde_json::from_str(include_str!("../golden/training.json")).unwrap()
    }

    pub fn inputs(&self) -> Vec<Input> {
        let pictures = self.pictures.iter().zip(self.seed..);
        let input = |(picture, seed): (&Picture, u64)| {
            let [width, height] = picture.size;
            let pixels = generator::picture(seed, width, height);
            let plane = |c| pixels.iter().skip(c).step_by(3).map(|v| f32::from(*v) / 64.0 - 2.0);
            let objects = picture.objects.iter().map(|&[x1, y1, x2, y2, class]| Object {
                corners: [x1, y1, x2, y2],
                class: class as usize,
            });
            Input {
                canvas: (0..3).flat_map(plane).collect(),
                size: [height, width],
                objects: objects.collect(),
            }
        };
        pictures.map(input).collect()
    }

    /// The network of a case, its weights, and how its boxes are compared.
    pub fn network(&self, case: &Case) -> (RetinaNetConfig, Weights, BoxLoss) {
        match case.name.as_str() {
            "demo" => {
                let path = in_repository("examples/assets/person_r18.safetensors");
                let checkpoint = Checkpoint::open(path).unwrap();
                let config = RetinaNetConfig::from_json(&checkpoint.metadata()["config"]).unwrap();
                let weights = loaded(checkpoint, &config);
                (config, weights, BoxLoss::Giou)
            }
            "bottleneck" => {
                let config = bottleneck();
                let weights = Weights::drawn(self.seed, &config);
                (config, weights, BoxLoss::L1)
            }
            name => panic!("no network {name}"),
        }
    }
}

/// The twin of golden/make_training.py's.
fn bottleneck() -> RetinaNetConfig {
    RetinaNetConfig {
        backbone: ResNetConfig {
            depth: ResNetDepth::ResNet50,
            returned_layers: vec![1, 2],
            batch_norm: BatchNormConfig { frozen: false, eps: 1e-3 },
        },
        fpn: FpnConfig { out_channels: 32, extra_levels: ExtraLevels::P6P7FromBackbone },
        anchors: AnchorConfig {
            sizes: [16.0, 32.0, 64.0, 128.0].map(|size| vec![size]).to_vec(),
            aspect_ratios: vec![vec![0.5, 1.0, 2.0]; 4],
        },
        head: HeadConfig { num_convs: 4, group_norm: None },
        num_classes: 2,
        ..RetinaNetConfig::resnet50_fpn_v2()
    }
}

/// A network's tensors by name.
#[derive(Clone)]
pub struct Weights(pub BTreeMap<String, Vec<f32>>);

impl Weights {
    fn drawn(seed: u64, config: &RetinaNetConfig) -> Self {
        let lively =
            Lively { log2_logits_gain: -14, log2_boxes_gain: -9, last_norm: "bn3".to_owned() };
        let tensors = expected_tensors(config).unwrap().into_iter();
        let tensor = |(name, shape): (String, Vec<usize>)| {
            let values = generator::tensor(seed, &name, &shape, &lively);
            (name, values)
        };
        Self(tensors.map(tensor).collect())
    }
}

impl TensorSource for Weights {
    fn tensor(&self, name: &str, _: &[usize], _: Init) -> Result<Vec<f32>> {
        Ok(self.0[name].clone())
    }
}

/// A checkpoint's tensors.
fn loaded(checkpoint: Checkpoint, config: &RetinaNetConfig) -> Weights {
    let expected = expected_tensors(config).unwrap();
    let named = expected.iter().cloned().map(|(name, shape)| ExpectedTensor::new(name, shape));
    let loaded = Mutex::new(checkpoint.load(&named.collect::<Vec<_>>()).unwrap());
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let values = loaded.tensor(&name, &shape, Init::Constant(0.0)).unwrap();
        (name, values)
    };
    Weights(expected.into_iter().map(tensor).collect())
}
