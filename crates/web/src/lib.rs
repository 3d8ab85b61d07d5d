//! The detector for JavaScript: bytes in, JSON out.

mod answer;
mod detector;
mod preview;
mod watcher;

use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn log_error(text: &str);
}

/// A panic ends in a trap that says nothing, so its message goes to the console before.
#[wasm_bindgen(start)]
pub fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| log_error(&panic.to_string())));
}

/// This release.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
