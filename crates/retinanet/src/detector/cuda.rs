//! The steps of a detection on a GPU.

use std::path::Path;
use std::sync::Arc;

use retinanet_kernels::cuda::{Gpu, Map, Nvidia};
use retinanet_kernels::resize::{Normalisation, ResizeSpec, resize_normalised_cuda};
use retinanet_kernels::select::{Selected, select_cuda};

use crate::Result;
use crate::image::Image;
use crate::model::RetinaNet;
use crate::model::plan::Predictions;
use crate::postprocess::{ImageSizes, ScoredBox, SelectedLevel};

/// Opens GPU `ordinal`, and says what it is; its compiled kernels are kept in the folder `shelf`.
pub(super) fn open(ordinal: usize, shelf: Option<&Path>) -> Result<(Gpu, String)> {
    let driver = Nvidia::open(ordinal, shelf)?;
    let name = driver.info().to_string();
    Ok((Gpu::new(Arc::new(driver)), name))
}

/// The same canvas, `images` times.
pub(super) fn canvases(
    gpu: &Gpu,
    size: [usize; 2],
    values: &[f32],
    images: usize,
) -> Result<Vec<Map>> {
    (0..images).map(|_| Ok(Map::from_chw(gpu, 3, size, values)?)).collect()
}

/// Resize, `network` and the choice of candidates are the GPU's; what is left, on some thousand
/// values, is the CPU's same code.
pub(super) fn boxes_on_gpu(
    model: &RetinaNet,
    images: &[&Image],
    gpu: &Gpu,
    network: impl FnOnce(&[Map]) -> Result<Vec<Predictions<Map>>>,
) -> Result<Vec<Vec<ScoredBox>>> {
    let config = model.config();
    let transform = &config.transform;
    let normalisation = Normalisation::new(transform.image_mean, transform.image_std)?;
    let mut canvases = Vec::with_capacity(images.len());
    let mut sizes = Vec::with_capacity(images.len());
    for image in images {
        let original = [image.height(), image.width()];
        let (resized, padded) = transform.output_sizes(original[0], original[1])?;
        let spec = ResizeSpec::new(original, resized, padded)?;
        canvases.push(resize_normalised_cuda(gpu, &spec, &normalisation, image.as_rgb8())?);
        sizes.push((ImageSizes { original, resized }, padded));
    }
    let predictions = network(&canvases)?;

    let logits: Vec<&Map> = predictions.iter().flat_map(|found| &found.cls_logits).collect();
    let mut selected = select_cuda(&logits, config.postprocess.logit_bound())?.into_iter();
    let mut boxes = Vec::with_capacity(images.len());
    for (found, (sizes, padded)) in predictions.iter().zip(sizes) {
        let grids: Vec<_> = found.cls_logits.iter().map(Map::size).collect();
        let anchors = model.anchors(padded, &grids)?;
        let selected: Vec<Selected> = selected.by_ref().take(grids.len()).collect();
        let regression = found
            .bbox_regression
            .iter()
            .map(|map| Ok(map.to_chw()?))
            .collect::<Result<Vec<_>>>()?;
        let levels: Vec<_> = (0..grids.len())
            .map(|level| SelectedLevel {
                grid: grids[level],
                logits: found.cls_logits[level].channels() * grids[level][0] * grids[level][1],
                indices: &selected[level].indices,
                values: &selected[level].values,
                regression: &regression[level],
                anchors: &anchors[level],
            })
            .collect();
        boxes.push(config.postprocess.apply_selected(&levels, config.num_classes, sizes)?);
    }
    Ok(boxes)
}
