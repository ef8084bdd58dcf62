//! What the compiler says to mistakes with the macros: `ui/`, one file for each.
//!
//! After a change, `TRYBUILD=overwrite cargo test -p pool-tests ui` writes the messages anew; read
//! them before you commit them.

#[test]
fn messages_of_the_macros() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("ui/fail/*.rs");
    cases.pass("ui/pass/*.rs");
}
