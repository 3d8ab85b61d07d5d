//! Losses and gradients of pictures that `training.py` gives: MODEL INPUTS OUTPUT LAYERS l1|giou.
//!
//! INPUTS has the tensors `I/canvas` (3, height, width), `I/boxes` (n, 4) and `I/classes` (n), for I from 0; OUTPUT
//! gets `I/losses` (2) and each gradient as `I/NAME`.

use std::collections::BTreeMap;
use std::error::Error;

use retinanet::ops::Level;
use retinanet::training::{Memory, TrainableNetwork};
use retinanet::weights::{StoredDtype, TensorData, save_safetensors};
use retinanet_train::losses::{BoxLoss, LossConfig, Object, Predictions, image_losses};
use retinanet_train::state::open_model;
use safetensors::SafeTensors;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, inputs, output, layers, loss] = arguments.as_slice() else {
        return Err("usage: training_gradients MODEL INPUTS OUTPUT LAYERS l1|giou".into());
    };
    let parameters = open_model(model, layers.parse()?)?;
    let loss = match loss.as_str() {
        "l1" => LossConfig::new(BoxLoss::L1),
        "giou" => LossConfig::new(BoxLoss::Giou),
        _ => return Err("the last argument is l1 or giou".into()),
    };
    let names: Vec<String> = parameters.trainable().map(|one| one.name().to_owned()).collect();
    let level = Level::from_env()?;
    let config = parameters.config();
    let network = TrainableNetwork::new(config, level, &parameters, &names)?;
    let mut memory = Memory::default();
    let bytes = std::fs::read(inputs)?;
    let inputs = SafeTensors::deserialize(&bytes)?;
    let mut answers: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for picture in 0.. {
        let Ok(canvas) = inputs.tensor(&format!("{picture}/canvas")) else { break };
        let values = |name: &str| -> Result<Vec<f32>, Box<dyn Error>> {
            let tensor = inputs.tensor(&format!("{picture}/{name}"))?;
            Ok(from_bytes(tensor.data()))
        };
        let (boxes, classes) = (values("boxes")?, values("classes")?);
        let objects: Vec<Object> = boxes
            .as_chunks()
            .0
            .iter()
            .zip(&classes)
            .map(|(corners, class)| Object { corners: *corners, class: *class as usize })
            .collect();
        let size = [canvas.shape()[1], canvas.shape()[2]];
        let forward = network.forward(&mut memory, &from_bytes(canvas.data()), size)?;
        let said = Predictions {
            classes: config.num_classes,
            logits: forward.logits(),
            regression: forward.regression(),
        };
        let losses = image_losses(level, &loss, forward.anchors(), &objects, &said)?;
        let both = [losses.classification, losses.regression];
        answers.push((format!("{picture}/losses"), vec![2], to_bytes(&both)));
        let gradients = forward.backward(&losses.by_logits, &losses.by_regression)?;
        for (one, gradient) in parameters.trainable().zip(&gradients) {
            let name = format!("{picture}/{}", one.name());
            answers.push((name, one.shape().to_vec(), to_bytes(gradient)));
        }
    }
    let tensors: Vec<TensorData<'_>> = answers
        .iter()
        .map(|(name, shape, bytes)| TensorData { name, dtype: StoredDtype::F32, shape, bytes })
        .collect();
    Ok(save_safetensors(output, &tensors, &BTreeMap::new())?)
}

fn from_bytes(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect()
}

fn to_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
