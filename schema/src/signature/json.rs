// SPDX-License-Identifier: Apache-2.0
//! JSON that means one thing only: two readers of signed text must not see two documents.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use super::{MAX_BUNDLE, SignatureError, malformed};
use crate::digest::shorten;

/// Reads JSON of at most [`MAX_BUNDLE`] bytes in which no member occurs twice.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, SignatureError> {
    if bytes.len() > MAX_BUNDLE {
        return Err(SignatureError::TooLarge {
            actual: bytes.len(),
        });
    }
    serde_json::from_slice::<Unique>(bytes)
        .map(|unique| unique.0)
        .map_err(|error| malformed(format!("no JSON: {error}")))
}

/// The text that `pointer` leads to.
pub(super) fn text<'a>(document: &'a Value, pointer: &str) -> Result<&'a str, SignatureError> {
    document
        .pointer(pointer)
        .and_then(Value::as_str)
        .ok_or_else(|| malformed(format!("`{}` is missing or no text", dotted(pointer))))
}

/// The bytes whose base64 `pointer` leads to.
pub(super) fn base64(document: &Value, pointer: &str) -> Result<Vec<u8>, SignatureError> {
    BASE64_STANDARD
        .decode(text(document, pointer)?)
        .map_err(|_| malformed(format!("`{}` is no base64", dotted(pointer))))
}

fn dotted(pointer: &str) -> String {
    pointer[1..].replace('/', ".")
}

struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            values.push(item);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, Unique(member))) = members.next_entry::<String, Unique>()? {
            if map.contains_key(&name) {
                let name = shorten(&name);
                return Err(de::Error::custom(format!("`{name}` occurs twice")));
            }
            map.insert(name, member);
        }
        Ok(Value::Object(map))
    }
}
