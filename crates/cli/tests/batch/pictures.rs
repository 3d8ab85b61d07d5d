use retinanet::Image;

use crate::scene::{Scene, exits};

#[test]
fn pictures_mirror_the_relative_paths() {
    let scene = Scene::new(8);
    exits(&scene.batch("out", &["--overlay", "drawn", "--masks", "masks"]), 3);
    for name in ["000.png", "a/000.png", "a/deep/001.png", "b/001.png"] {
        let input = Image::open(scene.path("images").join(name)).unwrap();
        let drawn = Image::open(scene.path("drawn").join(format!("{name}.png"))).unwrap();
        assert_eq!((drawn.width(), drawn.height()), (input.width(), input.height()));
    }
    let file = String::from_utf8(scene.read("out")).unwrap();
    let records = file.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    for record in records {
        let folder = scene.path("masks").join(record["image"].as_str().unwrap());
        let masks = std::fs::read_dir(folder).map_or(0, Iterator::count);
        let found = record["detections"].as_array().map_or(0, Vec::len);
        assert_eq!(masks, found, "{record}");
    }
}
