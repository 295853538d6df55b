//! Who waits for a message, in order of arrival.

use std::collections::BTreeMap;

/// Called, outside every lock, to make a waiter poll again.
pub type Waker = Box<dyn FnOnce() + Send>;

/// The right to the next message in turn. Numbers grow with each waiter.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Clone, Copy)]
pub struct Ticket(u64);

/// First come, first served: the first waiters are woken as far as the messages reach, each woken one has a claim on as
/// many as it needs until it polls again or gives up, and who comes later never overtakes.
#[derive(Default)]
pub(crate) struct Waiters {
    next: u64,
    waiting: BTreeMap<Ticket, (usize, Waker)>,
    /// Who was woken, with the number of messages that each has a claim on.
    woken: BTreeMap<Ticket, usize>,
    /// The sum of the claims.
    claimed: usize,
}

impl Waiters {
    /// How many of `available` messages nobody has a claim on.
    pub(crate) fn unclaimed(&self, available: usize) -> usize {
        available.saturating_sub(self.claimed)
    }

    /// How many of `available` messages a caller who does not wait may take.
    pub(crate) fn free(&self, available: usize) -> usize {
        if self.waiting.is_empty() { self.unclaimed(available) } else { 0 }
    }

    /// Whether this caller may take messages now, if so many of `available` are there as it needs. A claim that is used
    /// ends with it.
    pub(crate) fn admit(&mut self, ticket: Option<Ticket>, need: usize, available: usize) -> bool {
        match ticket {
            Some(ticket) if self.woken.contains_key(&ticket) => available > 0 && self.disclaim(ticket),
            Some(ticket) => {
                let first = self.waiting.keys().next().is_none_or(|first| *first == ticket);
                let admitted = first && self.unclaimed(available) >= need;
                if admitted {
                    self.waiting.remove(&ticket);
                }
                admitted
            }
            None => self.waiting.is_empty() && self.unclaimed(available) >= need,
        }
    }

    /// Waits, in the place of an earlier ticket if there is one.
    pub(crate) fn wait(&mut self, ticket: Option<Ticket>, need: usize, waker: Waker) -> Ticket {
        let ticket = ticket.unwrap_or_else(|| {
            self.next += 1;
            Ticket(self.next)
        });
        self.disclaim(ticket);
        self.waiting.insert(ticket, (need, waker));
        ticket
    }

    fn disclaim(&mut self, ticket: Ticket) -> bool {
        let claim = self.woken.remove(&ticket);
        self.claimed -= claim.unwrap_or(0);
        claim.is_some()
    }

    /// The ticket's holder waits no more; a claim it had is free for the next.
    pub(crate) fn leave(&mut self, ticket: Ticket) {
        self.waiting.remove(&ticket);
        self.disclaim(ticket);
    }

    /// Gives claims to the first waiters, as far as the messages reach. The caller must call the wakers.
    #[must_use]
    pub(crate) fn wake(&mut self, available: usize) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while let Some(first) = self.waiting.first_entry()
            && first.get().0 <= available.saturating_sub(self.claimed)
        {
            let (ticket, (need, waker)) = first.remove_entry();
            self.woken.insert(ticket, need);
            self.claimed += need;
            wakers.push(waker);
        }
        wakers
    }

    /// Wakes everybody, for news that is not a message. The caller must call the wakers.
    #[must_use]
    pub(crate) fn wake_all(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        for (ticket, (need, waker)) in std::mem::take(&mut self.waiting) {
            self.woken.insert(ticket, need);
            self.claimed += need;
            wakers.push(waker);
        }
        wakers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(waiters: &mut Waiters, need: usize) -> Ticket {
        waiters.wait(None, need, Box::new(|| {}))
    }

    #[test]
    fn a_waiter_for_many_is_woken_when_all_are_there() {
        let mut waiters = Waiters::default();
        let many = wait(&mut waiters, 3);
        assert!(waiters.wake(2).is_empty());
        assert_eq!(waiters.free(2), 0, "who does not wait takes nothing away");
        assert!(!waiters.admit(None, 1, 2), "nor who comes later");
        assert_eq!(waiters.wake(3).len(), 1);
        assert_eq!(waiters.free(4), 1);
        assert!(waiters.admit(Some(many), 3, 4));
        assert_eq!(waiters.unclaimed(4), 4);
    }

    #[test]
    fn a_waiter_for_many_may_settle_for_less() {
        let mut waiters = Waiters::default();
        let many = wait(&mut waiters, 3);
        let behind = wait(&mut waiters, 1);
        assert!(waiters.wake(1).is_empty());
        assert!(!waiters.admit(Some(behind), 1, 1), "not before its turn");
        assert!(waiters.admit(Some(many), 1, 1));
        assert_eq!(waiters.wake(1).len(), 1);
    }

    #[test]
    fn a_claim_given_up_is_free() {
        let mut waiters = Waiters::default();
        let many = wait(&mut waiters, 3);
        assert_eq!(waiters.wake(3).len(), 1);
        assert_eq!(waiters.unclaimed(3), 0);
        waiters.leave(many);
        assert_eq!(waiters.unclaimed(3), 3);
        assert_eq!(waiters.free(3), 3, "nobody waits any more");
    }
}
