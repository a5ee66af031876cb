//! What a connection may cost: settings of each accepted socket, and how many there may be.

use std::future::{Ready, ready};
use std::io;

use axum_server::accept::Accept;
use rustix::net::sockopt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpStream;

/// A peer that has vanished, or that takes nothing of what it is sent, is cut off after this many milliseconds. Nothing else would
/// end its connection: an answer that lasts for minutes (the revocation stream) has no time limit of its own.
#[cfg(target_os = "linux")]
const TAKES_NOTHING_MS: u32 = 30_000;

/// What the kernel holds for a peer that does not take it, in bytes. Left alone it grows to several megabytes. Enough for a
/// megabyte a second across an ocean.
const SEND_BUFFER: usize = 256 * 1024;

/// Open files that are needed for other things than connections: databases, Redis, certificates.
const OTHER_FILES: u64 = 200;

/// Prepares each accepted connection.
#[derive(Clone, Copy)]
pub(super) struct Prepared;

impl<S> Accept<TcpStream, S> for Prepared {
    type Stream = TcpStream;
    type Service = S;
    type Future = Ready<io::Result<(TcpStream, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        ready(prepare(&stream).map(|()| (stream, service)))
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_send_buffer_size(stream, SEND_BUFFER)?;
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_user_timeout(stream, TAKES_NOTHING_MS)?;
    Ok(())
}

/// Lets this process have as many open files as the system allows it at most: each connection is one, and systems begin with 1024.
/// Warns if `connections` at once would still be too many.
pub fn raise_open_files(connections: u64) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, "the number of open files cannot be raised to what the system allows");
    }
    // Without a number there is no limit.
    let now = getrlimit(Resource::Nofile).current;
    if let Some(files) = now.filter(|files| *files < connections + OTHER_FILES) {
        tracing::warn!(
            files,
            connections,
            "the system allows fewer open files than limits.revocation_streams may need (ulimit -n, LimitNOFILE): connections will \
             be refused above that"
        );
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_accepted_socket_is_bounded_in_time_and_space() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_peer, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (stream, ()) = Prepared.accept(accepted.unwrap().0, ()).await.unwrap();
        assert!(stream.nodelay().unwrap());
        // The kernel doubles the number for its own use, and may be set to allow less.
        assert!(sockopt::socket_send_buffer_size(&stream).unwrap() <= 2 * SEND_BUFFER);
        #[cfg(target_os = "linux")]
        assert_eq!(sockopt::tcp_user_timeout(&stream).unwrap(), TAKES_NOTHING_MS);
    }

    #[test]
    fn as_many_files_as_the_system_allows() {
        raise_open_files(1);
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
