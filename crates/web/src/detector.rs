//! The class that JavaScript calls.

use std::sync::Arc;

use retinanet::image::{DecodeLimits, DecodeOptions, Image};
use retinanet::receipt::Receipt;
use retinanet::{Detector, DetectorBuilder, Result};
use wasm_bindgen::prelude::*;

use crate::preview::Preview;
use crate::watcher::Watcher;
use crate::{answer, watcher};

/// What an image may cost here: the module has 4 GiB of addresses, of which the network needs the most.
fn limits() -> DecodeLimits {
    DecodeLimits { max_file_bytes: 64 << 20, max_pixels: 50_000_000, max_memory_bytes: 512 << 20 }
}

/// An error as JavaScript gets it: an `Error` whose message is the library's.
fn shown<T>(result: Result<T>) -> std::result::Result<T, JsError> {
    result.map_err(|error| JsError::new(&error.to_string()))
}

/// Weights in memory and the network built of them.
#[wasm_bindgen(js_name = Detector)]
pub struct WebDetector {
    detector: Detector,
    name: String,
    weights: Arc<[u8]>,
}

#[wasm_bindgen(js_class = Detector)]
impl WebDetector {
    /// Reads the content of a `.safetensors` or `.pth` file; `name` is what messages and receipts call it.
    #[wasm_bindgen(constructor)]
    pub fn new(weights: Vec<u8>, name: String) -> std::result::Result<Self, JsError> {
        let weights = Arc::<[u8]>::from(weights);
        let detector = shown(builder(&name, &weights).build())?;
        Ok(Self { detector, name, weights })
    }

    /// The level of the kernels: `relaxed-simd`, or `portable` where a multiply-add is not fused.
    #[wasm_bindgen(getter)]
    pub fn level(&self) -> String {
        self.detector.environment().cpu.level
    }

    /// The SHA-256 of the weights file, and the names of the classes, as JSON.
    pub fn describe(&self) -> String {
        answer::weights(&self.detector, &self.name)
    }

    /// Tells `watcher.stage(name, share)` from now on how far a detection is; nobody, if it is undefined.
    pub fn watch(watcher: Option<Watcher>) {
        watcher::watch(watcher);
    }

    /// What an image may cost, as JSON: `maxFileBytes`, `maxPixels`.
    pub fn limits() -> String {
        answer::limits(&limits())
    }

    /// The picture in an image file of that name, no more than `longest` pixels long.
    pub fn preview(
        image: &[u8],
        name: &str,
        longest: usize,
    ) -> std::result::Result<Preview, JsError> {
        let options = DecodeOptions { limits: limits(), ..DecodeOptions::default() };
        let image = shown(Image::decode_with(image, name, &options))?;
        Ok(Preview::of(&image, longest))
    }

    /// What is in an image file of that name: JSON of `imageSize` (height, width), `detections`, `digest`,
    /// `stages`, `receipt`, which is the text of a receipt file, and `record`, which is that of `detect --json`.
    pub fn detect(&self, image: &[u8], name: &str) -> std::result::Result<String, JsError> {
        let limits = limits();
        let receipt = Receipt::create_from_bytes_within(&self.detector, name, image, &limits);
        shown(receipt.and_then(|receipt| answer::found(&receipt, name)))
    }

    /// Detects again what a receipt says, in the image file of that name and with these weights: JSON of `same`,
    /// `stages` (how many were compared), `differences` (`kind` and `text` of each) and `report`.
    pub fn verify(
        &self,
        receipt: &str,
        image: &[u8],
        name: &str,
    ) -> std::result::Result<String, JsError> {
        let builder = builder(&self.name, &self.weights);
        let verified = Receipt::from_json(receipt, "the receipt").and_then(|receipt| {
            receipt.verify_from_bytes(builder, name, image, &limits(), &mut |_, _| ())
        });
        Ok(answer::verification(&shown(verified)?))
    }
}

fn builder(name: &str, weights: &Arc<[u8]>) -> DetectorBuilder {
    Detector::builder().weights_from_bytes(name, Arc::clone(weights)).on_progress(watcher::tell)
}
