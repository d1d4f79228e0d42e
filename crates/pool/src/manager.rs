//! All pools of a program in one place, found by the type they hold.

use std::{
    any::{Any, type_name},
    fmt,
    time::{Duration, Instant},
};

use crate::{
    pool::Pool,
    report::{PoolReport, ShutdownReport},
    reset::Reset,
    stats::PoolStats,
};

/// A pool whose type is forgotten.
trait AnyPool: Any + Send + Sync {
    fn stats(&self) -> PoolStats;
    fn close(&self);
    fn wait_all_home(&self, start: Instant, timeout: Duration);
    fn report(&self) -> PoolReport;
}

impl<T: Reset + Send + 'static> AnyPool for Pool<T> {
    fn stats(&self) -> PoolStats {
        self.stats()
    }
    fn close(&self) {
        self.close();
    }
    fn wait_all_home(&self, start: Instant, timeout: Duration) {
        self.wait_all_home(start, timeout);
    }
    fn report(&self) -> PoolReport {
        self.report()
    }
}

/// Knows every pool of a program: one per type of object, so that no name can be mistyped.
///
/// ```
/// use pool::{Manager, Pool};
/// use std::time::Duration;
/// # use pool::doc::Note;
///
/// let mut manager = Manager::new();
/// manager.add(&Pool::<Note>::new("notes", 8))?;
/// let notes = manager.get::<Note>().ok_or("not registered")?;
/// let note = notes.try_acquire();
/// assert_eq!(manager.stats().map(|of| of.in_use).sum::<u16>(), 1);
///
/// drop(note);
/// assert!(manager.shutdown(Duration::from_secs(5)).is_clean());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct Manager {
    pools: Vec<Box<dyn AnyPool>>,
}

/// A second pool of one type was registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlreadyRegistered {
    /// The type of object.
    pub type_name: &'static str,
    /// The pool that was registered first.
    pub pool: &'static str,
}

impl fmt::Display for AlreadyRegistered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pool {} already holds objects of type {}", self.pool, self.type_name)
    }
}

impl std::error::Error for AlreadyRegistered {}

impl Manager {
    /// A manager without pools.
    pub fn new() -> Self {
        Manager::default()
    }

    /// Registers a handle of `pool`.
    ///
    /// # Errors
    /// [`AlreadyRegistered`] if there is a pool of `T` already.
    pub fn add<T: Reset + Send + 'static>(
        &mut self,
        pool: &Pool<T>,
    ) -> Result<(), AlreadyRegistered> {
        if let Some(first) = self.get::<T>() {
            return Err(AlreadyRegistered { type_name: type_name::<T>(), pool: first.name() });
        }
        self.pools.push(Box::new(pool.clone()));
        Ok(())
    }

    /// The pool of `T`.
    pub fn get<T: Reset + Send + 'static>(&self) -> Option<&Pool<T>> {
        self.pools.iter().find_map(|pool| (pool.as_ref() as &dyn Any).downcast_ref())
    }

    /// The gauges of every pool, in order of registration.
    pub fn stats(&self) -> impl Iterator<Item = PoolStats> {
        self.pools.iter().map(|pool| pool.stats())
    }

    /// Closes all pools, blocks until everything is home or `timeout` (one for all) is over, and
    /// lists what is still out. A pool that stayed out is no obstacle to ending the process.
    pub fn shutdown(&self, timeout: Duration) -> ShutdownReport {
        let start = Instant::now();
        self.pools.iter().for_each(|pool| pool.close());
        self.pools.iter().for_each(|pool| pool.wait_all_home(start, timeout));
        let reports = self.pools.iter().map(|pool| pool.report());
        ShutdownReport {
            unreturned: reports.filter(|report| report.out > 0).collect(),
            waited: start.elapsed(),
        }
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.stats()).finish()
    }
}
