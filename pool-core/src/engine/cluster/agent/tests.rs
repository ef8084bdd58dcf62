//! What an agent reads of its environment.

use std::time::Duration;

#[test]
fn times_and_sizes_of_the_environment_are_read() {
    assert_eq!(super::duration("25s"), Some(Duration::from_secs(25)));
    assert_eq!(super::duration("500ms"), Some(Duration::from_millis(500)));
    assert_eq!(super::duration("2m"), Some(Duration::from_secs(120)));
    for text in ["", "25", "s", "-1s", "1d"] {
        assert_eq!(super::duration(text), None, "{text}");
    }
    assert_eq!(super::bytes("512M"), Some(512 << 20));
    assert_eq!(super::bytes("7"), Some(7));
    assert_eq!(super::bytes("x"), None);
    assert_eq!(super::bytes("17179869184G"), None);
}
