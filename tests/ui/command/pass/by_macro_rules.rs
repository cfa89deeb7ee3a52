use bus::prelude::*;

#[event(exchange = "macro_rules", key = "macro_rules.seen")]
#[derive(Debug)]
pub struct Seen;

macro_rules! commands {
    ($($name:ident($ty:ty) -> $out:ty;)*) => {$(
        #[command]
        fn $name(value: $ty) -> $out {
            value
        }
    )*};
}

commands! {
    same(u32) -> u32;
    text(String) -> String;
}

macro_rules! captured {
    ($name:literal, $retry:literal, $timeout:literal, $backoff:expr, $if:path) => {
        #[command($name, retry = $retry, timeout = $timeout, backoff = [$timeout, $backoff],
            retry_if = $if)]
        fn by_literals() -> Result<u32, String> {
            Ok(1)
        }
    };
}

captured!("macro_rules.by_literals", 3, "5s", std::time::Duration::from_secs(7), worth_it);

fn worth_it(error: &String) -> bool {
    !error.is_empty()
}

macro_rules! expressions {
    ($name:expr, $retry:expr, $timeout:expr) => {
        #[command($name, retry = $retry, timeout = $timeout)]
        fn by_expressions() -> u32 {
            2
        }
    };
}

expressions!("macro_rules.by_expressions", 3, (std::time::Duration::from_millis(1_500)));

macro_rules! events {
    ($event:ident, $exchange:literal, $key:expr, $name:literal, $older:ty) => {
        #[event(exchange = $exchange, key = $key, name = $name, upcasts($older))]
        #[derive(Debug)]
        pub struct $event;

        impl From<$older> for $event {
            fn from(_: $older) -> Self {
                Self
            }
        }
    };
}

events!(Stored, "macro_rules", "macro_rules.v2", "kept", Seen);

macro_rules! listeners {
    ($pattern:literal, $queue:expr, $exchange:literal, $event:expr, $path:path, $ty:ty) => {
        #[listener($pattern, exchange = $exchange, queue = $queue)]
        fn by_pattern(_seen: &$ty) {}

        #[listener($event)]
        fn by_event(_seen: &$ty) {}

        #[listener($path)]
        fn by_path(_seen: &$ty) {}

        #[listener($ty::SEEN)]
        fn by_type(_seen: &$ty) {}
    };
}

listeners!("macro_rules.*", "macro_rules_queue", "macro_rules", Seen::SEEN, Seen::SEEN, Seen);

#[derive(Default)]
pub struct Captured;

macro_rules! services {
    ($name:literal, $command:literal, $pattern:expr) => {
        #[service($name)]
        impl Captured {
            #[command($command)]
            fn by_service(&self) -> u32 {
                3
            }

            #[listener($pattern)]
            fn by_block(&self, _seen: &Seen) {}
        }
    };
}

services!("macro_rules_service", "macro_rules.by_service", "macro_rules.#");

pub fn main() {
    let _ = same::execute(1).wait();
    let _ = text::execute(String::new()).wait();
    let _ = by_literals::execute().wait();
    let _ = by_expressions::execute().wait();
    let _ = by_service::execute().wait();
    assert_eq!((Stored::KEPT.exchange(), Stored::KEPT.key()), ("macro_rules", "macro_rules.v2"));
    let _ = Stored.kept();
}
