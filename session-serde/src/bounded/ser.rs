//! The writing half.

use std::fmt::Display;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::{Budget, Exceeded};

/// A serializer, or a value to be serialized, that has to keep within the budget.
pub(super) struct Bounded<'b, S> {
    pub(super) inner: S,
    pub(super) budget: &'b Budget,
}

impl<T: Serialize + ?Sized> Serialize for Bounded<'_, &T> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.inner.serialize(Bounded { inner: serializer, budget: self.budget })
    }
}

/// A list, a map, a struct under way, some levels deep.
pub(super) struct Compound<'b, C> {
    inner: C,
    budget: &'b Budget,
    levels: usize,
}

macro_rules! plain {
    ($($method:ident($($value:ident: $type:ty),*);)*) => {$(
        #[inline]
        fn $method(self $(, $value: $type)*) -> Result<S::Ok, S::Error> {
            self.inner.$method($($value),*)
        }
    )*};
}

/// What the level of a compound value is entered with, and what it is.
macro_rules! compound {
    ($($method:ident($($value:ident: $type:ty),*) -> $output:ident, $levels:literal, $elements:expr;)*) => {$(
        #[inline]
        fn $method(self, $($value: $type),*) -> Result<Self::$output, S::Error> {
            for _ in 0..$levels {
                self.budget.descend().map_err(Exceeded::ser)?;
            }
            self.budget.take($elements).map_err(Exceeded::ser)?;
            Ok(Compound { inner: self.inner.$method($($value),*)?, budget: self.budget, levels: $levels })
        }
    )*};
}

impl<'b, S: Serializer> Serializer for Bounded<'b, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Compound<'b, S::SerializeSeq>;
    type SerializeTuple = Compound<'b, S::SerializeTuple>;
    type SerializeTupleStruct = Compound<'b, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Compound<'b, S::SerializeTupleVariant>;
    type SerializeMap = Compound<'b, S::SerializeMap>;
    type SerializeStruct = Compound<'b, S::SerializeStruct>;
    type SerializeStructVariant = Compound<'b, S::SerializeStructVariant>;

    plain! {
        serialize_bool(value: bool);
        serialize_i8(value: i8);
        serialize_i16(value: i16);
        serialize_i32(value: i32);
        serialize_i64(value: i64);
        serialize_i128(value: i128);
        serialize_u8(value: u8);
        serialize_u16(value: u16);
        serialize_u32(value: u32);
        serialize_u64(value: u64);
        serialize_u128(value: u128);
        serialize_f32(value: f32);
        serialize_f64(value: f64);
        serialize_char(value: char);
        serialize_str(value: &str);
        serialize_bytes(value: &[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(name: &'static str);
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str);
    }

    // A variant of several fields is a list or map within one of a single entry, in MessagePack as in JSON.
    compound! {
        serialize_seq(len: Option<usize>) -> SerializeSeq, 1, len.unwrap_or_default();
        serialize_tuple(len: usize) -> SerializeTuple, 1, 0;
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct, 1, 0;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeTupleVariant, 2, 0;
        serialize_map(len: Option<usize>) -> SerializeMap, 1, len.unwrap_or_default();
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct, 1, 0;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeStructVariant, 2, 0;
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.budget.descend().map_err(Exceeded::ser)?;
        let done = self.inner.serialize_some(&Bounded { inner: value, budget: self.budget });
        self.budget.ascend(1);
        done
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.serialize_newtype_struct(name, &Bounded { inner: value, budget: self.budget })
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.budget.descend().map_err(Exceeded::ser)?;
        let value = Bounded { inner: value, budget: self.budget };
        let done = self.inner.serialize_newtype_variant(name, index, variant, &value);
        self.budget.ascend(1);
        done
    }

    #[inline]
    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// Members are bounded, and the end leaves the level.
macro_rules! members {
    ($($compound:ident: $($method:ident($($key:ident: $type:ty)?)),* $(and $skip:ident)?;)*) => {$(
        impl<C: $compound> $compound for Compound<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            $(
                #[inline]
                fn $method<T: Serialize + ?Sized>(&mut self, $($key: $type,)? value: &T) -> Result<(), C::Error> {
                    self.inner.$method($($key,)? &Bounded { inner: value, budget: self.budget })
                }
            )*

            $(
                #[inline]
                fn $skip(&mut self, key: &'static str) -> Result<(), C::Error> {
                    self.inner.$skip(key)
                }
            )?

            #[inline]
            fn end(self) -> Result<C::Ok, C::Error> {
                self.budget.ascend(self.levels);
                self.inner.end()
            }
        }
    )*};
}

members! {
    SerializeSeq: serialize_element();
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeTupleVariant: serialize_field();
    SerializeMap: serialize_key(), serialize_value();
    SerializeStruct: serialize_field(key: &'static str) and skip_field;
    SerializeStructVariant: serialize_field(key: &'static str) and skip_field;
}
