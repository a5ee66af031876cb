//! An app's own server, on loopback: it publishes documents that the provider fetches, and keeps what is sent to it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::process::PATIENCE;

/// See the file's head. It is gone when this is dropped.
pub struct Site {
    /// Without a slash at the end.
    pub origin: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    documents: Mutex<BTreeMap<String, (&'static str, Bytes)>>,
    received: watch::Sender<Vec<Received>>,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: Method,
    pub path_and_query: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Site {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared { documents: Mutex::default(), received: watch::Sender::default() });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { origin, shared, serving }
    }

    /// Publishes `body` at `path` from now on. Gives its URL.
    pub fn publish(&self, path: &str, content_type: &'static str, body: impl Into<Bytes>) -> String {
        self.shared.documents.lock().unwrap().insert(path.to_owned(), (content_type, body.into()));
        format!("{}{path}", self.origin)
    }

    /// What came to `path` so far.
    pub fn received(&self, path: &str) -> Vec<Received> {
        at(path, &self.shared.received.borrow())
    }

    /// Waits until `count` requests have come to `path`.
    pub async fn wait_for(&self, path: &str, count: usize) -> Vec<Received> {
        let mut received = self.shared.received.subscribe();
        let enough = timeout(PATIENCE, received.wait_for(|received| at(path, received).len() >= count)).await;
        at(path, &enough.unwrap_or_else(|_| panic!("{count} requests at {path}: {:?}", self.received(path))).unwrap())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn at(path: &str, received: &[Received]) -> Vec<Received> {
    received.iter().filter(|one| one.path_and_query.split('?').next() == Some(path)).cloned().collect()
}

/// 200 to a POST, and to a GET of what is published; 404 to the rest.
async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = String::from_utf8_lossy(&to_bytes(body, 1 << 20).await.unwrap()).into_owned();
    let path = parts.uri.path().to_owned();
    let path_and_query = parts.uri.path_and_query().unwrap().to_string();
    let is_post = parts.method == Method::POST;
    let received = Received { method: parts.method, path_and_query, headers: parts.headers, body };
    shared.received.send_modify(|all| all.push(received));
    let document = shared.documents.lock().unwrap().get(&path).cloned();
    match document {
        Some((content_type, body)) => ([(CONTENT_TYPE, content_type)], body).into_response(),
        None if is_post => (StatusCode::OK, [(CACHE_CONTROL, "no-store")]).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
