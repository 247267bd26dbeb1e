//! The pages, as HTML.

use std::fmt::{self, Write as _};

use crate::visitor::{Theme, Visitor};

const STYLE: &str = "\
:root { color-scheme: light; --paper: #fdfcf9; --ink: #23262b; --line: #d9d5cb; --accent: #9c3d1f }
.dark { color-scheme: dark; --paper: #1d1f23; --ink: #e6e3dc; --line: #45484f; --accent: #f0a07c }
html { background: var(--paper) }
body { background: var(--paper); color: var(--ink); font: 17px/1.5 system-ui, sans-serif; margin: 2rem auto;
       max-width: 38rem; padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.05rem; margin: 0 0 .5rem }
header, section { border-bottom: 1px solid var(--line); padding: 1rem 0 }
form { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center }
input, select, button { border: 1px solid var(--line); border-radius: .3rem; font: inherit; padding: .25rem .6rem }
input[type=number] { width: 5rem } button { background: var(--accent); border: 0; color: var(--paper); cursor: pointer }
a { color: var(--accent) } td { padding-right: 2rem } td + td { text-align: right }
";

/// The shop as this visitor sees it.
pub(crate) fn index(visitor: &Visitor) -> String {
    let mut cart = String::new();
    for (sku, quantity) in visitor.cart.lines() {
        // Writing to a string cannot fail.
        let _ = write!(cart, "<tr><td>{}</td><td>{quantity}</td></tr>", Escaped(sku));
    }
    let cart = if cart.is_empty() { "<p>It is empty.</p>".to_owned() } else { format!("<table>{cart}</table>") };
    let person = match &visitor.user {
        Some(name) => format!(
            r#"<form method="post" action="/logout"><span>You are <strong>{}</strong>.</span>
<button>Log out</button></form>"#,
            Escaped(name)
        ),
        None => {
            r#"<form method="post" action="/login"><input name="name" placeholder="Your name" aria-label="Your name"
required maxlength="64"> <button>Log in</button></form>"#
                .to_owned()
        }
    };
    let [light, dark] = [Theme::Light, Theme::Dark].map(|theme| if theme == visitor.theme { " selected" } else { "" });
    let body = format!(
        r#"<header><h1>A small shop</h1></header>
<section><h2>You</h2>{person}</section>
<section><h2>Your cart</h2>{cart}
<form method="post" action="/cart"><input name="sku" placeholder="Article" aria-label="Article" required maxlength="64">
<input name="qty" type="number" aria-label="Quantity" value="1" min="1" max="999" required> <button>Put in</button></form>
</section>
<section><h2>Theme</h2><form method="post" action="/theme"><select name="theme" aria-label="Theme">
<option{light}>light</option><option{dark}>dark</option></select> <button>Choose</button></form></section>
<section><h2>Visits</h2><p>{visits} so far. <a href="/visits">Count another one</a></p></section>
<footer><p><a href="/session">What the session holds</a> · <a href="/about">About</a></p></footer>"#,
        visits = visitor.visits,
    );
    page(visitor.theme, &body)
}

/// A page for which the session is not needed.
pub(crate) fn about() -> String {
    let body = r#"<header><h1>About</h1></header>
<p>What you do in this shop is kept in a session. This page does not look at it, and so it asks the session store
nothing.</p><p><a href="/">Back to the shop</a></p>"#;
    page(Theme::default(), body)
}

fn page(theme: Theme, body: &str) -> String {
    let class = match theme {
        Theme::Light => "light",
        Theme::Dark => "dark",
    };
    format!(
        r#"<!doctype html>
<html lang="en" class="{class}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>A small shop</title><style>{STYLE}</style></head>
<body>
{body}
</body></html>
"#
    )
}

/// A text that is only a text in HTML, also within quotes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_visitors_typed_is_only_text() {
        let mut visitor = Visitor { user: Some("<b>\"Ada\" & 'Co'</b>".to_owned()), ..Visitor::default() };
        visitor.cart.add("<script>", 2).unwrap();
        let page = index(&visitor);
        assert!(page.contains("&lt;b&gt;&quot;Ada&quot; &amp; &#39;Co&#39;&lt;/b&gt;"), "{page}");
        assert!(page.contains("<td>&lt;script&gt;</td><td>2</td>"), "{page}");
        assert!(!page.contains("<script>") && !page.contains("<b>"), "{page}");
    }

    #[test]
    fn the_theme_is_seen_and_selected() {
        let page = index(&Visitor { theme: Theme::Dark, ..Visitor::default() });
        assert!(page.contains(r#"class="dark""#) && page.contains("<option selected>dark"), "{page}");
    }
}
