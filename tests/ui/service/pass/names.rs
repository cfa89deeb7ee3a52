mod left {
    #[derive(Default)]
    pub struct Store(Option<Box<Self>>);

    #[bus::service("left", on_panic = keep)]
    impl Store {
        #[command(local)]
        fn get(&self) -> Option<u32> {
            self.0.as_ref().and_then(|next| next.get())
        }

        #[command(local, handle = copy_of)]
        fn copy(&self, other: Box<Self>) -> Self {
            Self(other.0)
        }
    }
}

mod right {
    #[derive(Default)]
    pub enum Store {
        #[default]
        Empty,
    }

    #[bus::service(on_panic = rebuild, crate = ::bus)]
    impl self::Store {
        #[command]
        fn get(&self) -> u32 {
            match self {
                Self::Empty => 1,
            }
        }
    }
}

pub fn main() {
    let _ = left::get::execute().wait();
    let _ = right::get::execute().wait();
    let _ = left::copy_of::execute(Box::default()).wait();
}
