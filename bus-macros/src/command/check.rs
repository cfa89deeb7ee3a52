//! The rules of `#[command]`.

use syn::ext::IdentExt as _;
use syn::{Expr, ExprLit, Lit, LitStr, Visibility, parse_quote};

use super::parse::Arguments;
use super::{Code, Command};
use crate::args;
use crate::errors::Errors;
use crate::function::options::{self, Given};
use crate::function::{Body, Function, Home, Kind, Options, Shape, signature};
use crate::root::Root;
use crate::{attrs, names};

/// More would not fit into the tuple that serde reads.
const MOST_ARGUMENTS: usize = 12;

/// Checks a command; what comes back is as good as the item lets it be.
pub(crate) fn check<'a>(
    arguments: &'a Arguments,
    function: &Function,
    home: &Home,
    errors: &Errors,
) -> Command<'a> {
    let name = name(&arguments.bare, errors);
    let local = arguments.local.is_given();
    let shape = signature::check(&function.sig, home, Kind::Command, !local, errors);
    too_many(&shape, errors);
    let code = code(arguments, function, errors);
    if matches!(code, Code::Elsewhere) {
        contract(arguments, &shape, errors);
    }
    if let Code::Serves(_) = code {
        serves(arguments, name, errors);
    }
    if let Some(service) = arguments.service.get() {
        names::check(service, |text| names::on_the_bus("a service", text), errors);
        if home.is_service() {
            arguments.service.refuse(
                "the service is the one of the `impl` block; name it there, by `#[service(\"…\")]`",
                errors,
            );
        }
    }
    let options = if matches!(code, Code::Elsewhere) {
        Options { timeout: arguments.timeout.get(), ..Options::default() }
    } else {
        options::check(&given(arguments), &shape, Kind::Command, errors)
    };
    Command {
        root: Root::new(&arguments.root),
        attrs: attrs::conditions_and_docs(&function.attrs),
        conditions: attrs::conditions(&function.attrs),
        vis: visibility(&function.vis),
        handle: handle(arguments, &shape, errors),
        name,
        service: arguments.service.get(),
        unique: unique(arguments, name, &shape),
        shape,
        options,
        local,
        code,
    }
}

fn given(arguments: &Arguments) -> Given<'_> {
    Given {
        inline: &arguments.inline,
        retry: &arguments.retry,
        backoff: &arguments.backoff,
        retry_if: &arguments.retry_if,
        timeout: &arguments.timeout,
        concurrency: &arguments.concurrency,
        prefetch: None,
    }
}

/// The name on the bus, if one is given: a string, once.
fn name<'a>(bare: &'a [Expr], errors: &Errors) -> Option<&'a LitStr> {
    let Some((Expr::Lit(ExprLit { lit: Lit::Str(name), .. }), others)) = bare.split_first() else {
        args::refuse_bare(
            bare,
            "name a command by a string, such as `\"billing.invoice\"`",
            errors,
        );
        return None;
    };
    args::refuse_bare(others, "keep one name", errors);
    names::check(name, |text| names::on_the_bus("a command", text), errors);
    Some(name)
}

fn too_many(shape: &Shape, errors: &Errors) {
    let travelling = shape.parameters.iter().filter(|parameter| !parameter.is_injected());
    if let Some(surplus) = travelling.clone().nth(MOST_ARGUMENTS) {
        errors.at(
            &surplus.ty,
            format!(
                "a command has at most {MOST_ARGUMENTS} parameters that travel \
                 and this one has {}; \
                 \
                 gather them in a struct",
                travelling.count()
            ),
        );
    }
}

fn code<'a>(arguments: &'a Arguments, function: &Function, errors: &Errors) -> Code<'a> {
    match (&function.body, arguments.serves.get()) {
        (Body::Block(_), None) => Code::Here,
        (Body::Block(_), Some(contract)) => Code::Serves(contract),
        (Body::Missing(semicolon), _) if arguments.serves.is_given() => {
            errors.at(
                semicolon,
                "`serves` implements a contract and there is no body; \
                 write one, or remove `serves`",
            );
            Code::Elsewhere
        }
        (Body::Missing(_), _) => Code::Elsewhere,
    }
}

/// A contract says how a command is called; how it runs is said where it is implemented.
fn contract(arguments: &Arguments, shape: &Shape, errors: &Errors) {
    let message = |name: &str| {
        format!(
            "a contract has no code of its own and `{name}` is about code; \
             say it at the implementation"
        )
    };
    arguments.inline.refuse(&message("inline"), errors);
    arguments.retry.refuse(&message("retry"), errors);
    arguments.backoff.refuse(&message("backoff"), errors);
    arguments.retry_if.refuse(&message("retry_if"), errors);
    arguments.concurrency.refuse(&message("concurrency"), errors);
    arguments.unique.refuse(&message("unique"), errors);
    arguments.local.refuse(
        "a contract is served by another process and `local` forbids that; \
         write a body, or remove `local`",
        errors,
    );
    for parameter in shape.parameters.iter().filter(|parameter| parameter.is_injected()) {
        errors.at(
            &parameter.ty,
            "a contract lists what travels and the bus supplies this one; \
             take it in the implementation alone",
        );
    }
}

/// The name of an implementation is the one of its contract.
fn serves(arguments: &Arguments, name: Option<&LitStr>, errors: &Errors) {
    if let Some(name) = name {
        errors.at(name, "the contract names the command; remove the name, or `serves`");
    }
    arguments.unique.refuse(
        "`unique` needs the command's name and the contract has it; \
         remove it, `start()` finds a second implementation",
        errors,
    );
    arguments.local.refuse(
        "the contract is for other processes and `local` forbids them; remove one of the two",
        errors,
    );
}

/// The handle is as visible as the function, and at least in the whole crate.
fn visibility(vis: &Visibility) -> Visibility {
    match vis {
        Visibility::Public(_) => vis.clone(),
        _ => parse_quote!(pub(crate)),
    }
}

fn handle(arguments: &Arguments, shape: &Shape, errors: &Errors) -> syn::Ident {
    let handle = arguments.handle.get().unwrap_or(&shape.name);
    let text = handle.unraw().to_string();
    if names::is_primitive(&text) {
        errors.at(
            handle,
            format!(
                "the handle would hide the type `{text}` in the whole module; \
                 name it by `handle = other_name`"
            ),
        );
    }
    handle.clone()
}

/// The name that `unique` claims: the one on the bus where it is given. Without one it is
/// `service.function` in a service that the macro does not see, so that the function's name has to
/// do.
fn unique(arguments: &Arguments, name: Option<&LitStr>, shape: &Shape) -> Option<String> {
    arguments.unique.name()?;
    let function = shape.name.unraw();
    Some(match (name, arguments.service.get()) {
        (Some(name), _) => name.value(),
        (None, Some(service)) => format!("{}.{function}", service.value()),
        (None, None) => function.to_string(),
    })
}
