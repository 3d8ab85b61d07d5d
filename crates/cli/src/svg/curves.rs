//! Precision over recall.

use std::cmp::Reverse;

use retinanet::eval::{Evaluation, PrecisionRecall};

use super::plot::{Line, MOST_LINES, Plot};

/// Between the panels of a file, and around them.
const GAP: f64 = 24.0;

/// The mean over all categories and, where there are several, the categories with the most annotations.
pub fn curve_panels(evaluation: &Evaluation, curves: &[PrecisionRecall]) -> Vec<Plot> {
    if curves.is_empty() {
        return Vec::new();
    }
    let mean_over = |thresholds: std::ops::Range<usize>| {
        let all: Vec<&Vec<f64>> =
            curves.iter().flat_map(|curve| &curve.precision[thresholds.clone()]).collect();
        let level =
            |level: usize| all.iter().map(|levels| levels[level]).sum::<f64>() / all.len() as f64;
        (0..PrecisionRecall::LEVELS).map(level).collect::<Vec<f64>>()
    };
    let overall = &evaluation.overall;
    let line = |name: &str, value: Option<f64>, heights| Line {
        name: name.to_owned(),
        value: value.map_or_else(|| "-".to_owned(), |value| format!("AP {value:.3}")),
        heights,
    };
    let several = curves.len() > 1;
    let mean = Plot {
        title: match several {
            true => format!("Mean of {} categories", curves.len()),
            false => curves[0].name.clone(),
        },
        x_name: "recall",
        y_name: "precision",
        lines: vec![
            line("IoU 0.50", overall.ap50, mean_over(0..1)),
            line("IoU 0.75", overall.ap75, mean_over(5..6)),
            line("IoU 0.50 to 0.95, mean", overall.ap, mean_over(0..10)),
        ],
        others: (String::new(), Vec::new()),
    };
    if !several {
        return vec![mean];
    }
    let mut order: Vec<&PrecisionRecall> = curves.iter().collect();
    order.sort_by_key(|curve| (Reverse(curve.annotations), curve.category_id));
    let ap50 = |id: i64| {
        let class = evaluation.classes.iter().find(|class| class.category_id == id);
        class.and_then(|class| class.scores.ap50)
    };
    let of = |curve: &PrecisionRecall| curve.precision[0].clone();
    let (shown, rest) = order.split_at(order.len().min(MOST_LINES));
    let lines =
        shown.iter().map(|curve| line(&curve.name, ap50(curve.category_id), of(curve))).collect();
    let words = format!("{} more, with fewer annotations", rest.len());
    let each = Plot {
        title: "Each category, IoU 0.50".to_owned(),
        x_name: "recall",
        y_name: "precision",
        lines,
        others: (words, rest.iter().map(|curve| of(curve)).collect()),
    };
    vec![mean, each]
}

/// The panels beside each other, as a file of their own; dark on white.
pub fn curves_file(evaluation: &Evaluation, curves: &[PrecisionRecall]) -> String {
    let panels = curve_panels(evaluation, curves);
    let width = GAP + panels.len().max(1) as f64 * (Plot::WIDTH + GAP);
    let height = panels.iter().map(Plot::height).fold(60.0, |a, b| if a < b { b } else { a });
    let mut content = String::new();
    for (place, panel) in panels.iter().enumerate() {
        let x = GAP + place as f64 * (Plot::WIDTH + GAP);
        content += &format!("<g transform=\"translate({x} 8)\">\n{}</g>\n", panel.content());
    }
    if panels.is_empty() {
        content +=
            "<text x=\"24\" y=\"36\">Nothing to be found: the annotations are empty.</text>\n";
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {0}\" width=\"{width}\" height=\"{0}\" \
         role=\"img\" font-family=\"system-ui, sans-serif\" font-size=\"12\" color=\"#1b1f24\" fill=\"currentColor\">\n\
         <title>Precision over recall</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{content}</svg>\n",
        height + 16.0
    )
}
