//! From a value as it is written to a value of a setting's type.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use crate::raw::Raw;

/// Why a value cannot be used. Never repeats it: it may be a password that was put in the wrong place.
pub(crate) type Why = Cow<'static, str>;

/// What a number stands for where no unit is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    /// The value is written as people write it, unit and all.
    Written,
    /// As Microsoft's names that end in `InMilliseconds` have it.
    Milliseconds,
    /// As Microsoft's `timeout` has it.
    Minutes,
}

/// The type of a setting. Numbers and `true` and `false` may also be written as texts, since the environment and a
/// `web.config` have nothing else.
pub(crate) trait Value: Sized {
    fn read(raw: Raw, unit: Unit) -> Result<Self, Why>;
}

pub(crate) fn text(raw: Raw) -> Result<String, Why> {
    match raw {
        Raw::Text(text) => Ok(text),
        _ => Err("must be a text, in quotes".into()),
    }
}

impl Value for String {
    fn read(raw: Raw, _: Unit) -> Result<Self, Why> {
        text(raw)
    }
}

impl Value for PathBuf {
    fn read(raw: Raw, _: Unit) -> Result<Self, Why> {
        text(raw).map(Self::from)
    }
}

impl Value for bool {
    fn read(raw: Raw, _: Unit) -> Result<Self, Why> {
        match raw {
            Raw::Bool(value) => Ok(value),
            Raw::Text(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Raw::Text(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err("must be true or false".into()),
        }
    }
}

macro_rules! whole_numbers {
    ($($Number:ty),+) => {$(
        impl Value for $Number {
            fn read(raw: Raw, _: Unit) -> Result<Self, Why> {
                let number = match raw {
                    Raw::Integer(number) => number.try_into().ok(),
                    Raw::Text(text) => text.parse().ok(),
                    _ => None,
                };
                number.ok_or_else(|| format!("must be a whole number from 0 to {}", <$Number>::MAX).into())
            }
        }
    )+};
}

whole_numbers!(u8, u16, u32, u64, usize);

impl Value for Duration {
    fn read(raw: Raw, unit: Unit) -> Result<Self, Why> {
        match unit {
            Unit::Written => written(raw),
            Unit::Milliseconds => u64::read(raw, unit).map(Self::from_millis),
            Unit::Minutes => {
                let seconds = u64::read(raw, unit)?.checked_mul(60);
                seconds.map(Self::from_secs).ok_or_else(|| "is too long".into())
            }
        }
    }
}

fn written(raw: Raw) -> Result<Duration, Why> {
    match raw {
        Raw::Integer(0) => Ok(Duration::ZERO),
        Raw::Integer(_) => Err("needs a unit, as in \"20m\" or \"500ms\"".into()),
        // What the parser says would repeat the text.
        Raw::Text(text) => {
            humantime::parse_duration(&text).map_err(|_| "must be a duration, as in \"20m\" or \"500ms\"".into())
        }
        _ => Err("must be a duration in quotes, as in \"20m\" or \"500ms\"".into()),
    }
}

/// A duration that can also be `off`.
impl Value for Option<Duration> {
    fn read(raw: Raw, unit: Unit) -> Result<Self, Why> {
        match raw {
            Raw::Text(text) if text == "off" => Ok(None),
            raw => Duration::read(raw, unit).map(Some),
        }
    }
}

/// Texts, in order: a list in a file, separated by commas in the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List(Vec<String>);

impl List {
    pub(crate) fn into_texts(self) -> Vec<String> {
        self.0
    }
}

impl<S: Into<String>> From<Vec<S>> for List {
    fn from(texts: Vec<S>) -> Self {
        Self(texts.into_iter().map(Into::into).collect())
    }
}

impl<S: Into<String>, const N: usize> From<[S; N]> for List {
    fn from(texts: [S; N]) -> Self {
        Self(texts.into_iter().map(Into::into).collect())
    }
}

impl Value for List {
    fn read(raw: Raw, _: Unit) -> Result<Self, Why> {
        let texts = match raw {
            Raw::List(list) => {
                list.into_iter().map(text).collect::<Result<_, _>>().map_err(|_| "must be a list of texts")?
            }
            Raw::Text(text) if text.is_empty() => Vec::new(),
            Raw::Text(text) => text.split(',').map(|part| part.trim().to_owned()).collect(),
            _ => return Err("must be a list of texts".into()),
        };
        Ok(Self(texts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<V: Value>(text: &str) -> Result<V, Why> {
        V::read(Raw::Text(text.to_owned()), Unit::Written)
    }

    #[test]
    fn durations_have_their_unit_or_that_of_the_name() {
        assert_eq!(of::<Duration>("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(of::<Duration>("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(of::<Duration>("0"), Ok(Duration::ZERO));
        assert_eq!(Duration::read(Raw::Integer(0), Unit::Written), Ok(Duration::ZERO));
        assert_eq!(Duration::read(Raw::Integer(700), Unit::Milliseconds), Ok(Duration::from_millis(700)));
        assert_eq!(Duration::read(Raw::Text("20".to_owned()), Unit::Minutes), Ok(Duration::from_secs(1200)));
        for wrong in ["", "20", "soon", "-1s", "99999999999999999999y"] {
            assert!(of::<Duration>(wrong).is_err(), "{wrong}");
        }
        assert!(Duration::read(Raw::Integer(20), Unit::Written).is_err());
        assert!(Duration::read(Raw::Text("20m".to_owned()), Unit::Minutes).is_err());
        assert!(Duration::read(Raw::Integer(i128::from(u64::MAX)), Unit::Minutes).is_err());
        assert_eq!(of::<Option<Duration>>("off"), Ok(None));
        assert_eq!(of::<Option<Duration>>("1s"), Ok(Some(Duration::from_secs(1))));
        assert!(of::<Option<Duration>>("never").is_err());
    }

    #[test]
    fn numbers_and_truths_may_be_texts() {
        assert_eq!((of::<u8>("255"), of::<bool>("True"), of::<bool>("false")), (Ok(255), Ok(true), Ok(false)));
        assert_eq!(of::<u8>("256"), Err("must be a whole number from 0 to 255".into()));
        assert_eq!(u8::read(Raw::Integer(-1), Unit::Written), Err("must be a whole number from 0 to 255".into()));
        assert!(u16::read(Raw::Other, Unit::Written).is_err());
        for wrong in ["", "yes", "1"] {
            assert!(of::<bool>(wrong).is_err(), "{wrong}");
        }
        assert!(bool::read(Raw::Integer(1), Unit::Written).is_err());
        assert!(String::read(Raw::Integer(1), Unit::Written).is_err());
    }

    #[test]
    fn lists() {
        assert_eq!(of::<List>("a:1, b:2"), Ok(List::from(["a:1", "b:2"])));
        assert_eq!(of::<List>(""), Ok(List::default()));
        let list = |last| Raw::List(vec![Raw::Text("a".to_owned()), last]);
        assert_eq!(List::read(list(Raw::Text("b".to_owned())), Unit::Written), Ok(List::from(vec!["a", "b"])));
        assert!(List::read(list(Raw::Integer(1)), Unit::Written).is_err());
        assert!(List::read(Raw::Bool(true), Unit::Written).is_err());
    }
}
