//! A small shop whose visits, cart, theme and login live in a session.
//!
//! | request | what it does with the session |
//! |---|---|
//! | `GET /` | shows it, as a page with forms |
//! | `GET /about` | nothing, so it costs the store nothing |
//! | `GET /visits` | `increment`: counts the visit, and answers the number |
//! | `POST /cart` (`sku`, `qty`) | `update`: adds to the cart; concurrent requests lose nothing |
//! | `GET /cart` | answers the cart as JSON |
//! | `POST /theme` (`theme`) | `insert`: the last one wins |
//! | `POST /login` (`name`) | `rotate_id`, then `insert` |
//! | `POST /logout` | `destroy` |
//! | `GET /session` | answers all of it as JSON |
//!
//! [`Settings`] are read from environment variables. Several copies can run side by side on one Redis.

#[cfg(test)]
use secret_watch as _;

mod cart;
mod failure;
mod handlers;
mod input;
mod pages;
mod settings;
mod visitor;

use axum::Router;
use axum::routing::{get, post};
use session_tower::SessionLayer;

pub use settings::Settings;

/// The shop, with its sessions from this layer.
pub fn router(sessions: SessionLayer) -> Router {
    Router::new()
        .route("/", get(handlers::index))
        .route("/about", get(handlers::about))
        .route("/visits", get(handlers::count_visit))
        .route("/cart", get(handlers::cart).post(handlers::add_to_cart))
        .route("/theme", post(handlers::choose_theme))
        .route("/login", post(handlers::log_in))
        .route("/logout", post(handlers::log_out))
        .route("/session", get(handlers::session))
        .layer(sessions)
}

/// The programs in the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
