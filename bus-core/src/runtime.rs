//! The async runtime whose context handlers run in, if the feature `tokio` asks for one.

#[cfg(feature = "tokio")]
pub(crate) use with_tokio::Runtime;
#[cfg(not(feature = "tokio"))]
pub(crate) use without::Runtime;

#[cfg(not(feature = "tokio"))]
mod without {
    use crate::error::Result;

    /// No runtime: handlers use the executor of their service and what they bring themselves.
    #[derive(Clone)]
    pub(crate) struct Runtime;

    impl Runtime {
        #[expect(clippy::unnecessary_wraps, reason = "with a runtime it can fail")]
        pub(crate) fn new() -> Result<Self> {
            Ok(Self)
        }

        #[expect(clippy::unused_self, reason = "with a runtime it enters that")]
        pub(crate) fn enter(&self) -> impl Sized {}
    }
}

#[cfg(feature = "tokio")]
mod with_tokio {
    use std::sync::Arc;

    use tokio::runtime::{EnterGuard, Handle, RuntimeFlavor};

    use crate::error::{Error, ErrorKind, Result};

    /// The tokio runtime that the bus was started in, else one of its own; also where that has one
    /// thread: whoever blocks it, as starting and stopping do, would stop every timer and socket.
    #[derive(Clone)]
    pub(crate) struct Runtime {
        handle: Handle,
        _own: Option<Arc<Own>>,
    }

    struct Own(Option<tokio::runtime::Runtime>);

    impl Runtime {
        pub(crate) fn new() -> Result<Self> {
            let current = Handle::try_current().ok();
            let is_shared = |at: &Handle| at.runtime_flavor() != RuntimeFlavor::CurrentThread;
            if let Some(handle) = current.filter(is_shared) {
                return Ok(Self { handle, _own: None });
            }
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .thread_name("bus-tokio")
                .enable_all()
                .build()
                .map_err(|error| {
                    let text = "the tokio runtime for handlers cannot be started";
                    Error::new(ErrorKind::Init, text).with_source(error)
                })?;
            let handle = runtime.handle().clone();
            Ok(Self { handle, _own: Some(Arc::new(Own(Some(runtime)))) })
        }

        pub(crate) fn enter(&self) -> EnterGuard<'_> {
            self.handle.enter()
        }
    }

    // The last handle on a bus may be dropped anywhere, also where a runtime must not be waited for.
    impl Drop for Own {
        fn drop(&mut self) {
            if let Some(runtime) = self.0.take() {
                runtime.shutdown_background();
            }
        }
    }
}
