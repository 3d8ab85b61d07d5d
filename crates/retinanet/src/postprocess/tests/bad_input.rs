//! What is refused, and how the message names it.

use super::*;

fn error_of(level: Level, classes: usize) -> String {
    apply(&PostprocessConfig::default(), &[level], classes, SIZES).unwrap_err().to_string()
}

#[test]
fn any_logit_that_is_not_finite_is_an_error_naming_its_place() {
    for (value, printed) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")]
    {
        for (logit, channel, position) in [(-20.0, 0, 0), (-20.0, 5, 19), (3.0, 2, 7)] {
            let at = |c, p| {
                if (c, p) == (channel, position) { value } else { logit }
            };
            let level = Level::from_fn([4, 5], 2, 3, at, |_, _| 0.0);
            let (y, x) = (position / 5, position % 5);
            let place = format!(
                "level 0: the classification logit is {printed} at channel {channel}, row {y}, column {x};"
            );
            let error = error_of(level, 3);
            assert!(error.starts_with(&place), "{error}");
        }
    }
}

#[test]
fn of_several_bad_logits_the_first_channel_and_position_is_named() {
    let at = |c, p| if c >= 30 && p >= 777 { f32::NAN } else { -20.0 };
    let level = Level::from_fn([64, 64], 9, 26, at, |_, _| 0.0);
    let error = error_of(level, 26);
    assert!(error.contains("at channel 30, row 12, column 9;"), "{error}");
}

#[test]
fn a_used_regression_that_is_not_finite_is_an_error_naming_its_place() {
    let logit = |c, p| if (c, p) == (4, 13) { 2.0 } else { -20.0 };
    let regression = |c, p| {
        if (c, p) == (6, 13) { f32::NEG_INFINITY } else { 0.0 }
    };
    let error = error_of(Level::from_fn([4, 5], 2, 3, logit, regression), 3);
    assert!(
        error.starts_with("level 0: the box regression is -inf at channel 6, row 2, column 3;"),
        "{error}"
    );
}

#[test]
fn a_box_that_decodes_to_nan_is_an_error() {
    let mut level = Level::from_fn([1, 1], 1, 1, |_, _| 3.0, |_, _| 0.0);
    level.anchors = vec![[f32::MIN, 0.0, f32::MAX, 8.0]];
    let error = error_of(level, 1);
    assert!(error.starts_with("level 0: anchor 0 at row 0, column 0 decodes to [NaN"), "{error}");
}

#[test]
fn outputs_that_do_not_fit_their_grid_are_errors() {
    let good = Level::from_fn([4, 5], 2, 3, |_, _| 0.0, |_, _| 0.0);
    let mut short_logits = good.clone();
    short_logits.logits.pop();
    assert!(error_of(short_logits, 3).contains("the classification output has 119 values"));
    let mut short_regression = good.clone();
    short_regression.regression.pop();
    assert!(error_of(short_regression, 3).contains("the regression output has 159 values"));
    assert!(error_of(good.clone(), 4).contains("needs 160"));
    let mut odd_anchors = good.clone();
    odd_anchors.anchors.pop();
    assert!(error_of(odd_anchors, 3).contains("39 anchors and 3 classes do not fit a grid of 4x5"));
    for grid in [[0, 5], [usize::MAX, 2]] {
        assert!(error_of(Level { grid, ..good.clone() }, 3).contains("do not fit a grid"));
    }
    assert!(error_of(good.clone(), 0).contains("0 classes do not fit"));
    assert!(error_of(good, usize::MAX).contains("do not fit a grid"));
}

#[test]
fn settings_out_of_range_are_errors_naming_the_field() {
    let default = PostprocessConfig::default;
    for (config, name) in [
        (PostprocessConfig { score_thresh: f64::NAN, ..default() }, "score_thresh is NaN"),
        (PostprocessConfig { nms_thresh: f64::INFINITY, ..default() }, "nms_thresh is inf"),
        (
            PostprocessConfig { box_coder_weights: [1.0, 0.0, 1.0, 1.0], ..default() },
            "box_coder_weights is [1.0, 0.0, 1.0, 1.0]",
        ),
    ] {
        let error = apply(&config, &[], 1, SIZES).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
    let sizes = ImageSizes { original: [480, 640], resized: [0, 60] };
    assert!(apply(&default(), &[], 1, sizes).unwrap_err().to_string().contains("must not be 0"));
}

#[test]
fn settings_read_back_and_unknown_ones_are_refused() {
    let config: PostprocessConfig = serde_json::from_str(r#"{"score_thresh":0.3}"#).unwrap();
    assert_eq!(config, PostprocessConfig { score_thresh: 0.3, ..PostprocessConfig::default() });
    assert!(serde_json::from_str::<PostprocessConfig>(r#"{"score_threshold":0.3}"#).is_err());
}
