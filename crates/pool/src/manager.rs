//! All pools of a program in one place, found by the type they hold.

use std::{
    any::{Any, type_name},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    local::{Gauges, LocalPool},
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

impl AnyPool for Arc<Gauges> {
    fn stats(&self) -> PoolStats {
        Gauges::stats(self)
    }
    fn close(&self) {
        Gauges::close(self);
    }
    fn wait_all_home(&self, start: Instant, timeout: Duration) {
        Gauges::wait_all_home(self, start, timeout);
    }
    fn report(&self) -> PoolReport {
        Gauges::report(self)
    }
}

/// Knows every pool of a program. A [`Pool`] is registered and found by the type of its objects, so
/// that no name can be mistyped; a [`LocalPool`] is found by nobody but its own thread, and is
/// registered for its gauges and its shutdown.
///
/// ```
/// use pool::{Manager, Pool};
/// use std::time::Duration;
/// # use pool::doc::Note;
///
/// let manager = Manager::new();
/// manager.add(&Pool::<Note>::new("notes", 8))?;
/// let notes = manager.get::<Note>().ok_or("not registered")?;
/// let note = notes.try_acquire();
/// assert_eq!(manager.stats().iter().map(|of| of.in_use).sum::<u16>(), 1);
///
/// drop(note);
/// assert!(manager.shutdown(Duration::from_secs(5)).is_clean());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct Manager {
    pools: Mutex<Vec<Box<dyn AnyPool>>>,
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
    pub fn add<T: Reset + Send + 'static>(&self, pool: &Pool<T>) -> Result<(), AlreadyRegistered> {
        let mut pools = self.pools();
        if let Some(first) = find::<T>(&pools) {
            return Err(AlreadyRegistered { type_name: type_name::<T>(), pool: first.name() });
        }
        pools.push(Box::new(pool.clone()));
        Ok(())
    }

    /// Registers a pool of the calling thread; several threads may each have one of the same type.
    pub fn add_local<T: Reset>(&self, pool: &LocalPool<T>) {
        self.pools().push(Box::new(pool.gauges()));
    }

    /// The pool of `T`.
    pub fn get<T: Reset + Send + 'static>(&self) -> Option<Pool<T>> {
        find(&self.pools()).cloned()
    }

    /// The gauges of every pool, in order of registration.
    pub fn stats(&self) -> Vec<PoolStats> {
        self.pools().iter().map(|pool| pool.stats()).collect()
    }

    /// Closes all pools, blocks until everything is home or `timeout` (one for all) is over, and
    /// lists what is still out. What stays out is no obstacle to ending the process.
    pub fn shutdown(&self, timeout: Duration) -> ShutdownReport {
        let start = Instant::now();
        let pools = self.pools();
        pools.iter().for_each(|pool| pool.close());
        pools.iter().for_each(|pool| pool.wait_all_home(start, timeout));
        let reports = pools.iter().map(|pool| pool.report());
        ShutdownReport {
            unreturned: reports.filter(|report| report.out > 0).collect(),
            waited: start.elapsed(),
        }
    }

    fn pools(&self) -> MutexGuard<'_, Vec<Box<dyn AnyPool>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find<T: Reset + Send + 'static>(pools: &[Box<dyn AnyPool>]) -> Option<&Pool<T>> {
    pools.iter().find_map(|pool| (pool.as_ref() as &dyn Any).downcast_ref())
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}
