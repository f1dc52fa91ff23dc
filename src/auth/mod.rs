//! Rules: who is asking, and what that allows (sharing.md 2).
//!
//! A bearer string goes through [`Authenticator::verify`] and becomes a [`Verified`]; with the facility that it names it
//! becomes an [`Access`], and without an `Access` there is nothing to read.

pub mod access;
mod claims;
pub mod issuer;
pub mod keys;
pub mod scope;
pub mod token;
#[cfg(test)]
mod token_tests;

pub use access::{Access, Basis, RemoveGrant, StoreGrant, Touched};
pub use issuer::{Ceiling, HeaderType, Issuer, KeySet, MayActFor};
pub use keys::LocalKey;
pub use scope::{
    DicomCorrect, DicomDelete, DicomDeleteApprove, DicomRead, DicomWrite, OfObject, Scope,
    ScopeName, ScopeSet,
};
pub use token::{Authenticator, Purpose, Rejection, Strength, StrongerSignIn, Verified};
