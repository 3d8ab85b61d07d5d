//! What is never accepted, and what never keeps the final name.

use std::time::{Duration, Instant};

use retinanet::weights::{FetchError, FetchOptions, Manifest};

use crate::server::{Reply, Server};
use crate::{
    FILE, entry, fetch, final_path, hub_source, names_in, options, payload, sha256, url_source,
};

#[test]
fn a_wrong_hash_keeps_neither_name_nor_part() {
    for expected in ["0".repeat(64), "00000000".to_owned()] {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::of(payload());
        let entry = entry(&[url_source(&server.url("/model.safetensors"), &expected)]);
        let error = fetch(&entry, &options(folder.path())).unwrap_err();
        let FetchError::WrongHash { found, .. } = &error else { panic!("{error}") };
        assert_eq!(*found, sha256(&payload()));
        assert_eq!(names_in(folder.path()), [format!("{FILE}.lock")]);
        assert_eq!(server.requests().len(), 1, "the same bytes are not asked for again");
    }
}

#[test]
fn a_cut_that_nobody_announced_is_a_wrong_hash() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_| Reply::unannounced(&payload()[..1000]));
    let entry = entry(&[url_source(&server.url("/model.safetensors"), &sha256(&payload()))]);
    let error = fetch(&entry, &options(folder.path())).unwrap_err();
    assert!(matches!(error, FetchError::WrongHash { .. }), "{error}");
    assert!(!final_path(folder.path()).exists());
}

#[test]
fn more_bytes_than_the_manifest_allows_are_refused() {
    let big = vec![0; 3 << 20];
    let announced = Reply::whole(&big).headers;
    for headers in [announced, Vec::new()] {
        let folder = tempfile::tempdir().unwrap();
        let body = big.clone();
        let server =
            Server::start(move |_| Reply { headers: headers.clone(), ..Reply::unannounced(&body) });
        let entry = entry(&[url_source(&server.url("/model.safetensors"), &sha256(&big))]);
        let error = fetch(&entry, &options(folder.path())).unwrap_err();
        assert!(matches!(error, FetchError::TooLarge { .. }), "{error}");
        assert_eq!(names_in(folder.path()), [format!("{FILE}.lock")]);
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn without_a_size_in_the_manifest_the_options_cap_counts() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::of(payload());
    let source = url_source(&server.url("/model.safetensors"), &sha256(&payload()))
        .replace("size_mib = 0.3\n", "");
    let entry = entry(&[source]);
    let capped = FetchOptions { max_bytes: 299_999, ..options(folder.path()) };
    assert!(matches!(fetch(&entry, &capped), Err(FetchError::TooLarge { limit: 299_999, .. })));
    fetch(&entry, &FetchOptions { max_bytes: 300_000, ..capped }).unwrap();
}

#[test]
fn http_is_opened_on_the_loopback_only() {
    let source = url_source("http://example.org/model.safetensors", &sha256(&payload()));
    let text = format!(
        "version = 1\n[[checkpoint]]\nname = \"it\"\narchitecture = \"in_file\"\ncategories = [\"a\"]\nlicence = \"MIT\"\n{source}"
    );
    let error = Manifest::parse(&text, "test").unwrap_err().to_string();
    assert!(error.contains("http is only opened on the loopback"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let endpoint = "http://mirror.example.org".to_owned();
    let hub = entry(&[hub_source("main", &sha256(&payload()))]);
    let error = fetch(&hub, &FetchOptions { endpoint, ..options(folder.path()) }).unwrap_err();
    assert!(matches!(error, FetchError::UnsafeUrl { .. }), "{error}");
}

#[test]
fn a_redirect_to_plain_http_is_refused() {
    for target in
        ["http://example.org/model.safetensors", "ftp://127.0.0.1/x", "file:///etc/passwd"]
    {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(move |_| Reply::redirect(target));
        let entry = entry(&[url_source(&server.url("/model.safetensors"), &sha256(&payload()))]);
        let error = fetch(&entry, &options(folder.path())).unwrap_err();
        assert!(matches!(error, FetchError::UnsafeUrl { .. }), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn https_is_never_turned_into_plain_http() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::of(payload());
    let url = server.url("/model.safetensors").replace("http://", "https://");
    let error = fetch(&entry(&[url_source(&url, &sha256(&payload()))]), &options(folder.path()))
        .unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. } | FetchError::Broken { .. }), "{error}");
    assert!(!final_path(folder.path()).exists());
}

#[test]
fn redirects_without_end_are_given_up_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_| Reply::redirect("/again"));
    let entry = entry(&[url_source(&server.url("/model.safetensors"), &sha256(&payload()))]);
    let error = fetch(&entry, &options(folder.path())).unwrap_err().to_string();
    assert!(error.contains("more than 10"), "{error}");
    assert_eq!(server.requests().len(), 11);
}

#[test]
fn offline_asks_nobody_and_says_how_to_do_it_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::of(payload());
    let url = server.url("/model.safetensors");
    let entry = entry(&[url_source(&url, &sha256(&payload()))]);
    let offline = FetchOptions { offline: true, ..options(folder.path()) };
    let error = fetch(&entry, &offline).unwrap_err();
    assert!(matches!(error, FetchError::Offline { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains(&url) && message.contains(FILE), "{message}");
    assert_eq!(server.requests().len(), 0);

    std::fs::create_dir_all(folder.path().join("it")).unwrap();
    std::fs::write(final_path(folder.path()), payload()).unwrap();
    fetch(&entry, &offline).expect("the file put there by hand is found");
}

#[test]
fn no_network_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let entry = entry(&[url_source(
        &format!("http://127.0.0.1:{port}/model.safetensors"),
        &sha256(&payload()),
    )]);
    let start = Instant::now();
    let slow_retries =
        FetchOptions { retry_wait: Duration::from_secs(20), ..options(folder.path()) };
    let error = fetch(&entry, &slow_retries).unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(10));
}
