//! Topics on their own, with connections that only listen.

mod compacting;
mod deduplicating;
mod lifecycle;
mod policies;
mod producers;
mod support;
