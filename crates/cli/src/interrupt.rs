//! Ctrl-C: the command ends at once, but not in the middle of a file.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

/// Held for reading while a file is written, for writing by the end of the process.
static WRITING: RwLock<()> = RwLock::new(());
static ASKED: AtomicBool = AtomicBool::new(false);

/// What shells report for a command ended by Ctrl-C (128 + SIGINT).
const INTERRUPTED: i32 = 130;

/// Ends the process at Ctrl-C or SIGTERM, after the files that are being written at that moment. A
/// second Ctrl-C does not wait.
pub fn install() {
    // Without a handler the system's own stays, which ends the process too.
    ctrlc::set_handler(|| {
        if !ASKED.swap(true, Ordering::SeqCst) {
            std::thread::spawn(|| {
                let _all_written = WRITING.write().unwrap_or_else(PoisonError::into_inner);
                process::exit(INTERRUPTED);
            });
        } else {
            process::exit(INTERRUPTED);
        }
    })
    .ok();
}

/// Runs `write`, which creates or extends a file, to its end even if Ctrl-C is pressed meanwhile.
pub fn finish<T>(write: impl FnOnce() -> T) -> T {
    let _writing = WRITING.read().unwrap_or_else(PoisonError::into_inner);
    write()
}
