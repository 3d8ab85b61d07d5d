//! 2-D convolution with its bias, residual and ReLU.

use std::sync::Arc;

#[cfg(feature = "cuda")]
use retinanet_kernels::conv2d::CudaConv2d;
use retinanet_kernels::conv2d::{Conv2d as Kernel, Conv2dSpec};
#[cfg(feature = "cudnn")]
use retinanet_kernels::cudnn::{CudnnConv2d, CudnnGpu};

#[cfg(feature = "candle")]
use super::differentiable::{ConvVariables, KeptWeights};
use super::{Arithmetic, OpError};

#[cfg(any(feature = "cuda", feature = "candle"))]
const NAME: &str = "retinanet.conv2d";

/// A 2-D convolution whose weights are packed once, at construction (variables of candle's: in each forward
/// pass).
///
/// Input (N, in_channels, H, W), output (N, out_channels, H', W'), f32. Each output value is one
/// fused chain from +0 over k = (input channel, ky, kx), then + bias, + residual, ReLU, each
/// rounded. Cloning shares the packed weights.
#[derive(Debug, Clone)]
pub struct Conv2d {
    weights: Weights,
    /// Its path in the network, empty outside one.
    name: Arc<str>,
    /// The weights once more, where a gradient of its input may be asked for.
    #[cfg(feature = "candle")]
    kept: Option<Arc<KeptWeights>>,
}

/// The packed weights, where they are.
#[derive(Debug, Clone)]
enum Weights {
    Cpu(Arc<Kernel>),
    /// Not packed, for they may change.
    #[cfg(feature = "candle")]
    Variables(Arc<ConvVariables>),
    #[cfg(feature = "cuda")]
    Gpu(Arc<CudaConv2d>),
    #[cfg(feature = "cudnn")]
    Cudnn(Arc<CudnnConv2d>),
}

impl Conv2d {
    /// Packs weights laid out (out_channels, in_channels, kernel height, kernel width).
    ///
    /// # Errors
    /// [`Error::Kernel`](crate::Error::Kernel) when a length does not match `spec` or `spec` is not
    /// a convolution (a zero stride, for example).
    pub fn new<'a>(
        arithmetic: impl Into<Arithmetic<'a>>,
        spec: Conv2dSpec,
        weight: &[f32],
        bias: Option<&[f32]>,
    ) -> crate::Result<Self> {
        let conv = Self::packed(arithmetic, spec, weight, bias)?;
        #[cfg(feature = "candle")]
        let conv = conv.keeping(weight.to_vec());
        Ok(conv)
    }

    /// As [`Conv2d::new`], without keeping what a gradient would need.
    pub(crate) fn packed<'a>(
        arithmetic: impl Into<Arithmetic<'a>>,
        spec: Conv2dSpec,
        weight: &[f32],
        bias: Option<&[f32]>,
    ) -> crate::Result<Self> {
        let arithmetic = arithmetic.into();
        #[cfg(feature = "cudnn")]
        if let Some(on) = arithmetic.cudnn {
            let conv = CudnnConv2d::new(on, spec, weight, bias)?;
            return Ok(Self::unnamed(Weights::Cudnn(Arc::new(conv))));
        }
        #[cfg(feature = "cuda")]
        if let Some(gpu) = arithmetic.gpu {
            let conv = CudaConv2d::new(gpu, spec, weight, bias)?;
            return Ok(Self::unnamed(Weights::Gpu(Arc::new(conv))));
        }
        let new = if arithmetic.fast { Kernel::new_fast } else { Kernel::new };
        let kernel = new(arithmetic.level, spec, weight, bias)?;
        Ok(Self::unnamed(Weights::Cpu(Arc::new(kernel))))
    }

    fn unnamed(weights: Weights) -> Self {
        Self {
            weights,
            name: "".into(),
            #[cfg(feature = "candle")]
            kept: None,
        }
    }

    /// A convolution whose weights may change.
    #[cfg(feature = "candle")]
    pub(crate) fn of_variables(variables: ConvVariables) -> Self {
        Self::unnamed(Weights::Variables(Arc::new(variables)))
    }

    /// The same, with the weights that it was packed from, for the gradient of its input. Those on a GPU know none.
    #[cfg(feature = "candle")]
    pub(crate) fn keeping(self, weight: Vec<f32>) -> Self {
        let kept = match &self.weights {
            Weights::Cpu(kernel) => {
                Some(Arc::new(KeptWeights::new(kernel.level(), *kernel.spec(), weight)))
            }
            _ => None,
        };
        Self { kept, ..self }
    }

    /// The weights that may change, where they are.
    #[cfg(feature = "candle")]
    pub(crate) fn variables(&self) -> Option<&Arc<ConvVariables>> {
        match &self.weights {
            Weights::Variables(variables) => Some(variables),
            _ => None,
        }
    }

    /// What the gradient of its input needs, where it was kept.
    #[cfg(feature = "candle")]
    pub(crate) fn kept(&self) -> Option<&Arc<KeptWeights>> {
        self.kept.as_ref()
    }

    /// The same, with its path in the network.
    pub(crate) fn named(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Takes other weights, on the CPU, into the memory of those it had; another clone keeps its own.
    #[cfg(feature = "training")]
    pub(crate) fn repack(&mut self, weight: &[f32], bias: Option<&[f32]>) -> crate::Result<()> {
        #[cfg(feature = "candle")]
        {
            self.kept = None;
        }
        match &mut self.weights {
            Weights::Cpu(kernel) => Ok(Arc::make_mut(kernel).repack(weight, bias)?),
            #[cfg(feature = "candle")]
            Weights::Variables(_) => Err(OpError::Variables { op: NAME }.into()),
            #[cfg(feature = "cuda")]
            Weights::Gpu(_) => Err(OpError::OnGpu { op: NAME }.into()),
            #[cfg(feature = "cudnn")]
            Weights::Cudnn(_) => Err(OpError::OnGpu { op: NAME }.into()),
        }
    }

    /// Its path in the network (`backbone.body.conv1`), empty for one that is not part of a network.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The weights on the CPU.
    pub(crate) fn on_cpu(&self) -> Result<&Arc<Kernel>, OpError> {
        match &self.weights {
            Weights::Cpu(kernel) => Ok(kernel),
            #[cfg(feature = "candle")]
            Weights::Variables(_) => Err(OpError::Variables { op: NAME }),
            #[cfg(feature = "cuda")]
            Weights::Gpu(_) => Err(OpError::OnGpu { op: NAME }),
            #[cfg(feature = "cudnn")]
            Weights::Cudnn(_) => Err(OpError::OnGpu { op: NAME }),
        }
    }

    /// The weights on the GPU.
    #[cfg(feature = "cuda")]
    pub(crate) fn on_gpu(&self) -> Result<&CudaConv2d, OpError> {
        match &self.weights {
            Weights::Gpu(conv) => Ok(conv),
            Weights::Cpu(_) => Err(OpError::OnCpu { op: NAME }),
            #[cfg(feature = "candle")]
            Weights::Variables(_) => Err(OpError::OnCpu { op: NAME }),
            #[cfg(feature = "cudnn")]
            Weights::Cudnn(_) => Err(OpError::OtherKernels { op: NAME }),
        }
    }

    /// The weights on the GPU, laid out for the library that `on` convolves with.
    #[cfg(feature = "cudnn")]
    pub(crate) fn on_cudnn(&self, on: &CudnnGpu) -> Result<&CudnnConv2d, OpError> {
        match &self.weights {
            Weights::Cudnn(conv) if conv.on().is_like(on) => Ok(conv),
            Weights::Cudnn(_) | Weights::Gpu(_) => Err(OpError::OtherKernels { op: NAME }),
            Weights::Cpu(_) => Err(OpError::OnCpu { op: NAME }),
            #[cfg(feature = "candle")]
            Weights::Variables(_) => Err(OpError::OnCpu { op: NAME }),
        }
    }

    /// The convolution's shape.
    pub fn spec(&self) -> &Conv2dSpec {
        match &self.weights {
            Weights::Cpu(kernel) => kernel.spec(),
            #[cfg(feature = "candle")]
            Weights::Variables(variables) => &variables.spec,
            #[cfg(feature = "cuda")]
            Weights::Gpu(conv) => conv.spec(),
            #[cfg(feature = "cudnn")]
            Weights::Cudnn(conv) => conv.spec(),
        }
    }
}
