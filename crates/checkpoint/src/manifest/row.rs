//! A checkpoint's row as TOML has it: keys that every manifest has beside those of its models.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, Visitor,
};

use super::entry::SourceFormat;

/// A checkpoint's row; `model` is read from the keys that are not this crate's.
///
/// `#[serde(flatten)]` would do but for two things: unknown keys would pass, and errors would lose
/// their line.
pub(super) struct CheckpointRow<R> {
    pub(super) name: String,
    pub(super) licence: String,
    pub(super) note: String,
    pub(super) source: Vec<SourceRow>,
    pub(super) model: R,
}

/// A `[[checkpoint.source]]`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceRow {
    pub(super) hub: Option<String>,
    pub(super) revision: Option<String>,
    pub(super) url: Option<String>,
    pub(super) bundled: Option<String>,
    pub(super) file: Option<String>,
    pub(super) format: SourceFormat,
    pub(super) size_mib: Option<f64>,
    pub(super) sha256: String,
}

/// The keys of this crate.
#[derive(Clone, Copy)]
enum Key {
    Name,
    Licence,
    Note,
    Source,
}

const KEYS: [(&str, Key); 4] =
    [("name", Key::Name), ("licence", Key::Licence), ("note", Key::Note), ("source", Key::Source)];

/// The values of these keys that have been met.
#[derive(Default)]
struct Own {
    name: Option<String>,
    licence: Option<String>,
    note: Option<String>,
    source: Option<Vec<SourceRow>>,
}

impl Own {
    fn read<'de, A: MapAccess<'de>>(&mut self, key: Key, map: &mut A) -> Result<(), A::Error> {
        match key {
            Key::Name => self.name = Some(map.next_value()?),
            Key::Licence => self.licence = Some(map.next_value()?),
            Key::Note => self.note = Some(map.next_value()?),
            Key::Source => self.source = Some(map.next_value()?),
        }
        Ok(())
    }
}

impl<'de, R: Deserialize<'de>> Deserialize<'de> for CheckpointRow<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RowVisitor(PhantomData))
    }
}

struct RowVisitor<R>(PhantomData<R>);

impl<'de, R: Deserialize<'de>> Visitor<'de> for RowVisitor<R> {
    type Value = CheckpointRow<R>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a checkpoint's table")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let mut own = Own::default();
        let rest = Rest { map, own: &mut own };
        let model = R::deserialize(MapAccessDeserializer::new(rest))?;
        Ok(CheckpointRow {
            name: own.name.ok_or_else(|| A::Error::missing_field("name"))?,
            licence: own.licence.ok_or_else(|| A::Error::missing_field("licence"))?,
            note: own.note.unwrap_or_default(),
            source: own.source.unwrap_or_default(),
            model,
        })
    }
}

/// The keys of a row that are not this crate's; the others are put into `own` on the way.
struct Rest<'a, A> {
    map: A,
    own: &'a mut Own,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Rest<'_, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        mut seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        loop {
            match self.map.next_key_seed(KeySeed(seed))? {
                None => return Ok(None),
                Some(Told::Theirs(key)) => return Ok(Some(key)),
                Some(Told::Own(key, unused)) => {
                    self.own.read(key, &mut self.map)?;
                    seed = unused;
                }
            }
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

/// Tells whose a key is; `S` reads those that are not this crate's.
struct KeySeed<S>(S);

enum Told<S, V> {
    /// One of this crate's, with the seed that it did not need.
    Own(Key, S),
    Theirs(V),
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for KeySeed<S> {
    type Value = Told<S, S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let key = String::deserialize(deserializer)?;
        if let Some((_, own)) = KEYS.iter().find(|row| row.0 == key) {
            return Ok(Told::Own(*own, self.0));
        }
        let theirs = self.0.deserialize(key.into_deserializer()).map_err(|error: D::Error| {
            let own = KEYS.map(|row| format!("`{}`", row.0)).join(", ");
            D::Error::custom(format!(
                "{}; every checkpoint has {own}",
                error.to_string().trim_end()
            ))
        })?;
        Ok(Told::Theirs(theirs))
    }
}
