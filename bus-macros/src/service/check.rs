//! The rules of `#[service]`.

use proc_macro2::Span;
use syn::spanned::Spanned as _;
use syn::{Expr, ExprLit, ItemImpl, Lit, LitStr, Type};

use super::parse::{Arguments, Method, Role};
use super::{Handler, Service};
use crate::errors::Errors;
use crate::function::{Function, Home, Kind, Output, Shape, signature, types};
use crate::root::Root;
use crate::{args, attrs, command, listener, names};

/// Checks the block of a service; what comes back is as good as the block lets it be.
pub(crate) fn check<'a>(
    arguments: &'a Arguments,
    block: &ItemImpl,
    methods: &'a [Method],
    errors: &Errors,
) -> Service<'a> {
    header(block, errors);
    let home = Home::Service { ty: block.self_ty.clone() };
    let root = Root::new(&arguments.root);
    let mut service = Service {
        root: root.clone(),
        conditions: attrs::conditions(&block.attrs),
        ty: (*block.self_ty).clone(),
        type_name: type_name(&block.self_ty, errors),
        name: name(&arguments.bare, errors),
        keeps_on_panic: keeps_on_panic(arguments, errors),
        init: None,
        shutdown: None,
        handlers: Vec::new(),
        span: block.self_ty.span(),
    };
    for Method { function, role } in methods {
        match role {
            Role::Command(arguments) => {
                let mut command = command::check::check(arguments, function, &home, errors);
                command.root = command.root.or(root.clone());
                command.attrs.splice(0..0, service.conditions.iter().cloned());
                command.conditions.splice(0..0, service.conditions.iter().cloned());
                service.handlers.push(Handler::Command(command));
            }
            Role::Listener(arguments) => {
                let mut listener = listener::check::check(arguments, function, &home, errors);
                listener.root = listener.root.or(root.clone());
                service.handlers.push(Handler::Listener(listener));
            }
            Role::Init => {
                once(&mut service.init, lifecycle(function, &home, Kind::Init, errors), errors);
            }
            Role::Shutdown => {
                once(
                    &mut service.shutdown,
                    lifecycle(function, &home, Kind::Shutdown, errors),
                    errors,
                );
            }
        }
    }
    if service.handlers.is_empty() && block.trait_.is_none() {
        errors.at(
            &block.self_ty,
            "a service without handlers does nothing; \
             write `#[command]` or `#[listener(..)]` above a method",
        );
    }
    service
}

/// A service is the inherent block of one type.
fn header(block: &ItemImpl, errors: &Errors) {
    if let Some((path, _)) = &block.trait_ {
        errors.at(
            path,
            "the handlers of a service are the type's own methods; \
             write `#[service]` above an `impl` block without a trait",
        );
    }
    if !block.generics.params.is_empty() {
        errors.at(
            &block.generics,
            "a service is one type on the bus and cannot be generic; write the types out",
        );
    }
}

fn type_name(ty: &Type, errors: &Errors) -> String {
    if let Type::Path(path) = types::peel(ty)
        && let Some(last) = path.path.segments.last()
    {
        return names::snake_case(&last.ident.to_string());
    }
    errors.at(ty, "the state of a service is a type with a name; implement a struct or an enum");
    String::new()
}

fn name<'a>(bare: &'a [Expr], errors: &Errors) -> Option<&'a LitStr> {
    let Some((Expr::Lit(ExprLit { lit: Lit::Str(name), .. }), others)) = bare.split_first() else {
        args::refuse_bare(bare, "name a service by a string, such as `\"ledger\"`", errors);
        return None;
    };
    args::refuse_bare(others, "keep one name", errors);
    names::check(name, |text| names::on_the_bus("a service", text), errors);
    Some(name)
}

fn keeps_on_panic(arguments: &Arguments, errors: &Errors) -> bool {
    let Some(word) = arguments.on_panic.get() else { return false };
    if word != "keep" && word != "rebuild" {
        errors.at(
            word,
            format!("`{word}` is nothing to do after a panic; write `keep` or `rebuild`"),
        );
    }
    word == "keep"
}

/// `#[init]` and `#[shutdown]`: what the bus supplies is all they can take.
fn lifecycle(function: &Function, home: &Home, kind: Kind, errors: &Errors) -> Shape {
    let shape = signature::check(&function.sig, home, kind, false, errors);
    for parameter in shape.parameters.iter().filter(|parameter| !parameter.may_be_injected()) {
        errors.at(
            &parameter.ty,
            format!("{} takes what the bus supplies; take `&Context` or `State<T>`", kind.a()),
        );
    }
    if kind == Kind::Init && matches!(shape.output, Output::Unit) {
        errors.at(
            &shape.name,
            "`#[init]` makes the state and returns nothing; return `Self` or `Result<Self, E>`",
        );
    }
    for condition in attrs::conditions(&function.attrs) {
        errors.at(
            condition,
            format!(
                "{} is part of its service at all times; put the condition into its body",
                kind.a()
            ),
        );
    }
    shape
}

fn once(slot: &mut Option<Shape>, shape: Shape, errors: &Errors) {
    match slot {
        Some(first) => errors.at_span(
            shape.name.span(),
            format!("the service has `{}` for this already; keep one of the two", first.name),
        ),
        None => *slot = Some(shape),
    }
}

/// The place of the type, for what is generated about it.
pub(crate) fn place(service: &Service<'_>) -> Span {
    service.span.resolved_at(Span::mixed_site())
}
