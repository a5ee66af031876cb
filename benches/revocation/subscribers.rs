//! Receivers that cost little: they share the cores with the provider that they measure. They hold a stream, count what comes, and
//! understand nothing of it but where an event ends and up to which number of the log it goes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::try_join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::installation::SECRET;

/// The client that all of them are.
pub const CLIENT: &str = "api";
/// So many connect at once.
const AT_ONCE: usize = 64;
const PATIENCE: Duration = Duration::from_secs(60);
/// Room for an event of a quiet log.
const BUFFER: usize = 2 * 1024;
/// What the kernel keeps for a receiver that will not read: as little as it may be.
const SMALL: u32 = 4 * 1024;

/// All that have been opened. They end when this is dropped.
#[derive(Default)]
pub struct Subscribers {
    pub board: Arc<Board>,
    tasks: JoinSet<()>,
}

/// What they all have seen.
#[derive(Default)]
pub struct Board {
    /// Of events and their framing; not those of the answer's head, nor of TCP and below.
    pub bytes: AtomicU64,
    pub events: AtomicU64,
    /// The greatest number that anybody has.
    pub seq: AtomicU64,
    /// Streams that the provider has ended.
    pub ended: AtomicUsize,
    /// Those who were opened to become mute read no more.
    pub mute: AtomicBool,
    target: AtomicU64,
    arrived: Mutex<Vec<Instant>>,
}

impl Subscribers {
    /// Opens streams, each with its first message when this returns. `mutable` ones stop reading when the board says so.
    pub async fn open(&mut self, address: SocketAddr, count: usize, mutable: bool) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let now = left.min(AT_ONCE);
            let board = &self.board;
            let opening = (0..now).map(|_| Reader::open(address, mutable, board));
            for reader in try_join_all(opening).await? {
                self.tasks.spawn(reader.run(Arc::clone(board), mutable));
            }
            left -= now;
        }
        Ok(())
    }

    /// From now on, notes when each of them has the log's next entry.
    pub fn expect_next(&self) -> &Board {
        self.board.arrived().clear();
        self.board.target.store(self.board.seq.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
        &self.board
    }
}

impl Board {
    /// Waits until `count` of them have it, less those whose stream has ended. Gives when they did, in order.
    ///
    /// # Errors
    /// If they do not get it.
    pub async fn all_arrived(&self, count: usize) -> Result<Vec<Instant>> {
        let waiting = async {
            while self.arrived().len() + self.ended.load(Ordering::Relaxed) < count {
                sleep(Duration::from_millis(2)).await;
            }
        };
        let waited = timeout(PATIENCE, waiting).await;
        let mut arrived = self.arrived().clone();
        ensure!(waited.is_ok(), "only {} of {count} receivers heard of a revocation", arrived.len());
        arrived.sort_unstable();
        Ok(arrived)
    }

    fn arrived(&self) -> std::sync::MutexGuard<'_, Vec<Instant>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One stream.
pub struct Reader {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// Of the event that is arriving.
    arriving: Option<u64>,
    /// Up to where it has the log.
    seq: u64,
    events: u64,
    wanted: u64,
    /// Complete events that go up to the number that is wanted.
    pub with_all: u32,
    pub bytes: u64,
    pub first_byte: Instant,
}

/// A line that is longer than this says nothing that is understood here.
const LINE: usize = 64;

impl Reader {
    /// Connects and asks for the stream without a cursor. Reads until the first event is complete.
    async fn open(address: SocketAddr, small: bool, board: &Board) -> Result<Self> {
        let mut reader = Self::begin(address, BUFFER, small, 0, Some(board)).await?;
        while reader.events == 0 {
            let read = timeout(PATIENCE, reader.read(Some(board))).await.context("no event comes")?;
            ensure!(read?, "the stream ended at once");
        }
        Ok(reader)
    }

    /// Connects and asks for the stream without a cursor. Reads until the answer begins.
    pub async fn begin(address: SocketAddr, buffer: usize, small: bool, wanted: u64, board: Option<&Board>) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if small {
            socket.set_recv_buffer_size(SMALL)?;
        }
        let mut stream = socket.connect(address).await.context("connecting a receiver")?;
        stream.set_nodelay(true)?;
        let basic = STANDARD.encode(format!("{CLIENT}:{SECRET}"));
        let nonce = tessera::model::secret::new_id();
        let request = format!(
            "GET /revocations/stream?nonce={nonce} HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n\
             authorization: Basic {basic}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let (mut head, mut chunk) = (Vec::new(), vec![0; buffer]);
        let rest = loop {
            let count = timeout(PATIENCE, stream.read(&mut chunk)).await.context("the stream does not begin")??;
            ensure!(count > 0, "the provider closed the connection instead of answering");
            head.extend_from_slice(&chunk[..count]);
            if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
                break head.split_off(end + 4);
            }
        };
        let text = String::from_utf8_lossy(&head);
        ensure!(text.starts_with("HTTP/1.1 200 "), "the provider does not serve a stream:\n{text}");
        let first_byte = Instant::now();
        let (line, arriving) = (Vec::new(), None);
        let mut reader =
            Self { stream, buffer: chunk, line, arriving, seq: 0, events: 0, wanted, with_all: 0, bytes: 0, first_byte };
        reader.take(&rest, board);
        Ok(reader)
    }

    /// Reads once. `false` if the stream has ended.
    pub async fn read(&mut self, board: Option<&Board>) -> Result<bool> {
        let count = self.stream.read(&mut self.buffer).await?;
        let buffer = std::mem::take(&mut self.buffer);
        self.take(&buffer[..count], board);
        self.buffer = buffer;
        Ok(count > 0)
    }

    async fn run(mut self, board: Arc<Board>, mutable: bool) {
        while self.read(Some(&board)).await.unwrap_or(false) {
            if mutable && board.mute.load(Ordering::Relaxed) {
                // Until it is aborted it holds the connection and reads nothing.
                std::future::pending::<()>().await;
            }
        }
        board.ended.fetch_add(1, Ordering::Relaxed);
    }

    fn take(&mut self, mut bytes: &[u8], board: Option<&Board>) {
        self.bytes += bytes.len() as u64;
        if let Some(board) = board {
            board.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        // `contains` is quick, and most of a snapshot has no line ends.
        while bytes.contains(&b'\n') {
            let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
            self.keep(&bytes[..end]);
            bytes = &bytes[end + 1..];
            self.end_line(board);
            self.line.clear();
        }
        self.keep(bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE.saturating_sub(self.line.len()).min(bytes.len());
        self.line.extend_from_slice(&bytes[..room]);
    }

    fn end_line(&mut self, board: Option<&Board>) {
        if let Some(id) = self.line.strip_prefix(b"id: ") {
            let number = std::str::from_utf8(id).ok().and_then(|id| id.rsplit_once(':')?.1.parse().ok());
            self.arriving = number;
        } else if self.line.is_empty()
            && let Some(seq) = self.arriving.take()
        {
            self.events += 1;
            self.with_all += u32::from(seq >= self.wanted);
            if let Some(board) = board {
                board.events.fetch_add(1, Ordering::Relaxed);
                if seq > self.seq {
                    let target = board.target.load(Ordering::SeqCst);
                    if (self.seq + 1..=seq).contains(&target) {
                        board.arrived().push(Instant::now());
                    }
                    board.seq.fetch_max(seq, Ordering::SeqCst);
                }
            }
            self.seq = self.seq.max(seq);
        }
    }
}
