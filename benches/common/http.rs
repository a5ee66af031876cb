//! A keep-alive HTTP/1.1 client that costs little: it shares the cores with the server that it measures. Requests are prepared
//! bytes; of an answer it understands the status and `Content-Length`.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One connection, for one request at a time.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, in the connection's buffer.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    pub status: u16,
    pub head: &'a str,
    pub body: &'a [u8],
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 16 * 1024] })
    }

    /// Sends one request and reads the whole answer.
    pub async fn send(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        let (head, end) = loop {
            if filled == self.buffer.len() {
                self.buffer.resize(2 * filled, 0);
            }
            let count = self.stream.read(&mut self.buffer[filled..]).await?;
            ensure!(count > 0, "the server closed the connection instead of answering");
            filled += count;
            if let Some((head, end)) = measure(&self.buffer[..filled])?
                && end <= filled
            {
                break (head, end);
            }
        };
        let text = std::str::from_utf8(&self.buffer[..head])?;
        let status = text.get(9..12).and_then(|status| status.parse().ok()).context("no HTTP status")?;
        Ok(Answer { status, head: text, body: &self.buffer[head..end] })
    }
}

impl<'a> Answer<'a> {
    /// The value of a header, named in lower case.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(seen, _)| seen.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// The text between `before` and the next quotation mark, such as a member of a JSON object or an attribute of HTML.
    pub fn quoted_after(&self, before: &str) -> Option<&'a str> {
        let body = std::str::from_utf8(self.body).ok()?;
        body.split_once(before)?.1.split('"').next()
    }

    /// # Errors
    /// If the status is another; with the answer's text, so that a benchmark that went wrong says why.
    pub fn expect(self, status: u16) -> Result<Self> {
        if self.status != status {
            let body: String = String::from_utf8_lossy(self.body).chars().take(600).collect();
            bail!("expected status {status}, got:\n{}{body}", self.head);
        }
        Ok(self)
    }
}

/// Where the head ends and where the body ends; none while the head is incomplete.
fn measure(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = head + 4;
    let text = std::str::from_utf8(&bytes[..head])?;
    // hyper writes header names in lower case.
    let (_, rest) =
        text.split_once("\r\ncontent-length: ").with_context(|| format!("an answer without Content-Length:\n{text}"))?;
    let length: usize = rest.split('\r').next().unwrap_or_default().parse().context("Content-Length")?;
    Ok(Some((head, head + length)))
}

/// The bytes of a GET.
pub fn get(host: SocketAddr, path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n").into_bytes()
}

/// The bytes of a form that is sent by POST.
pub fn post(host: SocketAddr, path: &str, headers: &str, form: &str) -> Vec<u8> {
    let length = form.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\n{headers}content-type: application/x-www-form-urlencoded\r\n\
         content-length: {length}\r\n\r\n{form}"
    )
    .into_bytes()
}
