//! The reading half.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::{Budget, Exceeded};

/// A deserializer, a seed, or an access, that has to keep within the budget.
pub(super) struct Bounded<'b, D> {
    pub(super) inner: D,
    pub(super) budget: &'b Budget,
}

/// A visitor that has to keep within the budget.
struct Visiting<'b, V> {
    inner: V,
    budget: &'b Budget,
    /// The length of what it visits is in the bytes, so its elements are counted; that of a tuple is the type's.
    list: bool,
}

/// The elements of a list or map, of which each may have to be counted.
struct Elements<'b, A> {
    inner: A,
    budget: &'b Budget,
    count: bool,
}

/// One level deeper.
#[inline]
fn within<R, E: Error>(budget: &Budget, visit: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
    budget.descend().map_err(Exceeded::de)?;
    let done = visit();
    budget.ascend(1);
    done
}

impl<V> Visiting<'_, V> {
    /// Counts the elements of a list; `true` if that has to be done one by one. (Postcard does not tell the length of a
    /// list that has more elements than there are bytes left.)
    #[inline]
    fn count<E: Error>(&self, hint: Option<usize>) -> Result<bool, E> {
        match hint {
            Some(elements) if self.list => self.budget.take(elements).map_err(Exceeded::de).map(|()| false),
            _ => Ok(self.list),
        }
    }
}

macro_rules! forwarded {
    ($($method:ident($($name:ident: $type:ty),*) $(as $list:ident)?;)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            let list = false $(|| stringify!($list) == "list")?;
            self.inner.$method($($name,)* Visiting { inner: visitor, budget: self.budget, list })
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Bounded<'_, D> {
    type Error = D::Error;

    forwarded! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq() as list;
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map() as list;
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier();
        deserialize_ignored_any();
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! visited {
    ($($method:ident($type:ty);)*) => {$(
        #[inline]
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Visiting<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    visited! {
        visit_bool(bool);
        visit_i8(i8);
        visit_i16(i16);
        visit_i32(i32);
        visit_i64(i64);
        visit_i128(i128);
        visit_u8(u8);
        visit_u16(u16);
        visit_u32(u32);
        visit_u64(u64);
        visit_u128(u128);
        visit_f32(f32);
        visit_f64(f64);
        visit_char(char);
        visit_str(&str);
        visit_borrowed_str(&'de str);
        visit_string(String);
        visit_bytes(&[u8]);
        visit_borrowed_bytes(&'de [u8]);
        visit_byte_buf(Vec<u8>);
    }

    #[inline]
    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    #[inline]
    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    #[inline]
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let Self { inner, budget, .. } = self;
        within(budget, || inner.visit_some(Bounded { inner: deserializer, budget }))
    }

    #[inline]
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Bounded { inner: deserializer, budget: self.budget })
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<V::Value, A::Error> {
        let count = self.count(elements.size_hint())?;
        let Self { inner, budget, .. } = self;
        within(budget, || inner.visit_seq(Elements { inner: elements, budget, count }))
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<V::Value, A::Error> {
        let count = self.count(entries.size_hint())?;
        let Self { inner, budget, .. } = self;
        within(budget, || inner.visit_map(Elements { inner: entries, budget, count }))
    }

    #[inline]
    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(Bounded { inner: variant, budget: self.budget })
    }
}

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Bounded<'_, T> {
    type Value = T::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T::Value, D::Error> {
        self.inner.deserialize(Bounded { inner: deserializer, budget: self.budget })
    }
}

impl<'b, A> Elements<'b, A> {
    #[inline]
    fn one<E: Error>(&self) -> Result<(), E> {
        if self.count { self.budget.take(1).map_err(Exceeded::de) } else { Ok(()) }
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Elements<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        let element = self.inner.next_element_seed(Bounded { inner: seed, budget: self.budget })?;
        if element.is_some() {
            self.one()?;
        }
        Ok(element)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Elements<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let key = self.inner.next_key_seed(Bounded { inner: seed, budget: self.budget })?;
        if key.is_some() {
            self.one()?;
        }
        Ok(key)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.inner.next_value_seed(Bounded { inner: seed, budget: self.budget })
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, 'b, A: EnumAccess<'de>> EnumAccess<'de> for Bounded<'b, A> {
    type Error = A::Error;
    type Variant = Bounded<'b, A::Variant>;

    #[inline]
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant), A::Error> {
        let budget = self.budget;
        let (value, variant) = self.inner.variant_seed(Bounded { inner: seed, budget })?;
        Ok((value, Bounded { inner: variant, budget }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Bounded<'_, A> {
    type Error = A::Error;

    #[inline]
    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    #[inline]
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        let Self { inner, budget } = self;
        within(budget, || inner.newtype_variant_seed(Bounded { inner: seed, budget }))
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let Self { inner, budget } = self;
        within(budget, || inner.tuple_variant(len, Visiting { inner: visitor, budget, list: false }))
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let Self { inner, budget } = self;
        within(budget, || inner.struct_variant(fields, Visiting { inner: visitor, budget, list: false }))
    }
}
