//! What a fetch shows on stderr.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::options::Progress;

/// A bar with bytes, rate and time left; hidden where stderr is no terminal.
pub(super) fn bar(progress: Progress, label: &str) -> ProgressBar {
    let bar = ProgressBar::no_length().with_message(label.to_owned());
    match progress {
        Progress::Auto => bar.set_draw_target(ProgressDrawTarget::stderr()),
        Progress::Silent => bar.set_draw_target(ProgressDrawTarget::hidden()),
    }
    let template = "{msg} {bytes}/{total_bytes} [{bar:30}] {bytes_per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// One line for a person.
pub(super) fn say(progress: Progress, line: &str) {
    if progress == Progress::Auto {
        eprintln!("{line}");
    }
}
