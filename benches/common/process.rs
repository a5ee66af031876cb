//! A server as a process: started, awaited, measured from outside by what Linux says of it, and stopped.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// `USER_HZ`, the unit of CPU times in `/proc`: 100 on every Linux that a server runs on.
const TICK: Duration = Duration::from_millis(10);
/// Longer than anything takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server. Killed when dropped.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
    /// From its start to its first answer.
    pub ready_after: Duration,
}

/// Memory of a process, in KiB.
#[derive(Clone, Copy)]
pub struct Memory {
    /// Resident now.
    pub resident: u64,
    /// Resident, with shared pages counted by share.
    pub proportional: u64,
    /// The most that was ever resident.
    pub peak: u64,
}

impl Process {
    /// Starts `command`, which must listen on `address`, and waits until `GET ready` is answered by 200. What it writes goes to
    /// `log`.
    pub fn start(mut command: Command, address: SocketAddr, ready: &str, log: &Path) -> Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let start = Instant::now();
        let child = command.spawn().context("starting a server")?;
        let mut process = Self { child, address, ready_after: Duration::ZERO };
        let request = crate::http::get(address, ready, "connection: close\r\n");
        while !answers_ok(address, &request) {
            if let Some(status) = process.child.try_wait()? {
                bail!("the server ended before it was ready: {status}");
            }
            ensure!(start.elapsed() < PATIENCE, "the server was not ready within {PATIENCE:?}");
            thread::sleep(Duration::from_micros(500));
        }
        process.ready_after = start.elapsed();
        Ok(process)
    }

    /// CPU time of all its threads, user and system, since its start.
    pub fn cpu(&self) -> Result<Duration> {
        let text = self.proc("stat")?;
        // After the name, which may contain anything: fields 3 and on (proc_pid_stat(5)); utime is field 14, stime 15.
        let fields = text.rsplit_once(')').context("/proc/<pid>/stat")?.1.split_whitespace();
        let ticks: u32 = fields.skip(11).take(2).filter_map(|field| field.parse::<u32>().ok()).sum();
        Ok(TICK * ticks)
    }

    /// Its memory.
    pub fn memory(&self) -> Result<Memory> {
        let kib = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("{name} in /proc"))?;
            Ok::<u64, anyhow::Error>(line.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse()?)
        };
        let (status, smaps) = (self.proc("status")?, self.proc("smaps_rollup")?);
        Ok(Memory { resident: kib(&status, "VmRSS")?, proportional: kib(&smaps, "Pss")?, peak: kib(&status, "VmHWM")? })
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        ensure!(Command::new("kill").args(["-s", "TERM", &pid]).status()?.success(), "SIGTERM was not sent");
        let start = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(start.elapsed() < PATIENCE, "the server did not end within {PATIENCE:?}");
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        fs::read_to_string(&path).context(path)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answers_ok(address: SocketAddr, request: &[u8]) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(request)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
}

/// An address of this machine on which nobody listens.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
