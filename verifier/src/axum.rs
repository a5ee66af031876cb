//! Extractors for axum, behind the layer [`RequireToken`](crate::RequireToken): the token, and what it must have.

use std::marker::PhantomData;

use axum_core::body::Body;
use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use crate::denied::Denied;
use crate::token::Token;

/// A scope, as a type: `struct ReadOrders; impl Scope for ReadOrders { const NAME: &str = "orders:read"; }`.
pub trait Scope {
    /// As it stands in `scope`.
    const NAME: &'static str;
}

/// A role, as a type: `struct Admin; impl Role for Admin { const NAME: &str = "admin"; }`.
pub trait Role {
    /// As it stands in `roles`.
    const NAME: &'static str;
}

/// The request's token, which has the scope `S`: `RequireScope { token, .. }: RequireScope<ReadOrders>`.
#[derive(Clone, Debug)]
pub struct RequireScope<S> {
    /// The token.
    pub token: Token,
    scope: PhantomData<S>,
}

/// The request's token, whose user has the role `R`: `RequireRole { token, .. }: RequireRole<Admin>`.
#[derive(Clone, Debug)]
pub struct RequireRole<R> {
    /// The token.
    pub token: Token,
    role: PhantomData<R>,
}

/// Why there is no token to extract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The request is answered as `Denied` says.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The route is not behind [`RequireToken`](crate::RequireToken): 500, since nobody looked at the token.
    #[error("the route is not behind `RequireToken`")]
    NoLayer,
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        self.response::<Body>()
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        match self {
            Self::Denied(denied) => denied.into_response(),
            Self::NoLayer => {
                tracing::error!("a route asks for a token, but is not behind `RequireToken`");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

impl<St: Sync> FromRequestParts<St> for Token {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _state: &St) -> Result<Self, Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or(Rejection::NoLayer)
    }
}

impl<St: Sync, S: Scope> FromRequestParts<St> for RequireScope<S> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &St) -> Result<Self, Rejection> {
        let token = Token::from_request_parts(parts, state).await?;
        if token.has_scope(S::NAME) { Ok(Self { token, scope: PhantomData }) } else { Err(Denied::Scope(S::NAME).into()) }
    }
}

impl<St: Sync, R: Role> FromRequestParts<St> for RequireRole<R> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &St) -> Result<Self, Rejection> {
        let token = Token::from_request_parts(parts, state).await?;
        if token.has_role(R::NAME) { Ok(Self { token, role: PhantomData }) } else { Err(Denied::Role(R::NAME).into()) }
    }
}
