//! A site of somebody else on loopback, from which the provider fetches: keys, documents, whatever a test puts there. It counts who comes.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A page of the site.
#[derive(Clone)]
pub struct Page {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

impl Page {
    /// 200 with JSON.
    pub fn json(value: &serde_json::Value) -> Self {
        Self::new(200, "application/json", value.to_string())
    }

    pub fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self { status, headers: vec![("content-type", content_type.to_owned())], body: body.into() }
    }

    #[must_use]
    pub fn with(mut self, header: &'static str, value: &str) -> Self {
        self.headers.push((header, value.to_owned()));
        self
    }
}

#[derive(Default)]
struct Site {
    pages: HashMap<String, Page>,
    visits: HashMap<String, usize>,
}

/// See the file's head. What is not there is 404.
pub struct Elsewhere {
    pub address: SocketAddr,
    site: Arc<Mutex<Site>>,
    /// While it is `true` nobody gets an answer.
    holding: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Elsewhere {
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (site, holding) = (Arc::<Mutex<Site>>::default(), watch::Sender::new(false));
        let router = Router::new().fallback(answer).with_state((Arc::clone(&site), holding.clone()));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, site, holding, serving }
    }

    /// The URL of a path there.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Puts a page there, in place of what was.
    pub fn put(&self, path: &str, page: Page) {
        self.site.lock().unwrap().pages.insert(path.to_owned(), page);
    }

    pub fn remove(&self, path: &str) {
        self.site.lock().unwrap().pages.remove(path);
    }

    /// How often this path was asked for, with any query.
    pub fn visits(&self, path: &str) -> usize {
        self.site.lock().unwrap().visits.get(path).copied().unwrap_or_default()
    }

    /// Requests are counted and not answered, until `release`.
    pub fn hold(&self) {
        self.holding.send_replace(true);
    }

    pub fn release(&self) {
        self.holding.send_replace(false);
    }

    /// Nothing listens any more.
    pub async fn stop(self) {
        self.serving.abort();
        let _ = self.serving.await;
    }
}

async fn answer(State((site, holding)): State<(Arc<Mutex<Site>>, watch::Sender<bool>)>, request: Request) -> Response<Body> {
    let path = request.uri().path().to_owned();
    *site.lock().unwrap().visits.entry(path.clone()).or_default() += 1;
    holding.subscribe().wait_for(|holding| !*holding).await.unwrap();
    let page = site.lock().unwrap().pages.get(&path).cloned();
    let page = page.unwrap_or_else(|| Page::new(404, "text/plain", "nothing"));
    let mut response = Response::new(Body::from(page.body));
    *response.status_mut() = StatusCode::from_u16(page.status).unwrap();
    for (name, value) in page.headers {
        response.headers_mut().append(HeaderName::from_static(name), HeaderValue::try_from(value).unwrap());
    }
    response
}
