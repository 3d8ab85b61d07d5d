//! How a training went: losses, learning rate and scores over its steps.

use retinanet_train::run::{Curves, ScorePoint, StepPoint};

use super::chart::{Chart, Stroke, Trace};

const GAP: f64 = 24.0;
/// No more points are drawn: a file of a million steps would open in no viewer.
const MOST_POINTS: usize = 1000;
const BLUE: &str = "#0072b2";
const ORANGE: &str = "#d55e00";
const GREEN: &str = "#009e73";
const GREY: &str = "#8c959f";

/// The charts below each other, as a file of their own; dark on white.
pub fn training_file(curves: &Curves) -> String {
    let last = curves.steps.last().map_or(1.0, |point| point.step as f64);
    let x = (0.0, last);
    let losses = |of: fn(&StepPoint) -> f64| {
        curves.steps.iter().map(|point| (point.step as f64, of(point))).collect::<Vec<_>>()
    };
    let total = losses(|point| point.classification + point.regression);
    let smooth = |name: &str, color, dashes, points: &[(f64, f64)]| Trace {
        name: name.to_owned(),
        stroke: Stroke(color, 2.0, 1.0, dashes),
        dots: false,
        points: thinned(&smoothed(points)),
    };
    let raw = Trace {
        name: "each step's".to_owned(),
        stroke: Stroke(GREY, 1.0, 0.55, ""),
        dots: false,
        points: thinned(&total),
    };
    let window = window(total.len());
    let mean = |what: &str| match window {
        1 => what.to_owned(),
        _ => format!("{what}, mean of the last {window} steps"),
    };
    let mut charts = vec![
        Chart {
            title: "Loss",
            x_name: "step",
            traces: vec![
                raw,
                smooth(&mean("all"), BLUE, "", &total),
                smooth("classes", ORANGE, "7 3", &losses(|point| point.classification)),
                smooth("boxes", GREEN, "2 2.5", &losses(|point| point.regression)),
            ],
            x,
            y: (0.0, 0.0),
        },
        Chart {
            title: "Learning rate",
            x_name: "step",
            traces: vec![Trace {
                name: String::new(),
                stroke: Stroke(BLUE, 2.0, 1.0, ""),
                dots: false,
                points: thinned(&losses(|point| point.learning_rate)),
            }],
            x,
            y: (0.0, 0.0),
        },
    ];
    if !curves.scores.is_empty() {
        let scores = |name: &str, color, dashes, of: fn(&ScorePoint) -> Option<f64>| {
            let points = curves.scores.iter().filter_map(|one| Some((one.step as f64, of(one)?)));
            let points: Vec<_> = points.collect();
            let best = points.iter().map(|point| point.1).max_by(f64::total_cmp);
            let name = best.map_or(name.to_owned(), |best| format!("{name}, at best {best:.3}"));
            let stroke = Stroke(color, 2.0, 1.0, dashes);
            Trace { name, stroke, dots: points.len() <= 100, points }
        };
        charts.push(Chart {
            title: "Scores on the validation pictures",
            x_name: "step",
            traces: vec![
                scores("AP50", ORANGE, "7 3", |one| one.ap50),
                scores("AP", BLUE, "", |one| one.ap),
            ],
            x,
            y: (0.0, 0.0),
        });
    }
    let (mut content, mut y) = (String::new(), 8.0);
    for chart in &charts {
        content += &format!("<g transform=\"translate({GAP} {y})\">\n{}</g>\n", chart.content());
        y += chart.height() + 8.0;
    }
    let width = Chart::WIDTH + 2.0 * GAP;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {y}\" width=\"{width}\" height=\"{y}\" \
         role=\"img\" font-family=\"system-ui, sans-serif\" font-size=\"12\" color=\"#1b1f24\" fill=\"currentColor\">\n\
         <title>Losses, learning rate and scores</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{content}</svg>\n"
    )
}

/// Over how many steps losses are averaged: one in 25 of them.
fn window(steps: usize) -> usize {
    (steps / 25).clamp(1, 1000)
}

/// The mean of each point and those before it, as many as the window has.
fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let window = window(points.len());
    let mut sum = 0.0;
    let mut means = Vec::with_capacity(points.len());
    for (place, &(x, y)) in points.iter().enumerate() {
        sum += y;
        if place >= window {
            sum -= points[place - window].1;
        }
        means.push((x, sum / window.min(place + 1) as f64));
    }
    means
}

/// So many of the points that a picture can hold them: of each stretch the lowest and the highest.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= MOST_POINTS {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil(MOST_POINTS / 2);
    let mut kept = Vec::new();
    for part in points.chunks(stretch) {
        let by_height = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let (low, high) = (part.iter().min_by(by_height), part.iter().max_by(by_height));
        let mut two: Vec<_> = low.into_iter().chain(high).copied().collect();
        two.sort_by(|a, b| a.0.total_cmp(&b.0));
        two.dedup();
        kept.extend(two);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curves(steps: u64) -> Curves {
        let point = |step: u64| StepPoint {
            step,
            classification: 1.0 / step as f64 + (step % 7) as f64 * 0.01,
            regression: 0.5 + (step % 3) as f64 * 0.02,
            learning_rate: 0.01,
        };
        let scores = (1..=3).map(|n| ScorePoint { step: n * steps / 3, ap: Some(0.1), ap50: None });
        Curves { steps: (1..=steps).map(point).collect(), scores: scores.collect() }
    }

    #[test]
    fn a_long_run_makes_a_small_file_and_a_short_one_a_whole_one() {
        assert!(training_file(&curves(100_000)).len() < 150_000);
        for steps in [0, 1, 2, 60] {
            let file = training_file(&curves(steps));
            assert!(!file.contains("NaN") && !file.contains("inf"), "{steps}: {file}");
            assert!(file.starts_with("<svg ") && file.ends_with("</svg>\n"));
        }
        assert!(!training_file(&Curves::default()).contains("Scores"));
    }

    #[test]
    fn the_lowest_and_the_highest_stay() {
        let mut points: Vec<(f64, f64)> = (0..5000).map(|n| (f64::from(n), 1.0)).collect();
        points[1234].1 = 9.0;
        points[4321].1 = -9.0;
        let kept = thinned(&points);
        assert!(kept.len() <= MOST_POINTS);
        assert!(kept.contains(&(1234.0, 9.0)) && kept.contains(&(4321.0, -9.0)));
    }

    #[test]
    fn the_mean_is_of_the_last_steps() {
        let points: Vec<(f64, f64)> = (0..100).map(|n| (f64::from(n), f64::from(n % 2))).collect();
        let means = smoothed(&points);
        assert_eq!((means[0].1, means[1].1, means[99].1), (0.0, 0.5, 0.5));
    }
}
