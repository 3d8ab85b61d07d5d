//! A progress bar on standard error for what takes longer than a second.

use std::fmt::Write;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::interrupt;
use crate::voice::is_quiet;

/// Quick work shows no bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar with rate and remaining time. It is silent where standard error is no terminal.
pub struct Progress {
    bar: ProgressBar,
    started: Instant,
    shown: bool,
}

impl Progress {
    /// A bar of `total` steps named `unit` ("images"), not shown yet.
    pub fn new(total: u64, unit: &str) -> Self {
        let template =
            format!("{{bar:30}} {{pos}}/{{len}} {unit}  {{rate}}  {{eta}} left  {{wide_msg}}");
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template(&template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key("rate", |state: &ProgressState, text: &mut dyn Write| {
                write!(text, "{:.1}/s", state.per_sec()).ok();
            });
        bar.set_style(style);
        let shown = bar.clone();
        interrupt::at_end(move || shown.finish_and_clear());
        Self { bar, started: Instant::now(), shown: false }
    }

    /// One more step is done.
    pub fn step(&mut self) {
        self.bar.inc(1);
        self.show();
    }

    /// What stands behind the bar.
    pub fn say(&mut self, message: String) {
        self.bar.set_message(message);
        self.show();
    }

    fn show(&mut self) {
        if !self.shown && !is_quiet() && self.started.elapsed() > PATIENCE {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.shown = true;
        }
    }

    /// `done` of `total` steps are done; from the first on, where they become fewer.
    pub fn at(&mut self, done: usize, total: usize) {
        self.bar.set_length(total as u64);
        if (done as u64) < self.bar.position() {
            self.bar.reset();
        }
        self.bar.set_position(done as u64);
        self.show();
    }

    /// `count` steps were done before; they do not count for the rate.
    pub fn skip(&mut self, count: u64) {
        self.bar.set_position(count);
        self.bar.reset_eta();
    }

    /// Prints without tearing the bar.
    pub fn around<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
