//! Results of many workers, handed out in order, bounded in number and bytes.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What a worker is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Load this position and `put` it.
    Load(usize),
    /// Everything is claimed, or nobody wants the rest.
    Stop,
}

/// Positions to load and the loaded ones that wait, at most `ahead` of them together.
///
/// Positions are claimed in increasing order. The one that is to be taken next may always be claimed,
/// so neither bound can stop the queue for good.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    /// For workers: room, or the end.
    room: Condvar,
    /// For the taker: the next one is there.
    ready: Condvar,
    end: usize,
    ahead: usize,
    max_bytes: usize,
}

#[derive(Debug)]
struct State<T> {
    /// The position that is taken next.
    first: usize,
    /// The position that is claimed next.
    next: usize,
    /// Of the positions `first..next`, those that are loaded.
    waiting: VecDeque<Option<(T, usize)>>,
    bytes: usize,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new(positions: Range<usize>, ahead: usize, max_bytes: usize) -> Self {
        let state = State {
            first: positions.start,
            next: positions.start,
            waiting: VecDeque::new(),
            bytes: 0,
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            room: Condvar::new(),
            ready: Condvar::new(),
            end: positions.end,
            ahead,
            max_bytes,
        }
    }

    /// The next position to load; waits for room.
    pub(super) fn claim(&self) -> Claim {
        let mut state = self.lock();
        loop {
            if state.closed || state.next == self.end {
                return Claim::Stop;
            }
            let wanted = state.next == state.first;
            let room = state.waiting.len() < self.ahead && state.bytes < self.max_bytes;
            if wanted || room {
                state.next += 1;
                state.waiting.push_back(None);
                return Claim::Load(state.next - 1);
            }
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Brings a claimed position, which holds `bytes` bytes.
    pub(super) fn put(&self, position: usize, loaded: T, bytes: usize) {
        let mut state = self.lock();
        let slot = position - state.first;
        state.waiting[slot] = Some((loaded, bytes));
        state.bytes = state.bytes.saturating_add(bytes);
        if slot == 0 {
            self.ready.notify_one();
        }
    }

    /// The next position's result; waits for it. Must not be called more often than there are positions.
    pub(super) fn take(&self) -> (usize, T) {
        let mut state = self.lock();
        loop {
            if let Some(slot) = state.waiting.front_mut()
                && let Some((loaded, bytes)) = slot.take()
            {
                state.waiting.pop_front();
                state.bytes = state.bytes.saturating_sub(bytes);
                state.first += 1;
                self.room.notify_all();
                return (state.first - 1, loaded);
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nobody takes any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.notify_all();
    }

    /// No code of others runs while the lock is held, so a poisoned state is whole.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
