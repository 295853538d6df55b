//! The bytes of unconfirmed payloads that all producers of a client may hold together.

use std::collections::VecDeque;

use parking_lot::Mutex;

/// A limit in bytes. Those who find no room wait in one line: first come, first served.
#[derive(Debug)]
pub struct MemoryLimit {
    /// 0 means no limit.
    limit: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used: u64,
    waiting: VecDeque<Waiter>,
    last_id: u64,
}

struct Waiter {
    id: u64,
    bytes: u64,
    granted: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} used, {} waiting", self.used, self.waiting.len())
    }
}

/// A place in the line for memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryTicket(u64);

impl MemoryLimit {
    pub fn new(limit: u64) -> Self {
        Self { limit, state: Mutex::default() }
    }

    /// Takes `bytes` if there is room and nobody waits.
    pub fn try_reserve(&self, bytes: u64) -> bool {
        let mut state = self.state.lock();
        let fits = state.waiting.is_empty() && self.fits(&state, bytes);
        if fits {
            state.used += bytes;
        }
        fits
    }

    /// Takes `bytes` and returns `None` if there is room and nobody waits; otherwise waits in line. When it is its turn,
    /// the bytes are taken and `granted` is called, with no lock held, by whoever released.
    pub fn reserve_or_wait(
        &self,
        bytes: u64,
        granted: impl FnOnce() + Send + 'static,
    ) -> Option<MemoryTicket> {
        let mut state = self.state.lock();
        if state.waiting.is_empty() && self.fits(&state, bytes) {
            state.used += bytes;
            return None;
        }
        state.last_id += 1;
        let id = state.last_id;
        state.waiting.push_back(Waiter { id, bytes, granted: Box::new(granted) });
        Some(MemoryTicket(id))
    }

    /// Leaves the line. False if it was served already: then the bytes are taken and must be released.
    pub fn cancel(&self, ticket: MemoryTicket) -> bool {
        let mut state = self.state.lock();
        let Some(at) = state.waiting.iter().position(|waiter| waiter.id == ticket.0) else { return false };
        let left = state.waiting.remove(at);
        // The one behind may be smaller and fit.
        let served = self.serve(&mut state);
        drop(state);
        drop(left);
        call(served);
        true
    }

    /// Gives `bytes` back, and serves those who wait.
    pub fn release(&self, bytes: u64) {
        let mut state = self.state.lock();
        state.used = state.used.saturating_sub(bytes);
        let served = self.serve(&mut state);
        drop(state);
        call(served);
    }

    /// Bytes taken now.
    pub fn used(&self) -> u64 {
        self.state.lock().used
    }

    /// The limit in bytes; 0 means no limit.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// What is larger than the limit goes alone, so that it goes at all.
    fn fits(&self, state: &State, bytes: u64) -> bool {
        self.limit == 0 || state.used == 0 || state.used.saturating_add(bytes) <= self.limit
    }

    fn serve(&self, state: &mut State) -> Vec<Box<dyn FnOnce() + Send>> {
        let mut served = Vec::new();
        while let Some(first) = state.waiting.front()
            && self.fits(state, first.bytes)
            && let Some(first) = state.waiting.pop_front()
        {
            state.used += first.bytes;
            served.push(first.granted);
        }
        served
    }
}

fn call(served: Vec<Box<dyn FnOnce() + Send>>) {
    for granted in served {
        granted();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn those_who_wait_are_served_in_order_and_not_overtaken() {
        let memory = MemoryLimit::new(100);
        assert!(memory.try_reserve(90));
        let served = Arc::new(Mutex::new(Vec::new()));
        let wait = |name: &'static str, bytes| {
            let served = Arc::clone(&served);
            memory.reserve_or_wait(bytes, move || served.lock().push(name)).unwrap()
        };
        wait("large", 80);
        wait("small", 5);
        assert!(!memory.try_reserve(5), "there is room, but others wait");
        memory.release(50);
        assert!(served.lock().is_empty());
        memory.release(40);
        assert_eq!(*served.lock(), ["large", "small"]);
        assert_eq!(memory.used(), 85);
    }

    #[test]
    fn who_leaves_the_line_lets_the_next_one_go() {
        let memory = MemoryLimit::new(100);
        assert!(memory.try_reserve(90));
        let served = Arc::new(Mutex::new(false));
        let large = memory.reserve_or_wait(50, || {}).unwrap();
        let flag = Arc::clone(&served);
        let small = memory.reserve_or_wait(10, move || *flag.lock() = true).unwrap();
        assert!(memory.cancel(large));
        assert!(*served.lock());
        assert!(!memory.cancel(small), "it was served");
        assert_eq!(memory.used(), 100);
    }

    #[test]
    fn what_exceeds_the_limit_goes_alone_and_no_limit_lets_all_go() {
        let memory = MemoryLimit::new(10);
        assert!(memory.try_reserve(50));
        assert!(!memory.try_reserve(1));
        memory.release(50);
        assert!(memory.try_reserve(1));
        let unlimited = MemoryLimit::new(0);
        assert!(unlimited.try_reserve(u64::MAX / 2) && unlimited.try_reserve(1));
    }
}
