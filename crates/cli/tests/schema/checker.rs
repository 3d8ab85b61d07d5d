//! A strict checker of the part of JSON Schema that `docs/schema` uses. A word that it does not know is a fault of
//! the schema, not something to pass over.

use serde_json::{Map, Value};

/// Words that say nothing about values.
const NOTES: [&str; 4] = ["$schema", "title", "description", "$defs"];

/// Checks `value` against a whole schema; the error names the place.
pub fn check(schema: &Value, value: &Value) -> Result<(), String> {
    at(schema, schema, value, "$")
}

fn at(root: &Value, schema: &Value, value: &Value, path: &str) -> Result<(), String> {
    let schema = schema.as_object().expect("a schema is an object");
    for (word, says) in schema {
        let fits = match word.as_str() {
            note if NOTES.contains(&note) => Ok(()),
            "$ref" => {
                let name =
                    says.as_str().unwrap().strip_prefix("#/$defs/").expect("a local reference");
                at(root, &root["$defs"][name], value, path)
            }
            "oneOf" => {
                let options = says.as_array().unwrap();
                let fitting =
                    options.iter().filter(|one| at(root, one, value, path).is_ok()).count();
                test(fitting == 1, || format!("fits {fitting} of {} forms", options.len()))
            }
            "type" => test(has_type(says, value), || format!("is no {says}")),
            "properties" => properties(root, says.as_object().unwrap(), value, path),
            "required" => required(says, value),
            "additionalProperties" => {
                assert_eq!(says, false, "only closed objects are written");
                only_known(schema, value)
            }
            "items" => items(root, says, value, path),
            "minItems" => {
                test(length(value) >= says.as_u64(), || format!("has fewer than {says} items"))
            }
            "maxItems" => test(length(value).is_none() || length(value) <= says.as_u64(), || {
                format!("has more than {says} items")
            }),
            "minimum" => bound(value, says, |value, least| value >= least),
            "maximum" => bound(value, says, |value, most| value <= most),
            "pattern" => {
                assert_eq!(says, "^[0-9a-f]{64}$", "the only pattern that is known here");
                let text = value.as_str().unwrap_or_default();
                let digits = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
                test(digits && text.len() == 64, || "is no SHA-256".to_owned())
            }
            other => panic!("{path}: the schema says {other:?}, which this checker does not know"),
        };
        fits.map_err(|reason| match reason.starts_with('$') {
            true => reason,
            false => format!("{path} {reason}: {value}"),
        })?;
    }
    Ok(())
}

fn test(good: bool, reason: impl FnOnce() -> String) -> Result<(), String> {
    if good { Ok(()) } else { Err(reason()) }
}

fn has_type(says: &Value, value: &Value) -> bool {
    let one = |name: &Value| match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        other => panic!("unknown type {other}"),
    };
    says.as_array().map_or_else(|| one(says), |names| names.iter().any(one))
}

fn properties(
    root: &Value,
    known: &Map<String, Value>,
    value: &Value,
    path: &str,
) -> Result<(), String> {
    let Some(object) = value.as_object() else { return Ok(()) };
    known.iter().try_for_each(|(name, schema)| match object.get(name) {
        Some(value) => at(root, schema, value, &format!("{path}.{name}")),
        None => Ok(()),
    })
}

fn required(says: &Value, value: &Value) -> Result<(), String> {
    let Some(object) = value.as_object() else { return Ok(()) };
    let mut names = says.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    let missing = names.find(|name| !object.contains_key(*name));
    test(missing.is_none(), || format!("lacks {}", missing.unwrap()))
}

fn only_known(schema: &Map<String, Value>, value: &Value) -> Result<(), String> {
    let Some(object) = value.as_object() else { return Ok(()) };
    let other = object.keys().find(|name| schema["properties"].get(name).is_none());
    test(other.is_none(), || format!("has {}, which is not in the schema", other.unwrap()))
}

fn items(root: &Value, schema: &Value, value: &Value, path: &str) -> Result<(), String> {
    let Some(array) = value.as_array() else { return Ok(()) };
    let mut numbered = array.iter().enumerate();
    numbered.try_for_each(|(place, item)| at(root, schema, item, &format!("{path}[{place}]")))
}

fn length(value: &Value) -> Option<u64> {
    value.as_array().map(|array| array.len() as u64)
}

fn bound(value: &Value, says: &Value, fits: impl Fn(f64, f64) -> bool) -> Result<(), String> {
    let Some(number) = value.as_f64() else { return Ok(()) };
    test(fits(number, says.as_f64().unwrap()), || format!("is over its bound {says}"))
}
