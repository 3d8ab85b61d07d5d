//! What a download survives.

use std::time::{Duration, Instant};

use retinanet::weights::{FetchError, FetchOptions, Found, Pin, Token};

use crate::server::{Reply, Server};
use crate::{
    FILE, entry, fetch, final_path, hub_source, names_in, options, payload, sha256, url_source,
};

#[test]
fn a_download_is_checked_named_and_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::of(payload());
    let entry = entry(&[url_source(&server.url("/m/model.safetensors"), &sha256(&payload()))]);
    let file = fetch(&entry, &options(folder.path())).unwrap();
    assert_eq!((file.found, file.pin), (Found::Downloaded, Pin::Manifest));
    assert_eq!(file.path, final_path(folder.path()));
    assert_eq!(file.sha256, sha256(&payload()));
    assert_eq!(std::fs::read(&file.path).unwrap(), payload());
    assert_eq!(names_in(folder.path()), [FILE.to_owned(), format!("{FILE}.lock")]);

    let again = fetch(&entry, &options(folder.path())).unwrap();
    assert_eq!((again.found, again.path), (Found::Cache, file.path));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_cut_download_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request| match request.range_start() {
        None => Reply::cut(&payload(), 100_000),
        Some(start) => Reply::part(&payload(), start),
    });
    let entry = entry(&[url_source(&server.url("/model.safetensors"), &sha256(&payload()))]);
    assert_eq!(fetch(&entry, &options(folder.path())).unwrap().sha256, sha256(&payload()));
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    let start = requests[1].range_start().unwrap();
    assert!((1..=100_000).contains(&start), "{start}");
    assert_eq!(requests[1].header("if-range"), Some("\"one\""));
    assert_eq!(requests[1].header("accept-encoding"), Some("identity"));
}

#[test]
fn a_later_call_resumes_what_an_earlier_one_left() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request| match request.number {
        0 => Reply::cut(&payload(), 100_000),
        _ => Reply::part(&payload(), request.range_start().expect("a range")),
    });
    let entry = entry(&[url_source(&server.url("/model.safetensors"), &sha256(&payload()))]);
    let once = FetchOptions { attempts: 1, ..options(folder.path()) };
    let error = fetch(&entry, &once).unwrap_err();
    assert!(matches!(error, FetchError::Broken { .. }), "{error}");
    assert!(!final_path(folder.path()).exists());
    assert_eq!(fetch(&entry, &once).unwrap().sha256, sha256(&payload()));
}

#[test]
fn a_server_that_ignores_ranges_makes_it_start_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request| match request.number {
        0 => Reply::cut(&payload(), 100_000),
        _ => Reply::whole(&payload()),
    });
    let entry = entry(&[url_source(&server.url("/model.safetensors"), &sha256(&payload()))]);
    assert_eq!(fetch(&entry, &options(folder.path())).unwrap().sha256, sha256(&payload()));
    assert!(server.requests()[1].range_start().is_some());
}

#[test]
fn a_part_that_was_not_asked_for_is_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request| match request.number {
        0 => Reply::cut(&payload(), 100_000),
        1 => Reply::part(&payload(), 7),
        _ => Reply::whole(&payload()),
    });
    let entry = entry(&[url_source(&server.url("/model.safetensors"), &sha256(&payload()))]);
    assert_eq!(fetch(&entry, &options(folder.path())).unwrap().sha256, sha256(&payload()));
    assert_eq!(server.requests()[2].range_start(), None);
}

#[test]
fn halves_of_two_files_are_noticed_and_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request| match request.range_start() {
        Some(start) => Reply::part(&vec![0; 300_000], start),
        None if request.number == 0 => Reply::cut(&payload(), 100_000),
        None => Reply::whole(&payload()),
    });
    let entry = entry(&[url_source(&server.url("/model.safetensors"), &sha256(&payload()))]);
    assert_eq!(fetch(&entry, &options(folder.path())).unwrap().sha256, sha256(&payload()));
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn without_a_strong_etag_nothing_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request| {
        let sent = if request.number == 0 { 100_000 } else { 300_000 };
        let mut reply = Reply::cut(&payload(), sent);
        reply.headers.retain(|(name, _)| name != "ETag");
        reply.header("ETag", "W/\"weak\"")
    });
    let entry = entry(&[url_source(&server.url("/model.safetensors"), &sha256(&payload()))]);
    fetch(&entry, &options(folder.path())).unwrap();
    assert_eq!(server.requests()[1].range_start(), None);
}

#[test]
fn a_busy_server_is_asked_again_a_bounded_number_of_times() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request| match request.number {
        0 | 1 => Reply::status(503),
        _ => Reply::whole(&payload()),
    });
    let source = url_source(&server.url("/model.safetensors"), &sha256(&payload()));
    fetch(&entry(std::slice::from_ref(&source)), &options(folder.path())).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_| Reply::status(503));
    let source = url_source(&server.url("/model.safetensors"), &sha256(&payload()));
    let error = fetch(&entry(&[source]), &options(folder.path())).unwrap_err();
    assert!(matches!(error, FetchError::Http { status: 503, .. }), "{error}");
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_missing_file_turns_to_the_next_source() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request| match request.path.as_str() {
        "/gone/a.safetensors" => Reply::status(404),
        _ => Reply::whole(&payload()),
    });
    let gone = url_source(&server.url("/gone/a.safetensors"), &sha256(&payload()));
    let there = url_source(&server.url("/model.safetensors"), &sha256(&payload()));
    let file = fetch(&entry(&[gone.clone(), there]), &options(folder.path())).unwrap();
    assert_eq!(file.source, server.url("/model.safetensors"));
    assert!(
        file.passed_over.len() == 1 && file.passed_over[0].contains("404"),
        "{:?}",
        file.passed_over
    );

    let folder = tempfile::tempdir().unwrap();
    let error = fetch(&entry(std::slice::from_ref(&gone)), &options(folder.path())).unwrap_err();
    assert!(matches!(error, FetchError::Http { status: 404, .. }), "{error}");
    let error = fetch(&entry(&[gone.clone(), gone]), &options(folder.path())).unwrap_err();
    let FetchError::AllSourcesFailed { failures, .. } = &error else { panic!("{error}") };
    assert_eq!(failures.len(), 2);
}

#[test]
fn a_server_that_falls_silent_is_given_up_on() {
    for sent in [None, Some(100_000)] {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(move |_| match sent {
            Some(sent) => Reply::cut(&payload(), sent).then_silence(Duration::from_secs(10)),
            None => {
                std::thread::sleep(Duration::from_secs(10));
                Reply::status(200)
            }
        });
        let entry = entry(&[url_source(&server.url("/model.safetensors"), &sha256(&payload()))]);
        let impatient = FetchOptions {
            stall_timeout: Duration::from_millis(400),
            attempts: 2,
            ..options(folder.path())
        };
        let start = Instant::now();
        let error = fetch(&entry, &impatient).unwrap_err();
        assert!(matches!(error, FetchError::Stalled { .. }), "{error}");
        assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
        assert!(!final_path(folder.path()).exists());
    }
}

#[test]
fn a_hub_file_comes_from_the_endpoint_through_its_redirect() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request| match request.path.as_str() {
        "/owner/name/resolve/refs%2Fpr-1/model.safetensors" => {
            Reply::redirect("/blobs/1?signature=secret")
        }
        "/blobs/1?signature=secret" => Reply::whole(&payload()),
        _ => Reply::status(404),
    });
    let entry = entry(&[hub_source("refs/pr-1", &sha256(&payload()))]);
    let mirror = FetchOptions { endpoint: server.url("/"), ..options(folder.path()) };
    let file = fetch(&entry, &mirror).unwrap();
    assert_eq!(file.found, Found::Downloaded);
}

#[test]
fn a_token_never_leaves_the_endpoint() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = Server::of(payload());
    let target = elsewhere.url("/blobs/1");
    let server = Server::start(move |request| match request.number {
        0 => Reply::redirect("/moved"),
        _ => Reply::redirect(&target),
    });
    let hub = entry(&[hub_source("main", &sha256(&payload()))]);
    let token = Some(Token::new("secret"));
    let with_token = FetchOptions { endpoint: server.url(""), token, ..options(folder.path()) };
    fetch(&hub, &with_token).unwrap();
    let sent: Vec<_> =
        server.requests().iter().map(|r| r.header("authorization").map(str::to_owned)).collect();
    assert_eq!(sent, [Some("Bearer secret".to_owned()), Some("Bearer secret".to_owned())]);
    assert_eq!(elsewhere.requests()[0].header("authorization"), None);

    let folder = tempfile::tempdir().unwrap();
    let plain = entry(&[url_source(&elsewhere.url("/model.safetensors"), &sha256(&payload()))]);
    fetch(&plain, &FetchOptions { cache_dir: folder.path().to_owned(), ..with_token }).unwrap();
    assert_eq!(elsewhere.requests()[1].header("authorization"), None, "a plain URL is not the hub");
}
