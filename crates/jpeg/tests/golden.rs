//! The files of `tests/golden` have PIL's pixels, and are refused where PIL refuses them.

use std::fs;
use std::path::Path;

use retinanet_jpeg::{Options, decode_rgb, read_header};
use sha2::{Digest, Sha256};

#[test]
fn pixels_equal_pils() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let expected = fs::read_to_string(folder.join("pixels.txt")).unwrap();
    let mut different = Vec::new();
    for line in expected.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [hash, width, height, name] = fields[..] else { panic!("{line}") };
        let bytes = fs::read(folder.join(name)).unwrap();
        let ours = match decode_rgb(&bytes, &Options::default()) {
            Ok(image) => {
                let header = read_header(&bytes).unwrap();
                assert_eq!((header.width, header.height), (image.width, image.height), "{name}");
                let hash: String = Sha256::digest(&image.pixels)
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                [hash, image.width.to_string(), image.height.to_string()]
            }
            Err(_) => ["refused", "-", "-"].map(str::to_owned),
        };
        if ours != [hash, width, height] {
            different.push(name.to_owned());
        }
    }
    assert!(expected.lines().count() >= 200);
    assert_eq!(different, Vec::<String>::new());
}
