//! Two reduced but complete detections, one of each kind of head, for machines too slow for a real one.

use retinanet::Image;
use retinanet::model::{
    AnchorConfig, BatchNormConfig, ExtraLevels, FpnConfig, GroupNormConfig, HeadConfig,
    ResNetConfig, ResNetDepth, RetinaNetConfig,
};

/// As torchvision's first version, made small: frozen norms, P6 from P5, heads without norm.
pub fn plain_heads() -> RetinaNetConfig {
    let mut config = RetinaNetConfig::resnet50_fpn();
    config.backbone = ResNetConfig {
        depth: ResNetDepth::ResNet18,
        returned_layers: vec![1, 2],
        batch_norm: BatchNormConfig::FROZEN_EPS_0,
    };
    config.fpn = FpnConfig { out_channels: 24, extra_levels: ExtraLevels::P6P7FromPyramid };
    config.num_classes = 5;
    reduced(config, None)
}

/// As torchvision's second version, made small: plain norms, P6 from C5, heads with GroupNorm.
pub fn group_norm_heads() -> RetinaNetConfig {
    let mut config = RetinaNetConfig::resnet50_fpn_v2();
    config.backbone = ResNetConfig {
        depth: ResNetDepth::ResNet50,
        returned_layers: vec![1, 2],
        batch_norm: BatchNormConfig::PLAIN,
    };
    config.fpn = FpnConfig { out_channels: 32, extra_levels: ExtraLevels::P6P7FromBackbone };
    config.num_classes = 3;
    reduced(config, Some(GroupNormConfig { groups: 8, eps: 1e-5 }))
}

fn reduced(mut config: RetinaNetConfig, group_norm: Option<GroupNormConfig>) -> RetinaNetConfig {
    config.head = HeadConfig { num_convs: 2, group_norm };
    config.anchors = AnchorConfig {
        sizes: [8.0, 16.0, 32.0, 64.0].map(|size| vec![size, size * 1.25]).into(),
        aspect_ratios: vec![vec![0.5, 1.0, 2.0]; 4],
    };
    config.transform.min_size = 48;
    config.transform.max_size = 80;
    config.postprocess.score_thresh = 0.0;
    config.postprocess.topk_candidates = 200;
    config.postprocess.detections_per_img = 50;
    config.categories = None;
    config
}

/// Noise over a gradient: neither flat nor without structure.
///
/// # Panics
/// For a side of 0.
pub fn picture(width: usize, height: usize) -> Image {
    let mut state = 3407u32;
    let mut pixels = Vec::with_capacity(width * height * 3);
    for index in 0..width * height * 3 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        pixels.push((index / 40 % 160) as u8 + (state >> 26) as u8);
    }
    Image::from_rgb8(width, height, pixels).expect("as many bytes as the size says")
}
