//! The convolutions of retinanet_resnet50_fpn_v2 on a canvas of 800 x 1088.

use retinanet_kernels::Level;
use retinanet_kernels::conv2d::{Conv2d, Conv2dSpec, Input, Item};
use retinanet_kernels::layout::{BlockedBuffer, BlockedShape};

use crate::drawn;

/// One shape of convolution.
#[derive(Debug, Clone, Copy)]
pub struct Layer {
    /// Where it is.
    pub name: &'static str,
    /// Its channels, kernel and stride; the padding keeps the size at stride 1.
    pub spec: Conv2dSpec,
    /// Height and width of its input.
    pub size: [usize; 2],
    /// How many the network has of it.
    pub count: usize,
}

impl Layer {
    /// A layer of [in channels, out channels, kernel, stride] on an input of `size`.
    pub const fn new(
        name: &'static str,
        [in_channels, out_channels, kernel, stride]: [usize; 4],
        size: [usize; 2],
        count: usize,
    ) -> Self {
        let spec = Conv2dSpec {
            in_channels,
            out_channels,
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [kernel / 2; 2],
        };
        Self { name, spec, size, count }
    }

    /// Height and width of its output.
    pub fn output_size(&self) -> [usize; 2] {
        let [stride, _] = self.spec.stride;
        self.size.map(|side| (side - 1) / stride + 1)
    }

    /// Multiplications, each with an addition, of the direct form.
    pub fn multiplies(&self) -> u64 {
        let Conv2dSpec { in_channels, out_channels, kernel, .. } = self.spec;
        let [height, width] = self.output_size();
        (height * width * in_channels * out_channels * kernel[0] * kernel[1]) as u64
    }

    /// "256->819 3x3, 100x136", with "s2" behind the kernel where it strides.
    pub fn label(&self) -> String {
        let Conv2dSpec { in_channels, out_channels, kernel: [k, _], stride: [s, _], .. } =
            self.spec;
        let stride = if s == 1 { String::new() } else { format!("s{s}") };
        let [height, width] = self.size;
        format!("{} {in_channels}-{out_channels} {k}x{k}{stride} {height}x{width}", self.name)
    }
}

impl Layer {
    /// Numbers like those after a ReLU, (channels, height, width): half of them zero.
    pub fn input(&self) -> Vec<f32> {
        let shape = [self.spec.in_channels * self.size[0] * self.size[1]];
        let mut values = drawn("input.bias", &shape);
        for value in &mut values {
            *value = if *value < 0.0 { 0.0 } else { 8.0 * *value };
        }
        values
    }

    /// Weights as Kaiming's initialisation would draw them.
    pub fn weight(&self) -> Vec<f32> {
        let Conv2dSpec { in_channels, out_channels, kernel: [height, width], .. } = self.spec;
        drawn("conv.weight", &[out_channels, in_channels, height, width])
    }
}

/// A layer ready to run: weights packed, input and output in the kernels' layout.
#[derive(Debug)]
pub struct Prepared {
    conv: Conv2d,
    planar: Vec<f32>,
    blocked: BlockedBuffer,
    size: [usize; 2],
    output: BlockedBuffer,
}

impl Prepared {
    /// Packs the weights.
    ///
    /// # Panics
    /// The layer is no convolution.
    pub fn new(layer: &Layer, level: Level) -> Self {
        let conv = Conv2d::new(level, layer.spec, &layer.weight(), None).expect("a convolution");
        let planar = layer.input();
        let in_shape = BlockedShape::new(layer.spec.in_channels, layer.size);
        Self {
            blocked: BlockedBuffer::from_chw(in_shape, &planar).expect("as many values"),
            planar,
            size: layer.size,
            output: BlockedBuffer::zeroed(BlockedShape::new(
                layer.spec.out_channels,
                layer.output_size(),
            )),
            conv,
        }
    }

    /// Runs it once, with ReLU.
    ///
    /// # Panics
    /// The shapes do not fit.
    pub fn run(&mut self) {
        let input = if self.conv.takes_planar() {
            Input::Planar { data: &self.planar, size: self.size }
        } else {
            Input::Blocked(self.blocked.as_ref())
        };
        let mut items = [Item { input, residual: None, output: self.output.as_mut() }];
        self.conv.forward(&mut items, true).expect("shapes that fit");
    }
}

const S1: [usize; 2] = [200, 272];
const S2: [usize; 2] = [100, 136];
const S3: [usize; 2] = [50, 68];
const S4: [usize; 2] = [25, 34];

/// Each shape once.
pub const LAYERS: &[Layer] = &[
    Layer::new("stem", [3, 64, 7, 2], [800, 1088], 1),
    Layer::new("layer1", [64, 64, 1, 1], S1, 1),
    Layer::new("layer1", [256, 64, 1, 1], S1, 2),
    Layer::new("layer1", [64, 64, 3, 1], S1, 3),
    Layer::new("layer1", [64, 256, 1, 1], S1, 4),
    Layer::new("layer2", [256, 128, 1, 1], S1, 1),
    Layer::new("layer2", [128, 128, 3, 2], S1, 1),
    Layer::new("layer2", [256, 512, 1, 2], S1, 1),
    Layer::new("layer2", [512, 128, 1, 1], S2, 3),
    Layer::new("layer2", [128, 128, 3, 1], S2, 3),
    Layer::new("layer2", [128, 512, 1, 1], S2, 4),
    Layer::new("layer3", [512, 256, 1, 1], S2, 2),
    Layer::new("layer3", [256, 256, 3, 2], S2, 1),
    Layer::new("layer3", [512, 1024, 1, 2], S2, 1),
    Layer::new("layer3", [1024, 256, 1, 1], S3, 6),
    Layer::new("layer3", [256, 256, 3, 1], S3, 14),
    Layer::new("layer3", [256, 1024, 1, 1], S3, 6),
    Layer::new("layer4", [1024, 512, 1, 1], S3, 1),
    Layer::new("layer4", [512, 512, 3, 2], S3, 1),
    Layer::new("layer4", [1024, 2048, 1, 2], S3, 1),
    Layer::new("layer4", [2048, 512, 1, 1], S4, 2),
    Layer::new("layer4", [512, 512, 3, 1], S4, 2),
    Layer::new("layer4", [512, 2048, 1, 1], S4, 3),
    Layer::new("fpn", [2048, 256, 1, 1], S4, 1),
    Layer::new("fpn", [2048, 256, 3, 2], S4, 1),
    Layer::new("heads", [256, 256, 3, 1], S2, 9),
    Layer::new("heads", [256, 256, 3, 1], S4, 9),
    Layer::new("heads", [256, 819, 3, 1], S2, 1),
    Layer::new("heads", [256, 36, 3, 1], S2, 1),
    Layer::new("heads", [256, 819, 3, 1], S3, 1),
];
