//! Detection in a group of images with the digests of all stages.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::detection::Detections;
use crate::determinism::StageDigests;
use crate::image::Image;
use crate::{Detector, Result};

/// Images that are computed at the same time: while one is hashed, another uses the threads.
const TOGETHER: usize = 2;

/// The answer to each image, and its stages' digests: to the bit those of [`Detector::detect_batch`].
pub(super) fn detect_traced(
    detector: &Detector,
    images: &[&Image],
) -> Vec<Result<(Detections, StageDigests)>> {
    let next = AtomicUsize::new(0);
    let answers: Vec<_> = images.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..TOGETHER.min(detector.threads()).min(images.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(image) = images.get(index) else { return };
                    let answer = detector.detect_traced(image);
                    *answers[index].lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
                }
            });
        }
    });
    answers
        .into_iter()
        .map(|answer| {
            let answer = answer.into_inner().unwrap_or_else(PoisonError::into_inner);
            answer.expect("every image was taken by a thread")
        })
        .collect()
}
