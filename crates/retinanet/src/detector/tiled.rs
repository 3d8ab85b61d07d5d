//! Large pictures: window by window, and the windows' answers made one.

use super::Detector;
use crate::Result;
use crate::detection::Detections;
use crate::determinism::{DigestWriter, StageDigests};
use crate::error::ImageError;
use crate::image::{Image, ImageRows, TileWindows, Tiling};
use crate::model::plan::NoObserver;
use crate::postprocess::{Merger, ScoredBox};

/// Watches the windows go by.
trait Watcher {
    /// Rows of the picture, each once, from the top.
    fn rows(&mut self, pixels: &[u8]);
    /// What was found in a window, in its own pixels.
    fn window(&mut self, index: usize, found: &Detections) -> Result<()>;
}

/// Does not.
struct NoWatcher;

impl Watcher for NoWatcher {
    fn rows(&mut self, _: &[u8]) {}

    fn window(&mut self, _: usize, _: &Detections) -> Result<()> {
        Ok(())
    }
}

/// Digests them.
struct Digests {
    decoded: DigestWriter,
    windows: StageDigests,
}

impl Watcher for Digests {
    fn rows(&mut self, pixels: &[u8]) {
        self.decoded.write_u8(pixels);
    }

    fn window(&mut self, index: usize, found: &Detections) -> Result<()> {
        self.windows.push(&format!("window/{index}"), found.digest()?)
    }
}

impl Detector {
    /// The objects in a picture that is too large to be looked at as one, best score first, in the
    /// picture's own pixels.
    ///
    /// Each [window](Tiling) is an image of its own, and answered bit for bit as
    /// [`Detector::detect`] does. Its boxes then move to their place in the picture. Of boxes of
    /// one class and of different windows that overlap by more than the configuration's
    /// `nms_thresh`, the best stays: by score, then by the window's number, then by place in the
    /// window's answer. `detections_per_img` is the most of a window, not of the picture. A picture
    /// that fits into one window has the answer of [`Detector::detect`].
    ///
    /// Of the picture, only as many rows are in memory as a window has, if it can be [read by
    /// rows](ImageRows).
    ///
    /// ```no_run
    /// use retinanet::Detector;
    /// use retinanet::image::{DecodeOptions, ImageRows, Tiling};
    ///
    /// let detector = Detector::builder().weights("person_r18.safetensors").build()?;
    /// let rows = ImageRows::open("harbour.tif", &DecodeOptions::default())?;
    /// let found = detector.detect_tiled(rows, &Tiling { size: 800, overlap: 0.25 })?;
    /// println!("{} objects, digest {}", found.len(), found.digest()?);
    /// # Ok::<(), retinanet::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ImageError::Tiles`] as from [`Tiling::windows`], and for tiles smaller than the network's
    /// smallest canvas (`size_divisible`, 32 pixels); what is wrong with the file, where its rows
    /// are read; as [`Detector::detect`].
    pub fn detect_tiled(&self, rows: ImageRows<'_>, tiling: &Tiling) -> Result<Detections> {
        self.detect_tiled_with(rows, tiling, &mut |_, _| ())
    }

    /// As [`detect_tiled`](Self::detect_tiled); `progress` is told how many windows are done, and how
    /// many there are.
    ///
    /// # Errors
    /// As [`detect_tiled`](Self::detect_tiled).
    pub fn detect_tiled_with(
        &self,
        rows: ImageRows<'_>,
        tiling: &Tiling,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Detections> {
        self.windows(rows, tiling, &mut NoWatcher, progress)
    }

    /// As [`detect_tiled_with`](Self::detect_tiled_with), with digests: `decoded` of the picture's
    /// pixels, `window/0`.. of what was found in each window, `detections` of the answer.
    ///
    /// # Errors
    /// As [`detect_tiled`](Self::detect_tiled).
    pub fn detect_tiled_traced(
        &self,
        rows: ImageRows<'_>,
        tiling: &Tiling,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<(Detections, StageDigests)> {
        let decoded = DigestWriter::u8("decoded", &[rows.height(), rows.width(), 3])?;
        let mut digests = Digests { decoded, windows: StageDigests::new() };
        let found = self.windows(rows, tiling, &mut digests, progress)?;
        let mut stages = StageDigests::new();
        stages.push("decoded", digests.decoded.finish()?)?;
        for window in &digests.windows {
            stages.push(&window.stage, window.digest)?;
        }
        stages.push("detections", found.digest()?)?;
        Ok((found, stages))
    }

    /// The windows of a picture of `[height, width]` pixels, if this detector can be shown them.
    ///
    /// # Errors
    /// [`ImageError::Tiles`], as [`detect_tiled`](Self::detect_tiled).
    pub fn tile_windows(&self, tiling: &Tiling, size: [usize; 2]) -> Result<TileWindows> {
        let least = self.model.config().transform.size_divisible;
        if tiling.size < least {
            let expected = format!(
                "the model's smallest canvas has sides of {least} pixels, and a smaller tile shows nothing that it could find; use larger tiles"
            );
            let value = tiling.size.to_string();
            return Err(ImageError::Tiles { field: "size", value, expected }.into());
        }
        tiling.windows(size)
    }

    fn windows(
        &self,
        mut rows: ImageRows<'_>,
        tiling: &Tiling,
        watcher: &mut dyn Watcher,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Detections> {
        let picture = [rows.height(), rows.width()];
        let stride = picture[1] * 3;
        let windows = self.tile_windows(tiling, picture)?;
        let size = windows.size();
        let together = self.windows_together(size)?;
        let mut merger = Merger::new(self.model.config().postprocess.nms_thresh, size);
        let (mut seen, mut done) = (0, 0);
        for &top in windows.top() {
            let bottom = top + size[0];
            let band = rows.rows(top..bottom)?;
            watcher.rows(&band[(seen - top) * stride..]);
            seen = bottom;
            for group in windows.left().chunks(together) {
                for (&left, (found, boxes)) in
                    group.iter().zip(self.answers(band, stride, group, size)?)
                {
                    watcher.window(done, &found)?;
                    merger.add(done, [left, top], &boxes);
                    done += 1;
                }
                progress(done, windows.count());
            }
        }
        Detections::new(picture, std::sync::Arc::clone(&self.categories), &merger.finish())
    }

    /// What is found in the windows that begin at these columns of a band of rows.
    fn answers(
        &self,
        band: &[u8],
        stride: usize,
        columns: &[usize],
        [height, width]: [usize; 2],
    ) -> Result<Vec<(Detections, Vec<ScoredBox>)>> {
        let cut = |&left: &usize| {
            let rows = band.chunks_exact(stride).map(|row| &row[left * 3..(left + width) * 3]);
            let mut rgb = Vec::with_capacity(height * width * 3);
            rows.for_each(|row| rgb.extend_from_slice(row));
            Image::from_rgb8(width, height, rgb)
        };
        let images = columns.iter().map(cut).collect::<Result<Vec<Image>>>()?;
        let all = self.pool.install(|| {
            let group: Vec<&Image> = images.iter().collect();
            self.boxes(&group, &mut NoObserver)
        })?;
        let named =
            images.iter().zip(all).map(|(image, boxes)| Ok((self.name(image, &boxes)?, boxes)));
        named.collect()
    }

    /// How many windows of this size go through the network together.
    fn windows_together(&self, [height, width]: [usize; 2]) -> Result<usize> {
        let (_, padded) = self.model.config().transform.output_sizes(height, width)?;
        Ok((super::PIXELS_TOGETHER / (padded[0] * padded[1])).max(1))
    }
}
