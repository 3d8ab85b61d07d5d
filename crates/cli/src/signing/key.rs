//! ed25519 keys in PEM files, as `openssl pkey` reads and writes them.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes,
};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::exit::{Failure, Outcome};

/// No key's file is larger.
const MAX_BYTES: u64 = 64 << 10;

/// A private key with its public half; its memory is overwritten when it is dropped.
pub struct KeyPair {
    key: SigningKey,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
}

impl KeyPair {
    /// Reads a private key: PKCS#8 in PEM (`-----BEGIN PRIVATE KEY-----`).
    pub fn read(path: &Path) -> Outcome<Self> {
        let text = read(path)?;
        let label = label(&text);
        let refuse =
            |why: String| Failure::bad_input(format!("{path:?} is no key to sign with: {why}"));
        match label {
            Some("PRIVATE KEY") => {}
            Some("PUBLIC KEY") => {
                return Err(refuse(
                    "it is a public key, which verifies; give the private one".into(),
                ));
            }
            Some("ENCRYPTED PRIVATE KEY") => {
                return Err(refuse(
                    "it is protected by a passphrase, which is not asked for; `openssl pkey` writes one without".into(),
                ));
            }
            Some(other) => return Err(refuse(format!("it is a PEM file of a {other}"))),
            None => return Err(refuse(not_pem())),
        }
        let key = SigningKey::from_pkcs8_pem(&text)
            .map_err(|error| refuse(format!("it holds no ed25519 key: {error}")))?;
        Ok(Self { key })
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey { key: self.key.verifying_key() }
    }

    /// Signs a message; the same message gives the same signature.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(message).to_bytes().to_vec()
    }
}

impl PublicKey {
    /// Reads a public key: SPKI in PEM (`-----BEGIN PUBLIC KEY-----`); of a private one its public half.
    pub fn read(path: &Path) -> Outcome<Self> {
        let text = read(path)?;
        let refuse =
            |why: String| Failure::bad_input(format!("{path:?} is no key to verify with: {why}"));
        let key = match label(&text) {
            Some("PUBLIC KEY") => VerifyingKey::from_public_key_pem(&text)
                .map_err(|error| refuse(format!("it holds no ed25519 key: {error}")))?,
            Some("PRIVATE KEY") => KeyPair::read(path)?.key.verifying_key(),
            Some(other) => return Err(refuse(format!("it is a PEM file of a {other}"))),
            None => return Err(refuse(not_pem())),
        };
        if key.is_weak() {
            return Err(refuse(
                "signatures by it hold for many messages (a point of low order)".into(),
            ));
        }
        Ok(Self { key })
    }

    /// SHA-256 of the key as SPKI in DER, in hexadecimal digits: what `keyid` of an envelope is.
    pub fn id(&self) -> String {
        let der = self.key.to_public_key_der().map(|der| der.as_bytes().to_vec());
        let hash = Sha256::digest(der.unwrap_or_else(|_| self.key.to_bytes().to_vec()));
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether the key signed the message, by the strict rules of RFC 8032 without weak keys.
    pub fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let signature = Signature::from_slice(signature);
        signature.is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }

    /// As PEM.
    pub fn to_pem(&self) -> Outcome<String> {
        self.key.to_public_key_pem(LineEnding::LF).map_err(unwritable)
    }
}

/// Makes a new key of the system's random numbers: the private half at `path`, readable by its owner alone, the
/// public half beside it. Neither file may be there. Where the public half is.
pub fn create(path: &Path) -> Outcome<(PathBuf, PublicKey)> {
    let public_path = beside(path);
    for file in [path, &public_path] {
        if std::fs::symlink_metadata(file).is_ok() {
            return Err(Failure::usage(format!(
                "{file:?} is there already, and a key is never overwritten; give another name"
            )));
        }
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| {
        Failure::bad_input(format!("the system gives no random numbers for a key: {error}"))
    })?;
    let public = PublicKey { key: SigningKey::from_bytes(&seed).verifying_key() };
    // Without the public half: that is the version of PKCS#8 that all releases of OpenSSL read.
    let bytes = KeypairBytes { secret_key: seed, public_key: None };
    seed.fill(0);
    let private_pem = bytes.to_pkcs8_pem(LineEnding::LF).map_err(unwritable)?;
    write_new(path, private_pem.as_bytes(), true)?;
    write_new(&public_path, public.to_pem()?.as_bytes(), false)?;
    Ok((public_path, public))
}

/// `signer.pem` has its public half in `signer.pub.pem`.
fn beside(path: &Path) -> PathBuf {
    match path.extension() {
        Some(ending) if ending == "pem" => path.with_extension("pub.pem"),
        _ => {
            let mut whole = path.as_os_str().to_owned();
            whole.push(".pub.pem");
            whole.into()
        }
    }
}

fn write_new(path: &Path, content: &[u8], private: bool) -> Outcome<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if private {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    let write = || -> io::Result<()> {
        let mut file = options.open(path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    let hint = if private { "" } else { " (the private half is written)" };
    write().map_err(|error| Failure::bad_input(format!("cannot write {path:?}: {error}{hint}")))
}

fn read(path: &Path) -> Outcome<String> {
    let unreadable = |error| Failure::bad_input(format!("cannot read the key {path:?}: {error}"));
    let mut content = Vec::new();
    retinanet::files::open_regular(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut content))
        .map_err(unreadable)?;
    if content.len() as u64 > MAX_BYTES {
        let message = format!("{path:?} is no key: it has more than {MAX_BYTES} bytes");
        return Err(Failure::bad_input(message));
    }
    String::from_utf8(content)
        .map_err(|_| Failure::bad_input(format!("{path:?} is no key: {}", not_pem())))
}

fn not_pem() -> String {
    "it is no PEM file; `retinanet keys new` makes a key".to_owned()
}

/// What the first PEM block says that it is.
fn label(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, _) = rest.split_once("-----")?;
    (label.len() < 40 && label.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b' '))
        .then_some(label)
}

fn unwritable(error: impl std::fmt::Display) -> Failure {
    Failure::bad_input(format!("the key has no PEM form: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For these tests alone; made by `openssl genpkey -algorithm ed25519`, `openssl pkey -pubout` and `openssl pkeyutl -sign -rawin`.
    const OPENSSL_KEY: &str = concat!(
        "-----BEGIN PRIVATE",
        " KEY-----\nMC4CAQAwBQYDK2VwBCIEIDuk2Cq6oJyEeuw8XwrwQlK26po1twEDQ4IV5vfaPboq\n-----END PRIVATE KEY-----\n"
    );
    const OPENSSL_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEADEDGWaN20I+yJ92dyzuqM2bFbHvpef9aoKqp2HWv2uE=\n-----END PUBLIC KEY-----\n";
    const OPENSSL_SIGNATURE: &str = "26bc42876c48971235e2e25d42bc9b06b08aa198af29def76b30ba08d48f5a4f02a462cfceaa73a11b0e7643eb6d3c5de161e7e77ab927ed5cbedc7a825a2a0b";

    fn file(content: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        std::fs::write(&path, content).unwrap();
        (folder, path)
    }

    #[test]
    fn keys_of_openssl_are_read_and_sign_as_it_does() {
        let (_one, private) = file(OPENSSL_KEY);
        let (_two, public) = file(OPENSSL_PUBLIC);
        let (private, public) =
            (KeyPair::read(&private).unwrap(), PublicKey::read(&public).unwrap());
        assert_eq!(private.public(), public);
        assert_eq!(public.to_pem().unwrap(), OPENSSL_PUBLIC);
        let signature = private.sign(b"retinanet\n");
        let hex: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, OPENSSL_SIGNATURE);
        assert!(public.signed(b"retinanet\n", &signature));
        assert!(!public.signed(b"retinanet", &signature));
        assert!(!public.signed(b"retinanet\n", &signature[1..]));
    }

    #[test]
    fn a_point_of_low_order_verifies_nothing() {
        // The neutral element: y = 1.
        let mut der = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00\x01".to_vec();
        der.resize(44, 0);
        let text = <base64ct::Base64 as base64ct::Encoding>::encode_string(&der);
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n");
        let (_folder, path) = file(&pem);
        let Err(Failure::Told { message, .. }) = PublicKey::read(&path) else { panic!() };
        assert!(message.contains("low order"), "{message}");
    }
}
