//! The house rules as tests. Nothing here is part of the product: `cargo test -p walls` holds the
//! walls between the crates, and shows for every ban that it still bites.
//!
//! | what is held | the table | the test |
//! | --- | --- | --- |
//! | who may import whom | [`rooms::ROOMS`], [`rooms::OUTSIDERS`] | `tests/walls.rs` |
//! | libraries nobody may have | `deny.toml` | `tests/deny.rs` |
//! | types and functions | `clippy.toml`, `crates/*/clippy.toml` | `tests/clippy.rs` |
//! | what neither of them sees | [`rules::RULES`] | `tests/tidy.rs` |
//! | lengths and headings | [`shape`] | `tests/tidy.rs` |
//!
//! Every message says what to do instead. What CI runs and what the tests of the bans run is one
//! script, `.ci/checks`.

pub mod command;
pub mod house;
pub mod rooms;
pub mod rules;
pub mod scratch;
pub mod shape;
pub mod source;
