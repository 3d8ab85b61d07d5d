//! Fine-tunes the bundled person detector to one's own classes, from a COCO annotation file.
//!
//!     cargo run --release -p retinanet-train --example fine_tune -- train.json photos run 200
//!
//! The same files and the same number of steps give the same weights to the bit, on every machine.

use std::ops::ControlFlow;
use std::path::Path;

use retinanet::eval::GroundTruth;
use retinanet_train::recipe::Recipe;
use retinanet_train::run::{Alone, Event, Run, RunOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [annotations, images, out, steps] = arguments.as_slice() else {
        return Err("usage: fine_tune ANNOTATIONS.json IMAGES OUT STEPS".into());
    };
    let truth = GroundTruth::open(annotations)?;
    let categories: Vec<&str> = truth.categories().iter().map(|one| one.name.as_str()).collect();
    let weights =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/assets/person_r18.safetensors");
    let text = format!(
        r#"
        [model] # The class layer begins anew, for the classes are others; all else goes on.
        weights = {weights:?}
        categories = {categories:?}
        [data]
        annotations = {annotations:?}
        images = {images:?}
        [optimiser]
        kind = "adam_w"
        learning_rate = 1e-4
        clip_norm = 5.0
        [schedule]
        kind = "cosine"
        warm_up_steps = 10
        [run]
        steps = {steps}
        batch = 4
        "#
    );
    let recipe = Recipe::parse(&text, "recipe.toml")?;
    let options =
        RunOptions { resume: Path::new(out).join("states").exists(), ..RunOptions::default() };
    let mut run = Run::open(recipe, &text, Path::new(out), options, Box::new(Alone))?;
    let summary = run.advance(None, &mut |event| {
        if let Event::Step { line, images_per_second } = event {
            let loss = line.classification + line.regression;
            println!("step {}: loss {loss:.4}, {images_per_second:.1} images/s", line.step);
        }
        ControlFlow::Continue(())
    })?;
    println!("{}\nweights {}", run.folder().model().display(), summary.weights);
    Ok(())
}
