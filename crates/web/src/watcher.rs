//! Who is told how far a detection is.

use std::cell::RefCell;

use retinanet::Progress;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// Any object with a method `stage`.
    pub type Watcher;

    /// Is told the name of the stage that is done, and which share of the network's multiply-adds, 0 to 1.
    #[wasm_bindgen(method, structural)]
    fn stage(this: &Watcher, name: &str, share: f64);
}

thread_local! {
    // A `JsValue` belongs to its thread, so a detector, which may be sent to another, cannot hold it.
    static WATCHER: RefCell<Option<Watcher>> = const { RefCell::new(None) };
}

/// From now on that one, or nobody.
pub fn watch(watcher: Option<Watcher>) {
    WATCHER.with(|current| *current.borrow_mut() = watcher);
}

/// Tells whoever watches.
pub fn tell(progress: Progress<'_>) {
    WATCHER.with(|watcher| {
        if let Some(watcher) = &*watcher.borrow() {
            watcher.stage(progress.stage, progress.done as f64 / progress.all.max(1) as f64);
        }
    });
}
