//! Weights and pictures made here are the bits that torchvision was given.

use retinanet_tests::parity_data::ParityData;

#[test]
fn weights_and_pictures_are_the_bits_torchvision_had() {
    for model in ["odd", "fixed"] {
        let data = ParityData::read(model);
        let weights = data.weights.as_ref().expect("drawn weights");
        weights.tensors();
        for case in &data.cases {
            case.rgb(|| unreachable!("no photo in this model's pictures"));
        }
    }
}
