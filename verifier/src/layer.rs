//! A tower layer that lets a request through only with an access token, and puts the [`Token`] into its extensions.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::denied::{Denied, bearer_token};
use crate::step_up::StepUp;
use crate::token::Token;
use crate::verifier::Verifier;

/// What a route does while the feed is not fresh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenStale {
    /// Answer 503 with `Retry-After`.
    #[default]
    Refuse,
    /// Ask the provider about each token. Slower, and a load on the provider when it may be in trouble.
    Introspect,
}

/// The layer. Without a token that is accepted, the request is answered as [`Denied`] says and the service behind is not asked.
#[derive(Clone, Debug)]
pub struct RequireToken {
    verifier: Verifier,
    when_stale: WhenStale,
    step_up: StepUp<'static>,
}

impl RequireToken {
    /// A layer that refuses everything while the feed is not fresh.
    pub fn new(verifier: Verifier) -> Self {
        Self { verifier, when_stale: WhenStale::default(), step_up: StepUp::default() }
    }

    /// Another policy for the routes behind this layer.
    #[must_use]
    pub fn when_stale(mut self, policy: WhenStale) -> Self {
        self.when_stale = policy;
        self
    }

    /// What the routes behind this layer ask of the user's sign-in: `StepUp { max_age: Some(300), ..StepUp::default() }`. A token that
    /// does not meet it is good, but not good enough: the answer tells the app what to ask the provider for (RFC 9470).
    #[must_use]
    pub fn step_up(mut self, required: StepUp<'static>) -> Self {
        self.step_up = required;
        self
    }

    /// The token of a request with these headers: for a server that has no tower.
    ///
    /// # Errors
    ///
    /// What to answer instead.
    pub async fn check(&self, headers: &http::HeaderMap) -> Result<Token, Denied> {
        let token = bearer_token(headers)?;
        let token = match self.when_stale {
            WhenStale::Refuse => self.verifier.verify_or_fetch_keys(token).await?,
            WhenStale::Introspect => self.verifier.verify_or_introspect(token).await?,
        };
        if self.verifier.meets(&token, &self.step_up) { Ok(token) } else { Err(Denied::StepUp(self.step_up)) }
    }
}

impl<S> Layer<S> for RequireToken {
    type Service = RequireTokenService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireTokenService { inner, policy: self.clone() }
    }
}

/// The service that [`RequireToken`] makes.
#[derive(Clone, Debug)]
pub struct RequireTokenService<S> {
    inner: S,
    policy: RequireToken,
}

impl<S, A, B> Service<Request<A>> for RequireTokenService<S>
where
    S: Service<Request<A>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    A: Send + 'static,
    B: Default,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        // The service that was found ready goes with the request; its clone stays and is asked again.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let policy = self.policy.clone();
        Box::pin(async move {
            // The headers alone: the body need not be shareable between threads.
            let headers = std::mem::take(request.headers_mut());
            let checked = policy.check(&headers).await;
            *request.headers_mut() = headers;
            match checked {
                Ok(token) => {
                    request.extensions_mut().insert(token);
                    inner.call(request).await
                }
                Err(denied) => Ok(denied.response()),
            }
        })
    }
}
