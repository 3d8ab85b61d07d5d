//! Signing a log, and checking who signed one.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use retinanet::determinism::Environment;
use retinanet::evidence::Log;
use sha2::{Digest as _, Sha256};

use super::envelope::{Envelope, Refusal};
use super::key::{KeyPair, PublicKey};
use super::statement::{PAYLOAD_TYPE, Predicate, Statement, Subject};
use crate::exit::{Failure, Outcome};
use crate::output::write_text;

/// The largest envelope that is read: a statement is a few kilobytes.
const MAX_BYTES: u64 = 16 << 20;

/// The envelope beside a log.
pub fn envelope_of(log: &Path) -> PathBuf {
    let mut path = OsString::from(log);
    path.push(".dsse.json");
    path.into()
}

/// A key and the log that it is to sign, once it is written.
pub struct LogSigner {
    key: KeyPair,
    log: PathBuf,
    overwrite: bool,
}

impl LogSigner {
    /// Reads the key, and refuses a log that another signature stands beside: `going_on` if it may be this one's,
    /// of an earlier run; `overwrite` if it is to be replaced.
    pub fn new(key: &Path, log: &Path, going_on: bool, overwrite: bool) -> Outcome<Self> {
        let key = KeyPair::read(key)?;
        let path = envelope_of(log);
        if std::fs::symlink_metadata(&path).is_ok() && !overwrite {
            let own = key.public().id();
            let by = hints(&read(&path)?);
            if !going_on || by != [own] {
                return Err(signed_already(&path, &by));
            }
        }
        Ok(Self { key, log: log.to_owned(), overwrite })
    }

    /// Signs the log as it is now, and the results with it; where the envelope is.
    pub fn sign(
        &self,
        results: Option<&Path>,
        environment: Option<Environment>,
    ) -> Outcome<PathBuf> {
        let log = Log::open(&self.log)?;
        let path = envelope_of(&self.log);
        if std::fs::symlink_metadata(&path).is_ok() && !self.overwrite {
            // Of an earlier run that came to its end.
            let signed = signed_by(&log, &path, &self.key.public());
            return match signed {
                Ok(_) => Ok(path),
                Err(_) => Err(signed_already(&path, &hints(&read(&path)?))),
            };
        }
        let mut subject = vec![Subject::new(name_of(&self.log), log.sha256().to_string())];
        if let Some(results) = results {
            subject.push(Subject::new(name_of(results), hash_file(results)?));
        }
        let predicate = Predicate {
            head: log.head().to_string(),
            images: log.len(),
            failed: log.failed(),
            numerics: log.header().versions.numerics,
            weights_sha256: log.header().weights_sha256.to_string(),
            environment,
        };
        let statement = Statement::new(subject, predicate).to_json();
        write_text(&path, &Envelope::sign(PAYLOAD_TYPE, &statement, &self.key).to_json())?;
        Ok(path)
    }
}

/// What a signature says, once it holds.
#[derive(Debug)]
pub struct Signed {
    /// The key's id.
    pub key_id: String,
    /// The other files that it is about: name and SHA-256.
    pub others: Vec<(String, String)>,
}

/// Checks that `key` signed this log in the envelope at `path`.
pub fn signed_by(log: &Log, path: &Path, key: &PublicKey) -> Outcome<Signed> {
    let told = |refusal| match refusal {
        Refusal::NotOne(why) => {
            Failure::bad_input(format!("{path:?} is no usable signature of a log: {why}"))
        }
        Refusal::DoesNotHold(why) => {
            Failure::check_failed(format!("the signature {path:?} does not hold: {why}"))
        }
    };
    let envelope = Envelope::parse(&read(path)?).map_err(told)?;
    let payload = envelope.verify(PAYLOAD_TYPE, key).map_err(told)?;
    let statement = Statement::parse(&payload).map_err(|why| told(Refusal::NotOne(why)))?;
    let other = |why: String| {
        Failure::check_failed(format!("the signature {path:?} is of another log: {why}"))
    };
    let sha256 = log.sha256().to_string();
    let is_log = |subject: &&Subject| subject.sha256() == Some(&sha256);
    let Some(own) = statement.subject.iter().find(is_log) else {
        let signed: Vec<_> = statement.subject.iter().filter_map(Subject::sha256).collect();
        let signed = signed.join(", ");
        return Err(other(format!("it is about the sha256 {signed}, this log has {sha256}")));
    };
    if statement.predicate.head != log.head().to_string() {
        let (head, stated) = (log.head(), &statement.predicate.head);
        return Err(other(format!("it states the head {stated:?}, this log has {head}")));
    }
    let others = statement.subject.iter().filter(|subject| *subject != own);
    let others = others
        .filter_map(|subject| Some((subject.name.clone(), subject.sha256()?.to_owned())))
        .collect();
    Ok(Signed { key_id: key.id(), others })
}

/// SHA-256 of a file, in hexadecimal digits.
pub fn hash_file(path: &Path) -> Outcome<String> {
    let hash = || -> std::io::Result<String> {
        let mut file = retinanet::files::open_regular(path)?;
        let mut hash = Sha256::new();
        let mut piece = vec![0; 1 << 16];
        loop {
            match file.read(&mut piece)? {
                0 => break,
                read => hash.update(&piece[..read]),
            }
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    };
    hash().map_err(|error| Failure::bad_input(format!("cannot read {path:?}: {error}")))
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    let mut content = Vec::new();
    retinanet::files::open_regular(path)
        .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut content))
        .map_err(|error| {
            Failure::bad_input(format!("cannot read the signature {path:?}: {error}"))
        })?;
    Ok(content)
}

/// Whose keys an envelope names.
fn hints(envelope: &[u8]) -> Vec<String> {
    let envelope = Envelope::parse(envelope);
    let named = |envelope: Envelope| envelope.key_hints().into_iter().map(str::to_owned).collect();
    envelope.map_or_else(|_| Vec::new(), named)
}

fn signed_already(path: &Path, by: &[String]) -> Failure {
    let by = match by {
        [] => "something that is no signature stands there".to_owned(),
        by => format!("it names the key {}", by.join(", ")),
    };
    Failure::usage(format!(
        "the log has a signature already, {path:?} ({by}); a log is signed once: move it away, or write to another log"
    ))
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
