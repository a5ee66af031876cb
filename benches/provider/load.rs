//! Closed-loop load: every connection sends its next request when it has the answer to the last.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::http::{self, Connection};

/// What one connection sends.
pub enum Script {
    /// The same request again and again.
    Repeat { request: Vec<u8>, status: u16 },
    /// Each request once.
    Each { requests: VecDeque<Vec<u8>>, status: u16 },
    /// The same authorization request, `left` more times; the codes are kept.
    Authorize { request: Vec<u8>, left: usize, codes: Vec<String> },
    /// The refresh token that came with the answer before.
    Refresh { host: SocketAddr, headers: String, token: String },
}

impl Script {
    /// Sends the next request; `false` if there is none.
    async fn step(&mut self, connection: &mut Connection) -> Result<bool> {
        match self {
            Self::Repeat { request, status } => {
                connection.send(request).await?.expect(*status)?;
            }
            Self::Each { requests, status } => match requests.pop_front() {
                Some(request) => {
                    connection.send(&request).await?.expect(*status)?;
                }
                None => return Ok(false),
            },
            Self::Authorize { left: 0, .. } => return Ok(false),
            Self::Authorize { request, left, codes } => {
                let answer = connection.send(request).await?.expect(303)?;
                let location = answer.header("location").unwrap_or_default();
                let code = location.split(['?', '&']).find_map(|part| part.strip_prefix("code="));
                codes.push(code.with_context(|| format!("no code in {location}"))?.to_owned());
                *left -= 1;
            }
            Self::Refresh { host, headers, token } => {
                let form = format!("grant_type=refresh_token&refresh_token={token}");
                let answer = connection.send(&http::post(*host, "/token", headers, &form)).await?.expect(200)?;
                *token = answer.quoted_after("\"refresh_token\":\"").context("no refresh_token")?.to_owned();
            }
        }
        Ok(true)
    }
}

/// What a load came to.
#[derive(Clone, Copy)]
pub struct Done {
    pub requests: u64,
    pub elapsed: Duration,
}

/// Runs each script on a connection of its own for `time`, or until none has a request left. One thread sends for all: the
/// other cores are the server's. Gives the scripts back, so that they can go on later.
pub fn run(address: SocketAddr, scripts: Vec<Script>, time: Duration) -> Result<(Done, Vec<Script>)> {
    // A thread of its own, because the caller may be inside a runtime.
    let sender = thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(send_all(address, scripts, time))
    });
    sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

async fn send_all(address: SocketAddr, scripts: Vec<Script>, time: Duration) -> Result<(Done, Vec<Script>)> {
    let mut ready = Vec::new();
    for script in scripts {
        ready.push((Connection::open(address).await?, script));
    }
    let start = Instant::now();
    let tasks: Vec<_> = ready
        .into_iter()
        .map(|(mut connection, mut script)| {
            tokio::spawn(async move {
                let mut requests = 0;
                while start.elapsed() < time && script.step(&mut connection).await? {
                    requests += 1;
                }
                anyhow::Ok((requests, script))
            })
        })
        .collect();
    let mut done = Done { requests: 0, elapsed: Duration::ZERO };
    let mut scripts = Vec::new();
    for task in tasks {
        let (requests, script) = task.await??;
        done.requests += requests;
        scripts.push(script);
    }
    done.elapsed = start.elapsed();
    Ok((done, scripts))
}
