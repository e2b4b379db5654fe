//! Named points at which a test ends the whole process, as `kill -9` does: one on each side of every commit of the
//! engine and of every write to the bucket.
//!
//! Without the feature `faults` nothing of this is compiled but two empty functions, and nothing can arm a point from
//! outside: a test program does it by a call. (The crate `fail` has the same idea; its actions end a thread and not a
//! process, and it takes its orders from an environment that production has, too.)

/// The process is about to do this.
#[inline]
pub fn before(action: &str) {
    #[cfg(feature = "faults")]
    armed::reached("before", action);
    #[cfg(not(feature = "faults"))]
    let _ = action;
}

/// The process has done this.
#[inline]
pub fn after(action: &str) {
    #[cfg(feature = "faults")]
    armed::reached("after", action);
    #[cfg(not(feature = "faults"))]
    let _ = action;
}

#[cfg(feature = "faults")]
pub use armed::{arm, record};

#[cfg(feature = "faults")]
mod armed {
    use std::collections::BTreeSet;
    use std::io::Write;
    use std::path::PathBuf;
    use std::sync::{Mutex, PoisonError};

    /// Says whether a point that was reached ends the process.
    type Condition = Box<dyn Fn() -> bool + Send>;

    #[derive(Default)]
    struct State {
        /// The point that ends the process.
        fatal: Option<(String, Condition)>,
        /// Where points are written down, and those that were.
        record: Option<PathBuf>,
        seen: BTreeSet<String>,
    }

    static STATE: Mutex<Option<State>> = Mutex::new(None);

    /// Ends the process by SIGKILL when it reaches the point and the condition holds. Points are called
    /// `before ACTION` and `after ACTION`.
    pub fn arm(point: &str, condition: impl Fn() -> bool + Send + 'static) {
        let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        state.get_or_insert_default().fatal = Some((point.to_owned(), Box::new(condition)));
    }

    /// Appends the name of each point to a file when it is first reached, a line each.
    pub fn record(file: PathBuf) {
        let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        state.get_or_insert_default().record = Some(file);
    }

    pub(super) fn reached(side: &str, action: &str) {
        let mut guard = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = guard.as_mut() else { return };
        let point = format!("{side} {action}");
        if let Some((fatal, condition)) = &state.fatal
            && *fatal == point
            && condition()
        {
            let _ = nix::sys::signal::kill(nix::unistd::getpid(), nix::sys::signal::Signal::SIGKILL);
        }
        let Some(path) = &state.record else { return };
        if state.seen.contains(&point) {
            return;
        }
        let written = std::fs::File::options()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(format!("{point}\n").as_bytes()));
        if let Err(error) = written {
            tracing::warn!("{} cannot be written: {error}", path.display());
        }
        state.seen.insert(point);
    }
}
