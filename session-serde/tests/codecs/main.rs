//! What every serializer of this crate promises.

use secret_watch as _;

#[allow(unreachable_pub, reason = "the fuzz targets have it as a module, too")]
mod body;
mod carries;
mod hostile;
mod limits;
mod random;
mod samples;
mod schema_changes;
#[allow(unreachable_pub, reason = "the fuzz targets have it as a module, too")]
mod types;
