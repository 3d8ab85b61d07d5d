//! Files of a run: what was saved is read back to the bit, the model is one for `Detector`, and bad files.

use std::collections::BTreeMap;
use std::path::Path;

use retinanet::determinism::{Determinism, Purpose};
use retinanet::{Detector, Image};
use retinanet_train::architecture::resnet18_c4_fpn_gn;
use retinanet_train::digest::TensorDigests;
use retinanet_train::ema::{Ema, EmaConfig};
use retinanet_train::optimiser::{
    AdamWConfig, GroupsConfig, Optimiser, OptimiserConfig, SgdConfig,
};
use retinanet_train::parameters::Parameters;
use retinanet_train::state::{RunSettings, TrainingState, open_model, save_model};

fn settings(optimiser: OptimiserConfig, ema: bool) -> RunSettings {
    let ema = ema.then_some(EmaConfig { decay: 0.9, ramp: 0.0 });
    RunSettings { optimiser, groups: GroupsConfig::default(), ema, recipe: "ab".repeat(32) }
}

fn state(settings: &RunSettings) -> TrainingState {
    let mut config = resnet18_c4_fpn_gn(2);
    config.fpn.out_channels = 32;
    config.categories = Some(vec!["__background__".to_owned(), "cat".to_owned()]);
    let parameters = Parameters::initialised(&config, 2, &Determinism::strict(4)).unwrap();
    let optimiser = Optimiser::new(settings.optimiser, settings.groups, &parameters).unwrap();
    let ema = settings.ema.map(|ema| Ema::new(ema, &parameters).unwrap());
    TrainingState { step: 0, parameters, optimiser, ema, recipe: settings.recipe.clone() }
}

fn step(state: &mut TrainingState) {
    let mut stream = Determinism::strict(2).stream(Purpose::TestData, "gradients", state.step);
    let gradients: Vec<Vec<f32>> = state
        .parameters
        .trainable()
        .map(|tensor| tensor.values().iter().map(|_| stream.uniform_f32() - 0.5).collect())
        .collect();
    state.optimiser.step(&mut state.parameters, &gradients, 1e-3).unwrap();
    state.step += 1;
    if let Some(ema) = &mut state.ema {
        ema.update(&state.parameters, state.step).unwrap();
    }
}

#[test]
fn a_run_goes_on_from_a_file_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    for (optimiser, ema) in [
        (OptimiserConfig::AdamW(AdamWConfig::default()), true),
        (OptimiserConfig::Sgd(SgdConfig::default()), false),
    ] {
        let settings = settings(optimiser, ema);
        let mut whole = state(&settings);
        step(&mut whole);
        step(&mut whole);
        whole.save(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let mut resumed = TrainingState::open(&path, &settings).unwrap();
        assert!(resumed == whole);
        step(&mut whole);
        step(&mut resumed);
        assert!(resumed == whole);
        let digests = |state: &TrainingState| {
            TensorDigests::of_optimiser(&state.optimiser, &state.parameters).unwrap().root()
        };
        assert_eq!(digests(&resumed), digests(&whole));
        // Equal states are equal files, and nothing else is left in the folder.
        let again = TrainingState::open(&path, &settings).unwrap();
        again.save(&path).unwrap();
        assert!(std::fs::read(&path).unwrap() == bytes);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn the_model_of_a_run_is_a_detector() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut state = state(&settings(OptimiserConfig::Sgd(SgdConfig::default()), true));
    step(&mut state);
    let model = state.model().unwrap();
    assert_eq!(model.trainable().next().unwrap().values(), state.ema.as_ref().unwrap().values()[0],);
    let notes = BTreeMap::from([("recipe".to_owned(), "x".to_owned())]);
    save_model(&path, &model, &notes).unwrap();
    assert!(open_model(&path, 2).unwrap() == *model);
    let detector = Detector::builder().weights(&path).build().unwrap();
    assert_eq!(detector.categories().names(), ["__background__", "cat"]);
    detector.detect(&Image::from_rgb8(64, 48, vec![9; 64 * 48 * 3]).unwrap()).unwrap();
    // Classes without names get some.
    let plain = Parameters::initialised(&resnet18_c4_fpn_gn(3), 0, &Determinism::strict(1));
    save_model(&path, &plain.unwrap(), &notes).unwrap();
    assert_eq!(Detector::builder().weights(&path).build().unwrap().categories().len(), 3);
}

#[test]
fn what_is_no_state_of_this_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let adam_w = settings(OptimiserConfig::AdamW(AdamWConfig::default()), true);
    state(&adam_w).save(&path).unwrap();
    let refused = |path: &Path, settings: &RunSettings| {
        TrainingState::open(path, settings).unwrap_err().to_string()
    };
    let other = RunSettings { recipe: "cd".repeat(32), ..adam_w.clone() };
    let error = refused(&path, &other);
    assert!(
        error.contains("state.safetensors") && error.contains("with the recipe as it was"),
        "{error}"
    );
    let sgd = settings(OptimiserConfig::Sgd(SgdConfig::default()), true);
    let error = refused(&path, &sgd);
    assert!(error.contains("missing: \"momentum/") && error.contains("unexpected"), "{error}");
    let error = refused(&path, &settings(adam_w.optimiser, false));
    assert!(error.contains("unexpected: \"ema/"), "{error}");

    let mut bytes = std::fs::read(&path).unwrap();
    bytes.pop();
    std::fs::write(&path, &bytes).unwrap();
    assert!(refused(&path, &adam_w).contains("cut short"));
    let model = folder.path().join("model.safetensors");
    save_model(&model, &state(&adam_w).parameters, &BTreeMap::new()).unwrap();
    assert!(refused(&model, &adam_w).contains("no state of a run"));
    assert!(refused(&folder.path().join("none"), &adam_w).contains("none"));
    let backbone = folder.path().join("none.safetensors");
    assert!(open_model(backbone, 2).is_err());

    // A header that asks for more than the file has is told from its tensors, before memory is taken.
    let text = std::fs::read(&path).unwrap();
    let at = |needle: &[u8]| text.windows(needle.len()).position(|w| w == needle).unwrap();
    let mut newer = text.clone();
    newer[at(b"\\\"version\\\":1") + 12] = b'9';
    newer.push(0);
    std::fs::write(&path, &newer).unwrap();
    assert!(refused(&path, &adam_w).contains("version 9"), "{}", refused(&path, &adam_w));
}

#[test]
fn a_state_with_a_nan_has_no_digest() {
    let mut state = state(&settings(OptimiserConfig::Sgd(SgdConfig::default()), false));
    state.parameters.trainable_mut().nth(1).unwrap().values_mut()[3] = f32::NAN;
    let error = TensorDigests::of_weights(&state.parameters).unwrap_err().to_string();
    let name = state.parameters.trainable().nth(1).unwrap().name();
    assert!(error.contains(name), "{error}");
}
