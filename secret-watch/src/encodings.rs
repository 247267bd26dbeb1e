//! The forms in which a secret may come to light.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The secret as text, as `Debug` quotes text and lists bytes, and as others encode it.
pub(crate) fn encodings(secret: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(secret).into_owned();
    let quoted = |quoted: String| quoted.trim_matches('"').to_owned();
    let list = format!("{secret:?}");
    let mut all = vec![
        quoted(format!("{text:?}")),
        secret.escape_ascii().to_string(),
        list.trim_matches(['[', ']']).to_owned(),
        STANDARD.encode(secret),
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        digits(secret, "", false),
        digits(secret, "", true),
        percent_encoded(secret),
        text,
    ];
    all.sort_unstable();
    all.dedup();
    all
}

fn digits(bytes: &[u8], before: &str, upper_case: bool) -> String {
    let digits = |byte: &u8| if upper_case { format!("{before}{byte:02X}") } else { format!("{before}{byte:02x}") };
    bytes.iter().map(digits).collect()
}

/// As in URLs: everything but letters, digits and `-._~`.
fn percent_encoded(bytes: &[u8]) -> String {
    let encoded = |byte: &u8| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(*byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
        byte => digits(&[*byte], "%", true),
    };
    bytes.iter().map(encoded).collect()
}
