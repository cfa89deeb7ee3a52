//! Values of AMQP headers as texts.

use std::fmt::Write as _;

use lapin::types::AMQPValue;

/// Tables and arrays are written this deep.
const DEPTH: u8 = 8;

/// The text of a value: what others wrote as a number, a table or anything else is a text here.
pub(super) fn text(value: &AMQPValue) -> String {
    match value {
        AMQPValue::LongString(text) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        AMQPValue::ShortString(text) => text.to_string(),
        other => {
            let mut out = String::new();
            write(other, 0, &mut out);
            out
        }
    }
}

/// The number of a value; also one that is written as a text.
pub(super) fn number(value: &AMQPValue) -> Option<u64> {
    match *value {
        AMQPValue::ShortShortInt(n) => n.try_into().ok(),
        AMQPValue::ShortShortUInt(n) => Some(n.into()),
        AMQPValue::ShortInt(n) => n.try_into().ok(),
        AMQPValue::ShortUInt(n) => Some(n.into()),
        AMQPValue::LongInt(n) => n.try_into().ok(),
        AMQPValue::LongUInt(n) => Some(n.into()),
        AMQPValue::LongLongInt(n) => n.try_into().ok(),
        AMQPValue::Timestamp(n) => Some(n),
        AMQPValue::LongString(ref text) => {
            std::str::from_utf8(text.as_bytes()).ok()?.trim().parse().ok()
        }
        _ => None,
    }
}

/// How many bytes a value is worth, more or less.
pub(super) fn size(value: &AMQPValue) -> usize {
    match value {
        AMQPValue::LongString(text) => text.len(),
        AMQPValue::ShortString(text) => text.as_str().len(),
        AMQPValue::ByteArray(bytes) => bytes.len(),
        AMQPValue::FieldArray(items) => items.as_slice().iter().map(|item| 1 + size(item)).sum(),
        AMQPValue::FieldTable(table) => {
            table.into_iter().map(|(name, item)| 2 + name.as_str().len() + size(item)).sum()
        }
        _ => 8,
    }
}

fn write(value: &AMQPValue, depth: u8, out: &mut String) {
    match value {
        AMQPValue::Boolean(b) => out.push_str(if *b { "true" } else { "false" }),
        AMQPValue::ShortShortInt(n) => out.push_str(&n.to_string()),
        AMQPValue::ShortShortUInt(n) => out.push_str(&n.to_string()),
        AMQPValue::ShortInt(n) => out.push_str(&n.to_string()),
        AMQPValue::ShortUInt(n) => out.push_str(&n.to_string()),
        AMQPValue::LongInt(n) => out.push_str(&n.to_string()),
        AMQPValue::LongUInt(n) => out.push_str(&n.to_string()),
        AMQPValue::LongLongInt(n) => out.push_str(&n.to_string()),
        AMQPValue::Timestamp(n) => out.push_str(&n.to_string()),
        AMQPValue::Float(n) => out.push_str(&n.to_string()),
        AMQPValue::Double(n) => out.push_str(&n.to_string()),
        AMQPValue::DecimalValue(n) => {
            let _ = write!(out, "{}e-{}", n.value, n.scale);
        }
        AMQPValue::ShortString(text) => quote(text.as_str(), out),
        AMQPValue::LongString(text) => quote(&String::from_utf8_lossy(text.as_bytes()), out),
        AMQPValue::ByteArray(bytes) => {
            for byte in bytes.as_slice() {
                let _ = write!(out, "{byte:02x}");
            }
        }
        AMQPValue::Void => out.push_str("null"),
        AMQPValue::FieldArray(_) | AMQPValue::FieldTable(_) if depth == DEPTH => out.push('…'),
        AMQPValue::FieldArray(items) => {
            out.push('[');
            for (n, item) in items.as_slice().iter().enumerate() {
                out.push_str(if n == 0 { "" } else { "," });
                write(item, depth + 1, out);
            }
            out.push(']');
        }
        AMQPValue::FieldTable(table) => {
            out.push('{');
            for (n, (name, item)) in table.into_iter().enumerate() {
                out.push_str(if n == 0 { "" } else { "," });
                quote(name.as_str(), out);
                out.push(':');
                write(item, depth + 1, out);
            }
            out.push('}');
        }
    }
}

fn quote(text: &str, out: &mut String) {
    // Writing to a text cannot fail.
    let _ = write!(out, "{text:?}");
}
