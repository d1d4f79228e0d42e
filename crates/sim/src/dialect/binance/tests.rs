//! What clients may say and what they get.
