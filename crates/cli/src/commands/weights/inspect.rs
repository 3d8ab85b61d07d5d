//! `retinanet weights inspect`.

use std::path::PathBuf;

use clap::ValueHint;
use retinanet::weights::Checkpoint;
use serde_json::{Value, json};

use crate::exit::{Exit, Outcome};
use crate::output::{Align, Table, print, write_json};
use crate::text::mebibytes;
use crate::text::one_line;

/// How much of a metadata value is shown in the table.
const SHOWN: usize = 80;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A .safetensors or .pth file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,

    /// List all tensors too
    #[arg(long)]
    tensors: bool,

    /// Write everything as JSON; `-` is standard output, in place of the tables
    #[arg(long, value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    json: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Outcome {
    let checkpoint = Checkpoint::open(&args.file)?;
    match &args.json {
        Some(path) => write_json(path, &as_json(&checkpoint))?,
        None => print(&as_text(&checkpoint, args.tensors))?,
    }
    Ok(Exit::Done)
}

fn as_text(checkpoint: &Checkpoint, tensors: bool) -> String {
    let mut parameters = 0u64;
    let mut list = Table::new(&[
        ("tensor", Align::Left),
        ("type", Align::Left),
        ("shape", Align::Left),
        ("stored as", Align::Left),
    ]);
    for tensor in checkpoint.tensors() {
        let values = tensor.shape.iter().fold(1u64, |n, &side| n.saturating_mul(side as u64));
        parameters = parameters.saturating_add(values);
        let renamed = if tensor.stored_name == tensor.name { "" } else { &tensor.stored_name };
        list.row([
            tensor.name.clone(),
            tensor.dtype.to_string(),
            format!("{:?}", tensor.shape),
            renamed.to_owned(),
        ]);
    }
    let mut rows = vec![
        ("file", checkpoint.path().to_string_lossy().into_owned()),
        ("container", checkpoint.format().to_string()),
        ("size", mebibytes(checkpoint.file_size())),
        ("sha256", checkpoint.sha256().to_owned()),
        ("model", checkpoint.identity().to_string()),
        ("names", checkpoint.naming().to_string()),
        ("tensors", format!("{}, {parameters} values", checkpoint.tensors().len())),
    ];
    for (key, value) in checkpoint.metadata() {
        let mut shown: String = value.chars().take(SHOWN).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        rows.push(("metadata", format!("{key} = {shown}")));
    }
    for ignored in checkpoint.ignored() {
        rows.push(("left out", format!("{}: {}", ignored.stored_name, ignored.reason)));
    }
    let mut text: String =
        rows.iter().map(|(name, value)| format!("{name:9}  {}\n", one_line(value))).collect();
    if tensors {
        text.push('\n');
        text.push_str(&list.to_string());
    }
    text
}

fn as_json(checkpoint: &Checkpoint) -> Value {
    let tensors = checkpoint.tensors().map(|tensor| {
        json!({
            "name": tensor.name,
            "stored_name": tensor.stored_name,
            "dtype": tensor.dtype.to_string(),
            "shape": tensor.shape,
        })
    });
    let ignored = checkpoint.ignored().iter();
    json!({
        "file": checkpoint.path().to_string_lossy(),
        "container": checkpoint.format().to_string(),
        "bytes": checkpoint.file_size(),
        "sha256": checkpoint.sha256(),
        "model": checkpoint.identity().to_string(),
        "num_classes": checkpoint.identity().num_classes,
        "names": checkpoint.naming().to_string(),
        "metadata": checkpoint.metadata(),
        "tensors": tensors.collect::<Vec<_>>(),
        "left_out": ignored
            .map(|ignored| json!({ "name": ignored.stored_name, "reason": ignored.reason }))
            .collect::<Vec<_>>(),
    })
}
