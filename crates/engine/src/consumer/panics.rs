//! Catching a handler's panic together with what it said, where, and the stack.
//!
//! Only the process' panic hook sees the stack, before it is unwound. Ours is put in front of the
//! one that is there, once; panics outside of a handler go on to that one as ever.

use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

/// A panic that was caught.
#[derive(Debug, Default)]
pub(crate) struct Caught {
    /// What it said.
    pub message: String,
    /// File, line and column.
    pub location: String,
    /// The stack, where it was asked for.
    pub stack: Option<String>,
}

/// What the hook is to do with a panic of this thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Watch {
    /// Hand it on.
    Off,
    /// Keep it.
    Text,
    /// Keep it with its stack, which takes milliseconds.
    Stack,
}

thread_local! {
    static WATCH: Cell<Watch> = const { Cell::new(Watch::Off) };
    static CAUGHT: RefCell<Option<Caught>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Puts the hook in front, once.
pub(crate) fn install() {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| match WATCH.get() {
            Watch::Off => before(info),
            watch => CAUGHT.set(Some(Caught::new(info, watch == Watch::Stack))),
        }));
    });
}

/// Calls something whose panic goes no further than here.
pub(crate) fn catch<R>(stack: bool, call: impl FnOnce() -> R) -> Result<R, Caught> {
    let before = WATCH.replace(if stack { Watch::Stack } else { Watch::Text });
    let result = catch_unwind(AssertUnwindSafe(call));
    WATCH.set(before);
    result.map_err(|payload| {
        let caught = CAUGHT.take().unwrap_or_default();
        // Dropping what was thrown may itself panic.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
        caught
    })
}

impl Caught {
    fn new(info: &PanicHookInfo<'_>, stack: bool) -> Self {
        Self {
            message: info.payload_as_str().unwrap_or("(no text)").to_owned(),
            location: info.location().map(ToString::to_string).unwrap_or_default(),
            stack: stack.then(|| Backtrace::force_capture().to_string()),
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_with_its_text_place_and_stack() {
        install();
        assert_eq!(catch(true, || 5).unwrap(), 5);
        let caught = catch(true, || panic!("number {}", 5)).map(|()| 0).unwrap_err();
        assert_eq!(caught.message, "number 5");
        assert!(caught.location.contains("panics.rs"), "{caught:?}");
        let stack = caught.stack.unwrap();
        assert!(stack.contains("a_panic_is_caught_with_its_text_place_and_stack"), "{stack}");
        let caught = catch(false, || std::panic::panic_any(7)).map(|()| 0).unwrap_err();
        assert_eq!((&*caught.message, caught.stack), ("(no text)", None));
    }

    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    #[test]
    fn what_was_thrown_may_panic_when_it_is_dropped() {
        install();
        let caught = catch(false, || std::panic::panic_any(Bomb)).map(|()| 0).unwrap_err();
        assert!(!caught.message.is_empty());
    }
}
