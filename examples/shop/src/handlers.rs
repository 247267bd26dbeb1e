//! What each request does.

use axum::extract::{Form, Json};
use axum::response::{Html, Redirect};
use session_tower::Session;

use crate::cart::Cart;
use crate::failure::Failure;
use crate::input::{Order, Person, Taste};
use crate::pages;
use crate::visitor::{CART, THEME, USER, VISITS, Visitor};

pub(crate) async fn index(session: Session) -> Result<Html<String>, Failure> {
    Ok(Html(pages::index(&Visitor::of(&session)?)))
}

pub(crate) async fn about() -> Html<String> {
    Html(pages::about())
}

pub(crate) async fn count_visit(session: Session) -> Result<String, Failure> {
    Ok(session.increment(VISITS, 1)?.to_string())
}

pub(crate) async fn cart(session: Session) -> Result<Json<Cart>, Failure> {
    Ok(Json(session.get(CART)?.unwrap_or_default()))
}

pub(crate) async fn add_to_cart(session: Session, Form(order): Form<Order>) -> Result<Redirect, Failure> {
    let (sku, quantity) = order.checked()?;
    // If another process changes the cart meanwhile, this runs again on what it left there.
    session.update(CART, move |cart: &mut Cart| cart.add(&sku, quantity))?.map_err(Failure::Invalid)?;
    Ok(back())
}

pub(crate) async fn choose_theme(session: Session, Form(taste): Form<Taste>) -> Result<Redirect, Failure> {
    session.insert(THEME, &taste.checked()?)?;
    Ok(back())
}

pub(crate) async fn log_in(session: Session, Form(person): Form<Person>) -> Result<Redirect, Failure> {
    let name = person.checked()?;
    // Whoever knew the id before the login does not know it afterwards.
    session.rotate_id()?;
    session.insert(USER, &name)?;
    Ok(back())
}

pub(crate) async fn log_out(session: Session) -> Result<Redirect, Failure> {
    session.destroy()?;
    Ok(back())
}

pub(crate) async fn session(session: Session) -> Result<Json<Visitor>, Failure> {
    Ok(Json(Visitor::of(&session)?))
}

/// After a form the browser gets the page anew, so that reloading it sends nothing twice.
fn back() -> Redirect {
    Redirect::to("/")
}
