//! Who may do what: the one place where a credential becomes a tenant, a caller and a role. Doors hand in what a call
//! brought, and go by the answer.
//!
//! A credential is a bearer token (an API key, of which only the SHA-256 is kept here, or a JWT) or a name in a verified
//! client certificate. A role is a row of [`ROLES`]: the beginnings of the paths that it may call. Without any credential
//! configured, everyone may do everything, as whatever tenant and caller they say.
//!
//! ```
//! use csroute_node::access::{Access, Credential};
//! // The key is "open sesame".
//! let access = Access::parse(br#"{"keys": [{"tenant": "shop", "caller": "gateway-1", "role": "gateway",
//!     "sha256": "41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb"}]}"#)?;
//! let key = Credential { authorization: "Bearer open sesame", names: &[] };
//! let who = access.who(&key, "/csroute.v1.RoutingService/Route", None, "", 0).unwrap();
//! assert_eq!((&*who.tenant, &*who.caller), ("shop", "gateway-1"));
//! assert!(access.who(&key, "/csroute.v1.AdminService/Drain", None, "", 0).is_err());
//! # Ok::<(), String>(())
//! ```

use std::sync::{Arc, Mutex, PoisonError};

use csroute_engine::limits::ID_BYTES_MAX;
use csroute_engine::{Code, Rejection};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rustc_hash::FxHashMap;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Where no tenant is named.
pub const TENANT_DEFAULT: &str = "default";
/// A credential for any tenant: the call names it.
const TENANT_ANY: &str = "*";
/// Tokens that were verified and are remembered until they expire.
const SEEN_MAX: usize = 4096;
/// Credentials of one kind, at most.
const CREDENTIALS_MAX: usize = 65_536;

/// The roles, and the beginnings of the paths that each may call.
pub const ROLES: &[(&str, &[&str])] = &[
    ("gateway", &["/csroute.v1.RoutingService/"]),
    (
        "agent_gateway",
        &[
            "/csroute.v1.AgentService/",
            "/csroute.v1.RoutingService/GetTicket",
            "/csroute.v1.RoutingService/Explain",
        ],
    ),
    (
        "policy",
        &[
            "/csroute.v1.PolicyService/",
            "/csroute.v1.AdminService/GetLive",
            "/csroute.v1.AdminService/GetStats",
            "/csroute.v1.AdminService/Tune",
            "/csroute.v1.AgentService/ListAgents",
            "/csroute.v1.RoutingService/Explain",
            "/csroute.v1.RoutingService/GetPositions",
            "/csroute.v1.RoutingService/GetTicket",
            "/csroute.v1.RoutingService/ListTickets",
        ],
    ),
    ("admin", &["/"]),
];

/// What a call brought.
#[derive(Debug, Clone, Copy, Default)]
pub struct Credential<'a> {
    /// The `authorization` metadata; empty: none.
    pub authorization: &'a str,
    /// The names in the client's verified certificate (subject alternative names, DNS or URI).
    pub names: &'a [String],
}

/// Whom a credential stands for, as a call goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// Whose tickets.
    pub tenant: Arc<str>,
    /// Who calls, for the journal.
    pub caller: Arc<str>,
}

#[derive(Debug, Clone)]
struct Holder {
    tenant: Arc<str>,
    caller: Arc<str>,
    role: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    #[serde(default)]
    keys: Vec<ListedKey>,
    #[serde(default)]
    certificates: Vec<ListedName>,
    #[serde(default)]
    jwt: Option<ListedJwt>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedKey {
    sha256: String,
    tenant: String,
    caller: String,
    role: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedName {
    name: String,
    tenant: String,
    caller: String,
    role: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedJwt {
    algorithm: String,
    /// A public key as PEM; with HS256 the secret.
    key: String,
    issuer: String,
    audience: String,
}

#[derive(Debug, Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
    csroute_tenant: String,
    csroute_role: String,
}

struct Jwt {
    key: DecodingKey,
    validation: Validation,
}

/// All credentials that are taken.
#[derive(Default)]
pub struct Access {
    keys: FxHashMap<[u8; 32], Holder>,
    names: FxHashMap<String, Holder>,
    jwt: Option<Jwt>,
    /// Tokens by their hash, and until when.
    seen: Mutex<FxHashMap<[u8; 32], (Holder, u64)>>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "Access({} keys, {} names)", self.keys.len(), self.names.len())
    }
}

impl Access {
    /// From JSON: `keys`, `certificates`, `jwt`. An error says what is wrong, and where; no secret stands in it.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let listed: Listed = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        if listed.keys.len().max(listed.certificates.len()) > CREDENTIALS_MAX {
            return Err(format!("at most {CREDENTIALS_MAX} keys, and as many certificates"));
        }
        let mut access = Self::default();
        for (at, key) in listed.keys.iter().enumerate() {
            let hash = sha256(&key.sha256).ok_or_else(|| format!("keys[{at}].sha256: 64 hexadecimal digits"))?;
            let holder = holder(&key.tenant, &key.caller, &key.role).map_err(|why| format!("keys[{at}].{why}"))?;
            if access.keys.insert(hash, holder).is_some() {
                return Err(format!("keys[{at}].sha256: stands there twice"));
            }
        }
        for (at, one) in listed.certificates.iter().enumerate() {
            let holder =
                holder(&one.tenant, &one.caller, &one.role).map_err(|why| format!("certificates[{at}].{why}"))?;
            if one.name.is_empty() || access.names.insert(one.name.clone(), holder).is_some() {
                return Err(format!("certificates[{at}].name: empty, or there twice"));
            }
        }
        access.jwt = listed.jwt.map(Jwt::new).transpose()?;
        Ok(access)
    }

    /// Whether no credential is asked for.
    pub fn is_open(&self) -> bool {
        self.keys.is_empty() && self.names.is_empty() && self.jwt.is_none()
    }

    /// Who calls this path. `tenant` and `caller` as the call's metadata names them, the peer's address where it names none;
    /// `now_s` in Unix seconds.
    pub fn who(
        &self,
        credential: &Credential<'_>,
        path: &str,
        tenant: Option<&str>,
        caller: &str,
        now_s: u64,
    ) -> Result<Who, Rejection> {
        if tenant.is_some_and(|tenant| tenant.is_empty() || tenant.len() > ID_BYTES_MAX) {
            let message = format!("a tenant has 1 to {ID_BYTES_MAX} characters");
            return Err(Rejection::about(Code::FieldTooLong, "csroute-tenant", message));
        }
        if caller.len() > ID_BYTES_MAX {
            let message = format!("a caller has at most {ID_BYTES_MAX} characters");
            return Err(Rejection::about(Code::FieldTooLong, "csroute-caller", message));
        }
        if self.is_open() {
            return Ok(Who {
                tenant: tenant.unwrap_or(TENANT_DEFAULT).into(),
                caller: caller.into(),
            });
        }
        let holder = self.holder(credential, now_s)?;
        let (role, paths) = ROLES[holder.role];
        if !paths.iter().any(|beginning| path.starts_with(beginning)) {
            let message = format!("a credential of the role {role:?} may not call this: use one whose role may");
            return Err(Rejection::about(Code::Forbidden, path, message));
        }
        let any = &*holder.tenant == TENANT_ANY;
        if !any && tenant.is_some_and(|tenant| tenant != &*holder.tenant) {
            let message =
                "the credential is another tenant's: leave the metadata away, or send that tenant's credential";
            return Err(Rejection::about(Code::Forbidden, "csroute-tenant", message));
        }
        Ok(Who {
            tenant: if any {
                tenant.unwrap_or(TENANT_DEFAULT).into()
            } else {
                holder.tenant
            },
            caller: holder.caller,
        })
    }

    fn holder(&self, credential: &Credential<'_>, now_s: u64) -> Result<Holder, Rejection> {
        if let Some(token) = bearer(credential.authorization) {
            return self.token(token, now_s);
        }
        let known = credential.names.iter().find_map(|name| self.names.get(name));
        known.cloned().ok_or_else(|| {
            no("no credential that is known: send metadata \"authorization: Bearer <key or token>\", or a client certificate")
        })
    }

    fn token(&self, token: &str, now_s: u64) -> Result<Holder, Rejection> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        if let Some(holder) = self.keys.get(&hash) {
            return Ok(holder.clone());
        }
        let jwt = self
            .jwt
            .as_ref()
            .ok_or_else(|| no("the key is not known: it was never given, or it was withdrawn"))?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((holder, until)) = seen.get(&hash)
            && *until > now_s
        {
            return Ok(holder.clone());
        }
        let (holder, until) = jwt.verify(token)?;
        if seen.len() >= SEEN_MAX {
            seen.retain(|_, (_, until)| *until > now_s);
        }
        if seen.len() >= SEEN_MAX {
            seen.clear(); // they are verified again
        }
        seen.insert(hash, (holder.clone(), until));
        Ok(holder)
    }
}

impl Jwt {
    fn new(listed: ListedJwt) -> Result<Self, String> {
        let pem = listed.key.as_bytes();
        let wrong = |error: jsonwebtoken::errors::Error| format!("jwt.key: {error}");
        let (algorithm, key) = match listed.algorithm.as_str() {
            "EdDSA" => (Algorithm::EdDSA, DecodingKey::from_ed_pem(pem).map_err(wrong)?),
            "ES256" => (Algorithm::ES256, DecodingKey::from_ec_pem(pem).map_err(wrong)?),
            "RS256" => (Algorithm::RS256, DecodingKey::from_rsa_pem(pem).map_err(wrong)?),
            "HS256" if pem.len() >= 32 => (Algorithm::HS256, DecodingKey::from_secret(pem)),
            "HS256" => return Err("jwt.key: HS256 needs a secret of at least 32 bytes".into()),
            other => return Err(format!("jwt.algorithm: EdDSA, ES256, RS256 or HS256, not {other:?}")),
        };
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&listed.issuer]);
        validation.set_audience(&[&listed.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = 5;
        Ok(Self { key, validation })
    }

    fn verify(&self, token: &str) -> Result<(Holder, u64), Rejection> {
        let verified = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation)
            .map_err(|error| no(format!("the token is not taken: {error}")))?;
        let claims = verified.claims;
        let holder = holder(&claims.csroute_tenant, &claims.sub, &claims.csroute_role)
            .map_err(|why| no(format!("the token's claims are not taken: {why}")))?;
        Ok((holder, claims.exp))
    }
}

fn no(message: impl Into<std::borrow::Cow<'static, str>>) -> Rejection {
    Rejection::about(Code::Unauthenticated, "authorization", message)
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn holder(tenant: &str, caller: &str, role: &str) -> Result<Holder, String> {
    for (name, value) in [("tenant", tenant), ("caller", caller)] {
        if value.is_empty() || value.len() > ID_BYTES_MAX {
            return Err(format!("{name}: 1 to {ID_BYTES_MAX} bytes"));
        }
    }
    let role = ROLES.iter().position(|(name, _)| *name == role).ok_or_else(|| {
        let names: Vec<_> = ROLES.iter().map(|(name, _)| *name).collect();
        format!("role: {}, not {role:?}", names.join(", "))
    })?;
    Ok(Holder {
        tenant: tenant.into(),
        caller: caller.into(),
        role,
    })
}

fn sha256(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, digits) in hash.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}
