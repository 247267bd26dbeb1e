//! What each request does.

use axum::Extension;
use axum::extract::Path;
use session_tower::{Session, SessionRejection};

use crate::tenant::Tenant;

type Answer = Result<String, SessionRejection>;

pub(crate) async fn index(Extension(tenant): Extension<Tenant>, session: Session) -> Answer {
    let visits = session.increment("visits", 1)?;
    let user = session.get::<String>("user")?.unwrap_or_else(|| "nobody".to_owned());
    Ok(format!("{}: {user}, visit {visits}", tenant.name()))
}

pub(crate) async fn log_in(session: Session, Path(name): Path<String>) -> Answer {
    session.rotate_id()?;
    session.insert("user", &name)?;
    Ok(name)
}

pub(crate) async fn log_out(session: Session) -> Answer {
    session.destroy()?;
    Ok("nobody".to_owned())
}
