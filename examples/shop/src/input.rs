//! What customers type into the forms, checked.

use serde::Deserialize;

use crate::failure::Failure;
use crate::visitor::Theme;

/// `POST /cart`
#[derive(Deserialize)]
pub(crate) struct Order {
    sku: String,
    qty: String,
}

impl Order {
    /// Article and quantity.
    pub(crate) fn checked(&self) -> Result<(String, u32), Failure> {
        let quantity = self.qty.trim().parse().ok().filter(|quantity| (1..=999).contains(quantity));
        let quantity = quantity.ok_or(Failure::Invalid("The quantity (qty) is a number from 1 to 999."))?;
        let sku = line(&self.sku).ok_or(Failure::Invalid("The article (sku) is a text of 1 to 64 characters."))?;
        Ok((sku, quantity))
    }
}

/// `POST /theme`
#[derive(Deserialize)]
pub(crate) struct Taste {
    theme: String,
}

impl Taste {
    pub(crate) fn checked(&self) -> Result<Theme, Failure> {
        match self.theme.as_str() {
            "light" => Ok(Theme::Light),
            "dark" => Ok(Theme::Dark),
            _ => Err(Failure::Invalid("The theme is light or dark.")),
        }
    }
}

/// `POST /login`
#[derive(Deserialize)]
pub(crate) struct Person {
    name: String,
}

impl Person {
    pub(crate) fn checked(&self) -> Result<String, Failure> {
        line(&self.name).ok_or(Failure::Invalid("The name is a text of 1 to 64 characters."))
    }
}

/// One line of 1 to 64 characters, without the spaces around it.
fn line(text: &str) -> Option<String> {
    let text = text.trim();
    let good = (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(sku: &str, qty: &str) -> Option<(String, u32)> {
        Order { sku: sku.to_owned(), qty: qty.to_owned() }.checked().ok()
    }

    #[test]
    fn orders() {
        assert_eq!(order(" grüner Apfel ", " 999"), Some(("grüner Apfel".to_owned(), 999)));
        assert_eq!(order(&"ü".repeat(64), "1"), Some(("ü".repeat(64), 1)));
        for (sku, qty) in [("", "1"), (" ", "1"), ("a\nb", "1"), ("a\0", "1"), (&"x".repeat(65), "1")] {
            assert_eq!(order(sku, qty), None, "{sku:?}");
        }
        for qty in ["", "0", "-1", "1000", "1.5", "many", "99999999999999999999"] {
            assert_eq!(order("apple", qty), None, "{qty:?}");
        }
    }

    #[test]
    fn themes() {
        for (text, theme) in [("light", Some(Theme::Light)), ("dark", Some(Theme::Dark)), ("Dark", None), ("", None)] {
            assert_eq!(Taste { theme: text.to_owned() }.checked().ok(), theme, "{text:?}");
        }
    }
}
