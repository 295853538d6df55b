//! The reader: decodes what arrives and has it handled; pings, limits, expiry of credentials.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::handshake::{self, NO_REQUEST};
use super::server_error::failed;
use super::{End, Session};
use crate::broker::handlers;
use crate::broker::outlet::Outlet;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::frame::{self, FRAME_OVERHEAD};
use crate::protocol::proto::{CommandAuthResponse, CommandPing};

/// Room for a read on a quiet connection; a busy one gets `BUSY`.
const QUIET: usize = 4 * 1024;
const BUSY: usize = 64 * 1024;
/// Frames handled before other tasks get a turn, when the socket never runs dry.
const FRAMES_PER_TURN: usize = 256;

pub(super) async fn run(session: &Arc<Session>, mut socket: impl AsyncRead + Unpin, mut buffer: BytesMut) {
    let ended = session.ended();
    tokio::pin!(ended);
    let outcome = tokio::select! {
        biased;
        _ = &mut ended => return,
        outcome = serve(session, &mut socket, &mut buffer) => outcome,
    };
    if let Err(error) = outcome {
        session.send(&failed(NO_REQUEST, &error).into());
    }
}

/// Serves until the client goes; an error is told to it before the connection ends.
async fn serve(
    session: &Arc<Session>,
    socket: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
) -> Result<()> {
    let mut liveness = Liveness::new(session);
    let mut credentials = Credentials::new(session);
    loop {
        let handled = handle_all(session, buffer, &mut credentials).await?;
        liveness.framed(handled, buffer.is_empty());
        if pause(session).await {
            liveness.heard(0);
        }
        listen(session, &mut liveness).await;
        session.outbox.room().await;
        storage_room(session).await;
        make_room(buffer, liveness.is_busy);
        tokio::select! {
            biased;
            read = socket.read_buf(buffer) => match read {
                Ok(0) | Err(_) => return Ok(()),
                Ok(size) => liveness.heard(size),
            },
            () = liveness.due() => liveness.check(session)?,
            () = credentials.due(session) => credentials.expired(session)?,
        }
    }
}

async fn handle_all(
    session: &Arc<Session>,
    buffer: &mut BytesMut,
    credentials: &mut Credentials,
) -> Result<usize> {
    let limit = session.core.options.limits.max_message_size.saturating_add(FRAME_OVERHEAD);
    let mut handled = 0;
    while let Some(frame) = frame::decode_raw(buffer, limit)? {
        if let Some(response) = handlers::handle(session, frame).await? {
            credentials.renew(session, &response)?;
        }
        handled += 1;
        pause(session).await;
        if handled % FRAMES_PER_TURN == 0 {
            session.outbox.room().await;
            storage_room(session).await;
            tokio::task::yield_now().await;
        }
    }
    Ok(handled)
}

/// Waits while the client is to be slowed down; whether it was.
async fn pause(session: &Session) -> bool {
    let clock = &session.core.clock;
    let mut paused = false;
    loop {
        let until = session.paused_until.load(Ordering::Acquire);
        if until == 0 || until <= clock.unix_millis() {
            return paused;
        }
        paused = true;
        clock.sleep(Duration::from_millis(until.saturating_sub(clock.unix_millis()))).await;
    }
}

/// Waits while a fault says that the client is not heard.
async fn listen(session: &Session, liveness: &mut Liveness) {
    if !session.deaf.load(Ordering::Acquire) {
        return;
    }
    while session.deaf.load(Ordering::Acquire) {
        session.listen.notified().await;
    }
    liveness.heard(0);
    liveness.begun = None;
}

/// Waits while the storage has more to write than is good for the memory.
async fn storage_room(session: &Session) {
    const LIMIT: usize = 64 << 20;
    const PAUSE: Duration = Duration::from_millis(5);
    while session.core.registry.services().storage.pending_bytes() > LIMIT {
        tokio::time::sleep(PAUSE).await;
    }
}

/// Keeps the buffer large enough for the frame that has begun, growing with what really arrives: a size alone, which
/// anybody can claim, reserves nothing much.
fn make_room(buffer: &mut BytesMut, is_busy: bool) {
    let begun = buffer.first_chunk::<4>().map_or(0, |size| u32::from_be_bytes(*size) as usize + 4);
    let missing = begun.saturating_sub(buffer.len()).min(buffer.len().max(BUSY));
    let step = if is_busy { BUSY } else { QUIET };
    let room = buffer.capacity() - buffer.len();
    if missing > room || room < step / 4 {
        buffer.reserve(missing.max(step));
    }
}

/// Pings a silent client, and gives up one that stays silent or takes for ever to send a frame. By real time: a test
/// that moves the broker's clock does not want its clients dropped.
struct Liveness {
    interval: Duration,
    stalled_after: Duration,
    heard: Instant,
    pinged: bool,
    /// When the frame began that is not complete yet.
    begun: Option<Instant>,
    /// The last read filled its room.
    is_busy: bool,
}

impl Liveness {
    fn new(session: &Session) -> Self {
        let limits = &session.core.options.limits;
        Self {
            interval: limits.keep_alive_interval,
            stalled_after: limits.write_timeout,
            heard: Instant::now(),
            pinged: false,
            begun: None,
            is_busy: false,
        }
    }

    fn heard(&mut self, size: usize) {
        self.heard = Instant::now();
        self.pinged = false;
        self.is_busy = size >= QUIET / 2;
    }

    /// So many frames were complete, and whether nothing has begun behind them.
    fn framed(&mut self, count: usize, complete: bool) {
        if complete {
            self.begun = None;
        } else if count > 0 || self.begun.is_none() {
            self.begun = Some(Instant::now());
        }
    }

    async fn due(&self) {
        let silent = self.heard + self.interval * (1 + u32::from(self.pinged));
        let due = self.begun.map_or(silent, |begun| silent.min(begun + self.stalled_after));
        tokio::time::sleep_until(due.into()).await;
    }

    fn check(&mut self, session: &Session) -> Result<()> {
        let now = Instant::now();
        if self.begun.is_some_and(|begun| now >= begun + self.stalled_after) {
            return Err(Error::new(ErrorKind::Timeout, "the client took too long over one frame"));
        }
        let silent = now.saturating_duration_since(self.heard);
        if self.pinged && silent >= self.interval * 2 {
            session.end(End::Cut);
        } else if !self.pinged && silent >= self.interval {
            self.pinged = true;
            session.send(&CommandPing {}.into());
        }
        Ok(())
    }
}

/// When the client's credentials expire, and what then.
struct Credentials {
    /// In milliseconds since 1970, by the broker's clock.
    expires_at: Option<u64>,
    /// New ones were asked for; they must be here before that, by real time.
    asked: Option<Instant>,
}

impl Credentials {
    fn new(session: &Session) -> Self {
        let identity = session.authentication.lock().identity.clone();
        Self { expires_at: identity.and_then(|identity| identity.expires_at), asked: None }
    }

    async fn due(&self, session: &Session) {
        match (self.asked, self.expires_at) {
            (Some(deadline), _) => tokio::time::sleep_until(deadline.into()).await,
            (None, Some(expires_at)) => {
                let clock = &session.core.clock;
                let left = expires_at.saturating_sub(clock.unix_millis());
                clock.sleep(Duration::from_millis(left)).await;
            }
            (None, None) => std::future::pending().await,
        }
    }

    fn expired(&mut self, session: &Session) -> Result<()> {
        let refused = |reason: &str| Err(Error::new(ErrorKind::Authentication, reason));
        if self.asked.is_some() {
            return refused("no new credentials came in time");
        }
        if !session.authentication.lock().refreshes {
            return refused("the token has expired");
        }
        self.asked = Some(Instant::now() + session.core.options.limits.handshake_timeout);
        session.send(&handshake::challenge(session.peer.protocol_version));
        Ok(())
    }

    /// Takes new credentials; refused ones end the connection.
    fn renew(&mut self, session: &Session, response: &CommandAuthResponse) -> Result<()> {
        let identity = handshake::answer(response, &session.core)?;
        self.asked = None;
        self.expires_at = identity.as_ref().and_then(|identity| identity.expires_at);
        session.authentication.lock().identity = identity;
        Ok(())
    }
}
