//! Frames, as far as messages need them: AMQP 0-9-1, sections 4.2.3 and 4.2.6. Everything else is the
//! client's.

/// The type, channel and size of a frame.
pub(crate) const HEAD: usize = 7;
const END: u8 = 0xCE;
/// RabbitMQ's frames are a hundred times smaller.
const LONGEST: usize = 16 << 20;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;

/// A frame that says nothing but that somebody is there.
pub(crate) const PULSE: [u8; 8] = [HEARTBEAT, 0, 0, 0, 0, 0, 0, END];

/// The class and number of a method.
pub(crate) mod method {
    pub(crate) const CONNECTION_CLOSE: (u16, u16) = (10, 50);
    pub(crate) const CONNECTION_BLOCKED: (u16, u16) = (10, 60);
    pub(crate) const CHANNEL_CLOSE: (u16, u16) = (20, 40);
    pub(crate) const CHANNEL_CLOSE_OK: (u16, u16) = (20, 41);
    pub(crate) const PUBLISH: (u16, u16) = (60, 40);
    pub(crate) const RETURN: (u16, u16) = (60, 50);
    pub(crate) const DELIVER: (u16, u16) = (60, 60);
    pub(crate) const GET_OK: (u16, u16) = (60, 71);
    pub(crate) const ACK: (u16, u16) = (60, 80);
    pub(crate) const NACK: (u16, u16) = (60, 120);
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Method,
    Header,
    Body,
    Other,
}

/// What is at the front of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Front {
    /// A frame, and its length with its head and end.
    Frame { kind: Kind, channel: u16, whole: usize },
    /// The beginning of one.
    Part,
    /// None at all.
    Foreign,
}

/// Looks at what comes first.
pub(crate) fn front(bytes: &[u8]) -> Front {
    let kind = match bytes.first() {
        None => return Front::Part,
        Some(&METHOD) => Kind::Method,
        Some(&HEADER) => Kind::Header,
        Some(&BODY) => Kind::Body,
        Some(&HEARTBEAT) => Kind::Other,
        Some(_) => return Front::Foreign,
    };
    let [_, c0, c1, s0, s1, s2, s3, ..] = *bytes else { return Front::Part };
    let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
    let whole = HEAD + size + 1;
    if size > LONGEST {
        return Front::Foreign;
    }
    match bytes.get(whole - 1) {
        None => Front::Part,
        Some(&END) => Front::Frame { kind, channel: u16::from_be_bytes([c0, c1]), whole },
        Some(_) => Front::Foreign,
    }
}

/// What a frame carries.
pub(crate) fn payload(frame: &mut [u8]) -> &mut [u8] {
    let end = frame.len() - 1;
    &mut frame[HEAD..end]
}

/// Which method a payload is.
pub(crate) fn method_of(payload: &[u8]) -> Option<(u16, u16)> {
    match *payload {
        [a, b, c, d, ..] => Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))),
        _ => None,
    }
}

/// Reads fields one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.bytes(2)?.try_into().ok()?))
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.bytes(4)?.try_into().ok()?))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.bytes(8)?.try_into().ok()?))
    }

    /// A text of up to 255 bytes.
    pub(crate) fn short(&mut self) -> Option<&'a str> {
        let length = self.u8()?;
        std::str::from_utf8(self.bytes(length.into())?).ok()
    }

    /// What has a length of four bytes.
    pub(crate) fn long(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.bytes(usize::try_from(length).ok()?)
    }
}

/// Writes a method.
pub(crate) fn write_method(
    out: &mut Vec<u8>,
    channel: u16,
    (class, number): (u16, u16),
    fields: impl FnOnce(&mut Vec<u8>),
) {
    write(out, METHOD, channel, |out| {
        out.extend_from_slice(&class.to_be_bytes());
        out.extend_from_slice(&number.to_be_bytes());
        fields(out);
    });
}

/// Writes what follows the method that announces a message: its properties and its body, in frames of
/// at most `most` bytes.
pub(crate) fn write_content(
    out: &mut Vec<u8>,
    channel: u16,
    most: usize,
    properties: impl FnOnce(&mut Vec<u8>),
    body: &[u8],
) {
    write(out, HEADER, channel, |out| {
        // The class of `basic`, and a weight that is always 0.
        out.extend_from_slice(&[0, 60, 0, 0]);
        out.extend_from_slice(&(body.len() as u64).to_be_bytes());
        properties(out);
    });
    for part in body.chunks(most - HEAD - 1) {
        write(out, BODY, channel, |out| out.extend_from_slice(part));
    }
}

/// Writes a text of up to 255 bytes; what is longer is cut, and nobody gives any that is.
pub(crate) fn write_short(out: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    out.push(length);
    out.extend_from_slice(&text.as_bytes()[..length.into()]);
}

/// Writes something with its length of four bytes before it.
pub(crate) fn write_sized(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    content(out);
    let size = u32::try_from(out.len() - at - 4).unwrap_or(u32::MAX);
    out[at..at + 4].copy_from_slice(&size.to_be_bytes());
}

fn write(out: &mut Vec<u8>, kind: u8, channel: u16, payload: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    out.extend_from_slice(&channel.to_be_bytes());
    write_sized(out, payload);
    out.push(END);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_known_once_it_is_whole() {
        let mut bytes = Vec::new();
        write_method(&mut bytes, 7, method::ACK, |out| out.push(1));
        for part in 0..bytes.len() {
            assert_eq!(front(&bytes[..part]), Front::Part, "{part}");
        }
        let whole = bytes.len();
        bytes.push(METHOD);
        assert_eq!(front(&bytes), Front::Frame { kind: Kind::Method, channel: 7, whole });
        assert_eq!(method_of(payload(&mut bytes[..whole])), Some(method::ACK));
    }

    #[test]
    fn what_is_no_frame_is_foreign() {
        assert_eq!(front(b"AMQP\x00\x01\x00\x00\x02"), Front::Foreign);
        assert_eq!(front(&[METHOD, 0, 0, 0, 0, 0, 1, 0, 0]), Front::Foreign);
        assert_eq!(front(&[BODY, 0, 0, 255, 0, 0, 0]), Front::Foreign);
    }

    #[test]
    fn bodies_are_cut_into_frames() {
        let mut bytes = Vec::new();
        write_content(&mut bytes, 1, 12, |out| out.extend_from_slice(&[0, 0]), b"123456789");
        let mut bodies = Vec::new();
        let mut rest = &mut bytes[..];
        while let Front::Frame { kind, whole, .. } = front(rest) {
            assert!(kind != Kind::Body || whole <= 12);
            let (frame, tail) = rest.split_at_mut(whole);
            if kind == Kind::Body {
                bodies.extend_from_slice(payload(frame));
            }
            rest = tail;
        }
        assert!(rest.is_empty());
        assert_eq!(bodies, b"123456789");
    }
}
