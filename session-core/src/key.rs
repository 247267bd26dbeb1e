//! From a session id to the key under which the store keeps the session.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::callback;
use crate::context::RequestContext;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::id::SessionId;

/// The key of a session in its store. Compared byte for byte.
///
/// A key may contain the id (see [`KeyDerivation::plain`]), so `Debug` shows only its length.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionKey(Bytes);

impl SessionKey {
    /// The longest key, in bytes.
    pub const MAX_LENGTH: usize = 1024;

    /// Makes a key of these bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyCallback`] if it is empty, longer than [`MAX_LENGTH`](Self::MAX_LENGTH), or contains a
    /// control character.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self> {
        let bytes = bytes.into();
        let wrong = |why| Err(Error::new(ErrorKind::KeyCallback, Operation::Route, why));
        if bytes.is_empty() {
            return wrong("the key is empty");
        }
        if bytes.len() > Self::MAX_LENGTH {
            return wrong("the key is longer than 1,024 bytes");
        }
        if bytes.iter().any(u8::is_ascii_control) {
            return wrong("the key contains a control character");
        }
        Ok(Self(bytes))
    }

    /// The bytes that the store sees.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey({} bytes)", self.0.len())
    }
}

type Callback = dyn Fn(&RequestContext, &SessionId) -> Result<SessionKey> + Send + Sync;

/// How keys are made of ids.
///
/// Applications that share one Redis give each its own prefix:
///
/// ```
/// # use session_core::{KeyDerivation, RequestContext, SessionId};
/// let shop = KeyDerivation::hashed("shop:");
/// let blog = KeyDerivation::hashed("blog:");
/// let (context, id) = (RequestContext::default(), SessionId::generate()?);
/// assert_ne!(shop.derive(&context, &id)?, blog.derive(&context, &id)?);
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone)]
pub struct KeyDerivation {
    rule: Rule,
    prefix: Arc<str>,
    application: Option<Arc<str>>,
    /// What every key begins with: made of prefix and application once.
    head: Arc<str>,
}

#[derive(Clone)]
enum Rule {
    Hashed,
    Plain,
    Custom(Arc<Callback>),
}

impl Default for KeyDerivation {
    /// [`hashed`](Self::hashed) with the prefix `session:`.
    fn default() -> Self {
        Self::hashed("session:")
    }
}

impl KeyDerivation {
    /// The prefix, then the base64url SHA-256 of the id's text: who can read the store cannot use what he reads.
    ///
    /// `%` and `@` in the prefix are written as `%25` and `%40`, so that no prefix is another one with an
    /// [application's name](Self::with_application_name); all else is written as it is, also the braces by which a Redis
    /// Cluster chooses the slot of a key.
    pub fn hashed(prefix: impl Into<Arc<str>>) -> Self {
        Self::new(Rule::Hashed, prefix.into())
    }

    /// The prefix, written as for [`hashed`](Self::hashed), then the id itself. Whoever can list the store's keys can
    /// take over every session.
    pub fn plain(prefix: impl Into<Arc<str>>) -> Self {
        Self::new(Rule::Plain, prefix.into())
    }

    /// Any other rule. It must answer the same for the life of a session, and never map two ids to one key: that is
    /// detected, and no data is handed out. It is asked once for each id of a request: the one that the request came
    /// with, and each that is made for it.
    ///
    /// ```
    /// # use session_core::{KeyDerivation, RequestContext, SessionId, SessionKey};
    /// struct Tenant(&'static str);
    /// let keys = KeyDerivation::custom(|context, id| {
    ///     let tenant = context.get::<Tenant>().map_or("main", |tenant| tenant.0);
    ///     KeyDerivation::hashed("shop:").with_application_name(tenant).derive(context, id)
    /// });
    /// let id = SessionId::generate()?;
    /// let key = keys.derive(&RequestContext::new(Tenant("north")), &id)?;
    /// assert!(key.as_bytes().starts_with(b"shop:@north:"));
    /// # Ok::<(), session_core::Error>(())
    /// ```
    pub fn custom(rule: impl Fn(&RequestContext, &SessionId) -> Result<SessionKey> + Send + Sync + 'static) -> Self {
        Self::new(Rule::Custom(Arc::new(rule)), Arc::from(""))
    }

    fn new(rule: Rule, prefix: Arc<str>) -> Self {
        Self { rule, head: escaped_prefix(&prefix).into(), prefix, application: None }
    }

    /// The same with an application's name in each key: after the prefix, between `@` and `:`. Before the whole key of a
    /// [`custom`](Self::custom) rule.
    ///
    /// Of the name only ASCII letters, digits, `-`, `.` and `_` are written as they are, and every other byte of its
    /// UTF-8 as `%` and two hexadecimal digits. So any text is a name, two applications never share a key whatever
    /// their prefixes and names are, and no name has a say in which slot of a Redis Cluster a key lies.
    ///
    /// ```
    /// # use session_core::{KeyDerivation, RequestContext, SessionId};
    /// let keys = KeyDerivation::default().with_application_name("Shop {new}");
    /// let key = keys.derive(&RequestContext::default(), &SessionId::generate()?)?;
    /// assert!(key.as_bytes().starts_with(b"session:@Shop%20%7Bnew%7D:"));
    /// # Ok::<(), session_core::Error>(())
    /// ```
    #[must_use]
    pub fn with_application_name(self, name: impl Into<Arc<str>>) -> Self {
        let application = name.into();
        let name = escaped(&application, |byte| !(byte.is_ascii_alphanumeric() || b"-._".contains(&byte)));
        let head = format!("{}@{name}:", escaped_prefix(&self.prefix)).into();
        Self { head, application: Some(application), ..self }
    }

    /// The key of this id.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyCallback`] if the rule panics, fails, or answers an unusable key.
    pub fn derive(&self, context: &RequestContext, id: &SessionId) -> Result<SessionKey> {
        let head = &self.head;
        match &self.rule {
            Rule::Hashed => {
                let digest = Sha256::digest(id.expose());
                SessionKey::new(format!("{head}{}", URL_SAFE_NO_PAD.encode(digest)))
            }
            Rule::Plain => SessionKey::new(format!("{head}{}", id.expose())),
            Rule::Custom(rule) => {
                let key = callback::call("the key callback", || rule(context, id))?;
                if head.is_empty() { Ok(key) } else { SessionKey::new([head.as_bytes(), key.as_bytes()].concat()) }
            }
        }
    }

    /// Checks what is the same in every key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] naming the setting with which no key can be made.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |setting: &str, why: &str| {
            Err(Error::new(ErrorKind::Config, Operation::Configure, format!("`{setting}`: {why}")))
        };
        if self.prefix.bytes().any(|byte| byte.is_ascii_control()) {
            return wrong("key_prefix", "contains a control character");
        }
        let longest = SessionKey::MAX_LENGTH - SessionId::TEXT_LENGTH;
        if self.prefix.len() > longest {
            return wrong("key_prefix", "longer than a key may be");
        }
        if self.head.len() > longest {
            return wrong("application_name", "longer, with its escapes, than a key may be");
        }
        Ok(())
    }
}

fn escaped_prefix(prefix: &str) -> String {
    escaped(prefix, |byte| matches!(byte, b'%' | b'@'))
}

/// The text with these bytes as `%` and two hexadecimal digits.
fn escaped(text: &str, is_odd: impl Fn(u8) -> bool) -> String {
    // All bytes of a character that is not ASCII are treated alike, so what is not escaped remains UTF-8.
    let escape = |character: char| {
        let mut bytes = [0; 4];
        let text = character.encode_utf8(&mut bytes);
        if text.bytes().any(&is_odd) {
            text.bytes().map(|byte| format!("%{byte:02X}")).collect()
        } else {
            text.to_owned()
        }
    };
    text.chars().map(escape).collect()
}

impl fmt::Debug for KeyDerivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, prefix, application, head: _ } = self;
        let rule = match rule {
            Rule::Hashed => "hashed",
            Rule::Plain => "plain",
            Rule::Custom(_) => "custom",
        };
        f.debug_struct("KeyDerivation")
            .field("rule", &rule)
            .field("prefix", prefix)
            .field("application", application)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn id() -> SessionId {
        SessionId::parse(&"A".repeat(43)).unwrap()
    }

    fn head(keys: &KeyDerivation) -> String {
        let key = keys.derive(&RequestContext::default(), &id()).unwrap();
        let text = std::str::from_utf8(key.as_bytes()).unwrap();
        text[..text.len() - SessionId::TEXT_LENGTH].to_owned()
    }

    #[test]
    fn hashed_is_sha256_of_the_text() {
        let key = KeyDerivation::default().derive(&RequestContext::default(), &id()).unwrap();
        let expected = URL_SAFE_NO_PAD.encode(Sha256::digest("A".repeat(43)));
        assert_eq!(key.as_bytes(), format!("session:{expected}").as_bytes());
        assert!(!format!("{key:?}").contains(&expected));
    }

    #[test]
    fn callbacks_that_misbehave_are_errors() {
        let rules = [
            KeyDerivation::custom(|_, _| panic!("in the callback")),
            KeyDerivation::custom(|_, _| SessionKey::new("")),
            KeyDerivation::custom(|_, _| SessionKey::new(vec![b'x'; 1 << 20])),
            KeyDerivation::custom(|_, _| SessionKey::new("a\r\nDEL b")),
            KeyDerivation::custom(|_, _| Err(Error::new(ErrorKind::Unavailable, Operation::Load, "of its own"))),
            KeyDerivation::custom(|_, _| SessionKey::new("x".repeat(1020))).with_application_name("shop"),
        ];
        for rule in rules {
            let error = rule.derive(&RequestContext::default(), &id()).unwrap_err();
            assert_eq!((error.kind(), error.operation()), (ErrorKind::KeyCallback, Operation::Route), "{rule:?}");
        }
    }

    #[test]
    fn names_are_escaped() {
        for (name, expected) in [
            ("", "p:@:"),
            ("Shop-2_a.b", "p:@Shop-2_a.b:"),
            ("{a}:b", "p:@%7Ba%7D%3Ab:"),
            ("a\r\nDEL b", "p:@a%0D%0ADEL%20b:"),
            ("caf\u{e9}@%", "p:@caf%C3%A9%40%25:"),
        ] {
            assert_eq!(head(&KeyDerivation::hashed("p:").with_application_name(name)), expected);
            assert_eq!(
                head(&KeyDerivation::plain("p:").with_application_name("x").with_application_name(name)),
                expected
            );
        }
        assert_eq!(head(&KeyDerivation::hashed("{p}\u{e9}: ")), "{p}\u{e9}: ");
        let custom = KeyDerivation::custom(|_, _| SessionKey::new("key")).with_application_name("shop");
        assert_eq!(custom.derive(&RequestContext::default(), &id()).unwrap().as_bytes(), b"@shop:key");
    }

    #[test]
    fn what_no_key_can_begin_with_is_a_wrong_setting() {
        for (keys, setting) in [
            (KeyDerivation::hashed("a\nb"), "`key_prefix`: "),
            (KeyDerivation::plain("p".repeat(982)), "`key_prefix`: "),
            (KeyDerivation::default().with_application_name("\u{e9}".repeat(200)), "`application_name`: "),
        ] {
            let error = keys.check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(setting), "{error}");
            assert!(keys.derive(&RequestContext::default(), &id()).is_err());
        }
        assert!(KeyDerivation::hashed("p".repeat(981)).check().is_ok());
    }

    proptest! {
        /// Whatever two applications call themselves, they share keys only if they say the same.
        #[test]
        fn prefixes_and_names_never_collide(
            all in prop::collection::vec(("[a%@:{]{0,3}", prop::option::of("[a%@:{0-5]{0,3}")), 200),
        ) {
            let mut heads = HashMap::new();
            for said in all {
                let keys = KeyDerivation::hashed(said.0.as_str());
                let keys = match &said.1 {
                    Some(name) => keys.with_application_name(name.as_str()),
                    None => keys,
                };
                let head = head(&keys);
                let other = heads.entry(head.clone()).or_insert_with(|| said.clone());
                prop_assert_eq!(&*other, &said, "both begin with {}", head);
            }
        }
    }
}
