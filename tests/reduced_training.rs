//! Two steps of training with a reduced network, for machines too slow for a real one.

use std::error::Error;
use std::fs;

use retinanet_train::recipe::Recipe;
use retinanet_train::run::{Alone, Run, RunOptions};

use crate::reduced::{group_norm_heads, picture, plain_heads};

const RECIPE: &str = r#"
[model]
config = "model.json"
categories = ["square", "circle"]
[data]
annotations = "a.json"
images = "."
[optimiser]
kind = "adam_w"
learning_rate = 0.001
clip_norm = 1.0
ema_decay = 0.9
[schedule]
kind = "cosine"
warm_up_steps = 1
[run]
steps = 2
batch = 2
"#;

/// The log of two steps of AdamW with clipping and an average of the weights.
///
/// # Errors
/// Where files cannot be written, or training fails.
pub fn two_steps() -> Result<String, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let mut config = group_norm_heads();
    config.backbone = plain_heads().backbone;
    fs::write(folder.path().join("model.json"), config.to_json()?)?;
    for (name, [width, height]) in [("1.png", [53, 37]), ("2.png", [41, 48])] {
        picture(width, height).save_png(folder.path().join(name))?;
    }
    let annotations = r#"{"images": [{"id": 1, "file_name": "1.png", "width": 53, "height": 37},
            {"id": 2, "file_name": "2.png", "width": 41, "height": 48}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [3.5, 2, 20, 24]},
            {"id": 2, "image_id": 2, "category_id": 2, "bbox": [10, 11, 17.25, 12]}],
        "categories": [{"id": 1, "name": "square"}, {"id": 2, "name": "circle"}]}"#;
    fs::write(folder.path().join("a.json"), annotations)?;
    let recipe = Recipe::parse(RECIPE, folder.path().join("recipe.toml"))?;
    let out = folder.path().join("run");
    let options = RunOptions { workers: Some(0), ..RunOptions::default() };
    let mut run = Run::open(recipe, RECIPE, &out, options, Box::new(Alone))?;
    run.advance(None, &mut |_| std::ops::ControlFlow::Continue(()))?;
    Ok(fs::read_to_string(run.folder().log())?)
}
