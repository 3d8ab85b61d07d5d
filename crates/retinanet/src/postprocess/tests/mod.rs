//! The whole room against an obvious procedure that sorts everything, and against torchvision.

mod bad_input;
mod torchvision;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::Result;

/// One level's inputs, owned.
#[derive(Debug, Clone)]
struct Level {
    grid: [usize; 2],
    logits: Vec<f32>,
    regression: Vec<f32>,
    anchors: Vec<[f32; 4]>,
}

impl Level {
    /// A level whose values are functions of (channel, position).
    fn from_fn(
        grid: [usize; 2],
        anchors: usize,
        classes: usize,
        logit: impl Fn(usize, usize) -> f32,
        regression: impl Fn(usize, usize) -> f32,
    ) -> Self {
        let positions = grid[0] * grid[1];
        let plane = |channels: usize, value: &dyn Fn(usize, usize) -> f32| -> Vec<f32> {
            (0..channels * positions).map(|i| value(i / positions, i % positions)).collect()
        };
        let anchor = |i: usize| {
            let (position, anchor) = (i / anchors, i % anchors);
            let (x, y) = ((position % grid[1]) as f32 * 8.0, (position / grid[1]) as f32 * 8.0);
            let half = 6.0 + 4.0 * anchor as f32;
            [x - half, y - half, x + half, y + half]
        };
        Self {
            grid,
            logits: plane(anchors * classes, &logit),
            regression: plane(anchors * 4, &regression),
            anchors: (0..positions * anchors).map(anchor).collect(),
        }
    }

    fn output(&self) -> LevelOutput<'_> {
        let Self { grid, logits, regression, anchors } = self;
        LevelOutput { grid: *grid, logits, regression, anchors }
    }
}

fn apply(
    config: &PostprocessConfig,
    levels: &[Level],
    classes: usize,
    sizes: ImageSizes,
) -> Result<Vec<ScoredBox>> {
    let outputs: Vec<LevelOutput<'_>> = levels.iter().map(Level::output).collect();
    config.apply(&outputs, classes, sizes)
}

const SIZES: ImageSizes = ImageSizes { original: [480, 640], resized: [48, 60] };

/// The golden script's generator: 24 bits in [0, 1) from a counter.
fn draw(seed: u64, stream: usize, index: usize) -> f64 {
    let z = (index as u64).wrapping_add((seed << 48) | ((stream as u64) << 40));
    let z = z.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let z = z ^ (z >> 31);
    (z >> 40) as f64 / f64::from(1 << 24)
}

/// Scores everything, sorts everything, then compares every pair. Shares only single-value arithmetic.
fn obvious(
    config: &PostprocessConfig,
    levels: &[Level],
    classes: usize,
    sizes: ImageSizes,
) -> Vec<ScoredBox> {
    let mut pool: Vec<(f32, usize, usize, usize, [f32; 4])> = Vec::new();
    for (level, output) in levels.iter().enumerate() {
        let [height, width] = output.grid;
        let anchors = output.anchors.len() / (height * width);
        let mut of_level = Vec::new();
        for y in 0..height {
            for x in 0..width {
                for a in 0..anchors {
                    for k in 0..classes {
                        let at = |channel: usize| (channel * height + y) * width + x;
                        let score = retinanet_kernels::sigmoid(output.logits[at(a * classes + k)]);
                        if score <= config.score_thresh as f32 {
                            continue;
                        }
                        let index = ((y * width + x) * anchors + a) * classes + k;
                        let regression = [0, 1, 2, 3].map(|c| output.regression[at(a * 4 + c)]);
                        let anchor = output.anchors[(y * width + x) * anchors + a];
                        let decoded =
                            box_coder::decode(regression, anchor, config.box_coder_weights);
                        of_level.push((
                            score,
                            level,
                            index,
                            k,
                            box_coder::clip(decoded, sizes.resized),
                        ));
                    }
                }
            }
        }
        of_level.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.2.cmp(&b.2)));
        of_level.truncate(config.topk_candidates);
        pool.extend(of_level);
    }
    pool.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut suppressed = BTreeSet::new();
    let mut kept = Vec::new();
    for (i, one) in pool.iter().enumerate() {
        if suppressed.contains(&i) {
            continue;
        }
        kept.push(*one);
        for (j, other) in pool.iter().enumerate().skip(i + 1) {
            if one.3 == other.3 && f64::from(nms::overlap(one.4, other.4)) > config.nms_thresh {
                suppressed.insert(j);
            }
        }
    }
    kept.truncate(config.detections_per_img);
    let ratio = |axis: usize| sizes.original[axis] as f32 / sizes.resized[axis] as f32;
    kept.into_iter()
        .map(|(score, level, index, label_id, [x1, y1, x2, y2])| ScoredBox {
            bounding_box: [x1 * ratio(1), y1 * ratio(0), x2 * ratio(1), y2 * ratio(0)].into(),
            label_id,
            candidate: Candidate { score, level, index },
        })
        .collect()
}

/// Levels of coarse values: many equal scores, many equal boxes, some without area.
fn tied_levels() -> impl Strategy<Value = (Vec<Level>, usize)> {
    let shape = (1usize..4, prop::sample::select(vec![1usize, 2, 7, 91]), 1usize..4, any::<u64>());
    shape.prop_map(|(anchors, classes, levels, seed)| {
        let levels = (0..levels).map(|level| {
            let coarse = |stream: usize, channel: usize, position: usize| {
                draw(seed % 60_000, stream + 2 * level, channel * 1000 + position)
            };
            Level::from_fn(
                [5 - level, 6],
                anchors,
                classes,
                |channel, position| (coarse(0, channel, position) * 7.0) as i32 as f32 - 4.0,
                |channel, position| (coarse(1, channel, position) * 5.0) as i32 as f32 * 0.5 - 1.0,
            )
        });
        (levels.collect(), classes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn equals_sorting_everything_at_any_thread_count(
        (levels, classes) in tied_levels(),
        score_thresh in prop::sample::select(vec![-1.0, 0.0, 0.05, 0.5, 0.73, 0.99]),
        nms_thresh in prop::sample::select(vec![0.0, 0.3, 0.5, 1.0]),
        detections_per_img in prop::sample::select(vec![0, 1, 20, 300]),
        topk_candidates in prop::sample::select(vec![0, 1, 13, 100, usize::MAX]),
        threads in 1usize..4,
    ) {
        let config = PostprocessConfig {
            score_thresh, nms_thresh, detections_per_img, topk_candidates,
            ..PostprocessConfig::default()
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let answer = pool.install(|| apply(&config, &levels, classes, SIZES)).unwrap();
        prop_assert_eq!(answer, obvious(&config, &levels, classes, SIZES));
    }
}

#[test]
fn equals_sorting_everything_on_a_level_split_into_many_tasks() {
    let logit = |channel: usize, position: usize| {
        (12.0 * draw(5, 0, channel * 10_000 + position) - 14.0) as f32
    };
    let level = [Level::from_fn([60, 100], 9, 26, logit, |_, _| 0.1)];
    let config = PostprocessConfig { score_thresh: 0.03, ..PostprocessConfig::default() };
    let expected = obvious(&config, &level, 26, SIZES);
    for threads in [1, 2, 3, 8] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let answer = pool.install(|| apply(&config, &level, 26, SIZES)).unwrap();
        assert_eq!(answer, expected);
    }
}

#[test]
fn no_candidate_gives_no_box() {
    let level = Level::from_fn([4, 4], 2, 3, |_, _| -9.0, |_, _| f32::NAN);
    let boxes = apply(&PostprocessConfig::default(), &[level], 3, SIZES).unwrap();
    assert!(boxes.is_empty());
}

#[test]
fn a_score_equal_to_the_threshold_is_not_enough() {
    let level = Level::from_fn([1, 1], 1, 1, |_, _| 0.0, |_, _| 0.0);
    let count = |score_thresh| {
        let config = PostprocessConfig { score_thresh, ..PostprocessConfig::default() };
        apply(&config, std::slice::from_ref(&level), 1, SIZES).unwrap().len()
    };
    assert_eq!(count(0.5), 0);
    // The f32 nearest to it is 0.5 again: torch compares after rounding.
    assert_eq!(count(0.5 - 1e-12), 0);
    assert_eq!(count(0.499_999), 1);
}

#[test]
fn label_0_is_kept() {
    let level = Level::from_fn(
        [1, 1],
        1,
        2,
        |channel, _| if channel == 0 { 3.0 } else { -9.0 },
        |_, _| 0.0,
    );
    let boxes = apply(&PostprocessConfig::default(), &[level], 2, SIZES).unwrap();
    assert_eq!(boxes.iter().map(|kept| kept.label_id).collect::<Vec<_>>(), [0]);
}

#[test]
fn boxes_are_scaled_by_width_for_x_and_height_for_y() {
    let mut level = Level::from_fn([1, 1], 1, 1, |_, _| 3.0, |_, _| 0.0);
    level.anchors = vec![[6.0, 6.0, 12.0, 24.0]];
    let sizes = ImageSizes { original: [96, 30], resized: [48, 60] };
    let boxes = apply(&PostprocessConfig::default(), &[level], 1, sizes).unwrap();
    assert_eq!(boxes[0].bounding_box, [3.0, 12.0, 6.0, 48.0].into());
}
