use super::*;
use crate::Result;
use crate::determinism::{Determinism, Purpose};
use crate::model::RetinaNet;
use crate::model::{
    AnchorConfig, BatchNormConfig, ExtraLevels, ModelError, ResNetConfig, ResNetDepth,
    RetinaNetConfig,
};
use crate::ops::Level;

/// Small networks that differ in every part: [`MaxPool`](ExtraLevels::MaxPool) and norms in the
/// heads; bottlenecks and P6 from the pyramid; one stage and nothing above it.
fn configs() -> [RetinaNetConfig; 3] {
    let part = |depth, layers: &[usize], channels, extra_levels, group_norm: bool, classes| {
        let mut config = RetinaNetConfig::resnet50_fpn_v2();
        let (returned_layers, batch_norm) = (layers.to_vec(), BatchNormConfig::PLAIN);
        config.backbone = ResNetConfig { depth, returned_layers, batch_norm };
        config.fpn.out_channels = channels;
        config.fpn.extra_levels = extra_levels;
        config.head.num_convs = 2;
        match &mut config.head.group_norm {
            Some(norm) if group_norm => norm.groups = 4,
            other => *other = None,
        }
        let levels = layers.len() + config.fpn.extra_levels.count();
        config.anchors = AnchorConfig {
            sizes: vec![vec![16.0, 20.0]; levels],
            aspect_ratios: vec![vec![1.0]; levels],
        };
        config.num_classes = classes;
        config
    };
    [
        part(ResNetDepth::ResNet18, &[1, 3], 20, ExtraLevels::MaxPool, true, 3),
        part(ResNetDepth::ResNet50, &[2, 3], 16, ExtraLevels::P6P7FromPyramid, false, 2),
        part(ResNetDepth::ResNet34, &[2], 7, ExtraLevels::None, false, 1),
    ]
}

fn build(config: &RetinaNetConfig) -> RetinaNet {
    RetinaNet::with_level(config, Level::best(), Determinism::strict(11)).unwrap()
}

/// Pixels between -2 and 2, of sizes with odd numbers.
fn images() -> Vec<([usize; 2], Vec<f32>)> {
    let sizes = [[37, 53], [64, 64], [1, 1], [90, 33], [37, 53]];
    let image = |(index, size): (u64, [usize; 2])| {
        let mut stream = Determinism::strict(12).stream(Purpose::Sampling, "pixels", index);
        let values = (0..3 * size[0] * size[1]).map(|_| 4.0 * stream.uniform_f32() - 2.0);
        (size, values.collect())
    };
    (0..).zip(sizes).map(image).collect()
}

fn canvases(images: &[([usize; 2], Vec<f32>)]) -> Vec<Canvas<'_>> {
    images.iter().map(|(size, data)| Canvas { data, size: *size }).collect()
}

fn bits(values: Vec<f32>) -> Vec<u32> {
    values.into_iter().map(f32::to_bits).collect()
}

/// Runs all images together through each network, and gives each image's own answer to `check`, with the network, the
/// image and a name for both.
fn each_of_many(check: impl Fn(&RetinaNet, &([usize; 2], Vec<f32>), &Predictions<Map>, &str)) {
    let images = images();
    for (number, config) in configs().iter().enumerate() {
        let model = build(config);
        let mut workspace = Workspace::default();
        let found = model.run(&canvases(&images), &mut workspace, &mut NoObserver).unwrap();
        assert_eq!(found.len(), images.len());
        for (index, (found, image)) in found.iter().zip(&images).enumerate() {
            check(&model, image, found, &format!("network {number}, image {index}"));
        }
    }
}

/// All maps of an answer: logits, then regressions.
fn maps(found: &Predictions<Map>) -> Vec<&Map> {
    found.cls_logits.iter().chain(&found.bbox_regression).collect()
}

#[test]
fn images_of_different_sizes_get_the_bits_of_each_alone() {
    each_of_many(|model, image, found, place| {
        let alone = canvases(std::slice::from_ref(image));
        let alone = model.run(&alone, &mut Workspace::default(), &mut NoObserver).unwrap();
        let (found, alone) = (maps(found), maps(&alone[0]));
        assert_eq!(found.len(), alone.len());
        for (level, (map, alone)) in found.into_iter().zip(alone).enumerate() {
            assert_eq!(map.shape(), alone.shape());
            let (map, alone) = (map.to_chw().unwrap(), alone.to_chw().unwrap());
            assert_eq!(bits(map), bits(alone), "{place}, map {level}");
        }
    });
}

/// What candle's tensors answer, layer by layer.
#[cfg(feature = "candle")]
#[test]
fn images_of_different_sizes_get_the_bits_of_the_layers_on_each_alone() {
    use candle_core::{Device, Tensor};

    each_of_many(|model, ([h, w], data), found, place| {
        let alone = Tensor::from_vec(data.clone(), (1, 3, *h, *w), &Device::Cpu).unwrap();
        let layers = model.forward(&alone).unwrap();
        let tensors: Vec<_> = layers.cls_logits.iter().chain(&layers.bbox_regression).collect();
        let found = maps(found);
        assert_eq!(found.len(), tensors.len());
        for (level, (map, tensor)) in found.into_iter().zip(tensors).enumerate() {
            let shape = map.shape();
            assert_eq!(tensor.dims(), [1, shape.channels, shape.height, shape.width]);
            let tensor = tensor.flatten_all().unwrap().to_vec1().unwrap();
            assert_eq!(bits(map.to_chw().unwrap()), bits(tensor), "{place}, map {level}");
        }
    });
}

#[test]
fn running_the_same_sizes_again_soon_takes_no_new_memory() {
    let images = images();
    for (number, config) in configs().iter().enumerate() {
        let model = build(config);
        let mut workspace = Workspace::default();
        let mut run = || {
            let found = model.run(&canvases(&images), &mut workspace, &mut NoObserver).unwrap();
            for found in found {
                workspace.give_all(found.cls_logits.into_iter().chain(found.bbox_regression));
            }
            workspace.buffers()
        };
        let values = |buffers: &[(usize, usize)]| buffers.iter().map(|(_, len)| len).sum::<usize>();
        // Which buffer a map gets depends on those that are free, so the set settles first.
        let first = run();
        let settled = (0..8).map(|_| run()).last().unwrap();
        let (before, after) = (values(&first), values(&settled));
        assert!(after <= before + before / 2, "network {number}: {before}, then {after} values");
        for _ in 0..3 {
            assert_eq!(run(), settled, "network {number}");
        }
    }
}

/// Remembers the stages' names and how many maps each had.
#[derive(Default)]
struct Names(Vec<(String, usize)>);

impl Observer for Names {
    fn stage(&mut self, stage: &str, maps: &[&dyn FeatureMap]) -> Result<()> {
        self.0.push((stage.to_owned(), maps.len()));
        Ok(())
    }
}

#[test]
fn the_observer_sees_every_stage_in_order_with_a_map_for_each_image() {
    let images = images();
    let mut names = Names::default();
    let model = build(&configs()[0]);
    model.run(&canvases(&images[..2]), &mut Workspace::default(), &mut names).unwrap();
    let published = |(name, _): &&(String, usize)| {
        name.starts_with('C') || name.starts_with('P') || name.contains("/P")
    };
    let seen: Vec<(&str, usize)> =
        names.0.iter().filter(published).map(|(name, maps)| (&**name, *maps)).collect();
    let stages = ["C2", "C4", "P2", "P4", "P5"].into_iter();
    let stages = stages.chain(["logits/P2", "logits/P4", "logits/P5"]);
    let stages = stages.chain(["regression/P2", "regression/P4", "regression/P5"]);
    assert_eq!(seen, stages.map(|name| (name, 2)).collect::<Vec<_>>());
}

#[test]
fn an_observers_error_ends_the_run() {
    struct Refuses;
    impl Observer for Refuses {
        fn stage(&mut self, stage: &str, _: &[&dyn FeatureMap]) -> Result<()> {
            let (what, shape, expected) = ("what is seen", Vec::new(), stage.to_owned());
            Err(ModelError::Input { what, shape, expected }.into())
        }
    }
    let images = images();
    let model = build(&configs()[2]);
    let error = model.run(&canvases(&images), &mut Workspace::default(), &mut Refuses).unwrap_err();
    assert!(error.to_string().contains("expected input"), "{error}");
}

#[test]
fn no_images_have_no_predictions() {
    let model = build(&configs()[0]);
    let found = model.run(&[], &mut Workspace::default(), &mut NoObserver).unwrap();
    assert!(found.is_empty());
}
