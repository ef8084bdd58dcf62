//! Prints `docs/conformance.md`: every statement of the conformance suite, and where it is tested.

fn main() {
    print!("{}", pool_core::conformance::table());
}
