//! DSSE envelopes (<https://github.com/secure-systems-lab/dsse>): a payload, its type, and signatures over both.

use base64ct::{Base64, Base64Unpadded, Base64Url, Base64UrlUnpadded, Encoding};
use serde::{Deserialize, Serialize};

use super::key::{KeyPair, PublicKey};

/// What an envelope's JSON holds. Unknown fields are left aside, as the specification wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct EnvelopeSignature {
    /// A hint only: nothing vouches for it.
    #[serde(default)]
    keyid: String,
    sig: String,
}

/// Why an envelope is not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is no envelope.
    NotOne(String),
    /// It is one, and does not hold.
    DoesNotHold(String),
}

impl Envelope {
    /// Signs a payload.
    pub fn sign(payload_type: &str, payload: &[u8], key: &KeyPair) -> Self {
        let sig = Base64::encode_string(&key.sign(&signed_bytes(payload_type, payload)));
        Self {
            payload: Base64::encode_string(payload),
            payload_type: payload_type.to_owned(),
            signatures: vec![EnvelopeSignature { keyid: key.public().id(), sig }],
        }
    }

    /// Reads JSON.
    pub fn parse(json: &[u8]) -> Result<Self, Refusal> {
        let plain = |error: serde_json::Error| error.to_string().escape_debug().to_string();
        serde_json::from_slice(json).map_err(|error| Refusal::NotOne(plain(error)))
    }

    /// As JSON, with a newline.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("string keys only") + "\n"
    }

    /// Whose key the signatures say they are by; nothing vouches for that.
    pub fn key_hints(&self) -> Vec<&str> {
        self.signatures.iter().map(|signature| signature.keyid.as_str()).collect()
    }

    /// The payload, if this key, and nobody else, signed it as `payload_type`.
    pub fn verify(&self, payload_type: &str, key: &PublicKey) -> Result<Vec<u8>, Refusal> {
        let [signature] = self.signatures.as_slice() else {
            return Err(Refusal::DoesNotHold(match self.signatures.len() {
                0 => "it holds no signature".to_owned(),
                many => format!(
                    "it holds {many} signatures, and one is expected: of several signers, each has an envelope of its own"
                ),
            }));
        };
        if self.payload_type != payload_type {
            let reason = format!("its payload is {:?}, not {payload_type:?}", self.payload_type);
            return Err(Refusal::NotOne(reason));
        }
        let bytes = |what: &str, text: &str| {
            decode(text).ok_or_else(|| Refusal::NotOne(format!("its {what} is no base64")))
        };
        let payload = bytes("payload", &self.payload)?;
        let sig = bytes("signature", &signature.sig)?;
        if !key.signed(&signed_bytes(&self.payload_type, &payload), &sig) {
            let (expected, hint) = (key.id(), &signature.keyid);
            return Err(Refusal::DoesNotHold(match *hint == expected {
                true => format!(
                    "the signature by the key {expected} does not hold: the statement or the signature was changed"
                ),
                false => format!(
                    "it is not signed by the key {expected}; it names the key {:?}",
                    hint.chars().take(80).collect::<String>()
                ),
            }));
        }
        Ok(payload)
    }
}

/// What is signed: DSSE's pre-authentication encoding.
fn signed_bytes(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let start = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [start.as_bytes(), payload].concat()
}

/// Both alphabets, with padding or without, as the specification wants.
fn decode(text: &str) -> Option<Vec<u8>> {
    let decoders = [
        Base64::decode_vec,
        Base64Unpadded::decode_vec,
        Base64Url::decode_vec,
        Base64UrlUnpadded::decode_vec,
    ];
    decoders.iter().find_map(|decode| decode(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_the_specifications_example() {
        let bytes = signed_bytes("http://example.com/HelloWorld", b"hello world");
        let expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world";
        assert_eq!(bytes, expected);
    }

    #[test]
    fn both_alphabets_are_read() {
        let bytes = [0xfb, 0xff, 0xfe, 0x01];
        for text in ["+//+AQ==", "+//+AQ", "-__-AQ==", "-__-AQ"] {
            assert_eq!(decode(text).unwrap(), bytes, "{text}");
        }
        assert_eq!(decode("a b"), None);
    }
}
