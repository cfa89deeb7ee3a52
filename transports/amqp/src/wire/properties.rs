//! The properties of a message, as they travel or as the client read them, without a copy of either.

use lapin::BasicProperties;
use lapin::types::parsing::parse_value;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::flag;
use super::value;
use crate::frame::Reader;

/// Those that mean something to us.
#[derive(Debug, Default)]
pub(super) struct Properties<'a> {
    pub(super) content_type: Option<&'a str>,
    pub(super) correlation_id: Option<&'a str>,
    pub(super) reply_to: Option<&'a str>,
    pub(super) expiration: Option<&'a str>,
    pub(super) message_id: Option<&'a str>,
    pub(super) timestamp: Option<u64>,
    pub(super) app_id: Option<&'a str>,
    headers: Headers<'a>,
}

#[derive(Debug, Default)]
enum Headers<'a> {
    #[default]
    None,
    /// The content of a table.
    Raw(&'a [u8]),
    Table(&'a FieldTable),
}

impl<'a> Properties<'a> {
    /// Reads them as they travel; they are screened, so that what is missing is at their end.
    pub(super) fn read(bytes: &'a [u8]) -> Self {
        let mut properties = Self::default();
        // What has been read until then is there.
        let _ = properties.fill(Reader(bytes));
        properties
    }

    fn fill(&mut self, mut fields: Reader<'a>) -> Option<()> {
        let flags = fields.u16()?;
        let has = |flag| flags & flag != 0;
        if has(flag::CONTENT_TYPE) {
            self.content_type = Some(fields.short()?);
        }
        if has(flag::CONTENT_ENCODING) {
            fields.short()?;
        }
        if has(flag::HEADERS) {
            self.headers = Headers::Raw(fields.long()?);
        }
        if has(flag::DELIVERY_MODE) {
            fields.u8()?;
        }
        if has(flag::PRIORITY) {
            fields.u8()?;
        }
        if has(flag::CORRELATION_ID) {
            self.correlation_id = Some(fields.short()?);
        }
        if has(flag::REPLY_TO) {
            self.reply_to = Some(fields.short()?);
        }
        if has(flag::EXPIRATION) {
            self.expiration = Some(fields.short()?);
        }
        if has(flag::MESSAGE_ID) {
            self.message_id = Some(fields.short()?);
        }
        if has(flag::TIMESTAMP) {
            self.timestamp = Some(fields.u64()?);
        }
        if has(flag::TYPE) {
            fields.short()?;
        }
        if has(flag::USER_ID) {
            fields.short()?;
        }
        if has(flag::APP_ID) {
            self.app_id = Some(fields.short()?);
        }
        Some(())
    }

    /// As the client read them.
    pub(super) fn of(properties: &'a BasicProperties) -> Self {
        let text = |text: &'a Option<ShortString>| text.as_ref().map(ShortString::as_str);
        Self {
            content_type: text(properties.content_type()),
            correlation_id: text(properties.correlation_id()),
            reply_to: text(properties.reply_to()),
            expiration: text(properties.expiration()),
            message_id: text(properties.message_id()),
            timestamp: *properties.timestamp(),
            app_id: text(properties.app_id()),
            headers: properties.headers().as_ref().map_or(Headers::None, Headers::Table),
        }
    }

    /// Looks at every header.
    pub(super) fn each_header(&self, mut look: impl FnMut(&str, &Value<'_>)) {
        match self.headers {
            Headers::None => {}
            Headers::Table(table) => {
                for (name, value) in table {
                    look(name.as_str(), &Value::Known(value));
                }
            }
            Headers::Raw(bytes) => {
                let mut fields = Reader(bytes);
                while let Some((name, value)) = header(&mut fields) {
                    look(name, &value);
                }
            }
        }
    }
}

fn header<'a>(fields: &mut Reader<'a>) -> Option<(&'a str, Value<'a>)> {
    let name = fields.short()?;
    if let [b'S', rest @ ..] = fields.0 {
        fields.0 = rest;
        return Some((name, Value::Text(fields.long()?)));
    }
    let (rest, value) = parse_value(fields.0).ok()?;
    fields.0 = rest;
    Some((name, Value::Other(value)))
}

/// The value of a header.
#[derive(Debug)]
pub(super) enum Value<'a> {
    /// A text, as nearly all are.
    Text(&'a [u8]),
    Other(AMQPValue),
    Known(&'a AMQPValue),
}

impl Value<'_> {
    /// What others wrote as a number, a table or anything else is a text here.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Self::Other(value) => value::text(value),
            Self::Known(value) => value::text(value),
        }
    }

    /// The same, where there is a text that most likely is the same already.
    pub(super) fn read_into(&self, known: &mut String) {
        match self {
            Self::Text(text) if *text == known.as_bytes() => {}
            _ => *known = self.text(),
        }
    }

    /// The number; also one that is written as a text.
    pub(super) fn number(&self) -> Option<u64> {
        match self {
            Self::Text(text) => std::str::from_utf8(text).ok()?.trim().parse().ok(),
            Self::Other(value) => value::number(value),
            Self::Known(value) => value::number(value),
        }
    }

    /// How many bytes it is worth, more or less.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Other(value) => value::size(value),
            Self::Known(value) => value::size(value),
        }
    }
}
