//! What a sample is made of.

use retinanet::Image;
use retinanet::image::TransformConfig;
use retinanet_train::Error;
use retinanet_train::data::{
    AugmentConfig, ColourConfig, DataError, MosaicConfig, PasteConfig, RunShape, Sample,
    SampleSource, SquareConfig, write_preview,
};

use crate::{RUN, photos, set_of, source, transform};

fn square() -> AugmentConfig {
    let square = SquareConfig { side: 96, scale: [0.5, 1.8], min_visible: 0.3 };
    AugmentConfig { square: Some(square), ..AugmentConfig::default() }
}

fn mosaics(until: f64) -> AugmentConfig {
    let mosaic = MosaicConfig { probability: 1.0, until, scale: [0.4, 1.2] };
    AugmentConfig { mosaic: Some(mosaic), colour: Some(ColourConfig::default()), ..square() }
}

fn all(source: &SampleSource) -> Vec<Sample> {
    (0..source.positions()).map(|position| source.sample(position).unwrap()).collect()
}

#[test]
fn without_augmentation_the_canvas_is_the_detectors_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let fixed = TransformConfig { fixed_size: Some([70, 50]), ..transform() };
    let model = TransformConfig { image_mean: [0.5; 3], size_divisible: 1, ..transform() };
    for transform in [transform(), fixed, model] {
        let set = set_of(&photos(folder.path(), 6), folder.path()).unwrap();
        let source =
            SampleSource::new(set, transform.clone(), AugmentConfig::none(), RUN, 0).unwrap();
        for sample in all(&source) {
            let path = folder.path().join(format!("{}.png", 100 - sample.image_id));
            // `Detector::detect` hands exactly this to its network.
            let input = transform.apply(&Image::open(&path).unwrap()).unwrap();
            assert_eq!((sample.size, sample.content), (input.padded, input.resized));
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert!(bits(&sample.canvas) == bits(&input.data), "image {}", sample.image_id);
            assert_eq!(sample.objects.len() as i64, 1 + (100 - sample.image_id) % 3);
        }
    }
}

#[test]
fn a_flip_mirrors_the_canvas_and_its_boxes() {
    let folder = tempfile::tempdir().unwrap();
    let plain = source(folder.path(), 5, AugmentConfig::none(), 0);
    let flipped = source(folder.path(), 5, AugmentConfig { flip: 1.0, ..AugmentConfig::none() }, 0);
    let mut twice = 0;
    for (plain, flipped) in all(&plain).iter().zip(all(&flipped)) {
        assert_eq!((plain.size, plain.content), (flipped.size, flipped.content));
        let [height, width] = plain.content;
        let at = |sample: &Sample, y: usize, x: usize| sample.canvas[y * sample.size[1] + x];
        for (y, x) in [(0, 0), (height / 2, width / 3), (height - 1, 1)] {
            let (a, b) = (at(plain, y, x), at(&flipped, y, width - 1 - x));
            assert!((a - b).abs() < 1e-4, "({y}, {x}) {a} {b}");
        }
        for (a, b) in plain.objects.iter().zip(&flipped.objects) {
            assert!((a.corners[0] - (width as f32 - b.corners[2])).abs() < 0.01);
            assert_eq!((a.corners[1], a.class), (b.corners[1], b.class));
            twice += 1;
        }
    }
    assert!(twice > 30, "{twice}");
}

#[test]
fn about_half_of_the_samples_are_flipped_and_scales_are_drawn_from_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let set = set_of(&photos(folder.path(), 5), folder.path()).unwrap();
    let augment =
        AugmentConfig { scales: vec![32, 48, 64], max_size: Some(90), ..AugmentConfig::default() };
    let run = RunShape { seed: 1, batch: 10, steps: 12 };
    let plain = AugmentConfig { flip: 0.0, ..augment.clone() };
    let some = SampleSource::new(set.clone(), transform(), augment, run, 1 << 20).unwrap();
    let none = SampleSource::new(set, transform(), plain, run, 1 << 20).unwrap();
    let mut flipped = 0;
    let mut shortest = [0; 3];
    for (some, none) in all(&some).iter().zip(all(&none)) {
        // Without flips, the scales are the same.
        assert_eq!(some.content, none.content);
        flipped += usize::from(some.canvas != none.canvas);
        let short = some.content[0].min(some.content[1]);
        let place = [32, 48, 64].iter().position(|scale| short.abs_diff(*scale) <= 1);
        shortest[place.expect("a side of the list")] += 1;
        assert!(some.content.iter().all(|side| *side <= 90));
    }
    assert!((45..=75).contains(&flipped), "{flipped}");
    assert!(shortest.iter().all(|count| *count > 20), "{shortest:?}");
}

#[test]
fn squares_show_a_part_and_boxes_stay_within_it() {
    let folder = tempfile::tempdir().unwrap();
    let (mut cut, mut small) = (0, 0);
    for sample in all(&source(folder.path(), 7, square(), 1 << 20)) {
        assert_eq!(sample.size, [96, 96]);
        let [height, width] = sample.content;
        cut += usize::from(height == 96 && width == 96);
        small += usize::from(height < 96 && width < 96);
        for object in &sample.objects {
            let [x1, y1, x2, y2] = object.corners;
            assert!(0.0 <= x1 && x1 < x2 && x2 <= width as f32, "{object:?} in {width}");
            assert!(0.0 <= y1 && y1 < y2 && y2 <= height as f32, "{object:?} in {height}");
        }
        for (i, value) in sample.canvas.iter().enumerate() {
            let (y, x) = (i / 96 % 96, i % 96);
            assert!(*value == 0.0 || (y < height && x < width), "({y}, {x}) is {value}");
        }
    }
    assert!(cut > 2 && small > 2, "{cut} {small}");
}

#[test]
fn mosaics_show_four_images_until_their_share_of_the_run_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let mosaics = all(&source(folder.path(), 7, mosaics(0.5), 1 << 20));
    let later = AugmentConfig { colour: Some(ColourConfig::default()), ..square() };
    let alone = all(&source(folder.path(), 7, later, 1 << 20));
    let mut objects = 0;
    for (sample, alone) in mosaics.iter().zip(&alone) {
        assert_eq!(sample.shown[0], sample.image_id);
        if sample.position >= 3 * 4 {
            assert_eq!(sample, alone);
            continue;
        }
        assert_eq!((sample.size, sample.content, sample.shown.len()), ([96, 96], [96, 96], 4));
        objects += sample.objects.len();
        for object in &sample.objects {
            assert!(object.corners.iter().all(|v| (0.0..=96.0).contains(v)), "{object:?}");
        }
    }
    assert!(objects > 3 * 4 * 3, "{objects}");
}

#[test]
fn objects_are_laid_over_a_sample_and_nothing_else_changes() {
    let folder = tempfile::tempdir().unwrap();
    let paste = PasteConfig { most: 3, margin: 0.2, scale: [0.3, 0.9] };
    let config = AugmentConfig { paste: Some(paste), ..mosaics(0.5) };
    let pasted = source(folder.path(), 7, config, 1 << 20);
    let plain = all(&source(folder.path(), 7, mosaics(0.5), 1 << 20));
    let images = pasted.set().images();
    let (mut more, mut none) = (0, 0);
    for (sample, plain) in all(&pasted).iter().zip(&plain) {
        assert_eq!((sample.size, sample.content), (plain.size, plain.content));
        let under = plain.objects.len();
        assert_eq!(sample.objects[..under], plain.objects);
        assert_eq!(sample.shown[..plain.shown.len()], plain.shown);
        let laid = &sample.shown[plain.shown.len()..];
        assert!(laid.len() <= 3 && laid.iter().all(|id| images.iter().any(|i| i.image.id == *id)));
        more += laid.len();
        none += usize::from(laid.is_empty());
        assert_eq!(laid.is_empty(), sample == plain);
        // Every pasted tile shows the object that it was cut out for.
        assert!(sample.objects.len() >= under + laid.len(), "{sample:?}");
        let [height, width] = sample.content;
        for object in &sample.objects[under..] {
            let [x1, y1, x2, y2] = object.corners;
            assert!(0.0 <= x1 && x1 < x2 && x2 <= width as f32, "{object:?} in {width}");
            assert!(0.0 <= y1 && y1 < y2 && y2 <= height as f32, "{object:?} in {height}");
            // At the object's centre is no longer what was there.
            let (x, y) = ((x1 + x2) as usize / 2, (y1 + y2) as usize / 2);
            let at = y * sample.size[1] + x;
            let planes = (0..3).map(|plane| plane * sample.size[0] * sample.size[1] + at);
            assert!(planes.into_iter().any(|i| sample.canvas[i] != plain.canvas[i]), "{object:?}");
        }
        for hidden in &plain.objects {
            let [x1, y1, x2, y2] = hidden.corners;
            for over in &sample.objects[under..] {
                let [left, top, right, bottom] = over.corners;
                // Of 20 x 20 places in the object, those under the pasted one.
                let inside = (0..400).filter(|place| {
                    let x = x1 + (x2 - x1) * ((place % 20) as f32 + 0.5) / 20.0;
                    let y = y1 + (y2 - y1) * ((place / 20) as f32 + 0.5) / 20.0;
                    left < x && x < right && top < y && y < bottom
                });
                assert!(inside.count() <= 110, "{hidden:?} {over:?}");
            }
        }
    }
    assert!(more > 8 && none > 1, "{more} {none}");
}

#[test]
fn a_sample_is_a_function_of_its_position() {
    let folder = tempfile::tempdir().unwrap();
    let forwards = all(&source(folder.path(), 7, mosaics(0.7), 0));
    let again = source(folder.path(), 7, mosaics(0.7), 1 << 20);
    for sample in forwards.iter().rev() {
        assert_eq!(again.sample(sample.position).unwrap(), *sample);
    }
    // 24 positions over 7 images: the same image in another epoch is another sample.
    let first = &forwards[0];
    let next = forwards.iter().skip(7).find(|other| other.image_id == first.image_id).unwrap();
    assert_ne!((next.epoch, &next.canvas), (first.epoch, &first.canvas));
}

/// The samples' bits on every machine: canvases, boxes and order. They change with `NUMERICS_VERSION` only.
#[test]
fn the_bits_of_samples_are_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let mut values = vec![];
    for sample in all(&source(folder.path(), 7, mosaics(0.5), 1 << 20)) {
        values.push(sample.image_id as f32);
        values.extend(&sample.canvas);
        for object in &sample.objects {
            values.push(object.class as f32);
            values.extend(object.corners);
        }
    }
    let digest = retinanet::determinism::digest_f32("samples", &[values.len()], &values).unwrap();
    assert_eq!(
        digest.to_string(),
        "d6c25e809b3dc38273b369491d0d4eff1f1dda56900735bdce4670d4ffc61172"
    );
}

#[test]
fn files_that_do_not_fit_are_named_with_their_image() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path(), 4, AugmentConfig::default(), 0);
    let position =
        |id: i64| (0..4).find(|position| source.order().place(*position).image_id == id).unwrap();
    std::fs::remove_file(folder.path().join("0.png")).unwrap();
    std::fs::write(folder.path().join("1.png"), b"no picture").unwrap();
    crate::picture(30, 20, 0).save_png(folder.path().join("2.png")).unwrap();
    for (id, parts) in [
        (100, &["0.png", "cannot read"][..]),
        (99, &["1.png", "no picture"]),
        (98, &["2.png", "is 30 x 20", "for 58 x 42"]),
    ] {
        let error = source.sample(position(id)).unwrap_err();
        assert!(matches!(error, DataError::Sample { image_id, .. } if image_id == id), "{error}");
        let text = error.to_string();
        let start = format!("image {id} (\"{}.png\"), needed at position", 100 - id);
        assert!(text.starts_with(&start), "{text}");
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }
    source.sample(position(97)).unwrap();
    let error = source.sample(24).unwrap_err();
    assert_eq!(error, DataError::Position { position: 24, positions: 24 });
}

#[test]
fn senseless_settings_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let set = set_of(&photos(folder.path(), 2), folder.path()).unwrap();
    let run = |augment, run| SampleSource::new(set.clone(), transform(), augment, run, 0);
    let base = AugmentConfig::default;
    let in_square = |side, scale, min_visible| AugmentConfig {
        square: Some(SquareConfig { side, scale, min_visible }),
        ..base()
    };
    let in_mosaic = |probability, until, scale| AugmentConfig {
        mosaic: Some(MosaicConfig { probability, until, scale }),
        ..square()
    };
    let pasted = |most, margin, scale| AugmentConfig {
        paste: Some(PasteConfig { most, margin, scale }),
        ..square()
    };
    let colour = Some(ColourConfig { brightness: 255, contrast: 101 });
    for (augment, setting) in [
        (AugmentConfig { flip: 1.5, ..base() }, "augment.flip"),
        (AugmentConfig { flip: f64::NAN, ..base() }, "augment.flip"),
        (AugmentConfig { scales: vec![64, 0], ..base() }, "augment.scales"),
        (AugmentConfig { scales: vec![usize::MAX], ..base() }, "augment.scales"),
        (AugmentConfig { scales: vec![64; 2000], ..base() }, "augment.scales"),
        (AugmentConfig { max_size: Some(0), ..base() }, "augment.max_size"),
        (AugmentConfig { max_size: Some(1 << 40), ..base() }, "augment.max_size"),
        (AugmentConfig { scales: vec![64], ..square() }, "augment.square"),
        (in_square(31, [1.0; 2], 0.5), "augment.square.side"),
        (in_square(usize::MAX, [1.0; 2], 0.5), "augment.square.side"),
        (in_square(96, [0.0, 1.0], 0.5), "augment.square.scale"),
        (in_square(96, [2.0, 1.0], 0.5), "augment.square.scale"),
        (in_square(96, [1.0, 1e9], 0.5), "augment.square.scale"),
        (in_square(96, [1.0, f64::NAN], 0.5), "augment.square.scale"),
        (in_square(96, [1.0; 2], -0.1), "augment.square.min_visible"),
        (AugmentConfig { mosaic: Some(MosaicConfig::default()), ..base() }, "augment.mosaic"),
        (in_mosaic(2.0, 0.5, [1.0; 2]), "augment.mosaic.probability"),
        (in_mosaic(1.0, 1.1, [1.0; 2]), "augment.mosaic.until"),
        (in_mosaic(1.0, 0.5, [1.0, f64::INFINITY]), "augment.mosaic.scale"),
        (AugmentConfig { paste: Some(PasteConfig::default()), ..base() }, "augment.paste"),
        (pasted(0, 0.1, [1.0; 2]), "augment.paste.most"),
        (pasted(65, 0.1, [1.0; 2]), "augment.paste.most"),
        (pasted(1, f64::NAN, [1.0; 2]), "augment.paste.margin"),
        (pasted(1, 0.1, [1.0, 1e9]), "augment.paste.scale"),
        (AugmentConfig { colour, ..base() }, "augment.colour.contrast"),
    ] {
        let error = run(augment, RUN).unwrap_err();
        assert!(matches!(error, Error::Setting { setting: s, .. } if s == setting), "{error}");
    }
    for (shape, setting) in [
        (RunShape { batch: 0, ..RUN }, "batch"),
        (RunShape { batch: usize::MAX, ..RUN }, "batch"),
        (RunShape { steps: 0, ..RUN }, "steps"),
        (RunShape { steps: u64::MAX, ..RUN }, "steps"),
    ] {
        let error = run(base(), shape).unwrap_err();
        assert!(matches!(error, Error::Setting { setting: s, .. } if s == setting), "{error}");
    }
    // A long side of one pixel leaves none for the short one.
    let narrow = TransformConfig { min_size: 1, max_size: 1, ..transform() };
    let error = SampleSource::new(set, narrow, base(), RUN, 0).unwrap_err().to_string();
    assert!(error.starts_with("image 99 (\"1.png\"): an image of 49 x 36"), "{error}");
}

#[test]
fn a_recipe_says_what_it_wants_and_misspelt_words_are_refused() {
    let text =
        "flip = 0.25\n[square]\nside = 384\n[mosaic]\nuntil = 0.82\n[colour]\ncontrast = 10\n";
    let config: AugmentConfig = toml::from_str(text).unwrap();
    let square = SquareConfig { side: 384, ..SquareConfig::default() };
    let mosaic = MosaicConfig { until: 0.82, ..MosaicConfig::default() };
    let colour = ColourConfig { contrast: 10, ..ColourConfig::default() };
    let expected = AugmentConfig {
        flip: 0.25,
        square: Some(square),
        mosaic: Some(mosaic),
        colour: Some(colour),
        ..AugmentConfig::default()
    };
    assert_eq!(config, expected);
    config.validate().unwrap();
    AugmentConfig::multiscale().validate().unwrap();
    assert_eq!(toml::from_str::<AugmentConfig>("").unwrap(), AugmentConfig::default());
    for (text, word) in [("flop = 1", "flop"), ("[mosaic]\nuntill = 1", "untill")] {
        let error = toml::from_str::<AugmentConfig>(text).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn previews_show_the_samples_with_their_boxes() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path(), 4, AugmentConfig::none(), 0);
    let written = write_preview(&source, 3, &folder.path().join("a/preview")).unwrap();
    assert_eq!(written.len(), 3);
    for file in &written {
        let sample = source.sample(file.position).unwrap();
        let drawn = Image::open(&file.path).unwrap();
        assert_eq!([drawn.height(), drawn.width()], sample.size);
        assert_eq!(file.image_ids, [sample.image_id]);
        // Away from the boxes, the pixels are the picture's.
        let path = folder.path().join(format!("{}.png", 100 - sample.image_id));
        let photo = Image::open(path).unwrap();
        let [height, width] = sample.content;
        let last = ((height - 1) * drawn.width() + width - 1) * 3;
        let corner = &photo.as_rgb8()[photo.as_rgb8().len() - 3..];
        for (drawn, pixel) in drawn.as_rgb8()[last..last + 3].iter().zip(corner) {
            assert!(drawn.abs_diff(*pixel) <= 1, "{drawn} {pixel}");
        }
        let left = sample.objects[0].corners.map(|v| v as usize);
        let frame = (((left[1] + left[3]) / 2) * drawn.width() + left[0]) * 3;
        assert_ne!(drawn.as_rgb8()[frame..frame + 3], photo.as_rgb8()[..3]);
    }
    let file = folder.path().join("0.png");
    let error = write_preview(&source, 1, &file).unwrap_err().to_string();
    assert!(error.contains("cannot make the folder"), "{error}");
}
