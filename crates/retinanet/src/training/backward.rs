//! The way back through a record.

use retinanet_kernels::conv2d::{DataGradientItem, GradientPair, Input, weight_gradient};
use retinanet_kernels::{norm, pointwise, pool, sum, upsample, with_ieee};

use super::layers::Layers;
use super::outputs::{self, LANES};
use super::tape::{ConvInputs, Node, Place, Record, give_back};
use crate::Result;
use crate::model::Shift;
use crate::model::plan::{Map, Workspace};
use crate::ops::GroupNorm;

/// The gradients of one image, on their way from the heads to the lowest layer that trains.
pub(super) struct Backward<'a> {
    layers: &'a Layers<'a>,
    pub(super) workspace: &'a mut Workspace,
    records: Vec<Record>,
    /// Of maps; none until somebody who read the map has been gone through.
    maps: Vec<Option<Map>>,
    /// Of the tensors that train.
    tensors: Vec<Vec<f32>>,
}

impl<'a> Backward<'a> {
    pub(super) fn new(
        layers: &'a Layers<'a>,
        workspace: &'a mut Workspace,
        records: Vec<Record>,
        gradients: usize,
    ) -> Self {
        let maps = (0..gradients).map(|_| None).collect();
        let tensors = layers.lengths.iter().map(|len| vec![0.0; *len]).collect();
        Self { layers, workspace, records, maps, tensors }
    }

    /// Gives the gradients of outputs, listed by anchor.
    pub(super) fn start(&mut self, outputs: &[Node], mut list: &[f32]) -> Result<()> {
        for output in outputs {
            let Place { gradient, shape } = output.place();
            let mut map = self.workspace.take(shape)?;
            list = outputs::to_map(list, &mut map.as_mut()?);
            match gradient {
                Some(place) => self.maps[place] = Some(map),
                None => self.workspace.give(map),
            }
        }
        Ok(())
    }

    /// Goes through the records, last first; answers the tensors' gradients.
    pub(super) fn run(mut self) -> Result<Vec<Vec<f32>>> {
        while let Some(record) = self.records.pop() {
            match record {
                Record::Conv { name, inputs, kept, residuals, outputs, rectified } => {
                    let Some(gradients) = self.take_all(&outputs)? else { continue };
                    let mut gradients = gradients;
                    for (gradient, output) in gradients.iter_mut().zip(&rectified) {
                        self.mask(output, gradient)?;
                    }
                    give_back(self.workspace, rectified);
                    for (residual, gradient) in residuals.iter().zip(&gradients) {
                        self.add_copy(*residual, gradient)?;
                    }
                    self.conv(&name, &inputs, kept, &gradients)?;
                    self.workspace.give_all(gradients);
                }
                Record::GroupNormRelu { norm, inputs, outputs } => {
                    self.group_norm(&norm, inputs, outputs)?;
                }
                Record::MaxPool { spec, input: (place, input), output } => {
                    let Some(gradient) = self.take(output) else { continue };
                    let mut by_input = self.workspace.take(place.shape)?;
                    pool::max_pool2d_backward(
                        self.layers.level,
                        &spec,
                        input.as_ref().as_ref()?,
                        gradient.as_ref()?,
                        &mut by_input.as_mut()?,
                    )?;
                    give_back(self.workspace, [input]);
                    self.workspace.give(gradient);
                    self.add(place, by_input)?;
                }
                Record::Relu { input, output: (place, output) } => {
                    let Some(mut gradient) = self.take(place) else { continue };
                    self.mask(&output, &mut gradient)?;
                    give_back(self.workspace, [output]);
                    self.add(input, gradient)?;
                }
                Record::UpsampleAdd { coarser, finer, output } => {
                    let Some(gradient) = self.take(output) else { continue };
                    if coarser.gradient.is_some() {
                        let mut by_coarser = self.workspace.take(coarser.shape)?;
                        upsample::upsample_nearest_backward(
                            self.layers.level,
                            gradient.as_ref()?,
                            &mut by_coarser.as_mut()?,
                        )?;
                        self.add(coarser, by_coarser)?;
                    }
                    self.add(finer, gradient)?;
                }
            }
        }
        Ok(self.tensors)
    }

    fn take(&mut self, place: Place) -> Option<Map> {
        self.maps.get_mut(place.gradient?)?.take()
    }

    /// The gradients of all outputs of a layer; of one that nobody read, zeros. None where nobody read any.
    fn take_all(&mut self, places: &[Place]) -> Result<Option<Vec<Map>>> {
        let taken: Vec<Option<Map>> = places.iter().map(|place| self.take(*place)).collect();
        if taken.iter().all(Option::is_none) {
            return Ok(None);
        }
        let mut maps = Vec::with_capacity(places.len());
        for (map, place) in taken.into_iter().zip(places) {
            maps.push(match map {
                Some(map) => map,
                None => {
                    let mut zeros = self.workspace.take(place.shape)?;
                    zeros.as_mut()?.data().fill(0.0);
                    zeros
                }
            });
        }
        Ok(Some(maps))
    }

    /// Adds to a map's gradient.
    fn add(&mut self, place: Place, gradient: Map) -> Result<()> {
        let Some(slot) = place.gradient.and_then(|place| self.maps.get_mut(place)) else {
            self.workspace.give(gradient);
            return Ok(());
        };
        match slot {
            None => *slot = Some(gradient),
            Some(sum) => {
                pointwise::add_in_place(
                    self.layers.level,
                    sum.as_mut()?.data(),
                    gradient.as_ref()?.data(),
                )?;
                self.workspace.give(gradient);
            }
        }
        Ok(())
    }

    /// Adds to a map's gradient what is needed elsewhere, too.
    fn add_copy(&mut self, place: Place, gradient: &Map) -> Result<()> {
        if place.gradient.is_none() {
            return Ok(());
        }
        let mut copy = self.workspace.take(place.shape)?;
        copy.as_mut()?.data().copy_from_slice(gradient.as_ref()?.data());
        self.add(place, copy)
    }

    /// The gradient of ReLU.
    fn mask(&self, output: &Map, gradient: &mut Map) -> Result<()> {
        let (output, mut gradient) = (output.as_ref()?, gradient.as_mut()?);
        Ok(pointwise::relu_backward_in_place(self.layers.level, output.data(), gradient.data())?)
    }

    fn conv(
        &mut self,
        name: &str,
        inputs: &[Place],
        kept: ConvInputs,
        gradients: &[Map],
    ) -> Result<()> {
        let level = self.layers.level;
        let layer = self.layers.conv(name)?;
        if let Some(place) = layer.bias {
            let mut sums = vec![0.0; gradients[0].shape().channels];
            for (i, gradient) in gradients.iter().enumerate() {
                sum::sum_channels(level, gradient.as_ref()?, &mut sums)?;
                accumulate(&mut self.tensors[place], &sums, i == 0);
            }
        }
        if let Some(place) = layer.weight {
            let spec = &layer.site.spec;
            // Fewer than sixteen channels, as only a small pyramid of one's own has, are given as planes.
            let planes: Vec<(Vec<f32>, [usize; 2])> = match &kept {
                ConvInputs::Maps(maps) if spec.in_channels < LANES => maps
                    .iter()
                    .map(|map| Ok((map.to_chw()?, map.shape().size())))
                    .collect::<Result<_>>()?,
                _ => Vec::new(),
            };
            let inputs: Vec<Input<'_>> = match &kept {
                ConvInputs::NotKept => Vec::new(),
                ConvInputs::Planes(data, size) => vec![Input::Planar { data, size: *size }],
                ConvInputs::Maps(_) if !planes.is_empty() => {
                    planes.iter().map(|(data, size)| Input::Planar { data, size: *size }).collect()
                }
                ConvInputs::Maps(maps) => maps
                    .iter()
                    .map(|map| Ok(Input::Blocked(map.as_ref().as_ref()?)))
                    .collect::<Result<_>>()?,
            };
            let mut pairs = Vec::with_capacity(gradients.len());
            for (input, gradient) in inputs.into_iter().zip(gradients) {
                pairs.push(GradientPair { input, grad_output: gradient.as_ref()? });
            }
            let by_weight = &mut self.tensors[place];
            weight_gradient(level, spec, &pairs, by_weight)?;
            if let Shift::BatchNorm(norm) = &layer.site.shift {
                scale(by_weight, &norm.scales(&self.layers.tensors)?);
            }
        }
        if let ConvInputs::Maps(maps) = kept {
            give_back(self.workspace, maps);
        }
        if inputs.iter().all(|input| input.gradient.is_none()) {
            return Ok(());
        }
        // What is there already goes through the kernel as its residual.
        let mut by_inputs = Vec::with_capacity(inputs.len());
        for input in inputs {
            by_inputs.push((self.take(*input), self.workspace.take(input.shape)?));
        }
        let mut items = Vec::with_capacity(inputs.len());
        for ((before, output), gradient) in by_inputs.iter_mut().zip(gradients) {
            let residual = before.as_ref().map(Map::as_ref).transpose()?;
            let (grad_output, output) = (gradient.as_ref()?, output.as_mut()?);
            items.push(DataGradientItem { grad_output, residual, output });
        }
        layer.data_gradient(self.layers)?.forward(&mut items)?;
        drop(items);
        for (input, (before, by_input)) in inputs.iter().zip(by_inputs) {
            self.workspace.give_all(before);
            self.add(*input, by_input)?;
        }
        Ok(())
    }

    fn group_norm(
        &mut self,
        norm: &GroupNorm,
        inputs: Vec<(Place, std::sync::Arc<Map>)>,
        outputs: Vec<(Place, std::sync::Arc<Map>)>,
    ) -> Result<()> {
        let places: Vec<Place> = outputs.iter().map(|(place, _)| *place).collect();
        let Some(gradients) = self.take_all(&places)? else { return Ok(()) };
        let [weight, bias] = self.layers.norm(norm.name());
        let [mut by_weight, mut by_bias] = [(); 2].map(|()| vec![0.0; norm.spec.channels]);
        let maps = inputs.into_iter().zip(outputs).zip(gradients).enumerate();
        for (i, (((place, input), (_, output)), mut gradient)) in maps {
            norm::group_norm_backward_in_place(
                norm.level,
                &norm.spec,
                &norm.weight,
                input.as_ref().as_ref()?,
                Some(output.as_ref().as_ref()?),
                &mut gradient.as_mut()?,
                &mut by_weight,
                &mut by_bias,
            )?;
            for (place, sums) in [(weight, &by_weight), (bias, &by_bias)] {
                if let Some(place) = place {
                    accumulate(&mut self.tensors[place], sums, i == 0);
                }
            }
            give_back(self.workspace, [input, output]);
            self.add(place, gradient)?;
        }
        Ok(())
    }
}

/// `total + more` where something is there already.
fn accumulate(total: &mut [f32], more: &[f32], first: bool) {
    if first {
        total.copy_from_slice(more);
    } else {
        with_ieee(|| total.iter_mut().zip(more).for_each(|(total, more)| *total += more));
    }
}

/// Each output channel's weights times its scale: the product in f64, rounded once.
fn scale(by_weight: &mut [f32], scales: &[f64]) {
    let per_channel = by_weight.len() / scales.len().max(1);
    with_ieee(|| {
        for (values, scale) in by_weight.chunks_exact_mut(per_channel.max(1)).zip(scales) {
            for value in values {
                *value = (f64::from(*value) * scale) as f32;
            }
        }
    });
}
