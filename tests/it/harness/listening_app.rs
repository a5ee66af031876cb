//! An app on a loopback port that keeps what it is sent, and answers as a test tells it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::process::PATIENCE;

/// See the file's head. It ends when it is dropped.
pub struct ListeningApp {
    /// `http://<address>:<port>`
    pub origin: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

/// A request, read whole.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub form: BTreeMap<String, String>,
    pub headers: HeaderMap,
}

struct Shared {
    calls: watch::Sender<Vec<Call>>,
    /// What the next calls are answered; 200 when there is none.
    answers: Mutex<VecDeque<Response>>,
    /// Who calls a path that begins with this is not answered meanwhile.
    held: watch::Sender<Option<&'static str>>,
}

impl ListeningApp {
    pub async fn start() -> Self {
        Self::start_on("127.0.0.1").await
    }

    /// On another address of this machine's loopback network.
    pub async fn start_on(address: &str) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let shared =
            Arc::new(Shared { calls: watch::Sender::new(Vec::new()), answers: Mutex::default(), held: watch::Sender::new(None) });
        let router = Router::new().fallback(take).with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { origin, shared, serving }
    }

    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// The next call is answered with this, after those that were told before.
    pub fn answer_next(&self, answer: impl IntoResponse) {
        self.shared.answers.lock().unwrap().push_back(answer.into_response());
    }

    /// From now on calls are taken and not answered, until `release`.
    pub fn hold(&self) {
        self.hold_path("/");
    }

    /// As `hold`, for what begins with `path` alone.
    pub fn hold_path(&self, path: &'static str) {
        self.shared.held.send_replace(Some(path));
    }

    pub fn release(&self) {
        self.shared.held.send_replace(None);
    }

    /// Forgets the calls so far.
    pub fn clear(&self) {
        self.shared.calls.send_modify(Vec::clear);
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.borrow().clone()
    }

    /// Waits until there were this many calls, and gives all of them.
    pub async fn wait_for(&self, count: usize) -> Vec<Call> {
        let mut calls = self.shared.calls.subscribe();
        let enough = timeout(PATIENCE, calls.wait_for(|calls| calls.len() >= count)).await;
        enough.unwrap_or_else(|_| panic!("{} calls instead of {count}: {:?}", self.calls().len(), self.calls())).unwrap().clone()
    }
}

impl ListeningApp {
    /// Waits for a call of this path, and gives the first one.
    pub async fn wait_for_path(&self, path: &str) -> Call {
        let found = |calls: &Vec<Call>| calls.iter().find(|call| call.path == path).cloned();
        let mut calls = self.shared.calls.subscribe();
        let seen = timeout(PATIENCE, calls.wait_for(|calls| found(calls).is_some())).await;
        let calls = seen.unwrap_or_else(|_| panic!("nobody called {path}: {:?}", self.calls())).unwrap();
        found(&calls).unwrap()
    }
}

impl Drop for ListeningApp {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn take(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let pairs = |text: &[u8]| form_urlencoded::parse(text).into_owned().collect();
    let call = Call {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: pairs(parts.uri.query().unwrap_or_default().as_bytes()),
        form: pairs(&body),
        headers: parts.headers,
    };
    let path = call.path.clone();
    let answer = shared.answers.lock().unwrap().pop_front();
    shared.calls.send_modify(|calls| calls.push(call));
    let _ = shared.held.subscribe().wait_for(|held| !held.is_some_and(|held| path.starts_with(held))).await;
    answer.unwrap_or_else(|| StatusCode::OK.into_response())
}
