//! A hash over a JSON value that does not depend on how its text is laid out.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::determinism::Digest;

/// SHA-256 over the tag `retinanet-seal-v1` and the value: for each value a letter for its kind, then
/// its content. Texts are their length (u64) and UTF-8; lists and objects their length and their parts,
/// an object's in byte order of the keys; whole numbers their i64 or u64, others their f64. All
/// little-endian.
pub(super) fn seal(value: &Value) -> Digest {
    let mut hash = Sha256::new();
    hash.update(b"retinanet-seal-v1");
    feed(&mut hash, value);
    Digest::from_bytes(hash.finalize().into())
}

fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hash.update(b"n"),
        Value::Bool(value) => hash.update(if *value { b"t" } else { b"f" }),
        Value::Number(number) => {
            if let Some(whole) = number.as_u64() {
                put(hash, b"u", &whole.to_le_bytes());
            } else if let Some(whole) = number.as_i64() {
                put(hash, b"i", &whole.to_le_bytes());
            } else {
                put(hash, b"d", &number.as_f64().unwrap_or(f64::INFINITY).to_le_bytes());
            }
        }
        Value::String(text) => {
            put(hash, b"s", &(text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        Value::Array(values) => {
            put(hash, b"a", &(values.len() as u64).to_le_bytes());
            values.iter().for_each(|value| feed(hash, value));
        }
        Value::Object(fields) => {
            put(hash, b"o", &(fields.len() as u64).to_le_bytes());
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by(|a, b| a.0.cmp(b.0));
            for (key, value) in fields {
                put(hash, b"k", &(key.len() as u64).to_le_bytes());
                hash.update(key);
                feed(hash, value);
            }
        }
    }
}

fn put(hash: &mut Sha256, kind: &[u8], content: &[u8]) {
    hash.update(kind);
    hash.update(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Digest {
        seal(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn layout_and_spelling_of_numbers_do_not_matter() {
        let compact = of(r#"{"a":[1,-2,0.1,1e-26],"b":{"c":null,"d":"x"}}"#);
        let spread = of(r#" { "b" : {"d":"x", "c": null}, "a": [ 1, -2, 1e-1, 10.0e-27 ] } "#);
        assert_eq!(compact, spread);
    }

    #[test]
    fn every_change_of_content_matters() {
        let values = [
            "null",
            "true",
            "false",
            "0",
            "-1",
            "0.0",
            "-0.0",
            "\"\"",
            "\"0\"",
            "[]",
            "{}",
            "[[]]",
            "[[],[]]",
            "[0,1]",
            "[1,0]",
            "{\"a\":0}",
            "{\"b\":0}",
            "{\"a\":1}",
            "[\"ab\",\"c\"]",
            "[\"a\",\"bc\"]",
            "18446744073709551615",
            "0.1",
            "0.10000000000000002",
        ];
        for (i, one) in values.iter().enumerate() {
            for other in &values[..i] {
                assert_ne!(of(one), of(other), "{one} {other}");
            }
        }
    }
}
