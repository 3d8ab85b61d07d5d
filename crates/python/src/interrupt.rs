//! Long work without the interpreter's lock, which Ctrl-C ends.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use pyo3::prelude::*;

/// How long a signal may wait.
const PATIENCE: Duration = Duration::from_millis(50);

/// Runs `work` on a thread of its own while the interpreter goes on; its signals (Ctrl-C) are looked at in
/// between. Where one raises, the exception goes up at once and the work ends by itself, unheard.
pub(crate) fn interruptible<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> T + Send + 'static,
) -> PyResult<T> {
    let (sender, receiver) = channel();
    let worker = std::thread::Builder::new().name("retinanet-python".to_owned());
    worker.spawn(move || {
        // The receiver is gone where Ctrl-C came first: nobody wants the answer then.
        let _ = sender.send(catch_unwind(AssertUnwindSafe(work)));
    })?;
    // The receiver is not for several threads; only one has it at a time.
    let receiver = std::sync::Mutex::new(receiver);
    loop {
        let received = py.detach(|| {
            let receiver = receiver.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            receiver.recv_timeout(PATIENCE)
        });
        match received {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => {
                let message = "the detecting thread ended without an answer";
                return Err(crate::errors::RetinaNetError::new_err(message));
            }
        }
    }
}
