//! One image from a URL, from a server on the loopback.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Ran, command, names_in, photo, run, run_in};

/// Serves what `answer` makes of a path, as the bytes of a whole response, until the test's process ends.
fn server(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that leaves in the middle is part of the tests.
            stream.ok().and_then(|stream| serve(stream, &answer).ok());
        }
    });
    format!("http://{address}")
}

fn serve(mut stream: TcpStream, answer: &impl Fn(&str) -> Vec<u8>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        let line = line?;
        assert!(!line.to_ascii_lowercase().starts_with("authorization"), "{line}");
        if line.is_empty() {
            break;
        }
    }
    stream.write_all(&answer(first.split(' ').nth(1).unwrap_or_default()))
}

fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

fn whole(body: &[u8]) -> Vec<u8> {
    response("200 OK", &format!("Content-Length: {}\r\n", body.len()), body)
}

/// `retinanet detect`, with the network on.
fn detect(folder: &Path, arguments: &[&str]) -> Ran {
    let mut command = command();
    command.env("RETINANET_OFFLINE", "0").env("HF_HUB_OFFLINE", "0").env("HF_TOKEN", "secret");
    command.current_dir(folder).arg("detect").args(arguments).output().unwrap().into()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_urls_image_has_the_answer_of_its_file_and_can_be_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = fs::read(photo()).unwrap();
    let hash = sha256(&bytes);
    let url = server(move |path| match path {
        "/moved" => {
            response("302 Found", "Location: /a/photo.png?key=secret\r\nContent-Length: 0\r\n", b"")
        }
        _ => whole(&bytes),
    });
    let expected = run(&["detect", "--json", "-", photo().to_str().unwrap()]).succeeded();
    let expected: Value = serde_json::from_str(&expected.out).unwrap();
    let image = format!("{url}/a/photo.png?key=secret");
    let ran = detect(folder.path(), &["--json", "-", &image]).succeeded();
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(found[0]["digest"], expected[0]["digest"]);
    assert_eq!(found[0]["image"], format!("{url}/a/photo.png"));
    assert!(
        ran.err.contains("as it comes") && ran.err.contains(&format!("--sha256 {hash}")),
        "{}",
        ran.err
    );
    assert!(!ran.err.contains("secret"), "{}", ran.err);

    let outputs = ["--overlay", "o", "--receipt", "r", "--sha256", &hash.to_ascii_uppercase()];
    let ran = detect(folder.path(), &[&outputs[..], &[&image]].concat()).succeeded();
    assert!(ran.err.is_empty(), "{}", ran.err);
    assert_eq!(names_in(folder.path()), ["o/photo.png.png", "r/photo.png.receipt.json"]);
    let receipt = "r/photo.png.receipt.json";
    run_in(folder.path(), &["verify", receipt]).failed(3, &["came from the URL", "--image FILE"]);
    run_in(folder.path(), &["verify", "--image", photo().to_str().unwrap(), receipt]).succeeded();

    detect(folder.path(), &["-q", "--sha256", &hash, &format!("{url}/moved")]).succeeded();
    let other = format!("{}0", &hash[1..]);
    detect(folder.path(), &["--sha256", &other, &image])
        .failed(3, &[&hash, &other, "is not decoded"]);
    // A path without a name.
    detect(folder.path(), &["-q", "--overlay", "n", &format!("{url}/")]).succeeded();
    assert!(folder.path().join("n/download.png").exists());
}

#[test]
fn what_a_url_may_give_is_bounded_and_its_failures_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let url = server(|path| match path {
        "/large" => response("200 OK", "Content-Length: 99999999999\r\n", b"x"),
        "/endless" => response("200 OK", "", &[7; 300_000]),
        "/cut" => response("404 Not Found", "Content-Length: 0\r\n", b""),
        "/away" => response(
            "302 Found",
            "Location: http://example.org/a.png\r\nContent-Length: 0\r\n",
            b"",
        ),
        _ => whole(b"<!DOCTYPE html>"),
    });
    let at = |path: &str| format!("{url}{path}");
    let told = |arguments: &[&str], parts: &[&str]| {
        detect(folder.path(), arguments).failed(3, parts);
    };
    told(&[&at("/large")], &["has more than", "--max-file-bytes"]);
    told(&["--max-file-bytes", "100000", &at("/endless")], &["more than 100000 bytes"]);
    told(&[&at("/cut")], &["404", "nothing is there"]);
    told(&[&at("/away")], &["http is only opened on the loopback"]);
    told(&[&at("/page.html")], &["is not an image: it starts with \"<!DOCTYPE html>\""]);
    told(&["http://example.org/a.png"], &["http is only opened on the loopback; use https"]);
    told(&["https://user:secret@example.org/a.png"], &["user names and passwords"]);
}

#[test]
fn a_url_stands_alone_and_only_where_the_network_is_on() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(photo(), folder.path().join("1.png")).unwrap();
    let url = "HTTPS://example.org/a.jpg?b=1&c='d'";
    run_in(folder.path(), &["detect", url])
        .failed(3, &["switched off", "curl -L -o FILE 'HTTPS://example.org/a.jpg?b=1&c=%27d%27'"]);
    let hash = "0".repeat(64);
    for (arguments, part) in [
        (&["detect", "1.png", url][..], "stands alone"),
        (&["detect", url, url], "stands alone"),
        (&["detect", "--sha256", &hash, "1.png"], "is for the image of one URL"),
        (&["detect", "--sha256", &hash, url, url], "is for the image of one URL"),
        (&["detect", "--sha256", "abc", url], "64 hexadecimal digits"),
    ] {
        run_in(folder.path(), arguments).failed(2, &[part]);
    }
}
