//! The tokio runtime of the peers that need one.

use tokio::runtime::{Builder, Runtime};

/// A runtime of two threads, as many as the machine of the table has cores.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Another one, of one thread.
pub(crate) fn elsewhere() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}
