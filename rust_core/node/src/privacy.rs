//! Personal data: attributes that are dropped, or known by a keyed hash alone.
//!
//! Done once, before a command is stamped: engine, journal, snapshots, events and every answer see the same. Policies
//! then see nothing of a dropped attribute, and a hashed one only as equal or different. The name `customer` stands
//! for a ticket's customer, whatever attributes are called. A hash is HMAC-SHA-256, its first 16 bytes in hex: without the key
//! nobody can try values; under another key everybody is somebody else, so a change of key is a change of customers.
//!
//! Ids, contexts, sources, reasons and outcomes are the callers' own: keep personal data out of them.
//!
//! ```
//! use csroute_node::privacy::{Privacy, Treatment};
//! let privacy = Privacy::new([("phone".into(), Treatment::Drop)], b"")?;
//! assert!(!privacy.is_empty());
//! assert!(Privacy::new([("email".into(), Treatment::Hash)], b"short").is_err());
//! # Ok::<(), csroute_node::privacy::NoKey>(())
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use csroute_wire::Method;
use csroute_wire::pb::csroute::v1::{Attribute, NewTicket, RouteBatchRequest, RouteRequest, UpdateRequest};
use hmac::{Hmac, Mac};
use prost::Message;
use sha2::Sha256;

/// The shortest key, bytes.
pub const KEY_BYTES_MIN: usize = 16;
const HASH_BYTES: usize = 16;
const CUSTOMER: &str = "customer";

/// What is done with an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// As if it had not been sent.
    Drop,
    /// Its value is replaced by its keyed hash.
    Hash,
}

/// Hashing needs a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("attributes are to be hashed: give a key of at least {KEY_BYTES_MIN} bytes")]
pub struct NoKey;

/// Which attributes are dropped or hashed.
#[derive(Clone, Default)]
pub struct Privacy {
    treatments: BTreeMap<String, Treatment>,
    keyed: Option<Hmac<Sha256>>,
}

impl std::fmt::Debug for Privacy {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Privacy({:?})", self.treatments) // and not the key
    }
}

impl Privacy {
    /// By attribute.
    pub fn new(treatments: impl IntoIterator<Item = (String, Treatment)>, key: &[u8]) -> Result<Self, NoKey> {
        let treatments: BTreeMap<_, _> = treatments.into_iter().collect();
        let hashes = treatments.values().any(|&treatment| treatment == Treatment::Hash);
        if hashes && key.len() < KEY_BYTES_MIN {
            return Err(NoKey);
        }
        let keyed = Hmac::new_from_slice(key).ok().filter(|_| hashes);
        Ok(Self { treatments, keyed })
    }

    /// Nothing is touched.
    pub fn is_empty(&self) -> bool {
        self.treatments.is_empty()
    }

    /// The request as the node is to see it. What cannot be read is left for the decoder to refuse.
    pub fn apply<'a>(&self, method: Method, request: &'a [u8]) -> Cow<'a, [u8]> {
        if self.is_empty() {
            return request.into();
        }
        let treated = match method {
            Method::Route => RouteRequest::decode(request).map(|mut message| {
                message.ticket.iter_mut().for_each(|ticket| self.ticket(ticket));
                message.encode_to_vec()
            }),
            Method::RouteBatch => RouteBatchRequest::decode(request).map(|mut message| {
                message.tickets.iter_mut().for_each(|ticket| self.ticket(ticket));
                message.encode_to_vec()
            }),
            Method::Update => UpdateRequest::decode(request).map(|mut message| {
                self.attributes(&mut message.attributes);
                message.encode_to_vec()
            }),
            _ => return request.into(),
        };
        treated.map_or(request.into(), Cow::Owned)
    }

    fn ticket(&self, ticket: &mut NewTicket) {
        match self.treatments.get(CUSTOMER) {
            Some(Treatment::Drop) => ticket.customer.clear(),
            Some(Treatment::Hash) => self.hash(&mut ticket.customer),
            None => {}
        }
        self.attributes(&mut ticket.attributes);
    }

    fn attributes(&self, attributes: &mut Vec<Attribute>) {
        attributes.retain_mut(|attribute| match self.treatments.get(&attribute.name) {
            Some(Treatment::Drop) => false,
            Some(Treatment::Hash) => {
                self.hash(&mut attribute.value);
                true
            }
            None => true,
        });
    }

    /// Nothing stays nothing: an update's empty value removes the attribute.
    fn hash(&self, value: &mut String) {
        let Some(keyed) = self.keyed.as_ref().filter(|_| !value.is_empty()) else {
            return;
        };
        let digest = keyed.clone().chain_update(value.as_bytes()).finalize().into_bytes();
        value.clear();
        for byte in &digest[..HASH_BYTES] {
            // Writing to a string cannot fail.
            let _ = write!(value, "{byte:02x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"0123456789abcdef";

    fn privacy() -> Privacy {
        let treatments = [
            ("phone", Treatment::Drop),
            ("email", Treatment::Hash),
            (CUSTOMER, Treatment::Hash),
        ];
        Privacy::new(treatments.map(|(name, treatment)| (name.to_owned(), treatment)), KEY).unwrap()
    }

    fn attribute(name: &str, value: &str) -> Attribute {
        Attribute {
            name: name.into(),
            value: value.into(),
            confidence_milli: None,
        }
    }

    #[test]
    fn every_way_in_is_treated() {
        let privacy = privacy();
        let ticket = NewTicket {
            id: "t".into(),
            customer: "ann".into(),
            attributes: vec![
                attribute("phone", "1"),
                attribute("email", "a@b"),
                attribute("tier", "vip"),
            ],
            ..NewTicket::default()
        };
        let route = RouteRequest {
            ticket: Some(ticket.clone()),
            wait_ms: 5,
        };
        let routed = RouteRequest::decode(&*privacy.apply(Method::Route, &route.encode_to_vec())).unwrap();
        let treated = routed.ticket.unwrap();
        assert_eq!(routed.wait_ms, 5);
        assert_eq!((treated.id.as_str(), treated.customer.len()), ("t", 2 * HASH_BYTES));
        assert_eq!(treated.attributes[1], attribute("tier", "vip"));
        assert_eq!(treated.attributes.len(), 2);
        assert_ne!(treated.attributes[0].value, "a@b");

        let batch = RouteBatchRequest {
            tickets: vec![ticket.clone(), ticket.clone()],
            tag: 9,
        };
        let batch = RouteBatchRequest::decode(&*privacy.apply(Method::RouteBatch, &batch.encode_to_vec())).unwrap();
        assert_eq!((batch.tickets, batch.tag), (vec![treated.clone(), treated.clone()], 9));

        let attributes = vec![
            attribute("email", "a@b"),
            attribute("phone", ""),
            attribute("email", ""),
        ];
        let update = UpdateRequest {
            id: "t".into(),
            revision: 1,
            attributes,
        };
        let update = UpdateRequest::decode(&*privacy.apply(Method::Update, &update.encode_to_vec())).unwrap();
        assert_eq!(
            update.attributes,
            [treated.attributes[0].clone(), attribute("email", "")]
        );
    }

    #[test]
    fn the_key_decides_the_hash() {
        let other = Privacy::new([(CUSTOMER.into(), Treatment::Hash)], b"another key, as long").unwrap();
        let hash = |privacy: &Privacy, value: &str| {
            let mut value = value.to_owned();
            privacy.hash(&mut value);
            value
        };
        assert_eq!(hash(&privacy(), "ann"), hash(&privacy(), "ann"));
        assert_ne!(hash(&privacy(), "ann"), hash(&other, "ann"));
        // RFC 2104 over SHA-256: a stranger comes to the same.
        assert_eq!(hash(&privacy(), "ann"), "fb385915a0623c0be3e7b0a7134dbb62");
    }

    #[test]
    fn what_cannot_be_read_is_left_to_the_decoder() {
        assert_eq!(&*privacy().apply(Method::Route, b"\xff"), b"\xff");
        assert_eq!(&*privacy().apply(Method::Accept, b"\x0a\x01t"), b"\x0a\x01t");
    }
}
