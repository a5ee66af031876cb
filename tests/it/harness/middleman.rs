//! A man in the middle, between the gate and a replica: he passes everything on, but rewrites, drops, repeats and delays the messages
//! of the revocation stream as a test tells him, for each receiver apart. On loopback the feed is plain HTTP: nothing hinders him.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tessera_verifier::{EventStream, MAX_MESSAGE_LENGTH};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::provider::{TestClient, basic};

/// What becomes of a message: what is sent in its place.
pub type Rule = Box<dyn FnMut(&str) -> Vec<String> + Send>;

/// See the file's head.
pub struct Middleman {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    target: SocketAddr,
    http: reqwest::Client,
    /// By the receiver's `Authorization`.
    tricks: Mutex<HashMap<HeaderValue, Trick>>,
}

#[derive(Default)]
struct Trick {
    rule: Option<Rule>,
    delay: Duration,
    instead: Option<HeaderValue>,
}

impl Middleman {
    /// Stands before `target`, and does nothing bad yet.
    pub async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { target, http: super::live::http(), tricks: Mutex::default() });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        let server = axum_server::Server::<SocketAddr>::from_listener(listener).http1_only();
        let serving = tokio::spawn(async move { server.serve(router.into_make_service()).await.unwrap() });
        Self { address, shared, serving }
    }

    /// From now on this receiver's messages become what `rule` makes of them, also on a stream that is open.
    pub fn rewrite(&self, receiver: &TestClient, rule: impl FnMut(&str) -> Vec<String> + Send + 'static) {
        self.trick(receiver, |trick| trick.rule = Some(Box::new(rule)));
    }

    /// From now on this receiver's messages arrive so much later.
    pub fn delay(&self, receiver: &TestClient, by: Duration) {
        self.trick(receiver, |trick| trick.delay = by);
    }

    /// From its next connection on this receiver is given the stream of another one, with its own nonce.
    pub fn splice(&self, receiver: &TestClient, other: &TestClient) {
        self.trick(receiver, |trick| trick.instead = Some(authorization(other)));
    }

    /// Nothing bad any more.
    pub fn leave_alone(&self, receiver: &TestClient) {
        self.trick(receiver, |trick| *trick = Trick::default());
    }

    fn trick(&self, receiver: &TestClient, change: impl FnOnce(&mut Trick)) {
        change(self.shared.tricks.lock().unwrap().entry(authorization(receiver)).or_default());
    }
}

impl Drop for Middleman {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn authorization(client: &TestClient) -> HeaderValue {
    basic(&client.id, client.secret.as_ref().unwrap()).parse().unwrap()
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let receiver = parts.headers.get(AUTHORIZATION).cloned();
    let body = to_bytes(body, 1 << 20).await.unwrap_or_default();
    parts.headers.remove(CONTENT_LENGTH);
    if parts.uri.path() == "/revocations/stream"
        && let Some(receiver) = &receiver
        && let Some(instead) = shared.tricks.lock().unwrap().get(receiver).and_then(|trick| trick.instead.clone())
    {
        parts.headers.insert(AUTHORIZATION, instead);
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let request = shared.http.request(parts.method, format!("http://{}{path}", shared.target)).headers(parts.headers).body(body);
    let Ok(answer) = request.send().await else { return StatusCode::BAD_GATEWAY.into_response() };
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    let is_stream = headers.get(CONTENT_TYPE).is_some_and(|name| name.as_bytes().starts_with(b"text/event-stream"));
    let body = match receiver.filter(|_| is_stream) {
        Some(receiver) => rewritten(shared, receiver, answer),
        None => Body::from(answer.bytes().await.unwrap_or_default()),
    };
    (status, headers, body).into_response()
}

/// The events of `answer`, as the receiver gets them.
fn rewritten(shared: Arc<Shared>, receiver: HeaderValue, mut answer: reqwest::Response) -> Body {
    let (send, arriving) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut events = EventStream::new(MAX_MESSAGE_LENGTH);
        while let Ok(Some(chunk)) = answer.chunk().await {
            events.push(&chunk);
            while let Some(event) = events.next_event().unwrap() {
                let (due, messages) = shared.treat(&receiver, event.data);
                for message in messages {
                    if send.send((due, message)).is_err() {
                        return;
                    }
                }
            }
        }
    });
    Body::from_stream(stream::unfold(arriving, async |mut arriving| {
        let (due, message): (Instant, String) = arriving.recv().await?;
        sleep_until(due).await;
        let event = Bytes::from(format!("event: revocations\ndata: {message}\n\n"));
        Some((Ok::<_, Infallible>(event), arriving))
    }))
}

impl Shared {
    fn treat(&self, receiver: &HeaderValue, message: String) -> (Instant, Vec<String>) {
        let mut tricks = self.tricks.lock().unwrap();
        let Some(trick) = tricks.get_mut(receiver) else { return (Instant::now(), vec![message]) };
        let messages = match &mut trick.rule {
            Some(rule) => rule(&message),
            None => vec![message],
        };
        (Instant::now() + trick.delay, messages)
    }
}
