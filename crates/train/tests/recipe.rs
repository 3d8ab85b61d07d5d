//! Recipes: the example is the defaults, every wrong key is named with its line, and what a run begins with.

use std::path::{Path, PathBuf};

use retinanet_train::data::{ColourConfig, MosaicConfig, PasteConfig, SquareConfig};
use retinanet_train::error::RecipeError;
use retinanet_train::gradient_sum::LossSums;
use retinanet_train::losses::{BoxLoss, DivideBy, LossConfig};
use retinanet_train::optimiser::{OptimiserConfig, SgdConfig};
use retinanet_train::parameters::Role;
use retinanet_train::recipe::Recipe;
use retinanet_train::start::start;
use retinanet_train::{Error, Result};

const SMALL: &str = r#"
[model]
architecture = "retinanet_resnet18_c4_fpn_gn"
categories = ["cat", "dog"]
[data]
annotations = "train.json"
images = "images"
[optimiser]
kind = "adam_w"
learning_rate = 5e-4
clip_norm = 5.0
ema_decay = 0.9985
[schedule]
kind = "cosine"
warm_up_steps = 5
[run]
steps = 50
batch = 4
"#;

fn parse(text: &str) -> Result<Recipe> {
    Recipe::parse(text, "folder/mine.toml")
}

fn refused(from: &str, to: &str) -> String {
    assert_eq!(SMALL.matches(from).count(), 1, "{from}");
    parse(&SMALL.replace(from, to)).expect_err(to).to_string()
}

#[test]
fn the_example_is_the_defaults() {
    let example = Recipe::parse(Recipe::example(), "example.toml").unwrap();
    assert_eq!(example, Recipe::default());
    assert_eq!(example.optimiser(), OptimiserConfig::Sgd(SgdConfig::default()));
    assert_eq!(example.loss(), LossConfig::new(BoxLoss::Giou));
    assert_eq!(example.ema(), None);
    assert!((example.schedule().unwrap().learning_rate(80_000) - 1e-4).abs() < 1e-12);
    // What is commented out is what the data's own defaults are.
    let shown = Recipe::example().replace("# square", "square").replace("scales = []", "");
    let shown = shown.replace("# mosaic", "mosaic").replace("# colour", "colour");
    let shown = shown.replace("# paste", "paste");
    let shown = Recipe::parse(&shown, "example.toml").unwrap().augment;
    assert_eq!(shown.square, Some(SquareConfig::default()));
    assert_eq!(shown.mosaic, Some(MosaicConfig::default()));
    assert_eq!(shown.paste, Some(PasteConfig::default()));
    assert_eq!(shown.colour, Some(ColourConfig::default()));
    // Every key is there, as it is or as a comment that only needs its `# ` taken away.
    let keys = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
        let keys = lines.filter_map(|line| line.split_once(" = ").map(|(key, _)| key.to_owned()));
        keys.filter(|key| key.chars().all(|c| c.is_ascii_lowercase() || "_0123456789".contains(c)))
            .collect()
    };
    let mut full = Recipe::default();
    full.model.config = Some("a".into());
    full.model.weights = Some("a".into());
    full.model.backbone = Some("a".into());
    full.model.min_size = Some(1);
    full.model.max_size = Some(1);
    full.data.validation_annotations = Some("a".into());
    full.data.validation_images = Some("a".into());
    full.augment.max_size = Some(1);
    full.augment.square = Some(SquareConfig::default());
    full.augment.mosaic = Some(MosaicConfig::default());
    full.augment.paste = Some(PasteConfig::default());
    full.augment.colour = Some(ColourConfig::default());
    full.optimiser.clip_norm = Some(1.0);
    full.optimiser.ema_decay = Some(0.5);
    full.optimiser.ema_ramp = Some(1.0);
    let json = serde_json::to_value(&full).unwrap();
    let known: Vec<String> = json
        .as_object()
        .unwrap()
        .values()
        .flat_map(|section| section.as_object().unwrap().keys().cloned())
        .collect();
    let mut shown = keys(Recipe::example());
    let mut known = known;
    shown.sort();
    known.sort();
    assert_eq!(shown, known);
}

#[test]
fn an_unknown_key_is_told_with_its_line_and_the_nearest_known_one() {
    let error = refused("batch = 4", "batsch = 4");
    assert_eq!(
        error,
        r#"recipe "folder/mine.toml", line 18: unknown key "batsch"; did you mean `batch`?"#
    );
    let error = refused("clip_norm = 5.0", "weigth_decay = 5.0");
    assert!(error.contains("line 11") && error.contains("`weight_decay`"), "{error}");
    let error = refused("[schedule]", "[scheduler]");
    assert!(error.contains("line 13") && error.contains("did you mean `schedule`"), "{error}");
    let error = refused("[run]", "[augment]\nsquare = { sid = 8 }\n[run]");
    assert!(error.contains("line 17") && error.contains("did you mean `side`"), "{error}");
    let error = refused("batch = 4", "zzzzzz = 4");
    assert!(error.contains("known here: steps, batch"), "{error}");
    let error = refused("batch = 4", "\"\\u001b[31m`\" = 4");
    assert!(!error.contains('\u{1b}'), "{error:?}");
}

#[test]
fn a_wrong_type_is_told_with_key_and_line() {
    for (from, to, key, line) in [
        ("batch = 4", "batch = \"four\"", "`run.batch`", "line 18"),
        ("batch = 4", "batch = -4", "`run.batch`", "line 18"),
        ("batch = 4", "batch = 4.5", "`run.batch`", "line 18"),
        ("\"cosine\"", "\"cosin\"", "`schedule.kind`", "line 14"),
        ("5e-4", "true", "`optimiser.learning_rate`", "line 10"),
        ("[\"cat\", \"dog\"]", "[\"cat\",\n 3]", "`model.categories`", "line 5"),
    ] {
        let error = refused(from, to);
        assert!(error.contains(key) && error.contains(line), "{error}");
    }
}

#[test]
fn a_value_out_of_range_is_told_with_key_and_line() {
    for (from, to, key, line) in [
        ("batch = 4", "batch = 0", "`run.batch` is 0", ", line 18"),
        ("batch = 4", "batch = 4\naccumulate = 3", "`run.accumulate`", ", line 19"),
        ("batch = 4", "batch = 4\nkeep = 0", "`run.keep`", ", line 19"),
        ("steps = 50\n", "steps = 0\n", "`run.steps`", ", line 17"),
        ("5e-4", "-1.0", "`optimiser.learning_rate`", ", line 10"),
        ("5e-4", "nan", "`optimiser.learning_rate`", ", line 10"),
        ("clip_norm = 5.0", "clip_norm = 0.0", "`optimiser.clip_norm`", ", line 11"),
        ("0.9985", "1.0", "`optimiser.ema_decay`", ", line 12"),
        ("ema_decay = 0.9985", "ema_ramp = 5.0", "`optimiser.ema_ramp` needs", ", line 12"),
        ("clip_norm = 5.0", "weight_decay = -1", "`optimiser.weight_decay`", ", line 11"),
        ("clip_norm = 5.0", "beta1 = 0.2", "`optimiser.beta1`", ", line 11"),
        ("clip_norm = 5.0", "momentum = 1", "`optimiser.momentum`", ", line 11"),
        ("warm_up_steps = 5\n", "warm_up_steps = 51\n", "`schedule.warm_up_steps`", ", line 15"),
        (
            "warm_up_steps = 5\n",
            "warm_up_steps = 5\ngamma = 2.0\n",
            "`schedule.gamma`",
            ", line 16",
        ),
        ("[run]", "[loss]\nalpha = 2.0\n[run]", "`loss.alpha`", ", line 17"),
        ("[run]", "[augment]\nflip = 2.0\n[run]", "`augment.flip` is 2", ", line 17"),
        (
            "[run]",
            "[augment]\nsquare = { side = 8 }\n[run]",
            "`augment.square.side` is 8",
            ", line 17",
        ),
        ("[run]", "[loss]\nlow = 0.6\n[run]", "`loss.low`", ", line 17"),
        (
            "[\"cat\", \"dog\"]",
            "[\"cat\", \"cat\"]",
            "`model.categories` has \"cat\" twice",
            ", line 4",
        ),
        ("[\"cat\", \"dog\"]", "[]", "`model.categories` is empty", ", line 4"),
        ("[\"cat\", \"dog\"]", "[\"__background__\"]", "leave it out", ", line 4"),
        ("_c4_fpn_gn\"", "\"", "`model.architecture` is \"retinanet_resnet18\"", ", line 3"),
        ("_gn\"\n", "_gn\"\nweights = \"a\"\n", "`model.architecture` says", ", line 3"),
        ("_gn\"\n", "_gn\"\nconfig = \"a\"\n", "`model.config` says", ", line 4"),
        ("_gn\"\n", "_gn\"\ntrainable_layers = 6\n", "`model.trainable_layers`", ", line 4"),
        ("_gn\"\n", "_gn\"\nmin_size = 0\n", "`model.min_size`", ", line 4"),
        (
            "images = \"images\"\n",
            "images = \"images\"\nvalidation_images = \"x\"\n",
            "`data.validation_annotations` is missing",
            "",
        ),
        ("categories = [\"cat\", \"dog\"]\n", "", "`model.categories` is missing", ""),
        (
            "architecture = \"retinanet_resnet18_c4_fpn_gn\"\n",
            "",
            "`model.architecture` is missing",
            "",
        ),
    ] {
        let error = refused(from, to);
        assert!(error.contains(key) && error.contains(line), "{to:?}: {error}");
    }
}

#[test]
fn what_is_no_recipe_is_an_error() {
    let error = parse("[run]\nbatch = \n").unwrap_err().to_string();
    assert!(error.contains("mine.toml\", line 2"), "{error}");
    let error = parse("[run]\nbatch = 4\nbatch = 5\n").unwrap_err().to_string();
    assert!(error.contains("line 3"), "{error}");
    let error = parse("[run]\nsteps = 5\n").unwrap_err().to_string();
    assert!(error.contains("data"), "{error}");
    assert!(parse(&"[".repeat(100_000)).is_err());
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| Recipe::open(folder.path().join(name)).unwrap_err().to_string();
    assert!(open("none.toml").contains("none.toml"), "{}", open("none.toml"));
    assert!(open("").contains("a folder"), "{}", open(""));
    std::fs::write(folder.path().join("large.toml"), "#".repeat((1 << 20) + 1)).unwrap();
    assert!(open("large.toml").contains("more than 1048576 bytes"));
    std::fs::write(folder.path().join("bytes.toml"), [0xff, 0xfe]).unwrap();
    assert!(open("bytes.toml").contains("bytes.toml"));
}

#[test]
fn the_digest_is_of_what_the_recipe_says() {
    let digest = |text: &str| parse(text).unwrap().digest().unwrap();
    let small = digest(SMALL);
    assert_eq!(digest(&SMALL.replace("[run]", "# A comment\n[run]\nkeep = 2")), small);
    assert_eq!(digest(&SMALL.replace("5e-4", "0.0005")), small);
    assert_ne!(digest(&SMALL.replace("5e-4", "0.0006")), small);
    assert_ne!(digest(&SMALL.replace("steps = 50\n", "steps = 51\n")), small);
    // Where the file is does not count.
    assert_eq!(Recipe::parse(SMALL, "elsewhere.toml").unwrap().digest().unwrap(), small);
    assert_eq!(parse(SMALL).unwrap().run_settings().unwrap().recipe, small.to_string());
}

#[test]
fn a_batchs_losses_are_divided_as_the_recipe_says() {
    let sums = LossSums { classification: 0.0, regression: 0.0, images: 4, foreground: 90 };
    let recipe = parse(SMALL).unwrap();
    assert_eq!((recipe.divisor(&sums), recipe.loss().divide_by), (4, DivideBy::Image));
    let recipe = parse(&format!("{SMALL}[loss]\ndivide_by = \"batch\"\n")).unwrap();
    assert_eq!((recipe.divisor(&sums), recipe.loss().divide_by), (90, DivideBy::Batch));
    assert_eq!(recipe.divisor(&LossSums { foreground: 0, ..sums }), 1);
}

#[test]
fn paths_are_relative_to_the_recipe() {
    let recipe = parse(SMALL).unwrap();
    assert_eq!(recipe.resolve(&recipe.data.annotations), Path::new("folder/train.json"));
    assert_eq!(recipe.resolve(Path::new("/x/y")), Path::new("/x/y"));
}

#[test]
fn a_run_begins_with_the_recipes_model() {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/assets");
    let at = |text: &str| Recipe::parse(text, assets.join("mine.toml")).unwrap();
    let (fresh, origin) = start(&at(SMALL), None).unwrap();
    assert_eq!(origin.initialised.len(), fresh.tensors().len());
    let config = fresh.config();
    assert_eq!(config.num_classes, 3);
    assert_eq!(config.categories.as_deref().unwrap()[1..], ["cat", "dog"]);
    assert!(fresh.trainable().any(|tensor| tensor.role() == Role::Norm));

    let architecture = "architecture = \"retinanet_resnet18_c4_fpn_gn\"";
    let weights = SMALL.replace(architecture, "weights = \"person_r18.safetensors\"");
    let (new, origin) = start(&at(&weights), None).unwrap();
    assert_eq!(origin.initialised.len(), 2);
    assert_eq!(new.config().num_classes, 3);
    // The same class, or none named: all is kept.
    for same in [
        weights.replace("[\"cat\", \"dog\"]", "[\"person\"]"),
        weights.replace("categories = [\"cat\", \"dog\"]", "min_size = 320"),
    ] {
        let (same, origin) = start(&at(&same), None).unwrap();
        assert!(origin.initialised.is_empty());
        assert_eq!(same.config().categories.as_deref().unwrap(), ["__background__", "person"]);
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.json");
    std::fs::write(&path, config.to_json().unwrap()).unwrap();
    let json = SMALL.replace(architecture, "config = \"model.json\"");
    let in_folder = |text: &str| Recipe::parse(text, folder.path().join("mine.toml")).unwrap();
    assert!(start(&in_folder(&json), None).unwrap().0 == fresh);

    let fails = |text: &str| start(&in_folder(text), None).unwrap_err();
    let error = fails(&json.replace("model.json", "none.json"));
    assert!(matches!(error, Error::Recipe(RecipeError::Setting { .. })), "{error}");
    assert!(error.to_string().contains("`model.config` cannot be read"), "{error}");
    std::fs::write(&path, "{}").unwrap();
    assert!(fails(&json).to_string().contains("`model.config` is no model"));
    let backbone = SMALL.replace(architecture, &format!("{architecture}\nbackbone = \"b.pth\""));
    let (error, expected) = (fails(&backbone).to_string(), PathBuf::from("b.pth"));
    assert!(error.contains(expected.to_str().unwrap()), "{error}");
}
