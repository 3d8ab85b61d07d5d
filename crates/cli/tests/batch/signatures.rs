//! Keys and signatures, and what finds a wrong one.

use std::path::Path;

use serde_json::{Value, json};

use crate::scene::{Scene, exits};

/// A scene with a log that `signer.pem` signed.
fn signed() -> Scene {
    let scene = Scene::new(3);
    exits(&scene.run(&["keys", "new", "signer.pem"]), 0);
    scene.logged("out", "log", &["--sign", "signer.pem"]);
    scene
}

#[track_caller]
fn verified(scene: &Scene, more: &[&str], code: i32, parts: &[&str]) {
    let output = scene.run(&[&["verify", "log", "--chain-only"], more].concat());
    let said = exits(&output, code) + &String::from_utf8(output.stdout).unwrap();
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
}

fn envelope(scene: &Scene) -> Value {
    serde_json::from_slice(&scene.read("log.dsse.json")).unwrap()
}

fn put(scene: &Scene, envelope: &Value) {
    std::fs::write(scene.path("log.dsse.json"), envelope.to_string()).unwrap();
}

fn base64(bytes: &[u8]) -> String {
    <base64ct::Base64 as base64ct::Encoding>::encode_string(bytes)
}

#[test]
fn a_signed_log_verifies_with_the_public_key() {
    let scene = signed();
    let shown = scene.run(&["keys", "show", "signer.pub.pem"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    let (id, pem) = shown.split_once('\n').unwrap();
    assert_eq!(pem.as_bytes(), scene.read("signer.pub.pem"));
    verified(&scene, &["--key", "signer.pub.pem"], 0, &[&format!("signed by: {id}")]);
    verified(&scene, &[], 0, &["a signature is there and was not checked"]);
    let output = scene.run(&["verify", "log", "--key", "signer.pub.pem", "--json", "-"]);
    exits(&output, 0);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["signed_by"], &json["same"]), (&id.into(), &true.into()));
    // What is signed: a statement of in-toto about the log and the results.
    let envelope = envelope(&scene);
    assert_eq!(envelope["payloadType"], "application/vnd.in-toto+json");
    assert_eq!(envelope["signatures"][0]["keyid"], id);
    let payload = envelope["payload"].as_str().unwrap();
    let payload = <base64ct::Base64 as base64ct::Encoding>::decode_vec(payload).unwrap();
    let statement: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(
        (&statement["subject"][0]["name"], &statement["subject"][1]["name"]),
        (&"log".into(), &"out".into())
    );
    assert_eq!(statement["predicate"]["head"], json["head"]);
    assert_eq!(statement["predicate"]["images"], 7);
    assert_eq!(statement["predicate"]["environment"]["mode"], "strict");
    // The log under another name, with the signature named.
    std::fs::rename(scene.path("log"), scene.path("renamed")).unwrap();
    let more = ["--key", "signer.pub.pem", "--signature", "log.dsse.json"];
    exits(&scene.run(&[&["verify", "renamed", "--chain-only"], &more[..]].concat()), 0);
}

#[test]
fn a_signature_by_another_key_is_found() {
    let scene = signed();
    exits(&scene.run(&["keys", "new", "other.pem"]), 0);
    verified(&scene, &["--key", "other.pub.pem"], 1, &["it is not signed by the key "]);
    // The other key's name on the same signature.
    let mut forged = envelope(&scene);
    let shown = scene.run(&["keys", "show", "other.pub.pem"]).stdout;
    forged["signatures"][0]["keyid"] = String::from_utf8(shown).unwrap()[..64].into();
    put(&scene, &forged);
    verified(&scene, &["--key", "other.pub.pem"], 1, &["does not hold", "was changed"]);
}

#[test]
fn a_changed_signature_statement_or_type_is_found() {
    let scene = signed();
    let key = ["--key", "signer.pub.pem"];
    let whole = envelope(&scene);
    let decode = |text: &Value| {
        <base64ct::Base64 as base64ct::Encoding>::decode_vec(text.as_str().unwrap()).unwrap()
    };
    let mut changed = whole.clone();
    let mut sig = decode(&whole["signatures"][0]["sig"]);
    sig[10] ^= 1;
    changed["signatures"][0]["sig"] = base64(&sig).into();
    put(&scene, &changed);
    verified(&scene, &key, 1, &["does not hold", "the statement or the signature was changed"]);
    let mut changed = whole.clone();
    let text = String::from_utf8(decode(&whole["payload"])).unwrap();
    changed["payload"] = base64(text.replace("\"failed\":4", "\"failed\":0").as_bytes()).into();
    put(&scene, &changed);
    verified(&scene, &key, 1, &["does not hold"]);
    let mut changed = whole.clone();
    changed["payloadType"] = "text/plain".into();
    put(&scene, &changed);
    verified(&scene, &key, 3, &["its payload is \"text/plain\", not \"application/vnd"]);
    for (content, part) in [
        ("", "is no usable signature of a log"),
        ("{}", "missing field"),
        ("[[[", "is no usable signature"),
        (
            r#"{"payload":"*","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"AA=="}]}"#,
            "its payload is no base64",
        ),
    ] {
        std::fs::write(scene.path("log.dsse.json"), content).unwrap();
        verified(&scene, &key, 3, &[part]);
    }
    std::fs::remove_file(scene.path("log.dsse.json")).unwrap();
    verified(&scene, &key, 3, &["cannot read the signature \"log.dsse.json\""]);
}

#[test]
fn two_signatures_and_none_are_refused() {
    let scene = signed();
    let mut doubled = envelope(&scene);
    let one = doubled["signatures"][0].clone();
    doubled["signatures"] = json!([one, one]);
    put(&scene, &doubled);
    let key = ["--key", "signer.pub.pem"];
    verified(&scene, &key, 1, &["it holds 2 signatures, and one is expected"]);
    doubled["signatures"] = json!([]);
    put(&scene, &doubled);
    verified(&scene, &key, 1, &["it holds no signature"]);
}

#[test]
fn a_signed_log_is_not_signed_again() {
    let scene = signed();
    let whole = scene.read("log.dsse.json");
    exits(&scene.run(&["keys", "new", "other.pem"]), 0);
    let again = |key: &str, more: &[&str]| {
        scene.batch("out", &[&["--receipts", "log", "--sign", key], more].concat())
    };
    let said = exits(&again("other.pem", &["--resume"]), 2);
    assert!(said.contains("the log has a signature already, \"log.dsse.json\""), "{said}");
    // By the same key it may be a run that was continued after its end.
    exits(&again("signer.pem", &["--resume"]), 3);
    assert!(scene.read("log.dsse.json") == whole);
    for name in ["log", "out"] {
        std::fs::remove_file(scene.path(name)).unwrap();
    }
    let said = exits(&again("signer.pem", &[]), 2);
    assert!(said.contains("a log is signed once"), "{said}");
    assert!(!scene.path("out").exists());
    exits(&again("other.pem", &["--overwrite"]), 3);
    verified(&scene, &["--key", "other.pub.pem"], 0, &[]);
}

#[test]
fn a_signature_of_another_log_or_results_that_were_changed_are_found() {
    let scene = signed();
    let key = ["--key", "signer.pub.pem"];
    let results = scene.read("out");
    std::fs::write(scene.path("out"), &results[1..]).unwrap();
    verified(&scene, &key, 1, &["\"out\" was changed: its sha256 is "]);
    std::fs::remove_file(scene.path("out")).unwrap();
    verified(&scene, &key, 0, &["signed with the log, but not beside it (1): \"out\""]);
    // The whole log anew, sound in itself, beside the old signature.
    let more = ["--score-threshold", "0.3"];
    let weights = ["--weights", "model.safetensors", "--receipts", "log", "--overwrite"];
    let arguments = ["batch", "images", "--out", "out"];
    let said = exits(&scene.run(&[&arguments[..], &more[..], &weights[..]].concat()), 3);
    assert!(said.contains("a signature of the log that was replaced is still there"), "{said}");
    verified(&scene, &[], 0, &["no line was changed"]);
    verified(&scene, &key, 1, &["is of another log: it is about the sha256 "]);
}

#[test]
fn joined_logs_are_signed() {
    let scene = Scene::new(3);
    exits(&scene.run(&["keys", "new", "signer"]), 0);
    for index in ["0", "1"] {
        let (out, log) = (format!("part{index}"), format!("log{index}"));
        scene.logged(&out, &log, &["--shard", &format!("{index}/2")]);
    }
    exits(&scene.run(&["merge", "log", "log0", "log1", "--sign", "signer"]), 0);
    verified(&scene, &["--key", "signer.pub.pem"], 0, &["signed by: "]);
}

#[test]
fn a_key_is_private_to_its_owner_and_never_overwritten() {
    let scene = Scene::new(1);
    let made = scene.run(&["keys", "new", "signer.pem"]);
    exits(&made, 0);
    assert!(String::from_utf8(made.stdout).unwrap().ends_with("  signer.pub.pem\n"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(scene.path("signer.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let before = [scene.read("signer.pem"), scene.read("signer.pub.pem")];
    let said = exits(&scene.run(&["keys", "new", "signer.pem"]), 2);
    assert!(said.contains("\"signer.pem\" is there already, and a key is never overwritten"));
    std::fs::remove_file(scene.path("signer.pem")).unwrap();
    let said = exits(&scene.run(&["keys", "new", "signer.pem"]), 2);
    assert!(said.contains("\"signer.pub.pem\" is there already"), "{said}");
    assert!(!scene.path("signer.pem").exists());
    assert!(scene.read("signer.pub.pem") == before[1]);
    let other = scene.run(&["keys", "new", "other.pem"]);
    exits(&other, 0);
    assert!(scene.read("other.pem") != before[0]);
    exits(&scene.run(&["keys", "new", "no/such/folder/key.pem"]), 3);
}

#[test]
fn files_that_are_no_keys_are_refused_before_anything_is_done() {
    let scene = Scene::new(1);
    exits(&scene.run(&["keys", "new", "signer.pem"]), 0);
    let write = |name: &str, content: &[u8]| std::fs::write(scene.path(name), content).unwrap();
    write("garbage", b"\x00\xff\xfe garbage");
    write("text", b"no key at all\n");
    write("large", &vec![b'-'; 100_000]);
    write("broken", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    write("cut", &scene.read("signer.pem")[..60]);
    write(
        "locked",
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    write("certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    // An elliptic curve's (P-256): PKCS#8, and of another kind.
    let p256 = concat!(
        "-----BEGIN PRIVATE",
        " KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJpI75EBrus5VeUVM\ne0/eAFAeDmhO4ZTdQWBsy0LycJ2hRANCAAT8Y542YRnK9fTQW9z84sbUGjd2/jbz\nbiDvAo4KZ4jhaDg0MVTx4wUkE2A3whHTim2HUsk0kiNQZKWgf11U7DaL\n-----END PRIVATE KEY-----\n"
    );
    write("p256", p256.as_bytes());
    for (name, part) in [
        ("garbage", "it is no PEM file"),
        ("text", "it is no PEM file; `retinanet keys new` makes a key"),
        ("large", "has more than 65536 bytes"),
        ("broken", "it holds no ed25519 key"),
        ("cut", "it holds no ed25519 key"),
        ("locked", "protected by a passphrase"),
        ("certificate", "it is a PEM file of a CERTIFICATE"),
        ("p256", "it holds no ed25519 key"),
        ("signer.pub.pem", "it is a public key, which verifies; give the private one"),
        ("missing", "cannot read the key \"missing\""),
        ("images", "cannot read the key \"images\""),
    ] {
        let output = scene.batch("out", &["--receipts", "log", "--sign", name]);
        let said = exits(&output, 3);
        assert!(said.contains(part) && !said.contains("panicked"), "{name}: {said}");
        for left in ["out", "log"] {
            assert!(!Path::new(&scene.path(left)).exists());
        }
    }
    scene.logged("out", "log", &[]);
    for name in ["garbage", "text", "certificate", "missing"] {
        verified(&scene, &["--key", name], 3, &[name]);
        exits(&scene.run(&["keys", "show", name]), 3);
    }
    // A private key has its public half.
    verified(&scene, &["--key", "signer.pem"], 3, &["cannot read the signature \"log.dsse.json\""]);
    exits(&scene.batch("x", &["--sign", "signer.pem"]), 2);
}
