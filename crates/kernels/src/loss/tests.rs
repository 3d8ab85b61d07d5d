use super::*;
use crate::sum::tests::oracle;
use crate::testing::{assert_same_bits, everywhere, in_ieee, values};

fn targets(anchors: usize, classes: usize) -> Vec<AnchorTarget> {
    let target = |i: usize| match i * 7 % 11 {
        0 | 1 => AnchorTarget::Ignored,
        2..=4 => AnchorTarget::Class(i * 5 % classes),
        _ => AnchorTarget::Background,
    };
    (0..anchors).map(target).collect()
}

#[test]
fn every_level_equals_the_oracle() {
    everywhere(|level| {
        for (anchors, classes) in [(0, 3), (1, 1), (7, 2), (5, 16), (33, 91), (9, CHUNK), (5000, 3)]
        {
            for hard in [false, true] {
                let targets = targets(anchors, classes);
                let mut logits = values(anchors as u64, anchors * classes, hard);
                logits.iter_mut().for_each(|x| *x *= 20.0);
                let (terms, slopes) = in_ieee(&logits, |logits| {
                    reference::focal_terms(0.25, classes, &targets, logits, 0.37)
                });
                let expected = in_ieee(&terms, |terms| oracle(terms));
                let mut gradient = vec![f32::NAN; logits.len()];
                let sum = focal_loss(level, 0.25, classes, &targets, &logits, 0.37, &mut gradient);
                let what = format!("{level} {anchors} x {classes}, hard: {hard}");
                assert_same_bits(&gradient, &slopes, &what);
                assert_same_bits(&[sum.unwrap()], &[expected], &what);
            }
        }
    });
}

#[test]
#[allow(clippy::disallowed_methods)] // f64 from the C library is what we compare with
fn terms_and_gradients_are_near_float64() {
    for right in [false, true] {
        let target = [if right { AnchorTarget::Class(0) } else { AnchorTarget::Background }];
        for i in -4000..=4000 {
            let x = i as f32 / 100.0;
            let (terms, slopes) = reference::focal_terms(0.25, 1, &target, &[x], 1.0);
            let z = if right { -f64::from(x) } else { f64::from(x) };
            let (q, r) = (1.0 / (1.0 + (-z).exp()), 1.0 / (1.0 + z.exp()));
            let ce = (if z > 0.0 { z } else { 0.0 }) + (-z.abs()).exp().ln_1p();
            let a = if right { 0.25 } else { 0.75 };
            let (loss, slope) = (a * ce * q * q, a * q * q * (q + 2.0 * ce * r));
            let slope = if right { -slope } else { slope };
            for (actual, exact) in [(terms[0], loss), (slopes[0], slope)] {
                let error = (f64::from(actual) - exact).abs();
                assert!(error <= 6e-7 * exact.abs() + 1e-44, "{x}: {actual:e}, {exact:e}");
            }
        }
    }
}

#[test]
fn ignored_anchors_hide_what_their_logits_are() {
    let logits = [f32::NAN, f32::INFINITY, 0.5, -0.5];
    let targets = [AnchorTarget::Ignored, AnchorTarget::Background];
    let mut gradient = [f32::NAN; 4];
    let sum = focal_loss(Level::best(), 0.25, 2, &targets, &logits, 1.0, &mut gradient).unwrap();
    assert!(sum.is_finite() && gradient[2] > 0.0);
    assert_eq!(gradient[..2].iter().map(|g| g.to_bits()).collect::<Vec<_>>(), [0, 0]);
}

#[test]
fn what_does_not_fit_is_an_error() {
    let run = |alpha, classes, target, logits: usize, gradient: usize| {
        let (logits, mut gradient) = (vec![0.0; logits], vec![0.0; gradient]);
        focal_loss(Level::best(), alpha, classes, &[target], &logits, 1.0, &mut gradient)
            .unwrap_err()
            .to_string()
    };
    let background = AnchorTarget::Background;
    assert!(run(f32::NAN, 2, background, 2, 2).contains("alpha is NaN"));
    assert!(run(0.25, 2, AnchorTarget::Class(2), 2, 2).contains("class 2, and there are 2"));
    assert!(run(0.25, 2, background, 3, 3).contains("logits: expected 2"));
    assert!(run(0.25, 2, background, 2, 1).contains("gradient: expected 2"));
    assert!(run(0.25, usize::MAX, background, 2, 1).contains("logits"));
}
