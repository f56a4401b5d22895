//! The checks that requests and policies share. A rejection's subject is the field's path.
//!
//! The cold half is kept apart: a check that holds costs a comparison.

use std::ops::RangeInclusive;

use csroute_engine::limits::{ID_BYTES_MAX, LEVEL_MAX, NAME_BYTES_MAX};
use csroute_engine::{Code, Rejection};

pub(crate) type Check<T> = Result<T, Rejection>;

/// From here a list is sorted to find what stands twice; below, each is compared with each.
const SORT_MIN: usize = 17;

/// Puts a rejection's subject under a path.
pub(crate) fn within(path: &str, mut rejection: Rejection) -> Rejection {
    rejection.subject = if rejection.subject.is_empty() {
        path.to_owned()
    } else {
        format!("{path}.{}", rejection.subject)
    };
    rejection
}

/// Each of a list, under its name and place.
pub(crate) fn each<T>(name: &str, list: &[T], mut check: impl FnMut(&T) -> Check<()>) -> Check<()> {
    for (index, item) in list.iter().enumerate() {
        check(item).map_err(|no| within(&format!("{name}[{index}]"), no))?;
    }
    Ok(())
}

#[cold]
pub(crate) fn too_long(field: &str, length: usize, max: usize) -> Rejection {
    Rejection::about(Code::FieldTooLong, field, format!("{length} bytes; at most {max}"))
}

pub(crate) fn there(field: &str, there: bool) -> Check<()> {
    if there {
        Ok(())
    } else {
        Err(Rejection::about(Code::FieldMissing, field, "must be given"))
    }
}

pub(crate) fn at_most(field: &str, more: bool, max: usize) -> Check<()> {
    if more {
        Err(Rejection::about(Code::TooMany, field, format!("at most {max} items")))
    } else {
        Ok(())
    }
}

pub(crate) fn range(field: &str, value: u32, range: RangeInclusive<u32>) -> Check<u32> {
    if range.contains(&value) {
        Ok(value)
    } else {
        let message = format!("{value} is outside of {}..{}", range.start(), range.end());
        Err(Rejection::about(Code::OutOfRange, field, message))
    }
}

pub(crate) fn text<'a>(field: &str, value: &'a str, max: usize) -> Check<&'a str> {
    if value.len() > max {
        Err(too_long(field, value.len(), max))
    } else {
        Ok(value)
    }
}

pub(crate) fn required<'a>(field: &str, value: &'a str, max: usize) -> Check<&'a str> {
    there(field, !value.is_empty())?;
    text(field, value, max)
}

pub(crate) fn id<'a>(field: &str, value: &'a str) -> Check<&'a str> {
    required(field, value, ID_BYTES_MAX)
}

pub(crate) fn name<'a>(field: &str, value: &'a str) -> Check<&'a str> {
    required(field, value, NAME_BYTES_MAX)
}

pub(crate) fn level(value: u32) -> Check<u8> {
    range("level", value, 0..=LEVEL_MAX.into()).map(|level| level.max(1) as u8)
}

/// No name twice.
pub(crate) fn once<'a, T>(field: &str, list: &[T], name: impl Fn(&T) -> &'a str) -> Check<()> {
    let twice = if list.len() < SORT_MIN {
        list.iter().enumerate().find_map(|(index, item)| {
            list[..index]
                .iter()
                .any(|other| name(other) == name(item))
                .then_some(name(item))
        })
    } else {
        let mut names: Vec<&str> = list.iter().map(name).collect();
        names.sort_unstable();
        names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    };
    match twice {
        None => Ok(()),
        Some(name) => Err(Rejection::about(
            Code::OutOfRange,
            field,
            format!("{name:?} stands there twice"),
        )),
    }
}
