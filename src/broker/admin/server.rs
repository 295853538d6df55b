//! Connections of administrators, their limits, and who is let in.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request as HttpRequest;
use axum::http::header;
use axum::response::Response;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::answer::{Answer, Refusal};
use super::request::{Request, decode, query};
use super::routes;
use crate::broker::core::Core;

/// Connections at the same time: over it new ones wait in the system's queue.
const MAX_CONNECTIONS: usize = 256;
/// Bytes of a body.
const MAX_BODY: usize = 2 << 20;
/// How long a client may take for the head of a request, and for its body.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// No connection lives longer, so that none that is never read from stays.
const LIFETIME: Duration = Duration::from_mins(10);
/// When the system has no more descriptors.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Serves until `stop` is set. `url` is where administrators reach it.
pub async fn run(core: Arc<Core>, listener: TcpListener, url: String, mut stop: watch::Receiver<bool>) {
    let router = router(core, url);
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            accepted = accept(&listener, &room) => accepted,
        };
        let Some((socket, permit)) = accepted else {
            tokio::time::sleep(EXHAUSTED).await;
            continue;
        };
        let (router, mut stop) = (router.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = serve(router, socket) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
            drop(permit);
        });
    }
}

/// Serves an administrator over any stream, in a socket's place, until either side ends it.
pub async fn serve_stream(core: Arc<Core>, url: String, stream: impl AsyncRead + AsyncWrite + Unpin) {
    serve(router(core, url), stream).await;
}

fn router(core: Arc<Core>, url: String) -> Router {
    Router::new().fallback(move |request: HttpRequest| {
        let (core, url) = (Arc::clone(&core), url.clone());
        async move { handle(core, url, request).await }
    })
}

async fn serve(router: Router, stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(READ_TIMEOUT).max_buf_size(64 << 10);
    // Whoever has said all that he wants to say still hears the answer.
    server.half_close(true);
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // A client that breaks off, or speaks no HTTP, is its own affair.
    let _ = tokio::time::timeout(LIFETIME, connection).await;
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    let (socket, _) = listener.accept().await.ok()?;
    Some((socket, permit))
}

async fn handle(core: Arc<Core>, url: String, request: HttpRequest) -> Response {
    match attend(core, url, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.respond(),
    }
}

async fn attend(core: Arc<Core>, url: String, request: HttpRequest) -> Answer {
    let request = understand(core, url, request).await?;
    let response = routes::answer(&request)?;
    if request.method != "GET" {
        // Who is told that it is done finds it done after a restart.
        request.core.registry.settled().await?;
    }
    Ok(response)
}

async fn understand(core: Arc<Core>, url: String, request: HttpRequest) -> Result<Request, Refusal> {
    let (head, body) = request.into_parts();
    let raw = head.uri.path();
    let path: Option<Vec<String>> = raw.split('/').filter(|part| !part.is_empty()).map(decode).collect();
    let path = path.ok_or_else(|| Refusal::new(400, "the path is not encoded as UTF-8"))?;
    // Health is asked by those who have no token.
    let open = path.iter().map(String::as_str).collect::<Vec<_>>() == ["admin", "v2", "brokers", "ready"];
    if let (Some(authenticator), false) = (&core.authenticator, open) {
        let given = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = given.and_then(|value| value.strip_prefix("Bearer "));
        let token = token.ok_or_else(|| Refusal::new(401, "Authentication required"))?;
        authenticator.check("token", token.as_bytes(), core.clock.unix_millis())?;
    }
    let body = tokio::time::timeout(READ_TIMEOUT, to_bytes(body, MAX_BODY)).await;
    let body = body.map_err(|_| Refusal::new(408, "the body took too long"))?;
    let body = body.map_err(|_| Refusal::new(413, "the body is cut off, or larger than 2 MiB"))?;
    let query = query(head.uri.query().unwrap_or_default());
    Ok(Request { core, method: head.method, path, query, body, url })
}
