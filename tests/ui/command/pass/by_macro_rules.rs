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

pub fn main() {
    let _ = same::execute(1).wait();
    let _ = text::execute(String::new()).wait();
}
