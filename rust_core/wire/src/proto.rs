//! Protobuf's encoding, as much of it as is needed here: a reader that borrows, a writer that appends.
//!
//! The reader takes and refuses exactly what prost does (the tests compare them): unknown fields are skipped, groups
//! too, at most 100 deep; a known field of another wire type is malformed.

use csroute_engine::{Code, Rejection};

/// The bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(&'static str);

impl From<Malformed> for Rejection {
    fn from(malformed: Malformed) -> Self {
        Rejection::new(Code::Malformed, malformed.0)
    }
}

pub(crate) type Read<T> = Result<T, Malformed>;

const TRUNCATED: Malformed = Malformed("truncated: a field is longer than its message");
const VARINT: Malformed = Malformed("a varint does not end, or is over 64 bits");
const KEY: Malformed = Malformed("no field has such a key");
const GROUP: Malformed = Malformed("a group ends that did not begin, or is over 100 deep");
const WIRE_TYPE: Malformed = Malformed("a field has another wire type than this method's message says");
const UTF8: Malformed = Malformed("a text is not UTF-8");

/// How deep messages and groups may nest, as in prost.
const DEPTH_MAX: u32 = 100;

/// Reads the fields of one message.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    depth_left: u32,
}

/// A field's value, by wire type; a group is skipped already.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Delimited(Reader<'a>),
    Other,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            depth_left: DEPTH_MAX,
        }
    }

    /// What is not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    #[inline]
    fn varint(&mut self) -> Read<u64> {
        match self.bytes {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.bytes = rest;
                Ok(u64::from(*byte))
            }
            _ => self.varint_long(),
        }
    }

    #[inline(never)]
    fn varint_long(&mut self) -> Read<u64> {
        let mut value = 0;
        for (index, &byte) in self.bytes.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.bytes = &self.bytes[index + 1..];
                return if index == 9 && byte > 1 { Err(VARINT) } else { Ok(value) };
            }
        }
        Err(VARINT)
    }

    #[inline]
    fn take(&mut self, length: u64) -> Read<&'a [u8]> {
        let (taken, rest) = usize::try_from(length)
            .ok()
            .and_then(|length| self.bytes.split_at_checked(length))
            .ok_or(TRUNCATED)?;
        self.bytes = rest;
        Ok(taken)
    }

    /// Inlined into each message's loop: what it returns then stays in registers.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    fn field(&mut self) -> Read<(u32, Value<'a>)> {
        let key = u32::try_from(self.varint()?).map_err(|_| KEY)?;
        let tag = key >> 3;
        if tag == 0 {
            return Err(KEY);
        }
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            2 => {
                let length = self.varint()?;
                Value::Delimited(Reader {
                    bytes: self.take(length)?,
                    depth_left: self.depth_left.saturating_sub(1),
                })
            }
            1 => self.take(8).map(|_| Value::Other)?,
            5 => self.take(4).map(|_| Value::Other)?,
            3 => self.skip_group(tag).map(|()| Value::Other)?,
            4 => return Err(GROUP),
            _ => return Err(KEY),
        };
        Ok((tag, value))
    }

    /// Skips to the group's end. Recursion is bounded by the depth.
    #[cold]
    fn skip_group(&mut self, tag: u32) -> Read<()> {
        self.depth_left = self.depth_left.checked_sub(1).ok_or(GROUP)?;
        loop {
            let here = self.bytes;
            if self.varint()? == u64::from(tag) << 3 | 4 {
                self.depth_left += 1;
                return Ok(());
            }
            self.bytes = here;
            if self.depth_left == 0 {
                return Err(GROUP);
            }
            self.field()?;
        }
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Read<(u32, Value<'a>)>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            None
        } else {
            Some(self.field())
        }
    }
}

/// What a field of a message may be. A field that comes again: the last wins, messages merge, lists grow.
pub(crate) trait Field<'a> {
    fn merge(&mut self, value: Value<'a>) -> Read<()>;
    /// Back to the default; memory is kept.
    fn clear(&mut self);
}

/// A message: read field by field.
pub(crate) trait Message<'a>: Default {
    fn merge_from(&mut self, reader: Reader<'a>) -> Read<()>;
    fn clear_all(&mut self);

    fn read(bytes: &'a [u8]) -> Read<Self> {
        let mut message = Self::default();
        message.merge_from(Reader::new(bytes))?;
        Ok(message)
    }
}

impl<'a, M: Message<'a>> Field<'a> for M {
    #[inline]
    fn merge(&mut self, value: Value<'a>) -> Read<()> {
        match value {
            Value::Delimited(reader) => self.merge_from(reader),
            _ => Err(WIRE_TYPE),
        }
    }

    fn clear(&mut self) {
        self.clear_all();
    }
}

macro_rules! scalars {
    ($($type:ty: $value:pat => $read:expr;)*) => {$(
        impl<'a> Field<'a> for $type {
            #[inline]
            fn merge(&mut self, value: Value<'a>) -> Read<()> {
                match value {
                    $value => *self = $read,
                    _ => return Err(WIRE_TYPE),
                }
                Ok(())
            }

            #[inline]
            fn clear(&mut self) {
                *self = Default::default();
            }
        }
    )*};
}

scalars! {
    bool: Value::Varint(value) => value != 0;
    i32: Value::Varint(value) => value as i32;
    u32: Value::Varint(value) => value as u32;
    u64: Value::Varint(value) => value;
    i64: Value::Varint(value) => value as i64;
    Option<u32>: Value::Varint(value) => Some(value as u32);
    Option<i64>: Value::Varint(value) => Some(value as i64);
    &'a [u8]: Value::Delimited(reader) => reader.bytes;
    &'a str: Value::Delimited(reader) => std::str::from_utf8(reader.bytes).map_err(|_| UTF8)?;
}

/// A list that keeps at most `MAX` items, and knows whether there were more.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repeated<T, const MAX: usize> {
    pub items: Vec<T>,
    pub more: bool,
}

impl<T, const MAX: usize> Repeated<T, MAX> {
    fn push(&mut self, item: T) {
        if self.items.len() < MAX {
            self.items.push(item);
        } else {
            self.more = true;
        }
    }
}

impl<'a, T: Field<'a> + Default, const MAX: usize> Field<'a> for Repeated<T, MAX> {
    #[inline]
    fn merge(&mut self, value: Value<'a>) -> Read<()> {
        let mut item = T::default();
        item.merge(value)?;
        self.push(item);
        Ok(())
    }

    fn clear(&mut self) {
        self.items.clear();
        self.more = false;
    }
}

/// A list of enum numbers, packed or not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers<const MAX: usize>(pub Repeated<i32, MAX>);

impl<'a, const MAX: usize> Field<'a> for Numbers<MAX> {
    fn merge(&mut self, value: Value<'a>) -> Read<()> {
        match value {
            Value::Varint(value) => self.0.push(value as i32),
            Value::Delimited(mut reader) => {
                while !reader.bytes.is_empty() {
                    self.0.push(reader.varint()? as i32);
                }
            }
            Value::Other => return Err(WIRE_TYPE),
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

/// Appends fields. Defaults are left out, as proto3 does, but for `item_…` and messages.
pub(crate) trait Put {
    fn put_varint(&mut self, value: u64);
    fn put_key(&mut self, field: u32, wire_type: u32);
    fn item_u64(&mut self, field: u32, value: u64);
    fn item_bytes(&mut self, field: u32, value: &[u8]);
    fn put_fixed64(&mut self, field: u32, value: u64);
    /// A message, whatever `body` writes into it.
    fn put_message(&mut self, field: u32, body: impl FnOnce(&mut Vec<u8>));

    fn put_u64(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.item_u64(field, value);
        }
    }
    fn put_u32(&mut self, field: u32, value: u32) {
        self.put_u64(field, value.into());
    }
    fn put_i64(&mut self, field: u32, value: i64) {
        self.put_u64(field, value as u64);
    }
    fn put_bool(&mut self, field: u32, value: bool) {
        self.put_u64(field, value.into());
    }
    fn put_bytes(&mut self, field: u32, value: &[u8]) {
        if !value.is_empty() {
            self.item_bytes(field, value);
        }
    }
    fn put_str(&mut self, field: u32, value: &str) {
        self.put_bytes(field, value.as_bytes());
    }
}

impl Put for Vec<u8> {
    #[inline]
    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    #[inline]
    fn put_key(&mut self, field: u32, wire_type: u32) {
        self.put_varint(u64::from(field << 3 | wire_type));
    }

    #[inline]
    fn item_u64(&mut self, field: u32, value: u64) {
        self.put_key(field, 0);
        self.put_varint(value);
    }

    #[inline]
    fn item_bytes(&mut self, field: u32, value: &[u8]) {
        self.put_key(field, 2);
        self.put_varint(value.len() as u64);
        self.extend_from_slice(value);
    }

    fn put_fixed64(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.put_key(field, 1);
            self.extend_from_slice(&value.to_le_bytes());
        }
    }

    #[inline]
    fn put_message(&mut self, field: u32, body: impl FnOnce(&mut Vec<u8>)) {
        self.put_key(field, 2);
        // One byte is kept for the length; a longer one moves the body up.
        let start = self.len() + 1;
        self.push(0);
        body(self);
        let length = self.len() - start;
        if length < 0x80 {
            self[start - 1] = length as u8;
        } else {
            insert_length(self, start, length);
        }
    }
}

fn insert_length(out: &mut Vec<u8>, start: usize, length: usize) {
    let more = length.ilog2() as usize / 7;
    out.resize(out.len() + more, 0);
    out.copy_within(start..start + length, start + more);
    for index in 0..=more {
        let byte = (length >> (7 * index)) as u8 & 0x7f;
        out[start - 1 + index] = if index < more { byte | 0x80 } else { byte };
    }
}

#[cfg(test)]
#[path = "proto_tests.rs"]
mod tests;
