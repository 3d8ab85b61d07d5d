//! From a file to a model's tensors, with names and rules of the caller's.

use std::collections::BTreeMap;

use crate::error::{Error, WeightsError};
use crate::{Checkpoint, ExpectedTensor, LoadRules, StoredDtype, TensorData, save_safetensors};

/// A checkpoint of tensors with one element, 1.
fn checkpoint(names: &[&str]) -> Checkpoint {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it.safetensors");
    let bytes = 1f32.to_le_bytes();
    let of = |name| TensorData { name, dtype: StoredDtype::F32, shape: &[1], bytes: &bytes };
    let tensors: Vec<TensorData<'_>> = names.iter().copied().map(of).collect();
    save_safetensors(&path, &tensors, &BTreeMap::new()).unwrap();
    Checkpoint::open(&path).unwrap()
}

fn expected(names: &[&str]) -> Vec<ExpectedTensor> {
    names.iter().map(|name| ExpectedTensor::new(*name, [1])).collect()
}

#[test]
fn names_are_the_stored_ones_without_wrappers_until_they_are_renamed() {
    let file = checkpoint(&["module.a", "module.b", "module.padding"]);
    assert_eq!(file.naming(), "as stored");
    assert_eq!(file.shapes().keys().copied().collect::<Vec<_>>(), ["a", "b", "padding"]);
    let file = file.rename("letters", |name| match name {
        "padding" => Err("no part of the model"),
        name => Ok(format!("letter.{name}")),
    });
    let file = file.unwrap();
    assert_eq!(file.naming(), "letters");
    assert_eq!(file.ignored()[0].stored_name, "module.padding");
    assert_eq!(file.ignored()[0].reason, "no part of the model");
    let loaded = file.load(&expected(&["letter.a", "letter.b"])).unwrap();
    assert_eq!(loaded.report().naming, "letters");
    assert_eq!(loaded.report().renamed[0], ("module.a".into(), "letter.a".into()));
    assert_eq!(loaded.report().ignored.len(), 1);
}

#[test]
fn two_tensors_renamed_alike_are_a_collision_that_shows_the_stored_names() {
    let error = checkpoint(&["model.a", "model.b"]).rename("one", |_| Ok("c".into())).unwrap_err();
    let Error::Weights(WeightsError::NameCollision { first, second, name, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!([first, second, name], ["\"model.a\"", "\"model.b\"", "\"c\""]);
}

#[test]
fn what_was_not_asked_for_is_refused_unless_a_rule_gives_a_reason() {
    let names = ["bn.steps", "bn.weight"];
    let error = checkpoint(&names).load(&expected(&["bn.weight"])).unwrap_err().to_string();
    assert!(error.ends_with("1 unexpected: \"bn.steps\" [1]"), "{error}");

    let rules = LoadRules {
        may_ignore: &|name| name.ends_with(".steps").then_some("a counter"),
        diagnosis: &|file, mismatch| {
            format!("{} tensors, {} missing", file.tensors().len(), mismatch.missing.len())
        },
    };
    let mut loaded = checkpoint(&names).load_with(&expected(&["bn.weight"]), &rules).unwrap();
    assert_eq!(loaded.take("bn.weight").unwrap(), [1.0]);
    assert_eq!(loaded.report().ignored[0].reason, "a counter");

    // A tensor that may be ignored is still there for a model that needs it.
    checkpoint(&names).load_with(&expected(&names), &rules).unwrap();
    let error = checkpoint(&names).load_with(&expected(&["bn.bias"]), &rules).unwrap_err();
    assert!(error.to_string().ends_with(". 2 tensors, 1 missing"), "{error}");
}
