//! Names, shapes and parameter counts against torchvision's own (golden/make_names.py).

use std::collections::BTreeMap;

use retinanet::model::{RetinaNetConfig, expected_tensors, parameter_count};

fn check(golden: &str, config: &RetinaNetConfig, parameters: u64) {
    let mut lines = golden.lines();
    let head = lines.next().unwrap();
    assert!(head.ends_with(&format!("parameters: {parameters}")), "{head}");
    assert_eq!(parameter_count(config).unwrap(), parameters);
    let tensors = expected_tensors(config).unwrap();
    let ours: Vec<String> = tensors
        .iter()
        .map(|(name, shape)| {
            let dims: String = shape.iter().map(|dim| format!(" {dim}")).collect();
            format!("{name}{dims}")
        })
        .collect();
    let theirs: Vec<&str> = lines.collect();
    assert_eq!(ours, theirs);
}

#[test]
fn v1_has_torchvisions_names_shapes_and_order() {
    let golden = include_str!("../golden/names_v1.txt");
    check(golden, &RetinaNetConfig::resnet50_fpn(), 34_014_999);
}

#[test]
fn v2_has_torchvisions_names_shapes_and_order() {
    let golden = include_str!("../golden/names_v2.txt");
    check(golden, &RetinaNetConfig::resnet50_fpn_v2(), 38_198_935);
}

#[test]
fn the_bundled_checkpoint_describes_exactly_the_tensors_it_holds() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/assets/person_r18.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let text = &header.metadata().as_ref().unwrap()["config"];
    let config = RetinaNetConfig::from_json(text).unwrap();
    assert_eq!(config.pyramid_levels(), [3, 4, 5, 6]);
    let held = header.tensors().into_iter();
    let held: BTreeMap<String, Vec<usize>> =
        held.map(|(name, info)| (name, info.shape.clone())).collect();
    let expected: BTreeMap<_, _> = expected_tensors(&config).unwrap().into_iter().collect();
    assert_eq!(held, expected);
}
