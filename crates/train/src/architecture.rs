//! Architectures by name.

use retinanet::model::{
    AnchorConfig, BatchNormConfig, ExtraLevels, FpnConfig, GroupNormConfig, HeadConfig,
    ResNetConfig, ResNetDepth, RetinaNetConfig,
};

/// The names that [`by_name`] knows.
pub const NAMES: [&str; 3] =
    ["retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2", "retinanet_resnet18_c4_fpn_gn"];

/// The configuration of an architecture with this many classes, the background counted; `None` for a name that is not in
/// [`NAMES`].
///
/// `retinanet_resnet50_fpn` has frozen batch norm with eps 1e-5, as an ImageNet backbone needs it; its COCO
/// checkpoint brings its own eps, 0, along.
pub fn by_name(name: &str, num_classes: usize) -> Option<RetinaNetConfig> {
    let config = match name {
        "retinanet_resnet50_fpn" => {
            let mut config = RetinaNetConfig::resnet50_fpn();
            config.backbone.batch_norm.eps = 1e-5;
            config
        }
        "retinanet_resnet50_fpn_v2" => RetinaNetConfig::resnet50_fpn_v2(),
        "retinanet_resnet18_c4_fpn_gn" => resnet18_c4_fpn_gn(num_classes),
        _ => return None,
    };
    Some(RetinaNetConfig { num_classes, ..config })
}

/// The small architecture of the bundled checkpoint: ResNet-18 up to layer3 with frozen batch norm of eps 0, a pyramid of 128
/// channels over layer2 and layer3 with P6 and P7, heads with GroupNorm, pictures of 384 pixels' short side.
pub fn resnet18_c4_fpn_gn(num_classes: usize) -> RetinaNetConfig {
    let sizes: [[f32; 3]; 4] =
        [[24.0, 30.0, 38.0], [48.0, 60.0, 76.0], [96.0, 120.0, 152.0], [192.0, 241.0, 304.0]];
    let mut config = RetinaNetConfig {
        backbone: ResNetConfig {
            depth: ResNetDepth::ResNet18,
            returned_layers: vec![2, 3],
            batch_norm: BatchNormConfig { frozen: true, eps: 0.0 },
        },
        fpn: FpnConfig { out_channels: 128, extra_levels: ExtraLevels::P6P7FromBackbone },
        anchors: AnchorConfig {
            sizes: sizes.map(|level| level.to_vec()).to_vec(),
            aspect_ratios: vec![vec![1.0, 2.0, 3.0]; 4],
        },
        head: HeadConfig { num_convs: 4, group_norm: Some(GroupNormConfig::default()) },
        num_classes,
        ..RetinaNetConfig::resnet50_fpn_v2()
    };
    config.transform.min_size = 384;
    config.transform.max_size = 512;
    config.postprocess.detections_per_img = 100;
    config
}
