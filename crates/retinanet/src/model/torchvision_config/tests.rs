use serde_json::{Value, json};

use super::*;

/// A small person detector over ResNet-18 cut after layer3.
fn demo() -> Value {
    json!({
        "model": MODEL,
        "backbone": {
            "type": "resnet", "depth": 18, "block": "basic",
            "returned_stages": ["layer2", "layer3"], "strides": [8, 16],
            "norm": "frozen_batch_norm", "norm_eps": 0.0, "layer4": false, "input": "RGB"
        },
        "fpn": {
            "in_channels": [128, 256], "out_channels": 128, "extra_levels": "p6p7",
            "extra_levels_in": "last_backbone_feature (use_P5=false)",
            "strides": [8, 16, 32, 64], "norm": null
        },
        "anchors": {
            "base_sizes": [24, 48, 96, 192],
            "sizes": [[24, 30, 38], [48, 60, 76], [96, 120, 152], [192, 241, 304]],
            "aspect_ratios": [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]],
            "num_per_location": 9
        },
        "head": {
            "num_convs": 4, "norm": "group_norm", "group_norm_groups": 32,
            "group_norm_eps": 1e-05, "box_loss": "giou",
            "box_coder_weights": [1.0, 1.0, 1.0, 1.0]
        },
        "num_classes": 2,
        "categories": ["__background__", "person"],
        "transform": {
            "min_size": 384, "max_size": 512, "size_divisible": 32,
            "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]
        },
        "postprocess": {
            "score_thresh": 0.05, "nms_thresh": 0.5, "detections_per_img": 100,
            "topk_candidates": 1000
        }
    })
}

fn message(change: impl FnOnce(&mut Value)) -> String {
    let mut value = demo();
    change(&mut value);
    let error = RetinaNetConfig::from_json(&value.to_string()).unwrap_err();
    error.to_string()
}

#[test]
fn every_part_of_a_small_detector_is_read() {
    let config = RetinaNetConfig::from_json(&demo().to_string()).unwrap();
    assert_eq!(config.backbone.depth, ResNetDepth::ResNet18);
    assert_eq!(config.backbone.returned_layers, [2, 3]);
    assert_eq!(config.backbone.batch_norm, BatchNormConfig::FROZEN_EPS_0);
    assert_eq!(config.fpn.out_channels, 128);
    assert_eq!(config.fpn.extra_levels, ExtraLevels::P6P7FromBackbone);
    assert_eq!(config.anchors.sizes[3], [192.0, 241.0, 304.0]);
    assert_eq!(config.head.group_norm, Some(GroupNormConfig::default()));
    assert_eq!(config.transform.min_size, 384);
    assert_eq!(config.postprocess.detections_per_img, 100);
    assert_eq!(config.categories.as_ref().unwrap()[1], "person");
    assert_eq!(config.pyramid_levels(), [3, 4, 5, 6]);
    let own = config.to_json().unwrap();
    assert_eq!(RetinaNetConfig::from_json(&own).unwrap(), config);
}

#[test]
fn a_part_that_cannot_be_expressed_is_named() {
    for (part, pointer, value) in [
        ("model", "/model", json!("torchvision.models.detection.FasterRCNN")),
        ("backbone.type", "/backbone/type", json!("resnext")),
        ("backbone.depth", "/backbone/depth", json!(20)),
        ("backbone.norm", "/backbone/norm", json!("layer_norm")),
        ("backbone.input", "/backbone/input", json!("BGR")),
        ("backbone.returned_stages", "/backbone/returned_stages/0", json!("stem")),
        ("fpn.norm", "/fpn/norm", json!("batch_norm")),
        ("fpn.extra_levels", "/fpn/extra_levels", json!("p6")),
        ("fpn.extra_levels_in", "/fpn/extra_levels_in", json!("c4")),
        ("head.norm", "/head/norm", json!("batch_norm")),
    ] {
        let error = message(|demo| *demo.pointer_mut(pointer).unwrap() = value);
        assert!(error.contains(&format!("`{part}` is ")), "{error}");
        assert!(error.contains("not supported; supported: "), "{error}");
    }
}

#[test]
fn what_is_said_twice_must_agree() {
    for (field, pointer, value) in [
        ("backbone.block", "/backbone/block", json!("bottleneck")),
        ("backbone.strides", "/backbone/strides", json!([8, 8])),
        ("backbone.layer4", "/backbone/layer4", json!(true)),
        ("fpn.in_channels", "/fpn/in_channels", json!([256, 512])),
        ("fpn.strides", "/fpn/strides", json!([8, 16])),
        ("anchors.num_per_location", "/anchors/num_per_location", json!(3)),
        ("anchors.base_sizes", "/anchors/base_sizes", json!([32, 64, 128, 256])),
        ("categories", "/categories", json!(["person"])),
    ] {
        let error = message(|demo| *demo.pointer_mut(pointer).unwrap() = value);
        assert!(error.contains(&format!("`{field}`")), "{field}: {error}");
    }
}

#[test]
fn unknown_and_missing_keys_are_named() {
    let unknown = message(|demo| demo["backbone"]["width_per_group"] = json!(128));
    assert!(unknown.contains("unknown field `width_per_group`"), "{unknown}");
    let missing = message(|demo| {
        demo["backbone"].as_object_mut().unwrap().remove("norm_eps");
    });
    assert!(missing.contains("missing field `norm_eps`"), "{missing}");
    let source = message(|demo| demo["fpn"]["extra_levels_in"] = Value::Null);
    assert!(source.contains("fpn.extra_levels_in"), "{source}");
}

#[test]
fn a_fixed_size_is_width_first_as_in_torchvision() {
    let mut demo = demo();
    demo["transform"]["fixed_size"] = json!([640, 480]);
    let config = RetinaNetConfig::from_json(&demo.to_string()).unwrap();
    assert_eq!(config.transform.fixed_size, Some([640, 480]));
}
