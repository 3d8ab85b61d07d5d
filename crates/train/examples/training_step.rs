//! Training steps of made-up pictures, on request: what `benches/peers/training_step.py` compares with PyTorch.
//!
//!     training_step MODEL OPTIMISER THREADS [--stages]
//!
//! `MODEL` is `v2` (one picture of 800 x 1088) or `small` (the bundled checkpoint's kind, four of 384 x 384), `OPTIMISER`
//! `sgd` or `adam_w`. After `ready`, each line in makes one step and answers JSON: seconds, and seconds on all CPUs. At the end of the
//! input comes the most memory the process ever held, in MB. `--stages` takes the step apart instead, and
//! answers seconds on all CPUs and by the clock by stage.

use std::io::{BufRead, Write};
use std::time::Instant;

use retinanet::ops::Level;
use retinanet::training::{Memory, TrainableNetwork};
use retinanet_train::clip::norm;
use retinanet_train::data::Sample;
use retinanet_train::digest::TensorDigests;
use retinanet_train::gradient_sum::{GradientSum, ImageLoss};
use retinanet_train::losses::{Object, Predictions, image_losses_in};
use retinanet_train::optimiser::Optimiser;
use retinanet_train::recipe::Recipe;
use retinanet_train::run::Stepper;
use retinanet_train::start::start;
use retinanet_train::state::TrainingState;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Boxes in parts of the canvas, and their class: `training_step.py` has the same.
const OBJECTS: [([f32; 4], usize); 4] = [
    ([0.10, 0.15, 0.35, 0.80], 1),
    ([0.40, 0.05, 0.90, 0.50], 1),
    ([0.55, 0.60, 0.65, 0.75], 1),
    ([0.02, 0.85, 0.12, 0.95], 1),
];

const RATE: f64 = 1e-4;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (model, optimiser, threads, stages) = match &arguments[..] {
        [model, optimiser, threads] => (model, optimiser, threads, false),
        [model, optimiser, threads, flag] if flag == "--stages" => {
            (model, optimiser, threads, true)
        }
        _ => return Err("expected: training_step MODEL OPTIMISER THREADS [--stages]".into()),
    };
    let (architecture, size, batch, classes) = match model.as_str() {
        "v2" => ("retinanet_resnet50_fpn_v2", [800, 1088], 1, 90),
        "small" => ("retinanet_resnet18_c4_fpn_gn", [384, 384], 4, 1),
        other => return Err(format!("{other}: expected v2 or small").into()),
    };
    rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build_global()?;
    let classes: Vec<String> = (1..=classes).map(|class| format!("class {class}")).collect();
    let text = format!(
        "[model]\narchitecture = \"{architecture}\"\ntrainable_layers = 3\ncategories = {classes:?}\n\
         [data]\nannotations = \"none.json\"\nimages = \"none\"\n\
         [optimiser]\nkind = \"{optimiser}\"\n[run]\nsteps = 1000\nbatch = {batch}\n"
    );
    let recipe = Recipe::parse(&text, "training_step")?;
    let (parameters, _) = start(&recipe, None)?;
    let optimiser = Optimiser::new(recipe.optimiser(), recipe.groups(), &parameters)?;
    let settings = recipe.run_settings()?;
    let ema = None;
    let state = TrainingState { step: 0, parameters, optimiser, ema, recipe: settings.recipe };
    let samples = (0..batch).map(|number| sample(number, size)).collect();
    let mut steps = Steps { recipe, state, samples, level: Level::from_env()? };
    if stages { steps.stages() } else { steps.on_request() }
}

struct Steps {
    recipe: Recipe,
    state: TrainingState,
    samples: Vec<Sample>,
    level: Level,
}

impl Steps {
    fn on_request(&mut self) -> Result<()> {
        let mut stepper = Stepper::new(&self.state.parameters, self.samples.len() as u64)?;
        self.step(&mut stepper)?;
        println!("ready");
        for line in std::io::stdin().lock().lines() {
            line?;
            let (start, before) = (Instant::now(), on_cpus());
            self.step(&mut stepper)?;
            let (seconds, cpu) = (start.elapsed().as_secs_f64(), on_cpus() - before);
            println!("{{\"seconds\": {seconds:.6}, \"cpu\": {cpu:.6}}}");
            std::io::stdout().flush()?;
        }
        println!("{{\"peak_mb\": {}}}", peak_memory());
        Ok(())
    }

    fn step(&mut self, stepper: &mut Stepper) -> Result<()> {
        let samples = self.samples.iter().cloned().map(Ok);
        stepper.gradients(&self.recipe, &self.state.parameters, self.level, samples)?;
        stepper.apply(&self.recipe, &mut self.state, RATE, self.level)?;
        Ok(())
    }

    /// The stages of steps, one picture after the other.
    fn stages(&mut self) -> Result<()> {
        let Self { recipe, state, samples, level } = self;
        let level = *level;
        let trainable: Vec<String> =
            state.parameters.trainable().map(|one| one.name().to_owned()).collect();
        let mut sum = GradientSum::of(&state.parameters, samples.len() as u64)?;
        let mut memory = Memory::default();
        let mut gradients: Vec<Vec<f32>> =
            state.parameters.trainable().map(|one| vec![0.0; one.values().len()]).collect();
        let loss = recipe.loss();
        let config = state.parameters.config().clone();
        let mut network = TrainableNetwork::new(&config, level, &state.parameters, &trainable)?;
        let mut by_logits = Vec::new();
        for round in 0..4 {
            let mut clock = Clock::start();
            sum.clear();
            clock.lap("sum: clear");
            network.update(&state.parameters)?;
            clock.lap("weights packed");
            for sample in &*samples {
                memory.reuse(gradients);
                let forward = network.forward(&mut memory, &sample.canvas, sample.size)?;
                clock.lap("forward");
                let (logits, regression) = (forward.logits(), forward.regression());
                let said = Predictions { classes: config.num_classes, logits, regression };
                let (anchors, objects) = (forward.anchors(), &sample.objects);
                let losses = image_losses_in(level, &loss, anchors, objects, &said, by_logits)?;
                clock.lap("losses");
                gradients = forward.backward(&losses.by_logits, &losses.by_regression)?;
                clock.lap("backward");
                sum.add(0, &gradients, &ImageLoss::from(&losses))?;
                clock.lap("sum: add");
                by_logits = losses.by_logits;
            }
            sum.finish_into(samples.len() as u64, &mut gradients)?;
            clock.lap("sum: finish");
            norm(level, &gradients)?;
            clock.lap("norm");
            state.optimiser.step(&mut state.parameters, &gradients, RATE)?;
            clock.lap("optimiser");
            TensorDigests::of_weights(&state.parameters)?;
            TensorDigests::of_optimiser(&state.optimiser, &state.parameters)?;
            clock.lap("digests for the log");
            if round > 0 {
                clock.print();
            }
        }
        println!("peak {} MB", peak_memory());
        Ok(())
    }
}

/// Times of stages.
struct Clock {
    laps: Vec<(&'static str, [f64; 2])>,
    last: (Instant, f64),
}

impl Clock {
    fn start() -> Self {
        Self { laps: Vec::new(), last: (Instant::now(), on_cpus()) }
    }

    fn lap(&mut self, stage: &'static str) {
        let now = (Instant::now(), on_cpus());
        let times = [now.1 - self.last.1, (now.0 - self.last.0).as_secs_f64()];
        match self.laps.iter_mut().find(|(name, _)| *name == stage) {
            Some((_, sums)) => sums.iter_mut().zip(times).for_each(|(sum, time)| *sum += time),
            None => self.laps.push((stage, times)),
        }
        self.last = (Instant::now(), on_cpus());
    }

    fn print(&self) {
        let all: f64 = self.laps.iter().map(|(_, [cpu, _])| cpu).sum();
        for (stage, [cpu, seconds]) in &self.laps {
            println!(
                "{stage:20} {cpu:7.3} s on CPUs ({:4.1} %) {seconds:7.3} s",
                100.0 * cpu / all
            );
        }
        println!("{:20} {all:7.3} s on CPUs", "all");
    }
}

/// A picture of noise with the [`OBJECTS`].
fn sample(number: u64, size: [usize; 2]) -> Sample {
    let [height, width] = size;
    let pixels = 0..(3 * height * width) as u64;
    let noise = |i: u64| {
        let mixed = (i + (number << 40)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f32 / 4_194_304.0
            - 2.0
    };
    let [w, h] = [width as f32, height as f32];
    let objects = OBJECTS.map(|([x1, y1, x2, y2], class)| {
        let corners = [x1 * w, y1 * h, x2 * w, y2 * h];
        Object { corners, class }
    });
    Sample {
        image_id: number as i64,
        epoch: 0,
        position: number,
        canvas: pixels.map(noise).collect(),
        size,
        content: size,
        objects: objects.to_vec(),
        shown: vec![number as i64],
    }
}

/// Seconds that all threads of this process had a CPU for, where the system tells.
fn on_cpus() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return f64::NAN };
    let nanoseconds = tasks.flatten().map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        text.split_whitespace().next().and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0)
    });
    nanoseconds.sum::<f64>() / 1e9
}

/// The most memory that was resident, in MB of a million bytes, where the system tells.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    let kib = line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024 / 1_000_000
}
