//! What must not compile.
#![cfg(all(not(loom), not(miri)))]

#[test]
fn misuse_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
