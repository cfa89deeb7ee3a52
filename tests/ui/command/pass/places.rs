use bus::prelude::*;

mod users {
    #[bus::command]
    fn create(name: &str) -> u32 {
        name.len() as u32
    }

    pub(super) mod deeper {
        #[bus::command]
        pub(in crate::command::places::users) fn create() {}
    }
}

mod orders {
    #[bus::command]
    pub fn create() {}
}

use orders::create;

#[cfg(any())]
#[command]
fn absent(value: Missing) {}

#[command]
#[cfg(any())]
fn absent_too(value: Missing) {}

#[deprecated]
#[command]
fn old() {}

pub fn main() {
    #[command]
    fn inner(id: u32) -> u32 {
        id
    }

    let inner = inner::execute(inner(1)).wait();
    let _ = inner;
    let _ = users::create::execute("a");
    let _ = users::deeper::create::execute();
    let _ = create::execute();
    create();
}
