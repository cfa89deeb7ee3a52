//! Gathers what is traced in this process: spans and lines of the log.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

/// A span, or a line of the log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traced {
    /// The span's name, or the line's text.
    pub(crate) text: String,
    pub(crate) fields: BTreeMap<String, String>,
    /// What it is in: the field `handler` of each span, outermost first.
    pub(crate) inside: Vec<String>,
    /// How often the span was entered.
    pub(crate) entered: usize,
}

impl Traced {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

#[derive(Default)]
struct Gathered {
    spans: Mutex<Vec<Traced>>,
    lines: Mutex<Vec<Traced>>,
}

static GATHERED: OnceLock<Gathered> = OnceLock::new();

/// Begins to gather, for the whole process.
pub(crate) fn begin() {
    GATHERED.get_or_init(|| {
        let subscriber = tracing_subscriber::registry().with(Gatherer);
        tracing::subscriber::set_global_default(subscriber).expect("nobody else gathers");
        Gathered::default()
    });
}

/// The spans that are closed.
pub(crate) fn spans() -> Vec<Traced> {
    read(|gathered| &gathered.spans)
}

/// The lines of the log.
pub(crate) fn lines() -> Vec<Traced> {
    read(|gathered| &gathered.lines)
}

fn read(list: impl Fn(&'static Gathered) -> &'static Mutex<Vec<Traced>>) -> Vec<Traced> {
    let list = GATHERED.get().map(list).expect("`begin` was called");
    list.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn keep(list: impl Fn(&'static Gathered) -> &'static Mutex<Vec<Traced>>, traced: Traced) {
    if let Some(list) = GATHERED.get().map(list) {
        list.lock().unwrap_or_else(PoisonError::into_inner).push(traced);
    }
}

struct Gatherer;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Gatherer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        let mut traced = Traced { text: span.name().to_owned(), ..Traced::default() };
        attributes.record(&mut Reader(&mut traced));
        traced.inside = span.parent().map(|parent| path(&parent)).unwrap_or_default();
        span.extensions_mut().insert(traced);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        with(id, &ctx, |traced| values.record(&mut Reader(traced)));
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        with(id, &ctx, |traced| traced.entered += 1);
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        with(&id, &ctx, |traced| keep(|gathered| &gathered.spans, traced.clone()));
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut traced = Traced::default();
        event.record(&mut Reader(&mut traced));
        traced.inside = ctx.event_span(event).map(|span| path(&span)).unwrap_or_default();
        keep(|gathered| &gathered.lines, traced);
    }
}

fn with<S: Subscriber + for<'a> LookupSpan<'a>>(
    id: &Id,
    ctx: &Context<'_, S>,
    change: impl FnOnce(&mut Traced),
) {
    let Some(span) = ctx.span(id) else { return };
    if let Some(traced) = span.extensions_mut().get_mut::<Traced>() {
        change(traced);
    }
}

fn path<'a, S: LookupSpan<'a>>(span: &tracing_subscriber::registry::SpanRef<'a, S>) -> Vec<String> {
    let handler = |span: tracing_subscriber::registry::SpanRef<'a, S>| {
        let extensions = span.extensions();
        extensions.get::<Traced>().map(|traced| traced.field("handler").to_owned())
    };
    span.scope().from_root().filter_map(handler).collect()
}

/// Writes fields into what was traced.
struct Reader<'a>(&'a mut Traced);

impl Visit for Reader<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.0.text);
        } else {
            self.0.fields.insert(field.name().to_owned(), value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
