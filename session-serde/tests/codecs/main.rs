//! What every serializer of this crate promises.

mod limits;
