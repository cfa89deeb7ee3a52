//! How payloads, arguments and answers are written: JSON, with the path of what does not fit.

use std::any::Any;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::CodecError;

/// Writes a payload; the value must be of the type that the function was made for.
pub type EncodeFn = fn(&dyn Any) -> Result<Vec<u8>, CodecError>;

/// Reads a payload.
pub type DecodeFn = fn(&[u8]) -> Result<Box<dyn Any + Send>, CodecError>;

/// Writes and reads payloads of one type; a half that the type cannot do is missing.
#[derive(Debug, Clone, Copy)]
pub struct PayloadCodec {
    /// Missing for a type without `Serialize`.
    pub encode: Option<EncodeFn>,
    /// Missing for a type without `Deserialize`.
    pub decode: Option<DecodeFn>,
}

/// Writes `value` as JSON.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::with_capacity(128);
    let mut json = serde_json::Serializer::new(&mut out);
    serde_path_to_error::serialize(value, &mut json)
        .map_err(|error| CodecError::new(path(error.path()), error.inner()))?;
    Ok(out)
}

/// Reads JSON as a `T`.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| CodecError::new(path(error.path()), error.inner()))?;
    json.end().map_err(|error| CodecError::new("", error))?;
    Ok(value)
}

/// Writes a value whose type was erased.
pub(crate) fn encode_any<T: Serialize + 'static>(value: &dyn Any) -> Result<Vec<u8>, CodecError> {
    match value.downcast_ref::<T>() {
        Some(value) => encode(value),
        None => Err(CodecError::new("", "the value is not of the type that its codec is for")),
    }
}

/// Reads a value and erases its type.
pub(crate) fn decode_any<T: DeserializeOwned + Send + 'static>(
    bytes: &[u8],
) -> Result<Box<dyn Any + Send>, CodecError> {
    Ok(Box::new(decode::<T>(bytes)?))
}

fn path(path: &serde_path_to_error::Path) -> String {
    if path.iter().next().is_none() { String::new() } else { path.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Line {
        #[expect(dead_code, reason = "only decoded")]
        price: f64,
    }

    #[derive(Debug, serde::Deserialize)]
    struct Order {
        #[expect(dead_code, reason = "only decoded")]
        lines: Vec<Line>,
    }

    #[test]
    fn a_decode_error_names_the_path_of_the_field() {
        let error = decode::<Order>(br#"{"lines":[{"price":1.0},{"price":"x"}]}"#).unwrap_err();
        assert_eq!(error.path(), "lines[1].price");
        assert!(error.to_string().starts_with("`lines[1].price`: invalid type: string"), "{error}");
    }

    #[test]
    fn what_follows_the_value_is_an_error() {
        assert!(decode::<u32>(b"1 2").is_err());
    }
}
