//! Memory that is reused from image to image.

use crate::model::plan::Workspace;

/// Memory for maps, lists and gradients that is reused from image to image.
#[derive(Debug, Default)]
pub struct Memory {
    pub(super) workspace: Workspace,
    /// For the list of an image's logits.
    pub(super) logits: Vec<f32>,
    /// For the tensors' gradients.
    pub(super) gradients: Vec<Vec<f32>>,
}

impl Memory {
    /// Gives gradients back that [`Forward::backward`](super::Forward::backward) answered: the next image's will lie there.
    pub fn reuse(&mut self, gradients: Vec<Vec<f32>>) {
        self.gradients = gradients;
    }

    /// Memory for tensors of these lengths, whatever is in it.
    pub(super) fn take_gradients(&mut self, lengths: &[usize]) -> Vec<Vec<f32>> {
        let mut gradients = std::mem::take(&mut self.gradients);
        if !gradients.iter().map(Vec::len).eq(lengths.iter().copied()) {
            gradients = lengths.iter().map(|len| vec![0.0; *len]).collect();
        }
        if cfg!(test) {
            gradients.iter_mut().for_each(|values| values.fill(f32::NAN));
        }
        gradients
    }
}
