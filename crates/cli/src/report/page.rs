//! The page.

use base64ct::{Base64, Encoding};
use retinanet::eval::{Evaluation, PrecisionRecall};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::answer::{Answer, Outcome, categories_of};
use super::pictures::{CAPTION_FROM, Pictures};
use super::sections::{accuracy, class_table, histograms};
use super::statistics::Statistics;
use crate::svg::escaped;
use retinanet::labels::Categories;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
/// How many images have a row in the list of all.
const MOST_ROWS: usize = 5_000;

/// What the answers were made with.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// SHA-256 of the weights' file.
    pub weights: Option<String>,
    /// `strict` or `fast`.
    pub mode: Option<String>,
    /// Which bits answers have.
    pub numerics: Option<u64>,
    /// The library's version.
    pub version: Option<String>,
}

impl Run {
    /// What a batch keeps beside its results, and the model's categories.
    pub fn of_batch(run: &Value) -> (Self, Option<Categories>) {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let versions = &run["versions"];
        let read = Self {
            weights: text(&run["weights_sha256"]),
            mode: text(&run["mode"]),
            numerics: versions["numerics"].as_u64(),
            version: text(&versions["retinanet"]),
        };
        (read, categories_of(run))
    }
}

/// What the answers are worth.
#[derive(Debug)]
pub struct Accuracy {
    pub evaluation: Evaluation,
    pub curves: Vec<PrecisionRecall>,
    /// What a reader of the numbers must know.
    pub notes: Vec<String>,
}

/// A report, as its images come.
#[derive(Debug)]
pub struct Page {
    title: String,
    run: Run,
    statistics: Statistics,
    rows: String,
}

impl Page {
    /// Without an image yet.
    pub fn new(title: String, run: Run) -> Self {
        Self { title, run, statistics: Statistics::new(), rows: String::new() }
    }

    /// Adds an image to the counts and to the list.
    pub fn add(&mut self, answer: &Answer) {
        self.statistics.add(answer);
        if self.statistics.images > MOST_ROWS {
            return;
        }
        let name = escaped(&answer.name);
        let row = match &answer.outcome {
            Outcome::Failed(error) => {
                format!(
                    "<th scope=\"row\">{name}</th><td colspan=\"4\" class=\"error\">{}</td>",
                    escaped(error)
                )
            }
            Outcome::Found(found) => {
                let [height, width] = found.detections.image_size();
                let best = found.detections.iter().next();
                let best = best.map_or_else(|| "-".to_owned(), |one| format!("{:.3}", one.score));
                format!(
                    "<th scope=\"row\">{name}</th><td>{width} x {height}</td><td>{}</td><td>{best}</td><td><code>{}</code></td>",
                    found.detections.len(),
                    found.digest
                )
            }
        };
        self.rows.push_str(&format!("<tr>{row}</tr>\n"));
    }

    /// How many images there are.
    pub fn images(&self) -> usize {
        self.statistics.images
    }

    /// How many of them failed.
    pub fn failed(&self) -> usize {
        self.statistics.failed
    }

    /// The whole file.
    pub fn finish(self, pictures: &Pictures, scored: Option<&Accuracy>) -> String {
        let Self { title, run, statistics, rows } = &self;
        let title = escaped(title);
        let [style, script] =
            [STYLE, SCRIPT].map(|text| Base64::encode_string(&Sha256::digest(text)));
        let policy = format!(
            "default-src 'none'; img-src data:; style-src 'sha256-{style}'; script-src 'sha256-{script}'; base-uri 'none'; form-action 'none'"
        );
        let mut tiles = vec![
            ("images", statistics.images.to_string()),
            ("detections", statistics.detections.to_string()),
            ("labels", statistics.classes.len().to_string()),
            ("empty images", statistics.empty.to_string()),
        ];
        if statistics.failed > 0 {
            tiles.push(("images that failed", statistics.failed.to_string()));
        }
        if let Some(Accuracy { evaluation, .. }) = scored {
            let value =
                |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"));
            tiles.push(("AP", value(evaluation.overall.ap)));
            tiles.push(("AP50", value(evaluation.overall.ap50)));
        }
        let tiles: String = tiles
            .iter()
            .map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>"))
            .collect();
        let accuracy = scored.map_or_else(String::new, |Accuracy { evaluation, curves, notes }| {
            let notes: String = notes
                .iter()
                .map(|note| format!("<p class=\"note\">{}</p>", escaped(note)))
                .collect();
            format!("<section><h2>Accuracy</h2>{notes}{}</section>\n", accuracy(evaluation, curves))
        });
        let more_rows = match statistics.images.saturating_sub(MOST_ROWS) {
            0 => String::new(),
            more => {
                format!("<p class=\"note\">and {more} more images, which all counts include</p>")
            }
        };
        let truth = if scored.is_some() { " Dashed white boxes are annotated." } else { "" };
        let legend =
            format!(" Boxes scored under {CAPTION_FROM} are thin and have no caption.{truth}");
        let shown = match pictures.count() {
            0 => "No picture is shown.".to_owned(),
            count if count == statistics.images => format!("All {count} images are shown.{legend}"),
            count => format!(
                "{count} of {} images are shown, the first that could be; the counts include all.{legend}",
                statistics.images
            ),
        };
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <header><h1>{title}</h1><dl class=\"tiles\">{tiles}</dl></header>\n<main>\n{accuracy}\
             <section><h2>Labels</h2>{classes}</section>\n<section><h2>Scores</h2>{histograms}</section>\n\
             <section><h2>Pictures</h2><p>{shown}</p>\n{controls}<div id=\"cards\">\n{cards}</div></section>\n\
             <section><h2>All images</h2><details{open}><summary>{images} images with the digests of their answers</summary>\
             <div class=\"wide\"><table><thead><tr><th>image</th><th>size</th><th>detections</th><th>best score</th><th>digest</th></tr></thead>\
             <tbody>\n{rows}</tbody></table></div>{more_rows}</details></section>\n\
             <section><h2>What was run</h2><div class=\"wide\"><table class=\"facts\"><tbody>\n{facts}</tbody></table></div>\
             <p class=\"note\">Equal inputs give this file's bytes again: it holds no date and no path of the machine.</p></section>\n\
             </main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
            classes = class_table(statistics),
            histograms = histograms(statistics),
            controls = controls(pictures),
            cards = pictures.cards(),
            open = if statistics.images <= 20 { " open" } else { "" },
            images = statistics.images,
            facts = facts(run, statistics),
        )
    }
}

/// What filters and sorts the pictures; shown by the script that makes it work.
fn controls(pictures: &Pictures) -> String {
    let labels = pictures.labels().iter().enumerate();
    let labels: String = labels
        .map(|(number, label)| format!("<option value=\"{number}\">{}</option>", escaped(label)))
        .collect();
    format!(
        "<form id=\"controls\" hidden><label>label <select id=\"label\"><option value=\"\">all</option>{labels}</select></label>\
         <label>score from <input id=\"score\" type=\"range\" min=\"0\" max=\"1\" step=\"0.01\" value=\"0\"> <output id=\"least\">0.00</output></label>\
         <label>order <select id=\"order\"><option value=\"i\">as given</option><option value=\"n\">most detections</option>\
         <option value=\"s\">best score</option></select></label><label><input id=\"empty\" type=\"checkbox\" checked> images without a box</label>\
         <output id=\"count\"></output></form>\n"
    )
}

fn facts(run: &Run, statistics: &Statistics) -> String {
    let unknown = || "not recorded".to_owned();
    let code = |text: Option<&String>| {
        text.map_or_else(unknown, |text| format!("<code>{}</code>", escaped(text)))
    };
    [
        ("weights, SHA-256", code(run.weights.as_ref())),
        ("digest of all answers", format!("<code>{}</code>", statistics.digest())),
        ("numerics", run.numerics.map_or_else(unknown, |number| format!("version {number}"))),
        ("retinanet", run.version.as_deref().map_or_else(unknown, escaped)),
        ("mode", run.mode.as_deref().map_or_else(unknown, escaped)),
    ]
    .map(|(name, value)| format!("<tr><th scope=\"row\">{name}</th><td>{value}</td></tr>\n"))
    .concat()
}
