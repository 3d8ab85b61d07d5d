//! Bringing a file's bytes into its `.part`: resumed, bounded, retried.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ureq::Body;
use ureq::http::{HeaderMap, Response, header};

use super::client::{Client, Resume};
use super::options::{FetchOptions, Token};
use super::places::with_ending;
use super::progress;
use crate::error::FetchError;
use crate::url::SafeUrl;

const MAX_WAIT: Duration = Duration::from_secs(30);
/// A try that brings the file this much further does not count against the number of tries.
const FURTHER: u64 = 1 << 20;

/// One file on its way.
pub(super) struct Transfer<'a> {
    pub client: &'a Client,
    pub url: &'a SafeUrl,
    pub token: Option<&'a Token>,
    /// The file's final name; its bytes go to `.part` beside it.
    pub path: &'a Path,
    /// The most bytes accepted.
    pub limit: u64,
    pub options: &'a FetchOptions,
}

/// What is known about a `.part`, kept beside it: without a strong validator there is no resuming.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartState {
    url: String,
    etag: String,
    total: Option<u64>,
}

/// Where the bytes of `path` are collected.
pub(super) fn part_path(path: &Path) -> PathBuf {
    with_ending(path, ".part")
}

/// Removes what is left of a download.
pub(super) fn discard(path: &Path) {
    // What cannot be removed is overwritten by the next download.
    let _ = fs::remove_file(part_path(path));
    let _ = fs::remove_file(state_path(path));
}

fn state_path(path: &Path) -> PathBuf {
    with_ending(path, ".part.json")
}

impl Transfer<'_> {
    /// Downloads until the `.part` is complete; true if any of it came from an earlier try.
    pub(super) fn run(&self) -> Result<bool, FetchError> {
        let mut resumed = false;
        let (mut tries, mut wait) = (0, self.options.retry_wait);
        let mut furthest = self.part_len();
        loop {
            let error = match self.attempt(&mut resumed) {
                Ok(()) => return Ok(resumed),
                Err(error) => error,
            };
            let here = self.part_len();
            if here >= furthest.saturating_add(FURTHER) {
                (furthest, tries, wait) = (here, 0, self.options.retry_wait);
            }
            tries += 1;
            let passing =
                error.is_passing() || (here > 0 && matches!(error, FetchError::Unreachable { .. }));
            if !passing || tries >= self.options.attempts {
                return Err(error);
            }
            progress::say(self.options.progress, &format!("{error} (trying again)"));
            std::thread::sleep(wait);
            wait = wait.saturating_mul(2).min(MAX_WAIT);
        }
    }

    fn part_len(&self) -> u64 {
        fs::metadata(part_path(self.path)).map_or(0, |part| part.len())
    }

    fn attempt(&self, resumed: &mut bool) -> Result<(), FetchError> {
        let have = self.part_len();
        let state = self.read_state().filter(|_| have > 0);
        if let Some(state) = &state
            && state.total == Some(have)
        {
            *resumed = true;
            return Ok(());
        }
        let resume = state.as_ref().map(|state| Resume { offset: have, etag: &state.etag });
        let response = self.client.get(self.url, self.token, resume)?;
        let (offset, total) = match (response.status().as_u16(), &state) {
            (200, _) => (0, content_length(&response)),
            (206, Some(state)) => match fits(response.headers(), have, state) {
                Some(total) => (have, total),
                None => {
                    discard(self.path);
                    return Err(self.broken("the server sent another part than the one asked for"));
                }
            },
            (status, _) => {
                if status == 416 {
                    discard(self.path);
                }
                return Err(self.refused(status));
            }
        };
        if total.is_some_and(|total| total > self.limit) {
            return Err(self.too_large());
        }
        *resumed = offset > 0;
        let file = self.open_part(offset, response.headers(), total)?;
        self.receive(file, response, offset, total)
    }

    /// Opens the `.part` to go on at `offset`, after writing down what resuming it will need.
    fn open_part(
        &self,
        offset: u64,
        headers: &HeaderMap,
        total: Option<u64>,
    ) -> Result<File, FetchError> {
        if offset == 0 {
            discard(self.path);
        }
        let part = part_path(self.path);
        let open = || {
            let mut file =
                OpenOptions::new().create(true).truncate(false).write(true).open(&part)?;
            file.set_len(offset)?;
            file.seek(SeekFrom::Start(offset))?;
            if offset == 0
                && let Some(etag) = strong_etag(headers)
            {
                let state = PartState { url: self.url.to_string(), etag: etag.to_owned(), total };
                fs::write(state_path(self.path), serde_json::to_vec(&state)?)?;
            }
            Ok(file)
        };
        open().map_err(|error| self.cannot("create", error))
    }

    fn receive(
        &self,
        mut file: File,
        mut response: Response<Body>,
        offset: u64,
        total: Option<u64>,
    ) -> Result<(), FetchError> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let bar = progress::bar(self.options.progress, &name);
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(offset);
        bar.reset_eta();
        let mut reader = response.body_mut().as_reader();
        let mut buffer = vec![0; 64 << 10];
        let mut have = offset;
        let outcome = loop {
            let read = match reader.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => break Err(self.client.read_failure(self.url, error)),
            };
            have += read as u64;
            if have > self.limit {
                break Err(self.too_large());
            }
            if let Err(error) = file.write_all(&buffer[..read]) {
                break Err(self.cannot("write", error));
            }
            bar.set_position(have);
        };
        bar.finish_and_clear();
        if matches!(outcome, Err(FetchError::TooLarge { .. })) {
            discard(self.path);
        }
        outcome?;
        if let Some(total) = total.filter(|total| *total != have) {
            return Err(self.broken(&format!("it was cut after {have} of {total} bytes")));
        }
        file.sync_all().map_err(|error| self.cannot("write", error))
    }

    /// The state beside the `.part`, if it is of this address and can be resumed.
    fn read_state(&self) -> Option<PartState> {
        let text = fs::read_to_string(state_path(self.path)).ok()?;
        let state: PartState = serde_json::from_str(&text).ok()?;
        (state.url == self.url.to_string()).then_some(state)
    }

    fn refused(&self, status: u16) -> FetchError {
        let hint = match status {
            401 | 403 => " (it may need a token, see HF_TOKEN)",
            404 | 410 => " (the file is not there any more)",
            429 => " (too many requests; try again later)",
            _ => "",
        };
        FetchError::Http { url: self.url.to_string(), status, hint }
    }

    fn broken(&self, problem: &str) -> FetchError {
        FetchError::Broken { url: self.url.to_string(), problem: problem.to_owned() }
    }

    fn too_large(&self) -> FetchError {
        FetchError::TooLarge { file: self.url.to_string(), limit: self.limit }
    }

    fn cannot(&self, action: &'static str, source: io::Error) -> FetchError {
        FetchError::Cache { action, path: part_path(self.path), source }
    }
}

fn content_length(response: &Response<Body>) -> Option<u64> {
    response.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// An ETag that promises equal bytes; a weak one (`W/"..."`) does not.
fn strong_etag(headers: &HeaderMap) -> Option<&str> {
    let etag = headers.get(header::ETAG)?.to_str().ok()?.trim();
    (etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"')).then_some(etag)
}

/// Whether a partial answer goes on at `have` of the file in `state`; if so, the whole length where known.
fn fits(headers: &HeaderMap, have: u64, state: &PartState) -> Option<Option<u64>> {
    let range = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (span, total) = range.trim().strip_prefix("bytes ")?.split_once('/')?;
    let start: u64 = span.split_once('-')?.0.trim().parse().ok()?;
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    let same_file = strong_etag(headers).is_none_or(|etag| etag == state.etag)
        && (total.is_none() || state.total.is_none() || total == state.total);
    (start == have && same_file).then_some(total.or(state.total))
}
