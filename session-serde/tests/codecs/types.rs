//! Types as people keep them in sessions, and types that are hard on serializers. The fuzz targets use them, too.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
pub struct User {
    pub id: u64,
    pub name: String,
    pub email: Option<String>,
    pub roles: Vec<Role>,
    pub since: i64,
    pub rating: f64,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
pub enum Role {
    Member,
    Author { articles: u32 },
    Editor(String, u8),
    Other(String),
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
pub struct Cart {
    pub lines: Vec<Line>,
    pub voucher: Option<String>,
    pub notes: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
pub struct Line {
    pub article: String,
    pub quantity: u32,
    pub cents: i64,
}

/// Every shape that all serializers carry.
#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
pub struct Shapes {
    pub unit: (),
    pub marker: Marker,
    pub boolean: bool,
    pub small: (i8, u8, i16, u16, i32, u32),
    pub large: (i64, u64),
    pub huge: (i128, u128),
    pub floats: (f32, f64),
    pub character: char,
    pub text: String,
    pub bytes: ByteBuf,
    pub numbers: Vec<u8>,
    pub option: Option<i16>,
    pub newtype: Newtype,
    pub array: [u16; 3],
    pub set: BTreeSet<char>,
    pub by_number: BTreeMap<i32, Vec<Option<bool>>>,
    pub result: Result<u8, String>,
    pub boxed: Box<Role>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
pub struct Marker;

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
pub struct Newtype(pub u32);

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
pub struct Tree {
    pub name: Option<Box<Tree>>,
    pub children: Vec<Tree>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
pub enum Chain {
    End,
    Wrap(Box<Chain>),
    Link { next: Box<Chain> },
    Pair(Box<Chain>, Box<Chain>),
}

/// What only serializers that describe themselves can read.
#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(untagged)]
pub enum Untagged {
    Number(i64),
    Text(String),
    List(Vec<Untagged>),
    Fields { x: Box<Untagged> },
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(tag = "kind")]
pub enum InternallyTagged {
    Point { x: i32, y: i32 },
    Nothing,
    Inner(Line),
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(tag = "kind", content = "of")]
pub enum AdjacentlyTagged {
    Number(u32),
    Pair(u8, String),
    Nothing,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
pub struct Flattened {
    pub id: u32,
    #[serde(flatten)]
    pub line: Line,
    #[serde(flatten)]
    pub rest: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
pub struct Skipping {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub age: u8,
}

pub fn user() -> User {
    User {
        id: 4_711,
        name: "Ada Lovelace".to_owned(),
        email: Some("ada@example.org".to_owned()),
        roles: vec![
            Role::Member,
            Role::Author { articles: 3 },
            Role::Editor("maths".to_owned(), 1),
            Role::Other("naïve 🦀".to_owned()),
        ],
        since: -4_000_000_000,
        rating: 4.75,
    }
}

pub fn cart() -> Cart {
    let line = |number: u32| Line {
        article: format!("article-{number:03}"),
        quantity: number % 3 + 1,
        cents: i64::from(number) * 1_999 - 500,
    };
    Cart {
        lines: (0..10).map(line).collect(),
        voucher: None,
        notes: BTreeMap::from([("gift".to_owned(), "wrap it".to_owned())]),
    }
}

pub fn shapes() -> Shapes {
    Shapes {
        unit: (),
        marker: Marker,
        boolean: true,
        small: (i8::MIN, u8::MAX, i16::MIN, u16::MAX, i32::MIN, u32::MAX),
        large: (i64::MIN, u64::MAX),
        huge: (i128::MIN, u128::MAX),
        floats: (-0.1, 1e300),
        character: '🦀',
        text: "\"quoted\" \\ \n \u{0} ü".to_owned(),
        bytes: ByteBuf::from(vec![0, 1, 127, 128, 255]),
        numbers: vec![0, 127, 128, 255],
        option: Some(-300),
        newtype: Newtype(70_000),
        array: [0, 255, 256],
        set: BTreeSet::from(['a', 'ß']),
        by_number: BTreeMap::from([(-1, vec![None, Some(true)]), (300, vec![])]),
        result: Err("no".to_owned()),
        boxed: Box::new(Role::Author { articles: 0 }),
    }
}

pub fn tree() -> Tree {
    let leaf = Tree { name: None, children: vec![] };
    let named = Tree { name: Some(Box::new(leaf.clone())), children: vec![leaf.clone(), leaf] };
    Tree { name: None, children: vec![named.clone(), named] }
}

pub fn chain() -> Chain {
    let link = Chain::Link { next: Box::new(Chain::End) };
    Chain::Pair(Box::new(Chain::Wrap(Box::new(link))), Box::new(Chain::End))
}

pub fn untagged() -> Untagged {
    let texts = Untagged::List(vec![Untagged::Text("x".to_owned()), Untagged::Number(-7)]);
    Untagged::Fields { x: Box::new(texts) }
}

pub fn flattened() -> Flattened {
    let line = Line { article: "tea".to_owned(), quantity: 2, cents: 350 };
    Flattened { id: 9, line, rest: BTreeMap::from([("colour".to_owned(), "green".to_owned())]) }
}
