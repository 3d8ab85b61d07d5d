//! Small pictures for a page.

use base64ct::{Base64, Encoding};
use jpeg_encoder::{ColorType, Encoder};
use retinanet::Image;

/// JPEG's quality, from 1 to 100.
const QUALITY: u8 = 80;

/// A picture whose longer side has at most so many pixels.
#[derive(Debug)]
pub struct Thumbnail {
    pub width: usize,
    pub height: usize,
    /// For an `href`.
    pub data_uri: String,
}

impl Thumbnail {
    /// Of an image; `None` where JPEG has no place for it, which is for sides over 65,535.
    pub fn of(image: &Image, longest: usize) -> Option<Self> {
        let (width, height, rgb) = reduced(image, longest);
        let mut jpeg = Vec::new();
        let sides = (u16::try_from(width).ok()?, u16::try_from(height).ok()?);
        Encoder::new(&mut jpeg, QUALITY).encode(&rgb, sides.0, sides.1, ColorType::Rgb).ok()?;
        let data_uri = format!("data:image/jpeg;base64,{}", Base64::encode_string(&jpeg));
        Some(Self { width, height, data_uri })
    }
}

/// Each pixel is the mean of those that it stands for.
fn reduced(image: &Image, longest: usize) -> (usize, usize, Vec<u8>) {
    let (from_width, from_height) = (image.width(), image.height());
    let side = from_width.max(from_height);
    if side <= longest {
        return (from_width, from_height, image.as_rgb8().to_vec());
    }
    let scaled = |length: usize| (length * longest / side).max(1);
    let (width, height) = (scaled(from_width), scaled(from_height));
    let mut rgb = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        let rows = y * from_height / height..((y + 1) * from_height / height);
        for x in 0..width {
            let columns = x * from_width / width..((x + 1) * from_width / width);
            let mut sums = [0u64; 3];
            for row in rows.clone() {
                let start = row * from_width;
                let pixels =
                    &image.as_rgb8()[(start + columns.start) * 3..(start + columns.end) * 3];
                for pixel in pixels.chunks_exact(3) {
                    for (sum, &value) in sums.iter_mut().zip(pixel) {
                        *sum += u64::from(value);
                    }
                }
            }
            let count = (rows.len() * columns.len()) as u64;
            rgb.extend(sums.map(|sum| ((sum + count / 2) / count) as u8));
        }
    }
    (width, height, rgb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reduced_pixel_is_the_mean_of_those_it_stands_for() {
        let image = Image::from_rgb8(4, 2, (0..24).map(|v| v * 10).collect()).unwrap();
        let (width, height, rgb) = reduced(&image, 2);
        assert_eq!((width, height), (2, 1));
        assert_eq!(rgb, [75, 85, 95, 135, 145, 155]);
        assert_eq!(reduced(&image, 4).2, image.as_rgb8());
        let thin = Image::from_rgb8(1000, 1, vec![7; 3000]).unwrap();
        assert_eq!(reduced(&thin, 64), (64, 1, vec![7; 192]));
    }
}
