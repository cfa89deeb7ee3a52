//! The fields of an event, for what asks each of them how much memory it has.

use syn::{Attribute, Data, DeriveInput, Fields, Member};

use crate::attrs;

/// Attributes that leave the fields of a struct as they are written; others may be macros.
const HARMLESS: [&str; 14] = [
    "derive",
    "doc",
    "cfg",
    "serde",
    "event",
    "allow",
    "expect",
    "warn",
    "deny",
    "forbid",
    "deprecated",
    "must_use",
    "non_exhaustive",
    "automatically_derived",
];

/// A field, and the conditions under which it is there.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) conditions: Vec<Attribute>,
    pub(crate) member: Member,
}

/// The fields of a struct, if each of them can be named and borrowed.
pub(crate) fn of(input: &DeriveInput) -> Option<Vec<Field>> {
    let Data::Struct(data) = &input.data else { return None };
    let harmless = |attr: &Attribute| HARMLESS.iter().any(|name| attrs::is(attr.path(), name));
    if !input.attrs.iter().all(harmless) {
        return None;
    }
    let is_tuple = matches!(data.fields, Fields::Unnamed(_));
    let fields = data.fields.iter().zip(data.fields.members()).map(|(field, member)| {
        let conditions = attrs::conditions(&field.attrs);
        // What comes after one that is not there has another number.
        let is_certain = !is_tuple || conditions.is_empty();
        is_certain.then_some(Field { conditions, member })
    });
    fields.collect()
}
