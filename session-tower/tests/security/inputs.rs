//! Lines of `Cookie` headers that carry no usable id, made from one that does.

use test_support::Random;

/// What comes before an id.
const NAME: &str = "__Host-session=";

/// The longest value.
const LONGEST: usize = 20_000;

/// Makes hostile cookies out of a genuine one.
pub(crate) struct Inputs {
    random: Random,
    /// A signature, if these are signed, and the id.
    genuine: String,
    /// The same with another key's signature.
    forged: String,
}

impl Inputs {
    /// `genuine` and `forged` are values of cookies; the latter is not accepted by whom the former is.
    pub(crate) fn new(seed: u64, genuine: &str, forged: &str) -> Self {
        Self { random: Random::new(seed), genuine: genuine.to_owned(), forged: forged.to_owned() }
    }

    /// Every kind of input, once.
    pub(crate) fn listed(&self) -> Vec<Vec<Vec<u8>>> {
        let genuine = &self.genuine;
        let named = |value: &str| vec![format!("{NAME}{value}").into_bytes()];
        let mut all: Vec<Vec<Vec<u8>>> = [
            format!("{genuine}\r\nSet-Cookie: a=b"),
            format!("\r\n{genuine}"),
            format!("{genuine}\n"),
            format!("{genuine}\0"),
            format!("%0d%0a{genuine}"),
            format!("{genuine}%00"),
            format!("{{{genuine}}}"),
            format!("${{jndi:ldap://{genuine}}}"),
            format!("{{{{{genuine}}}}}"),
            format!("\"{genuine}\""),
            format!("'{genuine}'"),
            format!("{genuine}, {genuine}"),
            format!("{genuine}={genuine}"),
            format!("{genuine}:*"),
            "*".to_owned(),
            "*\r\nFLUSHALL\r\n".to_owned(),
            "../../etc/passwd".to_owned(),
            format!("{}é", &genuine[..genuine.len() - 2]),
            format!("\u{feff}{genuine}"),
            format!("{genuine}\u{200b}"),
            format!("\u{202e}{genuine}"),
            genuine.to_ascii_lowercase() + "x",
            genuine.chars().rev().collect::<String>() + "=",
            genuine.repeat(8_000 / genuine.len()),
            "A".repeat(LONGEST),
            "{".repeat(LONGEST),
            String::new(),
            self.forged.clone(),
        ]
        .iter()
        .map(|value| named(value))
        .collect();
        all.push([named(genuine), named(genuine)].concat());
        all.push(vec![format!("{NAME}{genuine}; {NAME}{genuine}").into_bytes()]);
        all.push(vec![format!("{NAME}; {NAME}{genuine}").into_bytes()]);
        all.push(vec![[NAME.as_bytes(), &[0xFF; 43]].concat()]);
        all.push(vec![format!("other={}; __host-session={genuine}", "x".repeat(8_000)).into_bytes()]);
        all
    }

    /// Another one at random.
    pub(crate) fn next(&mut self) -> Vec<Vec<u8>> {
        let value = self.value();
        let named = [NAME.as_bytes(), &value].concat();
        let genuine = [NAME, &self.genuine].concat().into_bytes();
        // Twice the same name is none, whichever it is the second time.
        match self.random.below(12) {
            0 => vec![genuine, named],
            1 => vec![named, genuine],
            2 => vec![[&genuine[..], b"; ", &named].concat()],
            3 => vec![b"theme=dark; lang=\"de\"".to_vec(), named],
            4 => vec![[b"theme=\xff\xfe; ", &named[..]].concat()],
            _ => vec![named],
        }
    }

    /// A value that is not accepted.
    fn value(&mut self) -> Vec<u8> {
        let mut value = self.genuine.clone().into_bytes();
        match self.random.below(11) {
            0 => value = self.bytes(200),
            1 => value = self.bytes(LONGEST),
            2 => value.truncate(self.random.below(value.len())),
            3 => {
                let more = self.bytes(60);
                // Not a space, which would be trimmed.
                value.push(b'.');
                value.extend(more);
            }
            4 | 5 => {
                let foreign = self.foreign();
                let at = self.inside();
                value.splice(at..=at, foreign);
            }
            6 => {
                let foreign = self.foreign();
                let at = self.inside();
                value.splice(at..at, foreign);
            }
            7 => {
                let at = self.inside();
                value.swap(at, at - 1);
                value.push(b'=');
            }
            8 => value = [b"\"", &value[..], b"\""].concat(),
            9 => value = value.repeat(2 + self.random.below(100)),
            _ => {
                // A signature that is as good as the other key's, or a little worse.
                value = self.forged.clone().into_bytes();
                if self.random.percent(50) {
                    value.pop();
                }
            }
        }
        value
    }

    /// A place that has something before and behind it.
    fn inside(&mut self) -> usize {
        1 + self.random.below(self.genuine.len() - 2)
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        // Long ones are what they are for; most are short, because there are many.
        let length = if self.random.percent(90) { self.random.below(most.min(100)) } else { self.random.below(most) };
        let mut bytes: Vec<u8> = (0..length).map(|_| self.random.number() as u8).collect();
        if self.random.percent(70) {
            // So that they can be in a header.
            bytes.iter_mut().filter(|byte| byte.is_ascii_control()).for_each(|byte| *byte = b'{');
        }
        bytes
    }

    /// What no id and no signature contains.
    fn foreign(&mut self) -> Vec<u8> {
        const FOREIGN: [&[u8]; 24] = [
            b"\r\n",
            b"\n",
            b"\r",
            b"\0",
            b"\t",
            b" ",
            b"{",
            b"}",
            b"$",
            b"*",
            b"\"",
            b"\\",
            b",",
            b":",
            b"%",
            b"%41",
            b"\x7f",
            b"\xff",
            "é".as_bytes(),
            "Ａ".as_bytes(),
            "\u{a0}".as_bytes(),
            "\u{200b}".as_bytes(),
            "\u{2028}".as_bytes(),
            "🦀".as_bytes(),
        ];
        self.random.pick(&FOREIGN).to_vec()
    }
}
