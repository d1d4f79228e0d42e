//! Playing, in virtual time.
