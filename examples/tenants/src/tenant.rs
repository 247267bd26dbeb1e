//! Who a request is for.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use session_core::{Connection, KeyDerivation};
use session_redis::RedisConfig;

/// A tenant of an application, with the way to its sessions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tenant(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    connection: Connection,
    keys: KeyDerivation,
}

impl Tenant {
    /// The tenant of this name, whose sessions of this application lie there.
    pub fn new(name: &str, application: &str, redis: RedisConfig) -> Self {
        Self(Arc::new(Inner {
            name: name.to_owned(),
            connection: Connection::named(name).with_options(redis),
            // Tenant and application are told apart whatever they are called: of the two, the application's name is
            // escaped.
            keys: KeyDerivation::hashed(format!("{name}:")).with_application_name(application),
        }))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.0.connection
    }

    pub(crate) fn keys(&self) -> &KeyDerivation {
        &self.0.keys
    }
}

/// All tenants of an application, by the first label of their hosts.
#[derive(Debug, Clone, Default)]
pub struct Tenants(Arc<HashMap<String, Tenant>>);

impl Tenants {
    fn of(&self, request: &Request) -> Option<&Tenant> {
        let host = request.headers().get(HOST)?.to_str().ok()?;
        let (label, _) = host.split_once('.')?;
        self.0.get(&label.to_ascii_lowercase())
    }
}

impl FromIterator<Tenant> for Tenants {
    fn from_iter<I: IntoIterator<Item = Tenant>>(tenants: I) -> Self {
        Self(Arc::new(tenants.into_iter().map(|tenant| (tenant.name().to_owned(), tenant)).collect()))
    }
}

/// Lets requests pass that are for a tenant, and tells them which.
pub(crate) async fn of_the_host(State(tenants): State<Tenants>, mut request: Request, next: Next) -> Response {
    let Some(tenant) = tenants.of(&request) else { return StatusCode::MISDIRECTED_REQUEST.into_response() };
    let tenant = tenant.clone();
    request.extensions_mut().insert(tenant);
    next.run(request).await
}
