//! What an attribute stands on, a function whose body stays unparsed, and the mistakes in it.

use std::fmt::Display;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{Parse, ParseBuffer, ParseStream};
use syn::{Attribute, Error, LitStr, Signature, Token, Visibility, braced};

pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) inner_attrs: Vec<Attribute>,
    /// What stands between the braces. Parsing it would cost build time and gain nothing.
    pub(crate) body: TokenStream,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        if !starts_function(input) {
            return Err(input.error("this attribute goes on a function: `fn name(…) { … }`"));
        }
        let sig = input.parse()?;
        if input.peek(Token![;]) {
            return Err(input.error("this attribute goes on a function with a body: write `{ … }`"));
        }
        let content;
        braced!(content in input);
        Ok(Self {
            attrs,
            vis,
            sig,
            inner_attrs: content.call(Attribute::parse_inner)?,
            body: content.parse()?,
        })
    }
}

/// Whether a function comes next, behind its attributes and its visibility.
pub(crate) fn starts_function(input: ParseStream<'_>) -> bool {
    let qualified = |ahead: &ParseBuffer<'_>| {
        ahead.parse::<Option<Token![const]>>()?;
        ahead.parse::<Option<Token![async]>>()?;
        ahead.parse::<Option<Token![unsafe]>>()?;
        if ahead.parse::<Option<Token![extern]>>()?.is_some() {
            ahead.parse::<Option<LitStr>>()?;
        }
        ahead.parse::<Token![fn]>()
    };
    qualified(&input.fork()).is_ok()
}

/// The mistakes found so far: all are reported at once.
#[derive(Default)]
pub(crate) struct Errors(Option<Error>);

impl Errors {
    pub(crate) fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            none => *none = Some(error),
        }
    }

    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.add(Error::new_spanned(tokens, message));
    }

    /// The value of a result; its error is kept.
    pub(crate) fn take<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    /// The value, if there was no mistake.
    pub(crate) fn or<T>(self, value: T) -> syn::Result<T> {
        self.0.map_or(Ok(value), Err)
    }

    /// The code with the mistakes behind it.
    pub(crate) fn beside(self, mut code: TokenStream) -> TokenStream {
        code.extend(self.0.map(Error::into_compile_error));
        code
    }
}

/// The user's words at their place, but as words of the macro: the lints of the user's crate
/// (naming, reachability, documentation, …) have judged them once, on the function.
pub(crate) fn generated(words: TokenStream) -> TokenStream {
    let respan = |word: TokenTree| match word {
        TokenTree::Ident(ident) => generated_ident(ident).into(),
        mut word => {
            word.set_span(word.span().resolved_at(Span::call_site()));
            word
        }
    };
    words.into_iter().map(respan).collect()
}

/// [`generated`] for one word.
pub(crate) fn generated_ident(mut ident: Ident) -> Ident {
    // Words of the macro are of its edition, in which this is a keyword.
    if ident == "gen" {
        ident = Ident::new_raw("gen", ident.span());
    }
    ident.set_span(ident.span().resolved_at(Span::call_site()));
    ident
}
