use bus::prelude::*;

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

/// Arguments that the macro has captured arrive in groups.
macro_rules! captured {
    ($key:literal, $pattern:literal, $name:literal, $retry:expr, $timeout:expr, $wait:literal) => {
        #[event(exchange = "captured", key = $key)]
        pub struct Captured {
            pub id: u64,
        }

        #[command($name, retry = $retry, timeout = $timeout, backoff = [$wait, $wait])]
        fn captured(id: u64) -> u64 {
            id
        }

        #[listener($pattern, retry = $retry, timeout = $timeout)]
        async fn hears(captured: &Captured) {
            let _ = captured.id;
        }
    };
}

captured!("captured.v1.made", "captured.*.made", "captured.by_name", 2, "3s", "1ms");

macro_rules! topic {
    ($topic:path) => {
        #[listener($topic)]
        fn hears_one(captured: &Captured) {
            let _ = captured.id;
        }
    };
}

topic!(Captured::MADE);

pub fn main() {
    let _ = captured::execute(1).wait();
    let _ = same::execute(1).wait();
    let _ = text::execute(String::new()).wait();
}
