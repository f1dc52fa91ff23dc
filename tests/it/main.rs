//! The one integration test program.
