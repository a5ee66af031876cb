//! A TCP gate in front of the provider, which a test opens, closes, stalls and cuts: the network, and the load balancer in it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Bytes pass to and from this address.
    To(SocketAddr),
    /// Connections are accepted and kept, and nothing passes: a partition.
    Stalled(SocketAddr),
    /// Connections are closed as soon as they are made: nobody is there.
    Refused,
}

/// See the file's head. Everything through it ends when it is dropped.
pub struct Gate {
    pub address: SocketAddr,
    way: watch::Sender<Way>,
    /// Counts the cuts: a connection of an earlier count ends.
    cuts: watch::Sender<usize>,
    /// Counts how often connections were forgotten: one of an earlier count passes nothing any more.
    forgotten: watch::Sender<usize>,
    /// How many more bytes go to clients before everything is cut; `usize::MAX` for no limit.
    budget: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Gate {
    /// A closed gate on a free port of the loopback address.
    pub async fn closed() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (way, cuts, forgotten) = (watch::Sender::new(Way::Refused), watch::Sender::new(0), watch::Sender::new(0));
        let budget = Arc::new(AtomicUsize::new(usize::MAX));
        let connection = Connection {
            way: way.clone(),
            cuts: cuts.clone(),
            forgotten: forgotten.clone(),
            born: 0,
            budget: Arc::clone(&budget),
        };
        let accepting = tokio::spawn(accept(listener, connection));
        Self { address, way, cuts, forgotten, budget, accepting }
    }

    /// `http://127.0.0.1:<port>`
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// New connections go to `target`; those that are open stay where they are, and pass.
    pub fn open(&self, target: SocketAddr) {
        self.way.send_replace(Way::To(target));
    }

    /// Nothing passes any more, in either direction, and nobody is told.
    pub fn stall(&self) {
        self.way.send_modify(|way| {
            if let Way::To(target) = *way {
                *way = Way::Stalled(target);
            }
        });
    }

    /// What was stalled passes again.
    pub fn go_on(&self) {
        self.way.send_modify(|way| {
            if let Way::Stalled(target) = *way {
                *way = Way::To(target);
            }
        });
    }

    /// Open connections break and new ones are refused.
    pub fn close(&self) {
        self.way.send_replace(Way::Refused);
        self.cut();
    }

    /// Open connections break; new ones pass.
    pub fn cut(&self) {
        self.cuts.send_modify(|count| *count += 1);
    }

    /// Open connections never pass anything again, and nobody is told; new ones pass: a firewall that forgot them.
    pub fn forget(&self) {
        self.forgotten.send_modify(|count| *count += 1);
    }

    /// Everything is cut, once, when `bytes` more have gone to clients: in the middle of whatever is being said.
    pub fn cut_after(&self, bytes: usize) {
        self.budget.store(bytes, Ordering::SeqCst);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.accepting.abort();
        self.close();
    }
}

/// What a connection obeys.
#[derive(Clone)]
struct Connection {
    way: watch::Sender<Way>,
    cuts: watch::Sender<usize>,
    forgotten: watch::Sender<usize>,
    /// The count of `forgotten` when it was made.
    born: usize,
    budget: Arc<AtomicUsize>,
}

async fn accept(listener: TcpListener, gate: Connection) {
    while let Ok((client, _)) = listener.accept().await {
        let target = match *gate.way.borrow() {
            Way::To(target) | Way::Stalled(target) => target,
            Way::Refused => continue,
        };
        let connection = Connection { born: *gate.forgotten.borrow(), ..gate.clone() };
        tokio::spawn(async move {
            let mut cut = connection.cuts.subscribe();
            cut.mark_unchanged();
            tokio::select! {
                () = connection.pass(client, target) => {}
                _ = cut.changed() => {}
            }
        });
    }
}

impl Connection {
    async fn pass(&self, mut client: TcpStream, target: SocketAddr) {
        let Ok(mut server) = TcpStream::connect(target).await else { return };
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let up = async {
            let mut bytes = vec![0; 16 * 1024];
            while let Ok(count @ 1..) = from_client.read(&mut bytes).await {
                self.passable().await;
                if to_server.write_all(&bytes[..count]).await.is_err() {
                    break;
                }
            }
            let _ = to_server.shutdown().await;
        };
        let down = async {
            let mut bytes = vec![0; 16 * 1024];
            while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
                self.passable().await;
                let allowed = take(&self.budget, count);
                if to_client.write_all(&bytes[..allowed]).await.is_err() {
                    break;
                }
                if allowed < count {
                    self.budget.store(usize::MAX, Ordering::SeqCst);
                    self.cuts.send_modify(|count| *count += 1);
                    break;
                }
            }
            let _ = to_client.shutdown().await;
        };
        tokio::join!(up, down);
    }

    /// Waits until bytes may pass. The gate outlives its connections, so the senders are there.
    async fn passable(&self) {
        let _ = self.way.subscribe().wait_for(|way| matches!(way, Way::To(_))).await;
        if *self.forgotten.borrow() > self.born {
            std::future::pending().await
        }
    }
}

/// How many of `count` bytes may still pass.
fn take(budget: &AtomicUsize, count: usize) -> usize {
    match budget.load(Ordering::SeqCst) {
        usize::MAX => count,
        left => {
            let allowed = count.min(left);
            budget.store(left - allowed, Ordering::SeqCst);
            allowed
        }
    }
}
