//! Initial values: known answers, independence of order, spreads, refusals.

use super::vars_in_name_order;
use crate::determinism::Determinism;
use candle_core::{DType, Device, Tensor};
use candle_nn::init::NormalOrUniform;
use candle_nn::init::{FanInOut, NonLinearity};
use candle_nn::{Init, VarBuilder, VarMap};

const NORMAL: Init = Init::Randn { mean: 0.0, stdev: 0.01 };
const UNIFORM: Init = Init::Uniform { lo: -2.0, up: 3.0 };

fn builder() -> VarBuilder<'static> {
    Determinism::default().var_builder(DType::F32, &Device::Cpu).unwrap()
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

fn get(vb: &VarBuilder, shape: &[usize], name: &str, init: Init) -> Vec<u32> {
    bits(&vb.get_with_hints(shape, name, init).unwrap())
}

#[test]
fn the_order_of_tensors_does_not_matter() {
    let (first, second) = (builder(), builder());
    let a = get(&first, &[4, 3], "a", NORMAL);
    let b = get(&first, &[2, 5], "b", UNIFORM);
    assert_eq!(get(&second, &[2, 5], "b", UNIFORM), b);
    assert_eq!(get(&second, &[4, 3], "a", NORMAL), a);
}

#[test]
fn names_paths_and_seeds_differ_and_a_path_is_its_dotted_name() {
    let vb = builder();
    let a = get(&vb, &[8], "a", NORMAL);
    assert_ne!(get(&vb, &[8], "b", NORMAL), a);
    let nested = get(&vb.pp("layer"), &[8], "a", NORMAL);
    assert_ne!(nested, a);
    assert_eq!(get(&vb, &[8], "layer.a", NORMAL), nested);
    let other = Determinism::strict(1).var_builder(DType::F32, &Device::Cpu).unwrap();
    assert_ne!(get(&other, &[8], "a", NORMAL), a);
}

#[test]
fn the_shape_only_folds_the_values() {
    let vb = builder();
    let flat = get(&vb, &[12], "a", NORMAL);
    assert_eq!(get(&vb, &[3, 4], "a", NORMAL), flat);
    assert_eq!(get(&vb, &[5], "a", NORMAL), flat[..5]);
}

// Computed by a second implementation, in Python.
#[test]
fn known_answers_stay() {
    let vb = builder();
    assert_eq!(get(&vb, &[3], "a", NORMAL), [0x3c46_7dbb, 0xbbb9_d6e9, 0x3c8d_5d17]);
    assert_eq!(get(&vb, &[3], "a", UNIFORM), [0x401b_e313, 0xbf12_cd74, 0x4032_7e68]);
    let kaiming = candle_nn::init::DEFAULT_KAIMING_UNIFORM;
    assert_eq!(get(&vb, &[1, 3], "a", kaiming), [0x3f8c_2982, 0xbf1b_73a9, 0x3fa5_bd21]);
}

#[test]
fn constants_are_exact_and_the_plain_get_is_zero() {
    let vb = builder();
    assert_eq!(get(&vb, &[2], "a", Init::Const(-4.595)), { [(-4.595f32).to_bits(); 2] });
    assert_eq!(bits(&vb.get(3, "a").unwrap()), [0; 3]);
    assert!(vb.contains_tensor("anything"));
}

#[test]
fn kaiming_has_the_spread_its_fan_asks_for() {
    let spread = |dist, fan| {
        let init = Init::Kaiming { dist, fan, non_linearity: NonLinearity::ReLU };
        let shape = [64, 32, 3, 3];
        let values: Vec<f32> = builder()
            .get_with_hints(&shape, "conv.weight", init)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        let sum: f64 = values.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
        let largest = values.iter().fold(0f32, |m, v| if v.abs() > m { v.abs() } else { m });
        ((sum / values.len() as f64).sqrt(), f64::from(largest))
    };
    for (fan, count) in [(FanInOut::FanIn, 288.0), (FanInOut::FanOut, 576.0)] {
        let stdev = f64::sqrt(2.0 / count);
        let (normal, _) = spread(NormalOrUniform::Normal, fan);
        assert!((normal / stdev - 1.0).abs() < 0.02, "{normal} {stdev}");
        let (uniform, largest) = spread(NormalOrUniform::Uniform, fan);
        assert!((uniform / stdev - 1.0).abs() < 0.02, "{uniform} {stdev}");
        assert!(largest <= 3f64.sqrt() * stdev * (1.0 + 1e-7));
    }
}

#[test]
fn variables_are_kept_shared_and_equal_to_plain_tensors() {
    let variables = VarMap::new();
    let vb =
        Determinism::default().trainable_var_builder(&variables, DType::F32, &Device::Cpu).unwrap();
    let b = get(&vb, &[2, 2], "b", NORMAL);
    assert_eq!(b, get(&builder(), &[2, 2], "b", NORMAL));
    get(&vb, &[3], "a", UNIFORM);
    assert_eq!(get(&vb, &[2, 2], "b", UNIFORM), b, "already there");
    let names: Vec<_> = vars_in_name_order(&variables).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a", "b"]);
    let message = vb.get((5, 5), "b").unwrap_err().to_string();
    assert!(message.contains("\"b\""), "{message}");
    let var = &vars_in_name_order(&variables)[1].1;
    var.set(&var.ones_like().unwrap()).unwrap();
    assert_eq!(get(&vb, &[2, 2], "b", NORMAL), [1f32.to_bits(); 4]);
}

#[test]
fn strict_refuses_other_formats_even_behind_to_dtype() {
    let strict = Determinism::default();
    assert!(strict.var_builder(DType::F16, &Device::Cpu).is_err());
    let message = builder().to_dtype(DType::F16).get(2, "a").unwrap_err().to_string();
    assert!(message.contains("f16"), "{message}");
    let half = Determinism::fast().var_builder(DType::F16, &Device::Cpu).unwrap();
    let values = half.get_with_hints(4, "a", NORMAL).unwrap();
    assert_eq!(values.dtype(), DType::F16);
}

#[test]
fn nonsense_is_an_error_that_names_the_tensor() {
    let vb = builder();
    for (shape, init) in [
        (vec![usize::MAX, 2], NORMAL),
        (vec![1 << 40, 1 << 20], NORMAL),
        (vec![2], Init::Uniform { lo: 0.0, up: f64::NAN }),
        (vec![2], Init::Uniform { lo: 1.0, up: 0.0 }),
        (vec![2], Init::Randn { mean: 0.0, stdev: f64::INFINITY }),
    ] {
        let message = vb.get_with_hints(shape, "layer.weight", init).unwrap_err().to_string();
        assert!(message.contains("\"layer.weight\""), "{message}");
    }
    assert!(get(&vb, &[0, 3], "empty", candle_nn::init::DEFAULT_KAIMING_NORMAL).is_empty());
    assert!(vb.get_unchecked("a").is_err());
}
