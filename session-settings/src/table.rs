//! The one list of all settings: from it come fields, setters, what files and the environment may say, and the
//! documents that list them.

use crate::raw::Raw;
use crate::value::{Unit, Why};

/// A setting of a `T`.
pub(crate) struct Setting<T: 'static> {
    pub(crate) name: &'static str,
    /// Other names, and the unit that a value has under them.
    pub(crate) aliases: &'static [(&'static str, Unit)],
    /// The default, or an example where there is none; in TOML.
    #[allow(dead_code, reason = "for the documents, which tests write and compare")]
    pub(crate) value: &'static str,
    #[allow(dead_code, reason = "as above")]
    pub(crate) has_default: bool,
    #[allow(dead_code, reason = "as above")]
    pub(crate) text: &'static str,
    pub(crate) set: fn(&mut T, Raw, Unit) -> Result<(), Why>,
}

impl<T> Setting<T> {
    /// All names: its own and the others.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&'static str, Unit)> {
        std::iter::once((self.name, Unit::Written)).chain(self.aliases.iter().copied())
    }
}

/// Declares a type of settings, each with its text, type, default (or example, where there is none), and other names.
/// `(into)` lets the setter take what can be turned into the type.
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $Struct:ident { $($extra:ident: $Extra:ty,)* }

        $(
            $(#[doc = $doc:literal])+
            $name:ident $(($into:ident))?: $Type:ty, $kind:ident $value:tt $(, also $($alias:literal $unit:ident),+)?;
        )+
    ) => {
        $(#[$meta])*
        #[derive(Clone, Default, PartialEq)]
        pub struct $Struct {
            $($name: Option<$Type>,)+
            $($extra: $Extra,)*
        }

        impl $Struct {
            pub(crate) const SETTINGS: &'static [crate::table::Setting<Self>] = &[$(
                crate::table::Setting {
                    name: stringify!($name),
                    aliases: &[$($(($alias, crate::value::Unit::$unit)),+)?],
                    value: stringify!($value),
                    has_default: settings!(@has $kind),
                    text: concat!($($doc),+),
                    set: |settings, raw, unit| {
                        settings.$name = Some(crate::value::Value::read(raw, unit)?);
                        Ok(())
                    },
                },
            )+];

            $(
                $(#[doc = $doc])+
                #[doc = ""]
                #[doc = settings!(@value $kind $value)]
                #[must_use]
                pub fn $name(mut self, value: settings!(@argument $Type $(, $into)?)) -> Self {
                    self.$name = Some(settings!(@field value $(, $into)?));
                    self
                }
            )+

            /// What is set in `over`, else what is set in `self`.
            fn overlay_values(self, over: Self) -> Self {
                Self { $($name: over.$name.or(self.$name),)+ $($extra: self.$extra,)* }
            }

            /// Shows what is set.
            fn show_values(&self, debug: &mut std::fmt::DebugStruct<'_, '_>) {
                $(if let Some(value) = &self.$name {
                    debug.field(stringify!($name), value);
                })+
            }
        }
    };
    (@argument $Type:ty) => { $Type };
    (@argument $Type:ty, into) => { impl Into<$Type> };
    (@field $value:ident) => { $value };
    (@field $value:ident, into) => { $value.into() };
    (@has default) => { true };
    (@has example) => { false };
    (@value default $value:tt) => { concat!("Default: `", stringify!($value), "`.") };
    (@value example $value:tt) => { concat!("Not set by default. For instance `", stringify!($value), "`.") };
}

pub(crate) use settings;
