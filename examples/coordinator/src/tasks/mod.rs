//! The work: `tasks.dispatcher` splits it, `tasks.workers` do it. A process may run either or both.

pub mod dispatcher;
pub mod proof;
pub mod workers;
