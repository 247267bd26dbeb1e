//! Settings and URLs that nobody meant: random ones, made of pieces that mean something.

use session_core::conformance::{Random, seed, soaked};

use crate::body;

/// `$` becomes a secret.
const PIECES: &[&str] = &[
    "$",
    "$",
    "redis",
    "rediss",
    "redis+unix",
    "unix",
    "://",
    ":",
    "@",
    "/",
    "?",
    "#",
    "&",
    "=",
    ",",
    "%",
    "%24",
    "%FF",
    "%00",
    "[",
    "]",
    "::1",
    "h",
    "127.0.0.1",
    "0",
    "6379",
    "99999999999999999999",
    "-1",
    "db",
    "pass",
    "user",
    "password",
    "ssl=true",
    "defaultDatabase",
    "serviceName=m",
    "proxy=Twemproxy",
    "abortConnect=False",
    " ",
    "\0",
    "\r\n",
    "ß",
    "\u{202E}",
];

const VALUES: &[&str] = &[
    "\"$\"",
    "\"$\"",
    "5",
    "0",
    "-1",
    "1.5",
    "true",
    "[]",
    "[\"$\", \"h:1\"]",
    "[1]",
    "{}",
    "{ a = \"$\" }",
    "\"20m\"",
    "\"off\"",
    "\"redis\"",
    "\"sentinel\"",
    "\"cluster\"",
    "\"twemproxy\"",
    "\"redis://:$@h/1\"",
    "\"h,password=$,ssl=$\"",
    "\"http://$\"",
    "\"\"",
    "1979-05-27",
    "99999999999999999999",
    "\"99999999999999999999y\"",
    "\"\\u0000$\"",
    "'''$'''",
];

/// The names of all settings, and some that are none.
fn names() -> Vec<String> {
    let documented = include_str!("../../src/settings.md").lines().filter(|line| line.starts_with("| `"));
    let mut names: Vec<_> = documented
        .flat_map(|line| line.split(" | ").take(3).flat_map(|cell| cell.split('`').skip(1).step_by(2)))
        .map(str::to_owned)
        .collect();
    names
        .extend(["connection", "connection.eu", "connection.EU", "eu", "settingsClassName", "\"\""].map(str::to_owned));
    names
}

#[test]
fn random_settings() {
    let seed = seed();
    println!("SESSION_TEST_SEED={seed}");
    let mut random = Random::new(seed);
    let names = names();
    for _ in 0..soaked(400) {
        let mut file = String::new();
        let mut variables = String::new();
        for _ in 0..=random.below(4) {
            let (name, value) = (random.pick(&names), random.pick(VALUES));
            let infix = random.pick(&["", "", "", "connection.eu.", "connection.default."]);
            file += &format!("{infix}{name} = {value}\n");
            let infix = infix.to_uppercase().replace('.', "_");
            variables += &format!("{infix}{}={}\n", name.to_uppercase(), value.trim_matches(['"', '[', ']']));
        }
        body::settings(file.as_bytes());
        body::settings(variables.as_bytes());
        let cut = random.below(file.len());
        body::settings(&file.as_bytes()[cut..]);
    }
}

#[test]
fn random_urls() {
    let seed = seed();
    println!("SESSION_TEST_SEED={seed}");
    let mut random = Random::new(seed);
    for _ in 0..soaked(10_000) {
        let pieces = (0..=random.below(12)).map(|_| random.pick(PIECES));
        let mut bytes = pieces.collect::<String>().into_bytes();
        body::url(&bytes);
        if random.percent(30) {
            let at = random.below(bytes.len() + 1);
            bytes.insert(at, random.number() as u8);
            body::url(&bytes);
        }
        bytes.splice(0..0, *b"redis://u:$@h");
        body::url(&bytes);
    }
}
