//! Rules: who is asking, and what that allows (sharing.md 2).
//!
//! A bearer string goes through [`Authenticator::verify`] and becomes a [`Verified`]; with the facility that it names it
//! becomes an [`Access`], and without an `Access` there is nothing to read.

pub mod access;
mod claims;
pub mod fetch;
pub mod issued;
pub mod issuer;
pub mod kept;
pub mod keys;
mod known;
pub mod provider;
#[cfg(test)]
mod provider_tests;
pub mod rejection;
pub mod scope;
pub mod seal;
pub mod strength;
pub mod token;
#[cfg(test)]
mod token_tests;

pub use access::{Access, Basis, InspectGrant, RemoveGrant, StoreGrant, Touched};
pub use issued::LinkKey;
pub use issuer::{Ceiling, HeaderType, Issuer, KeySet, Keys, MayActFor};
pub use kept::Kept;
pub use keys::LocalKey;
pub use provider::Provider;
pub use rejection::Rejection;
pub use scope::{
    AdminToken, DicomCorrect, DicomDelete, DicomDeleteApprove, DicomRead, DicomWrite,
    LifecycleRead, OfObject, Scope, ScopeName, ScopeSet,
};
pub use seal::Seal;
pub use strength::{Strength, StrongerSignIn};
pub use token::{Authenticator, Purpose, Verified};
