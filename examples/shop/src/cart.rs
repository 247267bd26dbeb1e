//! The cart, as the session holds it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How many articles a cart has room for.
const MOST_ARTICLES: usize = 50;

/// How many pieces of one article.
const MOST_PIECES: u32 = 9_999;

/// Pieces by article. Ordered, so that equal carts have equal bytes and are not written again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Cart(BTreeMap<String, u32>);

impl Cart {
    /// Puts more pieces of an article into the cart.
    ///
    /// # Errors
    ///
    /// There is no room, said in a sentence for the customer; the cart is then as it was.
    pub(crate) fn add(&mut self, sku: &str, quantity: u32) -> Result<(), &'static str> {
        if !self.0.contains_key(sku) && self.0.len() >= MOST_ARTICLES {
            return Err("The cart has no room for more than 50 articles.");
        }
        let pieces = self.0.get(sku).copied().unwrap_or(0).saturating_add(quantity);
        if pieces > MOST_PIECES {
            return Err("The cart has no room for more than 9,999 pieces of an article.");
        }
        self.0.insert(sku.to_owned(), pieces);
        Ok(())
    }

    /// Articles in alphabetical order, with their pieces.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&str, u32)> {
        self.0.iter().map(|(sku, quantity)| (sku.as_str(), *quantity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up() {
        let mut cart = Cart::default();
        cart.add("pear", 1).unwrap();
        cart.add("apple", 2).unwrap();
        cart.add("apple", 1).unwrap();
        assert_eq!(cart.lines().collect::<Vec<_>>(), [("apple", 3), ("pear", 1)]);
    }

    #[test]
    fn room_is_limited() {
        let mut cart = Cart::default();
        for number in 0..MOST_ARTICLES {
            cart.add(&number.to_string(), MOST_PIECES).unwrap();
        }
        let full = cart.clone();
        assert!(cart.add("another", 1).is_err());
        assert!(cart.add("0", 1).is_err());
        assert_eq!(cart, full);
    }
}
