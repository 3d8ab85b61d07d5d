//! From images to boxes, on the device that a detector was built for.

use std::sync::Mutex;

use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::cuda::boxes_on_gpu;
use crate::Result;
use crate::image::{Image, Transformed};
use crate::model::RetinaNet;
use crate::model::plan::{Canvas, Map, Observer, Predictions, Workspace};
use crate::postprocess::{BlockedLevel, ImageSizes, ScoredBox};

/// What a detector computes with.
#[derive(Debug)]
pub(super) enum Engine {
    /// The CPU, and memory of earlier calls; one more for each call that runs at the same time.
    Cpu(Mutex<Vec<Workspace>>),
    /// A GPU, whose memory is kept by itself.
    #[cfg(feature = "cuda")]
    Cuda(retinanet_kernels::cuda::Gpu),
    /// A GPU with cuDNN.
    #[cfg(feature = "cudnn")]
    Cudnn(retinanet_kernels::cudnn::CudnnGpu),
}

impl Engine {
    /// Resize, network and post-processing: each image's boxes.
    pub(super) fn boxes(
        &self,
        model: &RetinaNet,
        images: &[&Image],
        observer: &mut dyn Observer,
    ) -> Result<Vec<Vec<ScoredBox>>> {
        match self {
            Engine::Cpu(workspaces) => boxes_on_cpu(model, images, workspaces, observer),
            #[cfg(feature = "cuda")]
            Engine::Cuda(gpu) => boxes_on_gpu(model, images, gpu, |canvases| {
                model.run(canvases, &mut crate::model::plan::OnGpu, observer)
            }),
            #[cfg(feature = "cudnn")]
            Engine::Cudnn(cudnn) => boxes_on_gpu(model, images, cudnn.gpu(), |canvases| {
                use crate::model::plan::{OnCudnn, canonical};
                canonical(model.run(canvases, &mut OnCudnn(cudnn), observer)?)
            }),
        }
    }
}

fn boxes_on_cpu(
    model: &RetinaNet,
    images: &[&Image],
    workspaces: &Mutex<Vec<Workspace>>,
    observer: &mut dyn Observer,
) -> Result<Vec<Vec<ScoredBox>>> {
    let transform = &model.config().transform;
    let inputs = images
        .par_iter()
        .map(|image| transform.apply(image))
        .collect::<Result<Vec<Transformed>>>()?;
    let canvases: Vec<Canvas<'_>> =
        inputs.iter().map(|input| Canvas { data: &input.data, size: input.padded }).collect();
    with_workspace(workspaces, |workspace| {
        let predictions = model.run(&canvases, workspace, observer)?;
        let found = predictions.iter().zip(&inputs);
        let boxes = found.map(|(found, input)| postprocess(model, found, input)).collect();
        for found in predictions {
            workspace.give_all(found.cls_logits.into_iter().chain(found.bbox_regression));
        }
        boxes
    })
}

/// Threshold, top-k, box decoding, clipping, NMS, and back to the image's pixels.
fn postprocess(
    model: &RetinaNet,
    found: &Predictions<Map>,
    input: &Transformed,
) -> Result<Vec<ScoredBox>> {
    let grids: Vec<_> = found.cls_logits.iter().map(|map| map.shape().size()).collect();
    let anchors = model.anchors(input.padded, &grids)?;
    let maps = found.cls_logits.iter().zip(&found.bbox_regression);
    let levels = maps.zip(&anchors).map(|((logits, regression), anchors)| {
        Ok(BlockedLevel { logits: logits.as_ref()?, regression: regression.as_ref()?, anchors })
    });
    let levels = levels.collect::<Result<Vec<_>>>()?;
    let config = model.config();
    let sizes = ImageSizes { original: input.original, resized: input.resized };
    config.postprocess.apply_blocked(&levels, config.num_classes, sizes)
}

/// Lends memory of earlier calls.
pub(super) fn with_workspace<T>(
    workspaces: &Mutex<Vec<Workspace>>,
    task: impl FnOnce(&mut Workspace) -> T,
) -> T {
    let taken = workspaces.lock().ok().and_then(|mut free| free.pop());
    let mut workspace = taken.unwrap_or_default();
    let answer = task(&mut workspace);
    if let Ok(mut free) = workspaces.lock() {
        free.push(workspace);
    }
    answer
}
