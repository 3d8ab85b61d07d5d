//! Files that are already here, and folders that cannot be written.

use std::path::Path;

use retinanet::weights::{FetchError, FetchOptions, Found, Manifest, Pin};

use crate::server::Server;
use crate::{FILE, entry, fetch, final_path, hub_source, options, payload, sha256, url_source};

fn put(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn eight_digits_are_completed_at_first_use_and_hold_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::of(payload());
    let whole = sha256(&payload());
    let entry = entry(&[url_source(&server.url("/model.safetensors"), &whole[..8])]);
    assert_eq!(fetch(&entry, &options(folder.path())).unwrap().pin, Pin::FirstUse);
    let record = folder.path().join("it").join(format!("{FILE}.sha256"));
    assert_eq!(std::fs::read_to_string(&record).unwrap(), format!("{whole}  {FILE}\n"));
    assert_eq!(fetch(&entry, &options(folder.path())).unwrap().pin, Pin::Recorded);

    // A record with the same eight digits and another rest stands for a file that was replaced.
    let other = format!("{}{}", &whole[..8], "0".repeat(56));
    std::fs::write(&record, &other).unwrap();
    let error = fetch(&entry, &options(folder.path())).unwrap_err();
    assert!(matches!(error, FetchError::ChangedSinceFirstUse { .. }), "{error}");
    std::fs::remove_file(final_path(folder.path())).unwrap();
    let error = fetch(&entry, &options(folder.path())).unwrap_err();
    assert!(
        matches!(error, FetchError::ChangedSinceFirstUse { .. }),
        "a new download is held to it too: {error}"
    );
    assert!(!final_path(folder.path()).exists());

    std::fs::write(&record, "nonsense").unwrap();
    let error = fetch(&entry, &options(folder.path())).unwrap_err();
    assert!(matches!(error, FetchError::BadRecord { .. }), "{error}");
}

#[test]
fn a_damaged_file_in_the_cache_is_replaced_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::of(payload());
    let entry = entry(&[url_source(&server.url("/model.safetensors"), &sha256(&payload()))]);
    put(&final_path(folder.path()), b"damaged");
    let offline = FetchOptions { offline: true, ..options(folder.path()) };
    let error = fetch(&entry, &offline).unwrap_err();
    assert!(
        matches!(error, FetchError::WrongHash { .. }) && error.to_string().contains(FILE),
        "{error}"
    );
    assert_eq!(fetch(&entry, &options(folder.path())).unwrap().found, Found::Downloaded);
    assert_eq!(std::fs::read(final_path(folder.path())).unwrap(), payload());
}

#[test]
fn a_file_in_the_hubs_cache_is_used_if_its_hash_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let hub = folder.path().join("hub");
    let repo = hub.join("models--owner--name");
    put(&repo.join("refs/main"), b"c0ffee");
    put(&repo.join("snapshots/c0ffee").join(FILE), &payload());
    let offline =
        FetchOptions { offline: true, hub_cache: Some(hub), ..options(&folder.path().join("own")) };
    for revision in ["main", "c0ffee"] {
        let file = fetch(&entry(&[hub_source(revision, &sha256(&payload()))]), &offline).unwrap();
        assert_eq!((file.found, file.sha256), (Found::HubCache, sha256(&payload())));
    }
    let other = entry(&[hub_source("main", &"0".repeat(64))]);
    let error = fetch(&other, &offline).unwrap_err();
    assert!(
        matches!(error, FetchError::Offline { .. }),
        "another tool's file that does not fit is not ours: {error}"
    );
}

#[test]
fn a_file_in_pytorchs_cache_is_used_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let torch = folder.path().join("torch");
    put(&torch.join("model.safetensors"), &payload());
    let offline = FetchOptions {
        offline: true,
        torch_cache: Some(torch),
        ..options(&folder.path().join("own"))
    };
    let entry =
        entry(&[url_source("https://example.org/model.safetensors", &sha256(&payload())[..8])]);
    let file = fetch(&entry, &offline).unwrap();
    assert_eq!((file.found, file.pin), (Found::TorchCache, Pin::FirstUse));
    assert_eq!(fetch(&entry, &offline).unwrap().pin, Pin::Recorded);
}

#[test]
fn the_bundled_checkpoint_is_found_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = Manifest::builtin();
    let entry = manifest.get("person_r18").unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let offline =
        FetchOptions { offline: true, bundled_root: Some(root), ..options(folder.path()) };
    let file = fetch(entry, &offline).unwrap();
    assert_eq!((file.found, file.pin), (Found::Bundled, Pin::Manifest));
    let error = fetch(entry, &options(folder.path())).unwrap_err();
    assert!(matches!(error, FetchError::BundledMissing { .. }), "{error}");
}

#[test]
fn a_cache_that_cannot_be_made_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let occupied = folder.path().join("file");
    std::fs::write(&occupied, b"").unwrap();
    let server = Server::of(payload());
    let entry = entry(&[url_source(&server.url("/model.safetensors"), &sha256(&payload()))]);
    let error = fetch(&entry, &options(&occupied)).unwrap_err();
    assert!(matches!(error, FetchError::Cache { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("RETINANET_CACHE") && message.contains("file"), "{message}");
    assert_eq!(server.requests().len(), 0, "nothing is downloaded that could not be kept");
}

/// Not even root can make files below /proc/sys, so this holds whoever runs the test.
#[cfg(target_os = "linux")]
#[test]
fn a_read_only_cache_serves_what_it_has_and_refuses_the_rest() {
    let bytes = std::fs::read("/proc/sys/kernel/ostype").unwrap();
    let entry_of = |file: &str, sha256: &str| {
        let text = format!(
            "version = 1\n[[checkpoint]]\nname = \"kernel\"\narchitecture = \"in_file\"\ncategories = [\"a\"]\n\
             licence = \"MIT\"\n[[checkpoint.source]]\nurl = \"http://127.0.0.1:9/{file}\"\n\
             format = \"pth\"\nsha256 = {sha256:?}\n"
        );
        Manifest::parse(&text, "test").unwrap().get("kernel").unwrap().clone()
    };
    let read_only = options(Path::new("/proc/sys"));
    let file = fetch(&entry_of("ostype", &sha256(&bytes)), &read_only).unwrap();
    assert_eq!((file.found, file.pin), (Found::Cache, Pin::Manifest));
    let file = fetch(&entry_of("ostype", &sha256(&bytes)[..8]), &read_only).unwrap();
    assert_eq!(file.pin, Pin::NotRecorded);
    let error = fetch(&entry_of("missing", &sha256(&bytes)), &read_only).unwrap_err();
    assert!(matches!(error, FetchError::Cache { .. }), "{error}");
    assert!(error.to_string().contains("/proc/sys/kernel/missing.lock"), "{error}");
}
