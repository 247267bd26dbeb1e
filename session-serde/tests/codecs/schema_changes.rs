//! What becomes of stored values when the program's types change, with each serializer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use session_core::SessionSerializer;
use session_serde::Codec;

/// `works`: the new type reads what was meant. `error`: it says that it cannot. `WRONG`: it reads something else, and
/// nobody is told.
const OUTCOMES: &str = "\
the new type compared with the old     json   msgpack postcard
the same type                          works  works   works
field added at the end, with default   works  works   error
field added in front, with default     works  works   error
field added, required                  error  error   error
optional field added                   works  works   error
last field removed                     works  works   error
first field removed                    works  works   error
one field removed, one added           works  works   WRONG
fields of one type reordered           works  works   WRONG
fields of two types reordered          works  works   error
field renamed                          error  error   works
field renamed, with alias              works  works   works
field made optional                    works  works   error
field made optional, unlucky           works  works   WRONG
optional field made required           works  works   error
integer widened, u8 to u32             works  works   error
integer widened, u16 to u64            works  works   works
integer narrowed, in range             works  works   works
integer made signed                    works  works   WRONG
integer made a float                   works  works   error
number made a text                     error  error   WRONG
text made a list of numbers            error  error   works
variant added at the end               works  works   works
variant added in front                 works  works   WRONG
unused variant removed                 works  works   WRONG
variants reordered                     works  works   WRONG
variant renamed                        error  error   works
variant renamed, with alias            works  works   works
unit variant given content             error  error   error
field added to a variant, with default works  works   error
enum made internally tagged            error  error   error
value wrapped in a newtype             works  works   works
newtype made a struct                  error  error   works
struct made a map                      works  works   error
array made a list                      works  works   error
list made a set                        works  works   works
list made a map                        error  error   works
old program reads an added field       works  works   error
old program reads an added variant     error  error   error
";

#[test]
fn outcomes() {
    let mut table = format!("{:39}{:7}{:8}{}\n", "the new type compared with the old", "json", "msgpack", "postcard");
    for (change, outcome) in changes() {
        let [json, message_pack, postcard] = Codec::ALL else { panic!("another serializer: add a column") };
        let (json, message_pack, postcard) = (outcome(*json), outcome(*message_pack), outcome(*postcard));
        writeln!(table, "{change:39}{json:7}{message_pack:8}{postcard}").unwrap();
    }
    assert!(table == OUTCOMES, "it is now:\n{table}");
}

type Outcome = Box<dyn Fn(Codec) -> &'static str>;

/// What the new type makes of the old value, where `meant` is right.
fn read<Old, New>(old: Old, meant: New) -> Outcome
where
    Old: Serialize + 'static,
    New: DeserializeOwned + PartialEq + 'static,
{
    Box::new(move |codec| {
        let mut bytes = Vec::new();
        codec.encode(&old, &mut bytes).unwrap();
        match codec.decode::<New>(&bytes) {
            Ok(new) if new == meant => "works",
            Ok(_) => "WRONG",
            Err(_) => "error",
        }
    })
}

/// A struct, with its value.
macro_rules! fields {
    ($($(#[$of_field:meta])* $field:ident: $type:ty = $value:expr),* $(,)?) => {{
        #[derive(Serialize, Deserialize, PartialEq)]
        struct Fields {
            $($(#[$of_field])* $field: $type),*
        }
        Fields { $($field: $value),* }
    }};
}

/// An enum, with its value.
macro_rules! variants {
    ($(#[$of_enum:meta])* [$($variants:tt)*] $($value:tt)*) => {{
        #[derive(Serialize, Deserialize, PartialEq)]
        #[allow(dead_code, reason = "a program has more variants than those that it stores")]
        $(#[$of_enum])*
        enum Variants { $($variants)* }
        Variants::$($value)*
    }};
}

fn changes() -> Vec<(&'static str, Outcome)> {
    let tea = || "tea".to_owned();
    let article = || fields!(name: String = tea(), net: u32 = 3, gross: u32 = 4);
    let role = || variants!([Member, Author, Admin] Author);
    let owner = || variants!([Nobody, Person { name: String }] Person { name: tea() });
    let prices = || fields!(net: u32 = 3, gross: u32 = 4);
    vec![
        ("the same type", read(article(), article())),
        (
            "field added at the end, with default",
            read(
                article(),
                fields!(name: String = tea(), net: u32 = 3, gross: u32 = 4, #[serde(default)] stock: u32 = 0),
            ),
        ),
        (
            "field added in front, with default",
            read(
                article(),
                fields!(#[serde(default)] stock: u32 = 0, name: String = tea(), net: u32 = 3, gross: u32 = 4),
            ),
        ),
        (
            "field added, required",
            read(article(), fields!(name: String = tea(), net: u32 = 3, gross: u32 = 4, stock: u32 = 0)),
        ),
        (
            "optional field added",
            read(article(), fields!(name: String = tea(), net: u32 = 3, gross: u32 = 4, stock: Option<u32> = None)),
        ),
        ("last field removed", read(article(), fields!(name: String = tea(), net: u32 = 3))),
        ("first field removed", read(article(), fields!(net: u32 = 3, gross: u32 = 4))),
        ("one field removed, one added", read(prices(), fields!(gross: u32 = 4, #[serde(default)] stock: u32 = 0))),
        ("fields of one type reordered", read(prices(), fields!(gross: u32 = 4, net: u32 = 3))),
        ("fields of two types reordered", read(article(), fields!(net: u32 = 3, name: String = tea(), gross: u32 = 4))),
        ("field renamed", read(article(), fields!(title: String = tea(), net: u32 = 3, gross: u32 = 4))),
        (
            "field renamed, with alias",
            read(article(), fields!(#[serde(alias = "name")] title: String = tea(), net: u32 = 3, gross: u32 = 4)),
        ),
        (
            "field made optional",
            read(article(), fields!(name: String = tea(), net: u32 = 3, gross: Option<u32> = Some(4))),
        ),
        ("field made optional, unlucky", read(fields!(net: u32 = 0), fields!(net: Option<u32> = Some(0)))),
        ("optional field made required", read(fields!(net: Option<u32> = Some(3)), fields!(net: u32 = 3))),
        ("integer widened, u8 to u32", read(200_u8, 200_u32)),
        ("integer widened, u16 to u64", read(60_000_u16, 60_000_u64)),
        ("integer narrowed, in range", read(60_000_u64, 60_000_u16)),
        ("integer made signed", read(3_u32, 3_i32)),
        ("integer made a float", read(3_u32, 3.0_f64)),
        ("number made a text", read(0_u32, "0".to_owned())),
        ("text made a list of numbers", read(tea(), tea().into_bytes())),
        ("variant added at the end", read(role(), variants!([Member, Author, Admin, Guest] Author))),
        ("variant added in front", read(role(), variants!([Guest, Member, Author, Admin] Author))),
        ("unused variant removed", read(role(), variants!([Author, Admin] Author))),
        ("variants reordered", read(role(), variants!([Author, Member, Admin] Author))),
        ("variant renamed", read(role(), variants!([Member, Writer, Admin] Writer))),
        (
            "variant renamed, with alias",
            read(role(), variants!([Member, #[serde(alias = "Author")] Writer, Admin] Writer)),
        ),
        ("unit variant given content", read(role(), variants!([Member, Author(u8), Admin] Author(0)))),
        (
            "field added to a variant, with default",
            read(
                owner(),
                variants!([Nobody, Person { name: String, #[serde(default)] age: u8 }] Person { name: tea(), age: 0 }),
            ),
        ),
        (
            "enum made internally tagged",
            read(owner(), variants!(#[serde(tag = "kind")] [Nobody, Person { name: String }] Person { name: tea() })),
        ),
        ("value wrapped in a newtype", read(3_u32, Newtype(3))),
        ("newtype made a struct", read(Newtype(3), fields!(number: u32 = 3))),
        ("struct made a map", read(prices(), BTreeMap::from([("net".to_owned(), 3_u32), ("gross".to_owned(), 4)]))),
        ("array made a list", read([3_u32, 4], vec![3_u32, 4])),
        ("list made a set", read(vec![3_u32, 4], BTreeSet::from([3_u32, 4]))),
        ("list made a map", read(vec![(3_u32, 4_u32)], BTreeMap::from([(3_u32, 4_u32)]))),
        (
            "old program reads an added field",
            read(fields!(name: String = tea(), net: u32 = 3, gross: u32 = 4, stock: u32 = 0), article()),
        ),
        ("old program reads an added variant", read(variants!([Member, Author, Admin, Guest] Guest), role())),
    ]
}

#[derive(Serialize, Deserialize, PartialEq)]
struct Newtype(u32);
