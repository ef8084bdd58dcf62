//! From bytes to text.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// How far into a page browsers look for its `<meta charset>`.
const META_WITHIN_BYTES: usize = 1024;

/// Decodes a page: by its byte order mark, else by the charset that the HTTP header declares,
/// else by its `<meta>` tag, else as UTF-8 if it is that, else as windows-1252 as browsers do.
/// What is no character in that encoding becomes U+FFFD.
pub(crate) fn decode(bytes: &[u8], declared: Option<&str>) -> String {
    let encoding = declared
        .and_then(|label| Encoding::for_label(label.trim_matches('"').as_bytes()))
        .or_else(|| in_meta(&bytes[..bytes.len().min(META_WITHIN_BYTES)]))
        .unwrap_or_else(|| match std::str::from_utf8(bytes) {
            Ok(_) => UTF_8,
            Err(_) => WINDOWS_1252,
        });
    // `decode` looks for a byte order mark first.
    encoding.decode(bytes).0.into_owned()
}

/// The encoding of `<meta charset="…">` or `<meta http-equiv=… content="…; charset=…">`.
fn in_meta(head: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let label = head
        .split("<meta")
        .skip(1)
        .filter_map(|tag| tag.split('>').next())
        .filter_map(|tag| tag.split_once("charset")?.1.trim_start().strip_prefix('='))
        .map(|value| value.trim_start().trim_start_matches(['"', '\'']))
        .find_map(|value| {
            value
                .split(['"', '\'', ';', '/', ' ', '\t', '\r', '\n'])
                .next()
        })?;
    // As the standard has it: a tag that can be read as ASCII is not in UTF-16.
    Encoding::for_label(label.as_bytes()).map(Encoding::output_encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUSSIAN: &[u8] = b"\xf6\xc1\xc2\xc1";

    fn page(start: &str) -> Vec<u8> {
        [start.as_bytes(), RUSSIAN].concat()
    }

    #[test]
    fn the_header_wins_over_the_meta_tag() {
        let bytes = page("<meta charset=iso-8859-1>");
        assert!(decode(&bytes, Some("KOI8-R")).ends_with("Жаба"));
        assert!(decode(&bytes, Some("\"koi8-r\"")).ends_with("Жаба"));
        assert!(decode(&bytes, Some("no such charset")).ends_with("öÁÂÁ"));
        assert!(decode(&bytes, None).ends_with("öÁÂÁ"));
    }

    #[test]
    fn the_meta_tag_in_its_many_forms() {
        for start in [
            "<meta charset=koi8-r>",
            "<meta charset=koi8-r/>",
            "<META CharSet = \"KOI8-R\">",
            "<meta\ncharset='koi8-r' >",
            "<meta name=author content=me><meta charset=koi8-r>",
            "<meta http-equiv=content-type content='text/html; charset=koi8-r'>",
        ] {
            assert!(decode(&page(start), None).ends_with("Жаба"), "{start}");
        }
    }

    #[test]
    fn a_byte_order_mark_wins_over_everything() {
        assert_eq!(decode(b"\xef\xbb\xbf\xc3\xb6", Some("koi8-r")), "ö");
        assert_eq!(decode(b"\xff\xfeo\0k\0", Some("utf-8")), "ok");
    }

    #[test]
    fn without_a_declaration() {
        assert_eq!(decode("ö".as_bytes(), None), "ö");
        assert_eq!(decode(b"\xf6 \x80", None), "ö €");
        assert_eq!(
            decode(b"<meta charset=utf-16>\xc3\xb6", None),
            "<meta charset=utf-16>ö"
        );
    }
}
