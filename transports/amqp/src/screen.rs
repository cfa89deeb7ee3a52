//! Makes bearable what a broker may send and no parser can stand, before one sees it.
//!
//! The broker carries the properties of a message as they are. The client ends the connection over a
//! short text that is not UTF-8, and its thread overflows its stack over tables that are nested
//! deeply enough. Either way the message would come again with the next connection, and so on for
//! ever. So bytes that are not UTF-8 become `?`, and what is nested too deeply becomes a byte array.
//! No length changes.
//!
//! Types of fields: <https://www.rabbitmq.com/docs/amqp-0-9-1-errata#section_3>.

use std::ops::Range;

use crate::frame::{method, method_of};

/// Tables and arrays may be nested this deep.
const DEPTH: u8 = 16;
/// Screens a method; of those of a server, some have texts of others in them.
///
/// What is not as it should be is for the client to complain of.
pub(crate) fn method(payload: &mut [u8]) -> Option<()> {
    let fields: &[Field] = match method_of(payload)? {
        // The text is cut at 255 bytes, wherever that is.
        method::CONNECTION_CLOSE | method::CHANNEL_CLOSE => &[Field::Bytes(2), Field::Text],
        method::CONNECTION_BLOCKED => &[Field::Text],
        method::DELIVER => &[Field::Text, Field::Bytes(9), Field::Text, Field::Text],
        method::RETURN => &[Field::Bytes(2), Field::Text, Field::Text, Field::Text],
        method::GET_OK => &[Field::Bytes(9), Field::Text, Field::Text],
        _ => &[],
    };
    let mut at = 4;
    fields.iter().try_for_each(|field| field.screen(payload, &mut at))
}

/// Screens the properties of a message: AMQP 0-9-1, section 4.2.6.1, in the order of their flags.
pub(crate) fn header(payload: &mut [u8]) -> Option<()> {
    const PROPERTIES: [Field; 14] = [
        Field::Text,     // content_type
        Field::Text,     // content_encoding
        Field::Table,    // headers
        Field::Bytes(1), // delivery_mode
        Field::Bytes(1), // priority
        Field::Text,     // correlation_id
        Field::Text,     // reply_to
        Field::Text,     // expiration
        Field::Text,     // message_id
        Field::Bytes(8), // timestamp
        Field::Text,     // type
        Field::Text,     // user_id
        Field::Text,     // app_id
        Field::Text,     // cluster_id
    ];
    let flags = number(payload, 12, 2)?;
    let mut at = 14;
    let present = PROPERTIES.iter().enumerate().filter(|(n, _)| flags & (0x8000 >> n) != 0);
    present.map(|(_, field)| field).try_for_each(|field| field.screen(payload, &mut at))
}

/// A field of a method or header.
enum Field {
    Bytes(usize),
    Text,
    Table,
}

impl Field {
    fn screen(&self, payload: &mut [u8], at: &mut usize) -> Option<()> {
        match self {
            Self::Bytes(count) => *at += count,
            Self::Text => text(payload, at)?,
            Self::Table => {
                let content = long(payload, at)?;
                if table(payload, content.clone(), 0).is_none() {
                    tracing::warn!(target: "autobus::amqp", "the headers of a message are broken; they are kept as bytes");
                    blank(&mut payload[content]);
                }
            }
        }
        Some(())
    }
}

/// A text of up to 255 bytes.
fn text(payload: &mut [u8], at: &mut usize) -> Option<()> {
    let length = number(payload, *at, 1)?;
    let text = payload.get_mut(*at + 1..*at + 1 + length)?;
    *at += 1 + length;
    while let Err(error) = std::str::from_utf8(text) {
        let from = error.valid_up_to();
        let to = error.error_len().map_or(length, |bad| from + bad);
        text[from..to].fill(b'?');
    }
    Some(())
}

/// Where the content of what has a length of four bytes is.
fn long(payload: &[u8], at: &mut usize) -> Option<Range<usize>> {
    let from = *at + 4;
    let to = from.checked_add(number(payload, *at, 4)?)?;
    payload.get(from..to)?;
    *at = to;
    Some(from..to)
}

fn table(payload: &mut [u8], content: Range<usize>, depth: u8) -> Option<()> {
    let mut at = content.start;
    while at < content.end {
        text(payload, &mut at)?;
        value(payload, &mut at, depth)?;
    }
    (at == content.end).then_some(())
}

fn value(payload: &mut [u8], at: &mut usize, depth: u8) -> Option<()> {
    let kind = *payload.get(*at)?;
    let tag = *at;
    *at += 1;
    match kind {
        b'V' => {}
        b't' | b'b' | b'B' => *at += 1,
        b's' | b'U' | b'u' => *at += 2,
        b'I' | b'i' | b'f' => *at += 4,
        b'D' => *at += 5,
        b'L' | b'l' | b'd' | b'T' => *at += 8,
        b'S' | b'x' => {
            long(payload, at)?;
        }
        b'F' | b'A' if depth == DEPTH => {
            payload[tag] = b'x';
            long(payload, at)?;
        }
        b'F' => {
            let content = long(payload, at)?;
            table(payload, content, depth + 1)?;
        }
        b'A' => {
            let content = long(payload, at)?;
            let mut inner = content.start;
            while inner < content.end {
                value(payload, &mut inner, depth + 1)?;
            }
            (inner == content.end).then_some(())?;
        }
        _ => return None,
    }
    Some(())
}

/// Makes a table of nothing but one byte array, as long as it was.
fn blank(content: &mut [u8]) {
    if let [length, name, tag, a, b, c, d, rest @ ..] = content
        && let Ok(size) = u32::try_from(rest.len())
    {
        (*length, *name, *tag) = (1, b'?', b'x');
        [*a, *b, *c, *d] = size.to_be_bytes();
    }
}

/// A number of some bytes.
fn number(bytes: &[u8], at: usize, count: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(count)?)?;
    Some(bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use lapin::types::parsing::parse_field_table;
    use lapin::types::{AMQPValue, FieldTable};

    use super::*;
    use crate::frame::{Front, HEAD, Kind, front, payload};

    const END: u8 = 0xCE;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len()).unwrap();
        [&[kind, 0, 1], &size.to_be_bytes()[..], payload, &[END]].concat()
    }

    fn short(text: &[u8]) -> Vec<u8> {
        [&[u8::try_from(text.len()).unwrap()], text].concat()
    }

    fn sized(content: &[u8]) -> Vec<u8> {
        [&u32::try_from(content.len()).unwrap().to_be_bytes(), content].concat()
    }

    /// A header frame with headers and a message id.
    fn message(headers: &[u8], id: &[u8]) -> Vec<u8> {
        let flags = 0x2000_u16 | 0x0080;
        let head = [&[0, 60, 0, 0], &[0; 8][..], &flags.to_be_bytes()].concat();
        frame(2, &[head, sized(headers), short(id)].concat())
    }

    fn screened(bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let mut rest = &mut bytes[..];
        while let Front::Frame { kind, whole, .. } = front(rest) {
            let (frame, tail) = rest.split_at_mut(whole);
            let _ = match kind {
                Kind::Method => method(payload(frame)),
                Kind::Header => header(payload(frame)),
                Kind::Body | Kind::Other => None,
            };
            rest = tail;
        }
        assert!(rest.is_empty());
        bytes
    }

    /// The table of a message, as the client reads it.
    fn read(message: &[u8]) -> FieldTable {
        let (rest, table) = parse_field_table(&message[HEAD + 14..message.len() - 1]).unwrap();
        assert!(!rest.is_empty(), "the message id comes after the table");
        table
    }

    fn nested(depth: usize, kind: u8) -> Vec<u8> {
        let mut value = vec![b'V'];
        for _ in 0..depth {
            let content = if kind == b'F' { [short(b"k"), value].concat() } else { value };
            value = [vec![kind], sized(&content)].concat();
        }
        [short(b"deep"), value].concat()
    }

    #[test]
    fn what_is_well_formed_passes_unchanged() {
        let headers = [
            short(b"t"),
            vec![b't', 1],
            short("é".as_bytes()),
            vec![b'D', 2, 0, 0, 0, 1],
            short(b"l"),
            [vec![b'l'], vec![0; 8]].concat(),
            short(b"s"),
            [vec![b's'], vec![0; 2]].concat(),
            short(b"x"),
            [vec![b'x'], sized(b"\xff")].concat(),
            short(b"S"),
            [vec![b'S'], sized(b"\xff")].concat(),
            nested(5, b'F'),
            nested(5, b'A'),
        ]
        .concat();
        let all = [message(&headers, b"id"), frame(3, b"\xff\xff"), frame(8, b"")].concat();
        assert_eq!(screened(&all), all);
    }

    #[test]
    fn texts_become_utf_8() {
        let ours = screened(&message(&[short(b"n\xe9e"), vec![b'V']].concat(), b"caf\xe9"));
        assert!(ours.ends_with(b"\x04caf?\xce"));
        assert!(read(&ours).contains_key("n?e"));
        let deliver =
            [&[0, 60, 0, 60][..], &short(b"tag"), &[0; 9], &short(b"ex"), &short(b"k\xffy\xc3")]
                .concat();
        assert!(screened(&frame(1, &deliver)).ends_with(b"\x04k?y?\xce"));
        let close = [&[0, 20, 0, 40, 1, 0x94][..], &short(&[b'a'; 255]), &[0; 4]].concat();
        assert_eq!(screened(&frame(1, &close)), frame(1, &close));
    }

    #[test]
    fn what_is_nested_too_deeply_becomes_bytes() {
        for kind in [b'F', b'A'] {
            let ours = screened(&message(&nested(15_000, kind), b"id"));
            let mut depth = 0;
            let table = read(&ours);
            let mut value = table.inner().get("deep").unwrap();
            loop {
                value = match value {
                    AMQPValue::FieldTable(table) => table.inner().get("k").unwrap(),
                    AMQPValue::FieldArray(items) => &items.as_slice()[0],
                    AMQPValue::ByteArray(_) => break,
                    other => panic!("{other:?}"),
                };
                depth += 1;
            }
            assert_eq!(depth, usize::from(DEPTH));
        }
    }

    #[test]
    fn broken_headers_become_one_of_bytes() {
        for broken in [&b"\x01kZ123456"[..], b"\x01kS\x00\x00\x00\xff12", b"\xff1234567"] {
            let table = read(&screened(&message(broken, b"id")));
            assert!(matches!(table.inner().get("?"), Some(AMQPValue::ByteArray(_))), "{broken:?}");
        }
    }

    #[test]
    fn nothing_of_any_bytes_panics() {
        for seed in 0..20_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut payload: Vec<u8> = (0..random.usize(0..80)).map(|_| random.u8(..)).collect();
            if let Some(flags) = payload.get_mut(12) {
                *flags |= 0x20;
            }
            screened(&frame(random.u8(1..=3), &payload));
        }
    }
}
