//! A plain HTTP client of the door for administrators.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::house::House;
use crate::support::peer::soon;

/// All that is answered to these bytes.
pub async fn raw(house: &House, bytes: &[u8]) -> String {
    let url = house.broker.admin_url();
    let mut socket = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    // The broker may close before it has read all of what is no request.
    let _ = socket.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = soon("the end of the answer", socket.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status and the body as JSON.
pub async fn ask(house: &House, method: &str, path: &str, body: Value) -> (u16, Value) {
    ask_with(house, method, path, "", body).await
}

/// The same for an administrator with a token.
pub async fn ask_as(house: &House, token: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
    ask_with(house, method, path, &format!("authorization: Bearer {token}\r\n"), body).await
}

async fn ask_with(house: &House, method: &str, path: &str, headers: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = raw(house, request.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::String(body.into())))
}
