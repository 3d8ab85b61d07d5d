//! Runs of several ranks, here threads: the same weights and the same log as of one, and ends that nobody waits behind.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::thread;

use retinanet::Image;
use retinanet_train::architecture::resnet18_c4_fpn_gn;
use retinanet_train::recipe::Recipe;
use retinanet_train::run::{
    Alone, Event, Reduce, Run, RunFolder, RunLog, RunOptions, RunSummary, ThreadRank,
};
use serde_json::json;

/// A picture that no other number makes.
fn picture(width: usize, height: usize, number: usize) -> Image {
    let rgb = (0..width * height * 3).map(|i| {
        let (x, y, c) = (i / 3 % width, i / 3 / width, i % 3);
        ((17 + number) * x + 31 * y + 57 * c + x * y + 40 * number) as u8
    });
    Image::from_rgb8(width, height, rgb.collect()).unwrap()
}

const PICTURES: usize = 10;

/// A folder with pictures, their annotations and a small model's configuration.
fn data() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut images = vec![];
    let mut annotations = vec![];
    for number in 0..PICTURES {
        let (width, height) = (70 + number % 3 * 12, 64 + number % 2 * 9);
        let file_name = format!("{number}.png");
        picture(width, height, number).save_png(folder.path().join(&file_name)).unwrap();
        let id = 50 - number;
        images.push(json!({"id": id, "file_name": file_name, "width": width, "height": height}));
        for object in 0..1 + number % 3 {
            let bbox = [3.0 + 9.0 * object as f64, 5.5, 24.0 + number as f64, 30.25];
            let id_of_box = annotations.len() + 1;
            annotations.push(
                json!({"id": id_of_box, "image_id": id, "category_id": 1 + object % 2, "bbox": bbox}),
            );
        }
    }
    let categories = json!([{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]);
    let all = json!({"images": images, "categories": categories, "annotations": annotations});
    fs::write(folder.path().join("made.json"), all.to_string()).unwrap();
    let mut config = resnet18_c4_fpn_gn(3);
    config.backbone.returned_layers = vec![2];
    config.fpn.out_channels = 16;
    config.head.num_convs = 1;
    config.head.group_norm = None;
    config.anchors.sizes.remove(3);
    config.anchors.aspect_ratios.pop();
    (config.transform.min_size, config.transform.max_size) = (64, 96);
    fs::write(folder.path().join("model.json"), config.to_json().unwrap()).unwrap();
    folder
}

/// What is changed in a recipe.
#[derive(Clone, Copy)]
struct Changed {
    batch: u64,
    steps: u64,
    learning_rate: f64,
}

const SHORT: Changed = Changed { batch: 4, steps: 4, learning_rate: 0.005 };

fn recipe(folder: &Path, changed: Changed) -> (Recipe, String) {
    let Changed { batch, steps, learning_rate } = changed;
    let text = format!(
        r#"
[model]
config = "model.json"
categories = ["cat", "dog"]
trainable_layers = 4
[data]
annotations = "made.json"
images = "."
validation_annotations = "made.json"
validation_images = "."
[optimiser]
learning_rate = {learning_rate:?}
ema_decay = 0.9
[schedule]
kind = "constant"
warm_up_steps = 0
[run]
steps = {steps}
batch = {batch}
evaluate_every = 2
checkpoint_every = 1
keep = 2
"#
    );
    (Recipe::parse(&text, folder.join("recipe.toml")).unwrap(), text)
}

/// What a rank's run came to.
type Ended = Result<RunSummary, String>;

fn rank(
    folder: &Path,
    changed: Changed,
    out: &Path,
    resume: bool,
    stop_after: Option<u64>,
    reduce: Box<dyn Reduce>,
) -> Ended {
    let (recipe, text) = recipe(folder, changed);
    let options = RunOptions { resume, workers: Some(1), fetch: None };
    let run = Run::open(recipe, &text, out, options, reduce);
    let mut run = run.map_err(|error| error.to_string())?;
    let summary = run.advance(None, &mut |event| match event {
        Event::Step { line, .. } if Some(line.step) == stop_after => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    summary.map_err(|error| error.to_string())
}

/// So many ranks, each on a thread of its own; `of` says what is changed for which.
fn ranks(
    count: usize,
    folder: &Path,
    of: impl Fn(usize) -> Changed,
    out: &Path,
    resume: bool,
) -> Vec<Ended> {
    thread::scope(|scope| {
        let threads: Vec<_> = ThreadRank::group(count)
            .into_iter()
            .map(|one| {
                let changed = of(one.rank());
                scope.spawn(move || rank(folder, changed, out, resume, None, Box::new(one)))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn files(out: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = RunFolder::new(out);
    let mut paths = vec![folder.log(), folder.model(), folder.recipe()];
    paths.extend(folder.states().unwrap().into_iter().map(|(_, path)| path));
    if folder.best().exists() {
        paths.push(folder.best());
    }
    let read =
        |path: PathBuf| (path.strip_prefix(out).unwrap().to_owned(), fs::read(path).unwrap());
    paths.into_iter().map(read).collect()
}

#[test]
fn any_number_of_ranks_gives_the_weights_and_the_log_of_one() {
    let folder = data();
    let folder = folder.path();
    for changed in [SHORT, Changed { batch: 16, steps: 2, ..SHORT }] {
        let alone = folder.join(format!("alone-{}", changed.batch));
        let whole = rank(folder, changed, &alone, false, None, Box::new(Alone)).unwrap();
        assert!(whole.complete);
        let log = RunLog::open(&RunFolder::new(&alone).log()).unwrap();
        assert_eq!(log.head(), whole.head);
        assert_eq!(log.evaluations().len() as u64, changed.steps / 2);
        for count in [1, 2, 3, 5] {
            let out = folder.join(format!("{count}-{}", changed.batch));
            for ended in ranks(count, folder, |_| changed, &out, false) {
                assert_eq!(ended, Ok(whole), "{count} ranks, batch {}", changed.batch);
            }
            assert!(files(&out) == files(&alone), "{count} ranks, batch {}", changed.batch);
        }
    }
}

#[test]
fn a_run_goes_on_with_another_number_of_ranks() {
    let folder = data();
    let folder = folder.path();
    let whole = rank(folder, SHORT, &folder.join("whole"), false, None, Box::new(Alone)).unwrap();
    // Whichever rank is asked to stop, all do after that step.
    let out = folder.join("parts");
    let stopped: Vec<Ended> = thread::scope(|scope| {
        let threads: Vec<_> = ThreadRank::group(3)
            .into_iter()
            .map(|one| {
                let stop_after = (one.rank() == 2).then_some(1);
                let out = &out;
                scope.spawn(move || rank(folder, SHORT, out, false, stop_after, Box::new(one)))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for ended in stopped {
        let ended = ended.unwrap();
        assert_eq!((ended.step, ended.complete), (1, false));
    }
    for ended in ranks(2, folder, |_| SHORT, &out, true) {
        assert_eq!(ended, Ok(whole));
    }
    assert!(files(&out) == files(&folder.join("whole")));
}

#[test]
fn a_picture_that_one_rank_cannot_read_ends_the_run_of_all_and_spares_what_was_saved() {
    let folder = data();
    let folder = folder.path();
    let whole = rank(folder, SHORT, &folder.join("whole"), false, None, Box::new(Alone)).unwrap();
    // The last picture of the second step is damaged: rank 3 of 4 has it.
    let log = RunLog::open(&RunFolder::new(folder.join("whole")).log()).unwrap();
    let image = log.step(2).unwrap().unwrap().images[3];
    assert!(!log.step(1).unwrap().unwrap().images.contains(&image));
    let path = folder.join(format!("{}.png", 50 - image));
    let good = fs::read(&path).unwrap();
    fs::write(&path, &good[..good.len() / 2]).unwrap();
    let out = folder.join("damaged");
    let ended = ranks(4, folder, |_| SHORT, &out, false);
    for (rank, ended) in ended.into_iter().enumerate() {
        let error = ended.unwrap_err();
        if rank == 3 {
            assert!(error.contains("step 2 (images") && error.contains(".png"), "{error}");
        } else {
            assert!(error.contains("rank 3 failed in step 2"), "{rank}: {error}");
        }
    }
    let states = RunFolder::new(&out).states().unwrap();
    assert_eq!(states.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [0, 1]);
    assert!(!RunFolder::new(&out).model().exists());
    fs::write(&path, good).unwrap();
    for ended in ranks(3, folder, |_| SHORT, &out, true) {
        assert_eq!(ended, Ok(whole));
    }
}

#[test]
fn numbers_that_are_not_finite_end_the_run_of_all() {
    let folder = data();
    let folder = folder.path();
    let changed = Changed { learning_rate: 1000.0, ..SHORT };
    let out = folder.join("infinite");
    let ended = ranks(3, folder, |_| changed, &out, false);
    let errors: Vec<String> = ended.into_iter().map(|ended| ended.unwrap_err()).collect();
    assert!(errors.iter().any(|error| error.contains("(images ")), "{errors:?}");
    let heard = errors.iter().filter(|error| error.contains("its own message says why")).count();
    assert_eq!(heard, 2, "{errors:?}");
}

#[test]
fn ranks_that_were_given_different_things_are_found_before_the_first_step() {
    let folder = data();
    let folder = folder.path();
    let out = folder.join("different");
    let refused = |ended: Vec<Ended>, what: &str| {
        for ended in ended {
            let error = ended.unwrap_err();
            assert!(error.contains(what), "{error}");
        }
        assert!(!out.exists());
    };
    let other = Changed { learning_rate: 0.25, ..SHORT };
    let of = |rank| if rank == 1 { other } else { SHORT };
    refused(ranks(3, folder, of, &out, false), "rank 1 does not have the same recipe as rank 0");
    // Other annotations under the same name, as on a machine with a copy of its own.
    let second = data();
    let second = second.path();
    let path = second.join("made.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("30.25", "31.25", 1)).unwrap();
    let ended: Vec<Ended> = thread::scope(|scope| {
        let threads: Vec<_> = ThreadRank::group(2)
            .into_iter()
            .map(|one| {
                let folder = [folder, second][one.rank()];
                let out = &out;
                scope.spawn(move || rank(folder, SHORT, out, false, None, Box::new(one)))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    refused(ended, "rank 1 does not have the same training data as rank 0");
    // A run to go on with that only one rank can see.
    rank(folder, SHORT, &folder.join("run"), false, Some(1), Box::new(Alone)).unwrap();
    let ended: Vec<Ended> = thread::scope(|scope| {
        let threads: Vec<_> = ThreadRank::group(2)
            .into_iter()
            .map(|one| {
                let out = folder.join(["run", "elsewhere"][one.rank()]);
                scope.spawn(move || rank(folder, SHORT, &out, true, None, Box::new(one)))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let errors: Vec<String> = ended.into_iter().map(|ended| ended.unwrap_err()).collect();
    assert!(errors[0].contains("rank 1 failed before the first step"), "{errors:?}");
    assert!(errors[1].contains("has no run with a saved state"), "{errors:?}");
}
