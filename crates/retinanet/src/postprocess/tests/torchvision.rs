//! Against torchvision's own answers, written by `tests/golden/make_postprocess.py`.

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    seed: u64,
    classes: usize,
    grids: Vec<[usize; 2]>,
    strides: Vec<usize>,
    cells: Vec<Vec<[f32; 4]>>,
    original: [usize; 2],
    resized: [usize; 2],
    spread: f64,
    lively: f64,
    score_thresh: f64,
    nms_thresh: f64,
    detections_per_img: usize,
    topk_candidates: usize,
    box_coder_weights: [f32; 4],
    answer: Answer,
}

#[derive(Deserialize)]
struct Answer {
    labels: Vec<usize>,
    scores: Vec<f32>,
    boxes: Vec<[f32; 4]>,
}

impl Case {
    fn levels(&self) -> Vec<Level> {
        let level = |l: usize| {
            let ([height, width], cells) = (self.grids[l], &self.cells[l]);
            let positions = height * width;
            let drawn = |stream: usize, i: usize| draw(self.seed, 3 * l + stream, i);
            let logit = |i: usize| match drawn(1, i) < self.lively {
                true => (8.0 * drawn(0, i) - 4.5) as f32,
                false => (4.0 * drawn(0, i) - 12.0) as f32,
            };
            let anchor = |i: usize| {
                let (position, cell) = (i / cells.len(), cells[i % cells.len()]);
                let x = (position % width * self.strides[l]) as f32;
                let y = (position / width * self.strides[l]) as f32;
                [x + cell[0], y + cell[1], x + cell[2], y + cell[3]]
            };
            Level {
                grid: [height, width],
                logits: (0..cells.len() * self.classes * positions).map(logit).collect(),
                regression: (0..cells.len() * 4 * positions)
                    .map(|i| (self.spread * (2.0 * drawn(2, i) - 1.0)) as f32)
                    .collect(),
                anchors: (0..positions * cells.len()).map(anchor).collect(),
            }
        };
        (0..self.grids.len()).map(level).collect()
    }
}

#[test]
fn boxes_scores_labels_and_order_are_torchvisions() {
    let golden: Golden =
        serde_json::from_str(include_str!("../testdata/torchvision.json")).unwrap();
    assert_eq!(golden.cases.len(), 7);
    for case in golden.cases {
        let config = PostprocessConfig {
            score_thresh: case.score_thresh,
            nms_thresh: case.nms_thresh,
            detections_per_img: case.detections_per_img,
            topk_candidates: case.topk_candidates,
            box_coder_weights: case.box_coder_weights,
        };
        let sizes = ImageSizes { original: case.original, resized: case.resized };
        let boxes = apply(&config, &case.levels(), case.classes, sizes).unwrap();

        let labels: Vec<usize> = boxes.iter().map(|kept| kept.label_id).collect();
        assert_eq!(labels, case.answer.labels, "{}", case.name);
        for (i, kept) in boxes.iter().enumerate() {
            let difference = (kept.candidate.score - case.answer.scores[i]).abs();
            assert!(difference < 1e-6, "{}: score {i} differs by {difference}", case.name);
            let corners = <[f32; 4]>::from(kept.bounding_box);
            for (ours, theirs) in corners.iter().zip(case.answer.boxes[i]) {
                assert!((ours - theirs).abs() < 1e-3, "{}: box {i}: {ours} {theirs}", case.name);
            }
        }
    }
}
