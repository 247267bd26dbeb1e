//! Several applications, each for several tenants, which share Redis servers and never see each other's sessions.
//!
//! The host of a request tells its tenant: `north.example` and `north.localhost` are those of the tenant `north`. The
//! tenant decides on which Redis the session lies, and in which database; tenant and application are in its key. A
//! cookie that is shown to another application or tenant is unknown there, and never becomes valid there.
//!
//! | request | what it does with the session |
//! |---|---|
//! | `GET /` | counts the visit, and answers who came how often |
//! | `POST /login/{name}` | changes the id and keeps the name |
//! | `POST /logout` | destroys it |
//!
//! [`Settings`] tells the environment variables.

#[cfg(test)]
use secret_watch as _;

mod handlers;
mod settings;
mod tenant;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};
use session_core::{
    Connection, Error, ErrorKind, KeyDerivation, MemoryProvider, Operation, RequestContext, Result, SessionManager,
};
use session_serde::Codec;
use session_tower::{SessionCookie, SessionLayer};

pub use settings::{Settings, WrongSetting};
pub use tenant::{Tenant, Tenants};

/// One application, for these tenants.
///
/// # Errors
///
/// The application's name cannot be that of a cookie. Nothing is connected yet.
pub fn router(application: &str, tenants: Tenants) -> Result<Router> {
    let layer = SessionLayer::new(manager()?)
        // Browsers send a cookie to all ports of a host, so on one machine each application needs a name of its own.
        // Behind https: `__Host-` before the name, and without the second setting.
        .with_cookie(SessionCookie::builder().name(application).secure(false).build()?)
        .with_context(|parts| match parts.extensions.get::<Tenant>() {
            Some(tenant) => RequestContext::new(tenant.clone()),
            None => RequestContext::default(),
        });
    Ok(Router::new()
        .route("/", get(handlers::index))
        .route("/login/{name}", post(handlers::log_in))
        .route("/logout", post(handlers::log_out))
        .layer(layer)
        // Above the sessions, which need to know the tenant.
        .layer(middleware::from_fn_with_state(tenants, tenant::of_the_host)))
}

/// The sessions of all tenants.
fn manager() -> Result<SessionManager<Codec>> {
    // No request gets to the connection that a manager begins with: each has a tenant, and each tenant a connection.
    SessionManager::builder(MemoryProvider::new(), Codec::default())
        .connection_callback(|context, _| tenant(context).map(|tenant| Connection::clone(tenant.connection())))
        .key_derivation(KeyDerivation::custom(|context, id| tenant(context)?.keys().derive(context, id)))
        .build()
}

fn tenant(context: &RequestContext) -> Result<&Tenant> {
    context.get().ok_or_else(|| Error::new(ErrorKind::KeyCallback, Operation::Route, "a request without a tenant"))
}
