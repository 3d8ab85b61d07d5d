//! Decoded images, kept up to a number of bytes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use retinanet::Image;

/// The first images that fit; none is thrown out for another. An epoch visits every image once in a random order, so
/// whatever was used last is needed no sooner than the rest.
#[derive(Debug)]
pub(super) struct Cache {
    kept: Mutex<Kept>,
    budget: usize,
}

#[derive(Debug, Default)]
struct Kept {
    images: HashMap<usize, Arc<Image>>,
    bytes: usize,
}

impl Cache {
    pub(super) fn new(budget: usize) -> Self {
        Self { kept: Mutex::default(), budget }
    }

    /// Image `index`, by `decode` if it is not kept. Two workers may decode the same one at once.
    pub(super) fn get<E>(
        &self,
        index: usize,
        decode: impl FnOnce() -> Result<Image, E>,
    ) -> Result<Arc<Image>, E> {
        let found = self.lock(|kept| kept.images.get(&index).map(Arc::clone));
        if let Some(image) = found {
            return Ok(image);
        }
        let image = Arc::new(decode()?);
        let bytes = image.as_rgb8().len();
        self.lock(|kept| {
            if kept.bytes.saturating_add(bytes) <= self.budget
                && kept.images.insert(index, Arc::clone(&image)).is_none()
            {
                kept.bytes += bytes;
            }
        });
        Ok(image)
    }

    fn lock<T>(&self, then: impl FnOnce(&mut Kept) -> T) -> T {
        then(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_decoded_once_and_the_rest_each_time() {
        let cache = Cache::new(2 * 12);
        let mut decoded = 0;
        for _ in 0..3 {
            for index in 0..3 {
                let image = cache.get(index, || {
                    decoded += 1;
                    Image::from_rgb8(2, 2, vec![index as u8; 12])
                });
                assert_eq!(image.unwrap().as_rgb8()[0], index as u8);
            }
        }
        assert_eq!(decoded, 2 + 3);
    }
}
