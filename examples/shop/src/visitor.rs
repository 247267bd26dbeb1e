//! What the session holds of a visitor: the names and types of its attributes, once.

use serde::{Deserialize, Serialize};
use session_core::Result;
use session_tower::Session;

use crate::cart::Cart;

pub(crate) const CART: &str = "cart";
pub(crate) const THEME: &str = "theme";
pub(crate) const USER: &str = "user";
pub(crate) const VISITS: &str = "visits";

/// How the pages look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Theme {
    #[default]
    Light,
    Dark,
}

/// All of it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Visitor {
    pub(crate) cart: Cart,
    pub(crate) theme: Theme,
    pub(crate) user: Option<String>,
    pub(crate) visits: i64,
}

impl Visitor {
    /// What is not there has its default.
    pub(crate) fn of(session: &Session) -> Result<Self> {
        Ok(Self {
            cart: session.get(CART)?.unwrap_or_default(),
            theme: session.get(THEME)?.unwrap_or_default(),
            user: session.get(USER)?,
            visits: session.get(VISITS)?.unwrap_or_default(),
        })
    }
}
