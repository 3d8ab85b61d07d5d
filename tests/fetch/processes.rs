//! Two processes that want the same file at once.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use retinanet::weights::{FetchOptions, Progress};

use crate::server::{Reply, Server};
use crate::{FILE, entry, fetch, names_in, options, payload, sha256, url_source};

const URL: &str = "RETINANET_TEST_FETCH_URL";
const CACHE: &str = "RETINANET_TEST_FETCH_CACHE";
const PATIENCE: Duration = Duration::from_secs(60);

/// The body of the second process: this binary, run again with the variables above.
#[test]
fn one_of_two_processes() {
    let (Ok(url), Some(cache)) = (std::env::var(URL), std::env::var_os(CACHE)) else {
        return;
    };
    let entry = entry(&[url_source(&url, &sha256(&payload()))]);
    let talking = FetchOptions { progress: Progress::Auto, ..options(Path::new(&cache)) };
    let file = fetch(&entry, &talking).unwrap();
    println!("fetched {:?} {}", file.found, file.sha256);
}

struct Process {
    child: Child,
    said: Receiver<String>,
}

impl Process {
    fn start(url: &str, cache: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes::one_of_two_processes", "--nocapture"])
            .env(URL, url)
            .env(CACHE, cache)
            // No proxy is asked for the loopback.
            .env("ALL_PROXY", "http://127.0.0.1:1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, said) = channel();
        let stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                drop(tell.send(line));
            }
        });
        Self { child, said }
    }

    fn wait_until_it_says(&self, words: &str) {
        loop {
            let line = self
                .said
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|_| panic!("it never said {words:?}"));
            if line.contains(words) {
                return;
            }
        }
    }

    fn output(mut self) -> String {
        let mut text = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(self.child.wait().unwrap().success(), "{text}");
        text
    }
}

#[derive(Default)]
struct Gate {
    /// (a request has come, it may be answered)
    state: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl Gate {
    fn change(&self, change: impl Fn(&mut (bool, bool))) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn wait_for(&self, met: impl Fn(&(bool, bool)) -> bool) {
        let state = self.state.lock().unwrap();
        let (_state, waited) =
            self.changed.wait_timeout_while(state, PATIENCE, |state| !met(state)).unwrap();
        assert!(!waited.timed_out());
    }
}

#[test]
fn of_two_processes_one_downloads_and_the_other_waits() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Arc::new(Gate::default());
    let answers = Arc::clone(&gate);
    let server = Server::start(move |_| {
        answers.change(|state| state.0 = true);
        answers.wait_for(|state| state.1);
        Reply::whole(&payload())
    });
    let url = server.url("/model.safetensors");
    let first = Process::start(&url, folder.path());
    gate.wait_for(|state| state.0);
    let second = Process::start(&url, folder.path());
    second.wait_until_it_says("waiting: another process is downloading");
    gate.change(|state| state.1 = true);

    let (first, second) = (first.output(), second.output());
    assert!(first.contains("fetched Downloaded") && first.contains(&sha256(&payload())), "{first}");
    assert!(second.contains("fetched Cache") && second.contains(&sha256(&payload())), "{second}");
    assert_eq!(server.requests().len(), 1);
    assert_eq!(names_in(folder.path()), [FILE.to_owned(), format!("{FILE}.lock")]);
}

#[test]
fn what_a_killed_process_leaves_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request| match request.range_start() {
        None => Reply::cut(&payload(), 100_000).then_silence(PATIENCE),
        Some(start) => Reply::part(&payload(), start),
    });
    let url = server.url("/model.safetensors");
    let mut doomed = Process::start(&url, folder.path());
    let part = folder.path().join("it").join(format!("{FILE}.part"));
    let start = std::time::Instant::now();
    while !std::fs::metadata(&part).is_ok_and(|part| part.len() > 0) {
        assert!(start.elapsed() < PATIENCE, "the download never began");
        std::thread::sleep(Duration::from_millis(20));
    }
    doomed.child.kill().unwrap();
    doomed.child.wait().unwrap();
    let entry = entry(&[url_source(&url, &sha256(&payload()))]);
    fetch(&entry, &options(folder.path())).unwrap();
    assert!(server.requests()[1].range_start().is_some(), "it goes on where the other stopped");
}
