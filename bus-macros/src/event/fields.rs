//! The fields of an event, for what asks each of them how much memory it has.

use syn::{Attribute, Data, DeriveInput, Fields, Member, Type};

use crate::attrs;

/// Attributes that leave the fields of a struct as they are written; others may be macros.
const HARMLESS: [&str; 13] = [
    "derive",
    "doc",
    "cfg",
    "serde",
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

/// Types that may have memory elsewhere and do nothing but free it, as they are written.
const WITH_MEMORY: [&str; 3] = ["String", "Vec", "Option"];

/// A field, and the conditions under which it is there.
#[derive(Debug)]
pub(crate) struct Field<'a> {
    pub(crate) conditions: Vec<Attribute>,
    pub(crate) member: Member,
    pub(crate) ty: &'a Type,
    /// Its type is written like one that may.
    pub(crate) may_have_memory: bool,
}

/// The fields of a struct, if each of them can be named and borrowed.
pub(crate) fn of(input: &DeriveInput) -> Option<Vec<Field<'_>>> {
    let Data::Struct(data) = &input.data else { return None };
    let harmless = |attr: &Attribute| {
        let known = |ident| HARMLESS.iter().any(|name| ident == name);
        attr.path().get_ident().is_some_and(known) || attrs::is(attr.path(), "event")
    };
    if !input.attrs.iter().all(harmless) {
        return None;
    }
    let is_tuple = matches!(data.fields, Fields::Unnamed(_));
    let fields = data.fields.iter().zip(data.fields.members()).map(|(field, member)| {
        let conditions = attrs::conditions(&field.attrs);
        // What comes after one that is not there has another number.
        let is_certain = !is_tuple || conditions.is_empty();
        let may_have_memory = match &field.ty {
            Type::Path(path) => WITH_MEMORY.iter().any(|name| attrs::is(&path.path, name)),
            _ => false,
        };
        is_certain.then_some(Field { conditions, member, ty: &field.ty, may_have_memory })
    });
    fields.collect()
}
