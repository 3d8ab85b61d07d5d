//! Ctrl-C: the command ends at once, but not in the middle of a file.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

/// Held for reading while a file is written, for writing by the end of the process.
static WRITING: RwLock<()> = RwLock::new(());
static ASKED: AtomicBool = AtomicBool::new(false);
/// Whether the command ends by itself when it is asked to.
static ENDS_ITSELF: AtomicBool = AtomicBool::new(false);
static LAST_WORDS: Mutex<Vec<LastWord>> = Mutex::new(Vec::new());

/// What a command does before it ends early.
type LastWord = Box<dyn FnOnce() + Send>;

/// What shells report for a command ended by Ctrl-C (128 + SIGINT).
const INTERRUPTED: i32 = 130;

/// How long last words may take: a terminal that takes no more text must not keep the process.
const PATIENCE: Duration = Duration::from_millis(300);

/// Ends the process at Ctrl-C or SIGTERM, after the files that are being written at that moment. A
/// second Ctrl-C does not wait.
pub fn install() {
    // Without a handler the system's own stays, which ends the process too.
    ctrlc::set_handler(|| {
        let first = !ASKED.swap(true, Ordering::SeqCst);
        if first && ENDS_ITSELF.load(Ordering::SeqCst) {
            return;
        }
        if first {
            thread::spawn(|| {
                let _all_written = WRITING.write().unwrap_or_else(PoisonError::into_inner);
                say_last_words();
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

/// From now on the first Ctrl-C only makes the answer true: the command looks at it and comes to its end by itself. A second one
/// does not wait.
pub fn finish_first() -> impl Fn() -> bool {
    ENDS_ITSELF.store(true, Ordering::SeqCst);
    || ASKED.load(Ordering::SeqCst)
}

/// Runs `last`, which is quick, if Ctrl-C ends the process; several in the order in which they were given.
pub fn at_end(last: impl FnOnce() + Send + 'static) {
    LAST_WORDS.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(last));
}

fn say_last_words() {
    let (said, all_said) = channel();
    thread::spawn(move || {
        let words = std::mem::take(&mut *LAST_WORDS.lock().unwrap_or_else(PoisonError::into_inner));
        words.into_iter().for_each(|word| word());
        said.send(()).ok();
    });
    all_said.recv_timeout(PATIENCE).ok();
}
