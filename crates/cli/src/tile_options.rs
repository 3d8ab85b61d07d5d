//! Large images, window by window, as options.

use clap::Args;
use retinanet::Detector;
use retinanet::image::Tiling;

use crate::exit::{Failure, Outcome};

/// How large images are cut.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Large images")]
pub struct TileOptions {
    /// Look at each image in windows of N x N pixels, row by row, and merge what they show: for images
    /// whose objects would be too small when the whole is scaled down. PNGs and TIFFs are read as far as
    /// a row of windows needs, and need not fit into memory
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub tiles: Option<usize>,

    /// The part of a window that the next one shows again, from 0 and less than 1
    #[arg(long, value_name = "PART", requires = "tiles", allow_negative_numbers = true)]
    #[arg(default_value_t = 0.2)]
    pub overlap: f64,
}

impl TileOptions {
    /// The windows asked for; what makes no sense is refused here.
    pub fn tiling(&self) -> Outcome<Option<Tiling>> {
        let Some(size) = self.tiles else { return Ok(None) };
        let tiling = Tiling { size, overlap: self.overlap };
        tiling.validate().map_err(|error| refused(&error))?;
        Ok(Some(tiling))
    }
}

/// Refuses windows that do not suit the model, and so suit none of the images.
pub fn check_suits(tiling: &Tiling, detector: &Detector) -> Outcome<()> {
    detector.tile_windows(tiling, [1, 1]).map(|_| ()).map_err(|error| refused(&error))
}

/// The library's words, with the options' names.
fn refused(error: &retinanet::Error) -> Failure {
    let told = error.to_string();
    Failure::usage(
        told.replace("tiles: `size`", "--tiles").replace("tiles: `overlap`", "--overlap"),
    )
}
