//! Values that are shown nowhere.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::raw::Raw;
use crate::value::{List, Unit, Value, Why, text};

/// A password, or a URL, which may hold one anywhere; `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}

impl Value for Secret {
    fn read(raw: Raw, _: Unit) -> Result<Self, Why> {
        text(raw).map(Self)
    }
}

/// Keys that sign the cookie, newest first; `Debug` tells how many.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKeys(Vec<Vec<u8>>);

impl SigningKeys {
    pub(crate) fn into_keys(self) -> Vec<Vec<u8>> {
        self.0
    }
}

impl<K: Into<Vec<u8>>> From<Vec<K>> for SigningKeys {
    fn from(keys: Vec<K>) -> Self {
        Self(keys.into_iter().map(Into::into).collect())
    }
}

impl<K: Into<Vec<u8>>, const N: usize> From<[K; N]> for SigningKeys {
    fn from(keys: [K; N]) -> Self {
        Self(keys.into_iter().map(Into::into).collect())
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} hidden>", self.0.len())
    }
}

impl Value for SigningKeys {
    fn read(raw: Raw, unit: Unit) -> Result<Self, Why> {
        let keys = List::read(raw, unit)?.into_texts();
        let keys = keys.iter().map(|key| decoded(key)).collect::<Option<_>>();
        keys.map(Self).ok_or_else(|| "a key is no base64".into())
    }
}

/// Either alphabet, with or without padding, and with the line breaks that tools put in.
fn decoded(text: &str) -> Option<Vec<u8>> {
    const CONFIG: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
    let standard = text.split_ascii_whitespace().collect::<String>().replace('-', "+").replace('_', "/");
    BASE64.decode(standard).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_base64_however_it_is_written() {
        let key = vec![0xFB; 64];
        let standard = base64::engine::general_purpose::STANDARD.encode(&key);
        assert!(standard.contains('+') && standard.ends_with('='));
        let url_safe = standard.replace('+', "-").replace('/', "_");
        for text in [&standard, &url_safe, standard.trim_end_matches('='), &standard.replacen('v', "v\n ", 1)] {
            assert_eq!(decoded(text).as_ref(), Some(&key), "{text}");
        }
        for wrong in ["sesame!", "a", "größe"] {
            assert_eq!(decoded(wrong), None);
        }
    }

    #[test]
    fn nothing_is_shown() {
        let shown = format!("{:?} {:?}", Secret::from("sesame"), SigningKeys::from([*b"sesame", *b"sesame"]));
        assert_eq!(shown, "<hidden> <2 hidden>");
    }
}
