//! Parts of the page that are made of counts.

use std::fmt::Write;

use retinanet::eval::{CocoScores, Evaluation, PrecisionRecall};

use super::statistics::{BINS, ClassCount, Statistics};
use crate::svg::{Plot, curve_panels, escaped};

/// How many labels have a row of their own.
const MOST_ROWS: usize = 100;
/// How many labels have a histogram of their own.
const MOST_HISTOGRAMS: usize = 8;

/// The labels with their counts.
pub(super) fn class_table(statistics: &Statistics) -> String {
    let classes = statistics.by_count();
    if classes.is_empty() {
        return "<p>Nothing was found in any image.</p>".to_owned();
    }
    let most = classes[0].1.detections.max(1);
    let row = |(label, count): &(&str, &ClassCount)| {
        let width = 100.0 * count.detections as f64 / most as f64;
        format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td class=\"bar\"><svg viewBox=\"0 0 100 10\" \
             preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect width=\"{width:.1}\" height=\"10\"/></svg></td></tr>\n",
            escaped(label),
            count.detections,
            count.images,
        )
    };
    let rows: String = classes.iter().take(MOST_ROWS).map(row).collect();
    let more = match classes.len().saturating_sub(MOST_ROWS) {
        0 => String::new(),
        more => format!("<p class=\"note\">and {more} more labels, with fewer detections</p>"),
    };
    format!(
        "<div class=\"wide\"><table><thead><tr><th>label</th><th>detections</th><th>images</th><th></th></tr></thead>\
         <tbody>\n{rows}</tbody></table></div>{more}"
    )
}

/// The scores of all detections, and of those of the most frequent labels.
pub(super) fn histograms(statistics: &Statistics) -> String {
    let classes = statistics.by_count();
    let mut all = histogram("all labels", &statistics.scores);
    if classes.len() > 1 {
        let each = classes.iter().take(MOST_HISTOGRAMS);
        all.extend(each.map(|(label, count)| histogram(label, &count.scores)));
    }
    format!("<div class=\"plots\">{all}</div>")
}

fn histogram(title: &str, counts: &[usize; BINS]) -> String {
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let mut bars = String::new();
    for (place, &count) in counts.iter().enumerate() {
        if count == 0 {
            continue;
        }
        let height = 110.0 * count as f64 / most as f64;
        let (x, y) = (34.0 + 12.0 * place as f64, 140.0 - height);
        let [from, to] = [place, place + 1].map(|edge| edge as f64 / BINS as f64);
        writeln!(
            bars,
            r#"<rect class="fill" x="{x}" y="{y:.1}" width="11" height="{height:.1}"><title>{from:.2} to {to:.2}: {count}</title></rect>"#
        )
        .expect("a text takes everything");
    }
    let ticks: String = [0, 5, 10, 15, 20]
        .map(|edge| {
            let (x, value) = (34 + 12 * edge, f64::from(edge) / BINS as f64);
            format!("<text x=\"{x}\" y=\"156\" text-anchor=\"middle\">{value}</text>")
        })
        .concat();
    format!(
        "<svg class=\"plot small\" viewBox=\"0 0 290 176\" role=\"img\"><text x=\"34\" y=\"16\" font-weight=\"600\">{}</text>\
         <text x=\"28\" y=\"34\" text-anchor=\"end\">{most}</text><text x=\"28\" y=\"144\" text-anchor=\"end\">0</text>\
         <path d=\"M34 30H274\" stroke=\"currentColor\" stroke-opacity=\".14\"/>{bars}\
         <path d=\"M34 140H274\" stroke=\"currentColor\" stroke-opacity=\".7\"/>{ticks}\
         <text x=\"154\" y=\"172\" text-anchor=\"middle\">score</text></svg>\n",
        escaped(&title.chars().take(36).collect::<String>())
    )
}

/// AP and AR, over all and of each category, and their curves.
pub(super) fn accuracy(evaluation: &Evaluation, curves: &[PrecisionRecall]) -> String {
    let shown =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
    let values = CocoScores::NAMES.iter().zip(evaluation.overall.to_array());
    let overall: String = values
        .map(|(name, value)| format!("<div><dt>{name}</dt><dd>{}</dd></div>", shown(value)))
        .collect();
    let plots: String = curve_panels(evaluation, curves)
        .iter()
        .map(|panel| {
            format!(
                "<svg class=\"plot\" viewBox=\"0 0 {} {}\" role=\"img\">{}</svg>\n",
                Plot::WIDTH,
                panel.height(),
                panel.content()
            )
        })
        .collect();
    let rows: String = evaluation
        .classes
        .iter()
        .take(MOST_ROWS)
        .map(|class| {
            let scores = &class.scores;
            let scores = [scores.ap, scores.ap50, scores.ap75, scores.ar_100].map(shown);
            format!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                escaped(&class.name),
                class.annotations,
                class.detections,
                scores.join("</td><td>")
            )
        })
        .collect();
    let more = match evaluation.classes.len().saturating_sub(MOST_ROWS) {
        0 => String::new(),
        more => format!("<p class=\"note\">and {more} more categories</p>"),
    };
    format!(
        "<p>COCO's box AP and AR over {} images with {} annotations and {} detections.</p><dl class=\"numbers\">{overall}</dl>\
         <div class=\"plots\">{plots}</div><div class=\"wide\"><table><thead><tr><th>category</th><th>annotations</th><th>detections</th>\
         <th>AP</th><th>AP50</th><th>AP75</th><th>AR_100</th></tr></thead><tbody>\n{rows}</tbody></table></div>{more}",
        evaluation.images, evaluation.annotations, evaluation.detections
    )
}
