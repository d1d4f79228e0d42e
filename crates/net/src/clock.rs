//! The clock, handed in: this crate never asks the machine what time it is.

use model::Nanos;

/// Says what time it is. Must not go backwards, since deadlines are compared with it: anchor a
/// monotonic clock at the wall time once, rather than ask the wall clock every time.
///
/// Any closure that returns [`Nanos`] is a clock.
pub trait Clock: Send + Sync {
    /// Now, in nanoseconds since the Unix epoch.
    fn now(&self) -> Nanos;
}

impl<F: Fn() -> Nanos + Send + Sync> Clock for F {
    fn now(&self) -> Nanos {
        self()
    }
}
