//! Which attributes of the function the generated items share.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Expr, Lit, Meta};

/// The first paragraph of the documentation. More could hold examples, which would run twice.
pub(crate) fn summary(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    let docs = attrs.iter().filter(|attr| is(attr, "doc"));
    docs.take_while(|attr| {
        line(attr).is_some_and(|line| !line.trim().is_empty() && !line.contains("```"))
    })
}

fn line(attr: &Attribute) -> Option<String> {
    if let Meta::NameValue(meta) = &attr.meta
        && let Expr::Lit(value) = &meta.value
        && let Lit::Str(line) = &value.lit
    {
        return Some(line.value());
    }
    None
}

/// The lints that the user allows on the function: the generated items repeat its types.
pub(crate) fn allowed(attrs: &[Attribute]) -> impl Iterator<Item = TokenStream> {
    attrs.iter().filter_map(|attr| match &attr.meta {
        Meta::List(list) if is(attr, "allow") || is(attr, "expect") => {
            let lints = &list.tokens;
            Some(quote!(#[allow(#lints)]))
        }
        // The user's calls of the function, of `task` and of `spawn` warn; ours do not.
        _ if is(attr, "deprecated") => Some(quote!(#[allow(deprecated)])),
        _ => None,
    })
}

/// `#[doc(hidden)]`.
pub(crate) fn hidden(attrs: &[Attribute]) -> Option<&Attribute> {
    attrs.iter().find(|attr| match &attr.meta {
        Meta::List(list) => is(attr, "doc") && list.tokens.to_string() == "hidden",
        _ => false,
    })
}

/// Whether it is the harness's own `#[test]`, under any of its names.
pub(crate) fn is_test(attr: &Attribute) -> bool {
    let mut segments = attr.path().segments.iter().map(|segment| &segment.ident);
    let first = segments.next();
    is(attr, "test")
        || first.is_some_and(|first| first == "core" || first == "std")
            && segments.next_back().is_some_and(|last| last == "test")
}

pub(crate) fn is(attr: &Attribute, name: &str) -> bool {
    attr.path().is_ident(name)
}
