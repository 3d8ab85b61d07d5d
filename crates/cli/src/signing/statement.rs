//! in-toto statements (<https://in-toto.io/Statement/v1>) about a log.

use std::collections::BTreeMap;

use retinanet::determinism::Environment;
use serde::{Deserialize, Serialize};

/// An envelope's payload type.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// What a statement about a log says is of this type.
const PREDICATE: &str = "https://retinanet/log/v1";

/// A statement about a log, and the results that were written with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    /// Files and their hashes: the log, then the results if they are signed too.
    pub subject: Vec<Subject>,
    predicate_type: String,
    /// What is said of them.
    pub predicate: Predicate,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Its name, without a folder.
    pub name: String,
    /// Hashes by their algorithm.
    pub digest: BTreeMap<String, String>,
}

/// What is said of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Predicate {
    /// The log's head.
    pub head: String,
    /// How many images it is about.
    pub images: usize,
    /// How many of them have no answer.
    pub failed: usize,
    /// The numerics they were computed with.
    pub numerics: u32,
    /// SHA-256 of the weights.
    pub weights_sha256: String,
    /// What the signer computed with, last; a merged log has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
}

impl Subject {
    /// A file by its name and SHA-256.
    pub fn new(name: String, sha256: String) -> Self {
        Self { name, digest: BTreeMap::from([("sha256".to_owned(), sha256)]) }
    }

    /// Its SHA-256, if it is stated.
    pub fn sha256(&self) -> Option<&str> {
        self.digest.get("sha256").map(String::as_str)
    }
}

impl Statement {
    /// A statement about files.
    pub fn new(subject: Vec<Subject>, predicate: Predicate) -> Self {
        let (kind, predicate_type) = (STATEMENT.to_owned(), PREDICATE.to_owned());
        Self { kind, subject, predicate_type, predicate }
    }

    /// As JSON.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("string keys only")
    }

    /// Reads JSON; why it is no statement about a log.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Probe {
            #[serde(rename = "_type")]
            kind: String,
            #[serde(rename = "predicateType")]
            predicate_type: String,
        }
        let plain = |error: serde_json::Error| error.to_string().escape_debug().to_string();
        let probe: Probe = serde_json::from_slice(json).map_err(plain)?;
        for (found, expected) in [(&probe.kind, STATEMENT), (&probe.predicate_type, PREDICATE)] {
            if found != expected {
                let found: String = found.chars().take(80).collect();
                return Err(format!("its type is {found:?}, expected {expected:?}"));
            }
        }
        serde_json::from_slice(json).map_err(plain)
    }
}
