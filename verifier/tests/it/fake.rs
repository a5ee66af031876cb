//! A provider that does what a test says: each connection to the stream is handed to the test, which answers it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use axum::routing::{get, post};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tessera_verifier::{Builder, Clock, SystemClock, Verifier};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use crate::sign::{AUDIENCE, NOW, Signer, claims, with};

/// The machine's monotonic clock, which a test may move forward; its unix time begins at `NOW`.
#[derive(Clone)]
pub struct TestClock {
    start: Duration,
    moved: Arc<AtomicU64>,
    local_error: Arc<AtomicU64>,
}

impl TestClock {
    fn new() -> Self {
        Self { start: SystemClock.monotonic(), moved: Arc::default(), local_error: Arc::default() }
    }

    pub fn advance(&self, by: Duration) {
        self.moved.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    }

    /// From now on the resource server's unix time is this far ahead of the provider's.
    pub fn set_local_error(&self, ahead: Duration) {
        self.local_error.store(ahead.as_secs(), Ordering::SeqCst);
    }

    /// The provider's time in milliseconds.
    pub fn at(&self) -> u64 {
        NOW * 1000 + (self.monotonic() - self.start).as_millis() as u64
    }
}

impl Clock for TestClock {
    fn monotonic(&self) -> Duration {
        SystemClock.monotonic() + Duration::from_millis(self.moved.load(Ordering::SeqCst))
    }

    fn unix(&self) -> Duration {
        Duration::from_millis(self.at()) + Duration::from_secs(self.local_error.load(Ordering::SeqCst))
    }
}

/// What the provider's endpoints answer.
pub struct Script {
    pub metadata: Mutex<Option<Value>>,
    pub jwks: Mutex<Option<Value>>,
    pub introspection: Mutex<Option<Value>>,
    pub jwks_asked: AtomicUsize,
    pub introspected: Mutex<Vec<(String, String)>>,
    streams: mpsc::UnboundedSender<StreamRequest>,
}

pub struct Fake {
    pub issuer: String,
    pub script: Arc<Script>,
    pub clock: TestClock,
    pub signer: Signer,
    address: SocketAddr,
    streams: mpsc::UnboundedReceiver<StreamRequest>,
    server: JoinHandle<()>,
}

/// A request for the stream, not yet answered.
pub struct StreamRequest {
    pub nonce: String,
    pub cursor: Option<String>,
    pub authorization: String,
    answer: oneshot::Sender<Response<Body>>,
}

/// A stream that is open.
pub struct Stream {
    chunks: mpsc::UnboundedSender<Result<Bytes, std::io::Error>>,
}

impl Fake {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let issuer = format!("http://{address}");
        let (sender, streams) = mpsc::unbounded_channel();
        let signer = Signer::ec("one", 1);
        let metadata = json!({
            "issuer": issuer, "jwks_uri": format!("{issuer}/jwks"), "introspection_endpoint": format!("{issuer}/introspect"),
            "revocation_stream_endpoint": format!("{issuer}/revocations/stream"),
        });
        let script = Arc::new(Script {
            metadata: Mutex::new(Some(metadata)),
            jwks: Mutex::new(Some(json!({"keys": [signer.jwk()]}))),
            introspection: Mutex::default(),
            jwks_asked: AtomicUsize::new(0),
            introspected: Mutex::default(),
            streams: sender,
        });
        let server = tokio::spawn(serve(listener, router(script.clone())));
        Self { issuer, script, clock: TestClock::new(), signer, address, streams, server }
    }

    /// Every connection is gone, and none can be made.
    pub async fn stop(&mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
    }

    pub async fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.server = tokio::spawn(serve(listener, router(self.script.clone())));
    }

    pub fn builder(&self) -> Builder {
        Verifier::builder(&self.issuer).audience(AUDIENCE).credentials("api", "s e:cret").clock(self.clock.clone())
    }

    /// The next request for the stream.
    pub async fn stream_request(&mut self) -> StreamRequest {
        tokio::time::timeout(Duration::from_secs(20), self.streams.recv()).await.expect("asks for the stream").unwrap()
    }

    /// A verifier that follows a stream on which nothing was revoked yet.
    pub async fn follow(&mut self) -> (Verifier, Stream) {
        let verifier = self.builder().build().await.unwrap();
        let request = self.stream_request().await;
        let nonce = request.nonce.clone();
        let stream = request.open();
        stream.message(&self.message(0, 0, &[("nonce", json!(nonce))]));
        verifier.ready().await;
        (verifier, stream)
    }

    /// A message of the feed with `at` of now.
    pub fn message(&self, from: u64, seq: u64, members: &[(&str, Value)]) -> String {
        let payload = json!({"iss": self.issuer, "aud": [AUDIENCE], "iat": NOW, "log": "log", "from": from, "seq": seq, "at": self.clock.at(), "clock": "C"});
        self.signer.sign("revocations+jwt", &with(&payload, members))
    }

    /// An access token, with other claims.
    pub fn token(&self, members: &[(&str, Value)]) -> String {
        self.signer.sign("at+jwt", &with(&with(&claims(), &[("iss", json!(self.issuer))]), members))
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl StreamRequest {
    pub fn answer(self, response: Response<Body>) {
        let _ = self.answer.send(response);
    }

    pub fn open(self) -> Stream {
        let (chunks, receiver) = mpsc::unbounded_channel();
        let body = futures_util::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
        let response = Response::builder().header("content-type", "text/event-stream").body(Body::from_stream(body)).unwrap();
        self.answer(response);
        Stream { chunks }
    }
}

impl Stream {
    pub fn message(&self, jws: &str) {
        self.send(&format!("id: x:1\nevent: revocations\ndata: {jws}\n\n"));
    }

    pub fn send(&self, text: &str) {
        let _ = self.chunks.send(Ok(Bytes::from(text.to_owned())));
    }

    /// The connection breaks, after what was sent.
    pub fn cut(self) {
        let _ = self.chunks.send(Err(std::io::Error::other("cut")));
    }

    /// Until the verifier has closed the connection.
    pub async fn closed(&self) {
        self.chunks.closed().await;
    }
}

async fn serve(listener: TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(router.clone());
        connections.spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

fn router(script: Arc<Script>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(async |State(script): State<Arc<Script>>| answer(&script.metadata)))
        .route(
            "/jwks",
            get(async |State(script): State<Arc<Script>>| {
                script.jwks_asked.fetch_add(1, Ordering::SeqCst);
                answer(&script.jwks)
            }),
        )
        .route("/introspect", post(introspect))
        .route("/revocations/stream", get(stream))
        .with_state(script)
}

fn answer(value: &Mutex<Option<Value>>) -> Response<Body> {
    let response = Response::builder().header("content-type", "application/json").header("cache-control", "max-age=600");
    match &*value.lock().unwrap() {
        Some(value) => response.body(value.to_string().into()).unwrap(),
        None => response.status(StatusCode::SERVICE_UNAVAILABLE).body(Body::empty()).unwrap(),
    }
}

async fn introspect(State(script): State<Arc<Script>>, headers: HeaderMap, form: String) -> Response<Body> {
    let authorization = headers["authorization"].to_str().unwrap().to_owned();
    script.introspected.lock().unwrap().push((authorization, form));
    answer(&script.introspection)
}

async fn stream(State(script): State<Arc<Script>>, uri: Uri, headers: HeaderMap) -> Result<Response<Body>, Infallible> {
    let header = |name| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let (answer, answered) = oneshot::channel();
    let request = StreamRequest {
        nonce: uri.query().unwrap().strip_prefix("nonce=").unwrap().to_owned(),
        cursor: header("last-event-id"),
        authorization: header("authorization").unwrap_or_default(),
        answer,
    };
    let _ = script.streams.send(request);
    Ok(answered.await.unwrap_or_else(|_| Response::builder().status(503).body(Body::empty()).unwrap()))
}
