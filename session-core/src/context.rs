//! What the routing callbacks may know of a request.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// An owned value that describes a request to the key and connection callbacks: a tenant, a host name, whatever the
/// application puts in.
///
/// It is owned because keys are also derived after the request's own parts are gone: for fresh ids, at rotation, in
/// background jobs.
///
/// ```
/// # use session_core::RequestContext;
/// struct Tenant(&'static str);
/// let context = RequestContext::new(Tenant("north"));
/// assert_eq!(context.get::<Tenant>().map(|tenant| tenant.0), Some("north"));
/// assert!(RequestContext::default().get::<Tenant>().is_none());
/// ```
#[derive(Clone, Default)]
pub struct RequestContext(Option<Arc<dyn Any + Send + Sync>>);

impl RequestContext {
    /// A context that holds `value`.
    pub fn new<T: Any + Send + Sync>(value: T) -> Self {
        Self(Some(Arc::new(value)))
    }

    /// The value, if it is of this type.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.as_deref()?.downcast_ref()
    }
}

impl fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The application's value may hold anything, so it is not shown.
        f.write_str(if self.0.is_some() { "RequestContext(..)" } else { "RequestContext(empty)" })
    }
}
