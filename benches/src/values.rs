//! Values as people keep them in sessions.

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteBuf, Bytes};

/// A value, and what it is when it is borrowed from the bytes.
pub trait Sample: Serialize + DeserializeOwned + PartialEq + Debug + 'static {
    /// The same, with text and bytes borrowed.
    type Borrowed<'a>: Deserialize<'a>;
}

/// Does something with each value.
pub trait ForEach {
    /// With this one.
    fn value<T: Sample>(&mut self, name: &'static str, value: &T);
}

/// The names of all values, in their order.
pub const NAMES: [&str; 6] = ["counter", "short text", "user", "cart of ten", "tokens of 1.5 kB", "32 random bytes"];

/// Shows every value.
pub fn for_each(see: &mut impl ForEach) {
    see.value(NAMES[0], &counter());
    see.value(NAMES[1], &text());
    see.value(NAMES[2], &user());
    see.value(NAMES[3], &cart());
    see.value(NAMES[4], &tokens());
    see.value(NAMES[5], &random());
}

/// A number.
pub fn counter() -> i64 {
    4_711
}

impl Sample for i64 {
    type Borrowed<'a> = i64;
}

/// A theme, a language.
pub fn text() -> String {
    "en-GB".to_owned()
}

impl Sample for String {
    type Borrowed<'a> = &'a str;
}

/// Who is logged in.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[allow(missing_docs)]
pub struct User {
    pub id: u64,
    pub name: String,
    pub email: String,
    pub roles: Vec<Role>,
    pub locale: Option<String>,
    pub last_login: i64,
    pub verified: bool,
}

/// What he may do.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[allow(missing_docs)]
pub enum Role {
    Member,
    Editor { section: u16 },
    Admin,
}

/// Who is logged in, borrowed.
#[derive(Deserialize)]
#[allow(missing_docs)]
pub struct UserRef<'a> {
    pub id: u64,
    pub name: &'a str,
    pub email: &'a str,
    pub roles: Vec<Role>,
    pub locale: Option<&'a str>,
    pub last_login: i64,
    pub verified: bool,
}

/// Who is logged in.
pub fn user() -> User {
    User {
        id: 1_048_576,
        name: "Ada Lovelace".to_owned(),
        email: "ada.lovelace@example.org".to_owned(),
        roles: vec![Role::Member, Role::Editor { section: 300 }],
        locale: Some("en-GB".to_owned()),
        last_login: 1_764_000_000,
        verified: true,
    }
}

impl Sample for User {
    type Borrowed<'a> = UserRef<'a>;
}

/// A shop's cart.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[allow(missing_docs)]
pub struct Cart {
    pub lines: Vec<Line>,
    pub voucher: Option<String>,
    pub currency: String,
}

/// A line of it.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[allow(missing_docs)]
pub struct Line {
    pub article: u64,
    pub title: String,
    pub quantity: u32,
    pub cents: i64,
}

/// A cart, borrowed.
#[derive(Deserialize)]
#[allow(missing_docs)]
pub struct CartRef<'a> {
    #[serde(borrow)]
    pub lines: Vec<LineRef<'a>>,
    pub voucher: Option<&'a str>,
    pub currency: &'a str,
}

/// A line of it, borrowed.
#[derive(Deserialize)]
#[allow(missing_docs)]
pub struct LineRef<'a> {
    pub article: u64,
    pub title: &'a str,
    pub quantity: u32,
    pub cents: i64,
}

/// Ten lines.
pub fn cart() -> Cart {
    let line = |number: u64| Line {
        article: 100_000 + number * 7,
        title: format!("Article number {number}, in green"),
        quantity: 1 + number as u32 % 3,
        cents: 1_999 + number as i64 * 150,
    };
    Cart { lines: (0..10).map(line).collect(), voucher: None, currency: "EUR".to_owned() }
}

impl Sample for Cart {
    type Borrowed<'a> = CartRef<'a>;
}

/// What an identity provider issued.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[allow(missing_docs)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
    pub expires: i64,
}

/// The same, borrowed.
#[derive(Deserialize)]
#[allow(missing_docs)]
pub struct TokensRef<'a> {
    pub access: &'a str,
    pub refresh: &'a str,
    pub expires: i64,
}

/// Tokens as base64url.
pub fn tokens() -> Tokens {
    Tokens { access: letters(1_200), refresh: letters(300), expires: 1_764_003_600 }
}

impl Sample for Tokens {
    type Borrowed<'a> = TokensRef<'a>;
}

/// A key, a nonce.
pub fn random() -> ByteBuf {
    let mut state = 1;
    ByteBuf::from((0..32).map(|_| (next(&mut state) >> 32) as u8).collect::<Vec<_>>())
}

impl Sample for ByteBuf {
    // JSON has no bytes, only a list of numbers, which cannot be borrowed.
    type Borrowed<'a> = Bytesish<'a>;
}

/// Bytes, borrowed where that is possible.
#[derive(Deserialize)]
#[serde(transparent)]
#[allow(missing_docs)]
pub struct Bytesish<'a>(#[serde(borrow, with = "bytesish")] pub std::borrow::Cow<'a, [u8]>);

mod bytesish {
    use std::borrow::Cow;
    use std::fmt;

    use serde::de::{Deserializer, Error, SeqAccess, Visitor};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'de, [u8]>, D::Error> {
        deserializer.deserialize_bytes(Either)
    }

    struct Either;

    impl<'de> Visitor<'de> for Either {
        type Value = Cow<'de, [u8]>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
            Ok(Cow::Borrowed(bytes))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Self::Value, A::Error> {
            let mut bytes = Vec::new();
            while let Some(byte) = numbers.next_element()? {
                bytes.push(byte);
            }
            Ok(Cow::Owned(bytes))
        }
    }
}

/// A session of twenty attributes: their names, and how each is encoded.
pub fn session<S: session_core::SessionSerializer>(codec: &S) -> Vec<(String, Vec<u8>)> {
    let mut attributes = Vec::new();
    let mut add = |name: String, bytes| attributes.push((name, bytes));
    add("user".to_owned(), encoded(codec, &user()));
    add("cart".to_owned(), encoded(codec, &cart()));
    add("tokens".to_owned(), encoded(codec, &tokens()));
    add("key".to_owned(), encoded(codec, Bytes::new(&random())));
    for number in 0..8 {
        add(format!("setting-{number}"), encoded(codec, &text()));
        add(format!("count-{number}"), encoded(codec, &counter()));
    }
    attributes
}

/// Decodes all of a session, as a store of whole sessions must.
///
/// # Panics
///
/// If it is another session than that of [`session`].
pub fn decode_all<S: session_core::SessionSerializer>(codec: &S, attributes: &[(String, Vec<u8>)]) -> usize {
    let mut seen = 0;
    for (name, bytes) in attributes {
        seen += match name.as_str() {
            "user" => codec.decode::<User>(bytes).expect("a user").roles.len(),
            "cart" => codec.decode::<Cart>(bytes).expect("a cart").lines.len(),
            "tokens" => codec.decode::<Tokens>(bytes).expect("tokens").access.len(),
            "key" => codec.decode::<ByteBuf>(bytes).expect("bytes").len(),
            setting if setting.starts_with("setting") => codec.decode::<String>(bytes).expect("a text").len(),
            _ => codec.decode::<i64>(bytes).expect("a number") as usize,
        };
    }
    seen
}

/// Decodes the two attributes that a request needs.
///
/// # Panics
///
/// If it is another session than that of [`session`].
pub fn decode_two<S: session_core::SessionSerializer>(codec: &S, attributes: &[(String, Vec<u8>)]) -> usize {
    let find = |wanted: &str| &attributes.iter().find(|(name, _)| name == wanted).expect("it is there").1;
    let user: User = codec.decode(find("user")).expect("a user");
    let theme: String = codec.decode(find("setting-3")).expect("a text");
    user.roles.len() + theme.len()
}

/// The bytes of a value.
///
/// # Panics
///
/// If it cannot be encoded.
pub fn encoded<S: session_core::SessionSerializer, T: Serialize + ?Sized>(codec: &S, value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec.encode(value, &mut bytes).expect("it can be encoded");
    bytes
}

fn letters(count: usize) -> String {
    let mut state = 7;
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..count).map(|_| char::from(alphabet[(next(&mut state) >> 58) as usize])).collect()
}

fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state
}
