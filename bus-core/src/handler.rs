//! What every handler has in common, as plain data that a macro can write into a `static`.
//!
//! Descriptors are the whole of what macros tell the runtime. They hold no meaning that needs a
//! running program: names are resolved, types compared and options defaulted by the catalogue.

use std::any::{Any, TypeId};
use std::cell::{Ref, RefMut};
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use crate::context::Context;
use crate::event::Registration;
use crate::failure::Failure;

/// A future that stays on the thread of its service.
pub type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// What one attempt of a handler came to.
pub type HandlerResult = Result<(), Failure>;

/// Where in the source something was declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file, as the compiler names it.
    pub file: &'static str,
    /// The line, counted from 1.
    pub line: u32,
    /// The column, counted from 1.
    pub column: u32,
    /// The path of the module.
    pub module: &'static str,
    /// The Cargo package.
    pub package: &'static str,
    /// The version of the package.
    pub version: &'static str,
}

impl Place {
    /// The crate that the module is in.
    pub fn krate(&self) -> &'static str {
        self.module.find(':').map_or(self.module, |end| &self.module[..end])
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// The part that command and listener share.
#[derive(Debug)]
pub struct Handler {
    /// Where it was declared.
    pub place: Place,
    /// The name of the function.
    pub function: &'static str,
    /// The service that it belongs to.
    pub service: ServiceRef,
    /// What its attribute sets.
    pub options: Options,
    /// Tells which states it wants injected.
    pub needs: fn(&mut Needs),
    /// What it does with the state of its service.
    pub access: Access,
}

/// The service of a handler, before names are resolved.
#[derive(Debug, Clone, Copy)]
pub enum ServiceRef {
    /// The one of the module that it stands in.
    Module,
    /// The one that `service = "…"` names.
    Named(&'static str),
    /// A service with state of its own.
    State(&'static ServiceDescriptor),
}

/// Options of a handler; what is not set takes the bus's default.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Runs on the thread that fires or executes, in its first attempt.
    pub inline: bool,
    /// How many further attempts follow a failed one.
    pub retry: Option<u32>,
    /// How long to wait before each further attempt; the last one repeats. Empty: the default.
    pub backoff: &'static [Duration],
    /// How long one attempt of a listener or a task may take; how long a caller waits for a command.
    pub timeout: Option<Duration>,
    /// How many run at once, if asynchronous.
    pub concurrency: Option<usize>,
    /// How many deliveries a broker sends ahead.
    pub prefetch: Option<u16>,
}

impl Options {
    /// Nothing set.
    pub const DEFAULT: Self = Self {
        inline: false,
        retry: None,
        backoff: &[],
        timeout: None,
        concurrency: None,
        prefetch: None,
    };
}

/// How a handler uses the state of its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Not at all.
    Stateless,
    /// `&self`.
    Shared,
    /// `&mut self`: excludes every other handler of the service.
    Exclusive,
}

/// A handler that takes neither context nor state, as the function that it is: it runs without a
/// context being made. A `fn(&T)` or `fn(&T) -> HandlerResult` for a listener, a `PlainCommand` for a
/// command.
pub(crate) type Plain = &'static (dyn Any + Send + Sync);

/// A listener that takes nothing but the payload, as the function that it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Function<T> {
    /// It cannot fail.
    Sure(fn(&T)),
    Fallible(fn(&T) -> HandlerResult),
}

impl<T: 'static> Function<T> {
    /// Nothing if it takes another type.
    pub(crate) fn of(plain: Plain) -> Option<Self> {
        let sure = plain.downcast_ref().copied().map(Self::Sure);
        sure.or_else(|| plain.downcast_ref().copied().map(Self::Fallible))
    }

    /// Calls it.
    ///
    /// # Errors
    ///
    /// The listener's own.
    #[inline]
    pub(crate) fn call(&self, payload: &T) -> HandlerResult {
        match self {
            Self::Sure(run) => {
                run(payload);
                Ok(())
            }
            Self::Fallible(run) => run(payload),
        }
    }
}

/// The code of a handler.
#[derive(Debug, Clone, Copy)]
pub enum Body {
    /// Runs to its end at once.
    Sync(fn(&Context, &Instance) -> HandlerResult),
    /// The same, of one that takes nothing but what travels: the function that it is, and what runs
    /// that with the message of a context.
    Plain(fn(&Context, Plain) -> HandlerResult, Plain),
    /// Makes a future for the executor of the service.
    Async(fn(Context, Instance) -> LocalFuture<HandlerResult>),
}

/// The state of a service, as its handlers receive it; empty for a service without.
#[derive(Clone, Default)]
pub struct Instance(Option<Rc<dyn std::any::Any>>);

impl Instance {
    /// The instance that a service without state gives to its handlers.
    pub const NONE: Self = Self(None);

    /// Keeps `state` for the handlers of its service.
    pub fn new<S: 'static>(state: S) -> Self {
        Self(Some(Rc::new(std::cell::RefCell::new(state))))
    }

    fn get<S: 'static>(&self) -> Result<&std::cell::RefCell<S>, Failure> {
        self.0
            .as_ref()
            .and_then(|state| state.downcast_ref())
            .ok_or_else(|| Failure::internal("the service has no state of this type"))
    }

    /// The state, borrowed for a handler with `&self`.
    ///
    /// # Errors
    ///
    /// If the service has no state of this type, which the macros rule out, or a handler with
    /// `&mut self` has it, which holds rule out.
    pub fn shared<S: 'static>(&self) -> Result<Shared<'_, S>, Failure> {
        let state = self.get()?.try_borrow();
        state.map(Shared).map_err(|_| Failure::internal("the state is in use"))
    }

    /// The state, borrowed for a handler with `&mut self`.
    ///
    /// # Errors
    ///
    /// If the service has no state of this type, which the macros rule out, or another handler has
    /// it, which holds rule out.
    pub fn exclusive<S: 'static>(&self) -> Result<Exclusive<'_, S>, Failure> {
        let state = self.get()?.try_borrow_mut();
        state.map(Exclusive).map_err(|_| Failure::internal("the state is in use"))
    }

    /// Whether there is a state at all.
    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

/// A service's state in a handler with `&self`.
pub struct Shared<'a, S>(Ref<'a, S>);

impl<S> Deref for Shared<'_, S> {
    type Target = S;
    fn deref(&self) -> &S {
        &self.0
    }
}

impl<S> std::fmt::Debug for Shared<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared(state)")
    }
}

/// A service's state in a handler with `&mut self`.
pub struct Exclusive<'a, S>(RefMut<'a, S>);

impl<S> Deref for Exclusive<'_, S> {
    type Target = S;
    fn deref(&self) -> &S {
        &self.0
    }
}

impl<S> DerefMut for Exclusive<'_, S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.0
    }
}

impl<S> std::fmt::Debug for Exclusive<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exclusive(state)")
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_some() { "Instance(state)" } else { "Instance" })
    }
}

/// The states that a handler wants, gathered so that `start()` can name every missing one.
#[derive(Debug, Default)]
pub struct Needs {
    states: Vec<Need>,
    context: bool,
}

/// One state that a handler wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) type_id: TypeId,
    pub(crate) type_name: &'static str,
}

impl Needs {
    /// Of a handler that wants nothing.
    pub const NONE: fn(&mut Self) = |_| {};

    /// Adds the state `T`.
    pub fn state<T: 'static>(&mut self) {
        let need = Need { type_id: TypeId::of::<T>(), type_name: std::any::type_name::<T>() };
        self.states.push(need);
    }

    /// Notes that the context is asked for, so that messages are stamped with their time.
    pub fn context(&mut self) {
        self.context = true;
    }

    pub(crate) fn of(collect: fn(&mut Self)) -> Self {
        let mut needs = Self::default();
        collect(&mut needs);
        needs
    }

    pub(crate) fn states(&self) -> &[Need] {
        &self.states
    }

    pub(crate) fn wants_context(&self) -> bool {
        self.context
    }
}

/// A service with state of its own: an impl block under `#[service]`.
#[derive(Debug)]
pub struct ServiceDescriptor {
    /// Where it was declared.
    pub place: Place,
    /// The type's name in `snake_case`.
    pub type_name: &'static str,
    /// The whole name, where `#[service("…")]` gives one.
    pub name: Option<&'static str>,
    /// Makes the state, on the thread of the service.
    pub init: fn(Context) -> LocalFuture<Result<Instance, Failure>>,
    /// Runs at shutdown, on the same thread.
    pub shutdown: Option<fn(Context, Instance) -> LocalFuture<HandlerResult>>,
    /// What becomes of the state after a panic.
    pub on_panic: OnPanic,
    /// The states that `init` and `shutdown` want injected.
    pub needs: fn(&mut Needs),
}

/// What becomes of a service's state after a handler panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnPanic {
    /// It is dropped and made anew.
    Rebuild,
    /// It stays as the panic left it.
    Keep,
}

/// `service_name!`: names the service of a module and of all that is below it.
#[derive(Debug)]
pub struct ServiceName {
    /// Where it was said, and of which module.
    pub place: Place,
    /// The name.
    pub name: &'static str,
}

/// `link!`: a crate whose handlers are wanted.
#[derive(Debug)]
pub struct Link {
    /// Where it was said.
    pub place: Place,
    /// The crate, as it names itself.
    pub krate: &'static str,
}

/// Every registration that was linked into this program.
pub(crate) fn linked() -> impl Iterator<Item = &'static Registration> {
    inventory::iter::<Registration>.into_iter()
}
