//! The small site that comes with the program, and its server on this machine.

use std::io::{self, Cursor};
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use tiny_http::{Header, Request, Response, Server};

/// How the addresses of the site begin.
pub(crate) const LOOPBACK: &str = "http://127.0.0.1:";

/// How long the server lets every page wait, as a network would.
pub(crate) const DELAY: Duration = Duration::from_millis(10);

struct File {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

/// One file of the site; its charset is in the header if it is given here.
macro_rules! file {
    ($name:literal) => {
        file!($name, "text/html")
    };
    ($name:literal, $content_type:literal) => {
        File {
            name: $name,
            content_type: $content_type,
            bytes: include_bytes!(concat!("../site/", $name)),
        }
    };
}

static FILES: &[File] = &[
    file!("index.html"),
    file!("attributes.html"),
    file!("byte-order-mark.html"),
    file!("comment.html"),
    file!("entities.html"),
    file!("koi8-r.html"),
    file!("latin-1.html"),
    file!("nested-markup.html"),
    file!("no-break-space.html"),
    file!("no-head.html"),
    file!("numeric-references.html"),
    file!("old-frames.html"),
    file!("script.html"),
    file!("shift-jis.html", "text/html; charset=shift_jis"),
    file!("svg.html"),
    file!("svg-first.html"),
    file!("textarea.html"),
    file!("two-titles.html"),
    file!("unclosed.html"),
    file!("undeclared.html"),
    file!("unicode.html", "text/html; charset=utf-8"),
    file!("uppercase.html"),
    file!("utf-16.html"),
    file!("whitespace.html"),
];

/// The names of the pages.
pub(crate) fn names() -> impl Iterator<Item = &'static str> + Clone {
    FILES.iter().map(|file| file.name)
}

/// Serves the site on a free port until the program ends; its address.
pub(crate) fn serve() -> io::Result<String> {
    let server = Server::http((Ipv4Addr::LOCALHOST, 0)).map_err(io::Error::other)?;
    let port = server.server_addr().to_ip().map_or(0, |ip| ip.port());
    thread::spawn(move || {
        for request in server.incoming_requests() {
            thread::spawn(|| answer(request));
        }
    });
    Ok(format!("{LOOPBACK}{port}/"))
}

fn answer(request: Request) {
    thread::sleep(DELAY);
    let file = FILES
        .iter()
        .find(|file| request.url().strip_prefix('/') == Some(file.name));
    // A client that went away is no concern of the server's.
    let _ = match file {
        Some(file) => request.respond(found(file)),
        None => request.respond(Response::empty(404)),
    };
}

fn found(file: &File) -> Response<Cursor<&'static [u8]>> {
    let header = Header::from_bytes("Content-Type", file.content_type).expect("valid in a header");
    Response::empty(200)
        .with_header(header)
        .with_data(Cursor::new(file.bytes), Some(file.bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{charset, page};

    #[test]
    fn every_page_has_the_title_a_browser_shows() {
        let title = |name: &str| {
            let file = FILES.iter().find(|file| file.name == name).expect(name);
            let declared = file
                .content_type
                .split_once("charset=")
                .map(|(_, charset)| charset);
            page::title_of(&charset::decode(file.bytes, declared)).expect(name)
        };
        let expected = [
            ("index.html", "The Pond Almanac"),
            ("attributes.html", "Attributes do not matter"),
            ("byte-order-mark.html", "The mark at the start wins: größer"),
            ("comment.html", "Behind two comments"),
            ("entities.html", "Frogs & Newts — 5 < 7, café © 2026"),
            ("koi8-r.html", "Жабы и лягушки"),
            ("latin-1.html", "Kröten über Äcker führen"),
            (
                "nested-markup.html",
                "How to write <b>bold</b> & <i>slanted</i> text",
            ),
            ("no-break-space.html", "10\u{a0}000 tadpoles"),
            ("no-head.html", "Nothing but a title"),
            ("numeric-references.html", "🐸 “Quoted” &amp; once decoded!"),
            ("old-frames.html", "Framed in 2001"),
            ("script.html", "After script and style"),
            ("shift-jis.html", "古池や蛙飛びこむ水の音"),
            ("svg.html", "A page with a drawing"),
            ("svg-first.html", "The page behind its drawing"),
            ("textarea.html", "Below a text area"),
            ("two-titles.html", "The first of two"),
            ("unclosed.html", "Tag soup"),
            ("undeclared.html", "Naïve “quotes” for 5 €"),
            ("unicode.html", "Лягушка · 蛙 · ضفدع · צפרדע · βάτραχος 🐸"),
            ("uppercase.html", "SHOUTING SINCE 1997"),
            ("utf-16.html", "Two bytes a letter: ½ 🐸"),
            ("whitespace.html", "A title on three lines"),
        ];
        for (name, expected) in expected {
            assert_eq!(title(name), expected, "{name}");
        }
        assert!(names().eq(expected.iter().map(|&(name, _)| name)));
    }

    #[test]
    fn pages_without_a_title_have_none() {
        for html in [
            "",
            "plain text",
            "<title></title>",
            "<title> \n </title>",
            "<svg><title>x",
        ] {
            assert_eq!(page::title_of(html), None, "{html}");
        }
    }
}
