//! Every URL of the provider on one screen. All of them lie under the issuer's path.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Router, http::StatusCode};

use crate::app::App;
use crate::config::RegistrationMode;
use crate::http::cors::preflight;
use crate::http::headers::{api_headers, cors_headers, page_headers};
use crate::http::params::MAX_BODY;
use crate::http::request_scope::{LONGEST_REQUEST, RequestScope};
use crate::oidc::{
    authorize, device_authorization, introspect, metadata, registration, revocation_feed, revoke, status_list, token, userinfo,
};
use crate::pages::{self, account, assets, consent, device, landing, login, logout, setup};
use crate::telemetry;

/// The provider as one service.
pub fn router(app: &Arc<App>) -> Router {
    let https = app.issuer.secure;
    // One `layer` for each group: a second would cost every request three allocations more.
    let scope = (RequestScope(LONGEST_REQUEST), DefaultBodyLimit::max(MAX_BODY));

    let protocol = Router::new()
        .route("/token", post(token::post))
        .route("/par", post(authorize::par::post))
        .route("/userinfo", get(userinfo::handle).post(userinfo::handle))
        .route("/revoke", post(revoke::post))
        .route("/device_authorization", post(device_authorization::post))
        .route("/jwks", get(metadata::jwks))
        .route("/status-lists", get(status_list::aggregation))
        .route("/status-lists/{list}", get(status_list::get))
        .route("/.well-known/openid-configuration", get(metadata::provider))
        .route("/.well-known/oauth-authorization-server", get(metadata::provider))
        .method_not_allowed_fallback(preflight)
        .layer((scope, cors_headers(https)));

    // Off, there is no such address at all.
    let protocol = match app.config.registration.mode {
        RegistrationMode::Off => protocol,
        RegistrationMode::Token | RegistrationMode::Open => protocol.merge(
            Router::new()
                .route(registration::PATH, post(registration::post))
                .route(
                    "/register/{client_id}",
                    get(registration::manage::get).put(registration::manage::put).delete(registration::manage::delete),
                )
                .method_not_allowed_fallback(preflight)
                .layer((scope, cors_headers(https))),
        ),
    };

    let people = Router::new()
        .route("/", get(landing::get))
        .route("/authorize", get(authorize::get).post(authorize::post))
        .route("/authorize/resume", get(authorize::resume))
        .route("/login", get(login::get).post(login::post))
        .route("/select-account", get(login::select_account).post(login::account_selected))
        .route("/consent", get(consent::get).post(consent::post))
        .route("/device", get(device::get).post(device::enter))
        .route("/device/confirm", post(device::confirm))
        .route("/device/allowed", get(device::allowed))
        .route("/device/denied", get(device::denied))
        .route("/logout", get(logout::get).post(logout::post))
        .route("/logout/confirm", post(logout::confirm))
        .route("/account", get(account::profile))
        .route("/account/password", get(account::password).post(account::change_password))
        .route("/account/sessions", get(account::sessions).post(account::end_sessions))
        .route("/account/apps", get(account::apps).post(account::remove_app))
        .route("/sign-out", post(logout::sign_out))
        .route("/setup", get(setup::get).post(setup::post))
        .fallback(pages::not_found)
        .method_not_allowed_fallback(pages::method_not_allowed)
        .layer((scope, page_headers(https), from_fn_with_state(Arc::clone(app), pages::draw)));

    let rest = Router::new()
        .route("/introspect", post(introspect::post))
        .route("/revocations", get(revocation_feed::get_feed).post(revocation_feed::post_feed))
        .route("/revocations/stream", get(revocation_feed::get_stream).post(revocation_feed::post_stream))
        .route("/healthz", get(StatusCode::OK))
        .route("/readyz", get(telemetry::ready))
        .route("/static/{file}", get(assets::get))
        .layer((scope, api_headers(https)));

    let all = protocol.merge(people).merge(rest);
    let all = match app.issuer.path.as_str() {
        "" => all,
        // RFC 8414 §3.1: for an issuer with a path, the well-known part comes first.
        path => Router::new()
            .route(&format!("/.well-known/oauth-authorization-server{path}"), get(metadata::provider))
            .route(&format!("/.well-known/openid-configuration{path}"), get(metadata::provider))
            .method_not_allowed_fallback(preflight)
            .layer((scope, cors_headers(https)))
            .nest(path, all),
    };
    let all = all.with_state(Arc::clone(app));
    match app.metrics.is_on() {
        true => all.layer(from_fn_with_state(Arc::clone(&app.metrics), telemetry::count_requests)),
        false => all,
    }
}
