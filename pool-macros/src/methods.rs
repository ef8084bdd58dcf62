//! An `impl` whose functions are tasks.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{
    Attribute, Generics, ImplItem, Meta, Token, Type, Visibility, WhereClause, braced, parse_quote,
};

use crate::attrs;
use crate::generics::{Params, without_self};
use crate::input::{Errors, Function, starts_function};
use crate::signature::text;
use crate::types::{OWNER, owned, peel};

/// What stands in an `impl` that is marked.
pub(crate) struct Methods {
    pub(crate) owner: Owner,
    /// Each with what its own `#[pool_task(…)]` says.
    pub(crate) functions: Vec<(Function, Option<TokenStream>)>,
}

/// The type that functions belong to.
pub(crate) struct Owner {
    /// The `#[cfg]`s of the `impl`, among others.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) generics: Generics,
    pub(crate) ty: Type,
    /// Its name without a path and parameters.
    pub(crate) name: Ident,
}

/// Whether an `impl` comes next.
pub(crate) fn is_impl(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    let found = |ahead: ParseStream<'_>| {
        ahead.parse::<Option<Token![unsafe]>>()?;
        ahead.parse::<Token![impl]>()
    };
    found(&ahead).is_ok()
}

impl Parse for Methods {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let not_inherent = "this attribute goes on the `impl` of a type, not of a trait: a worker finds a task by \
             its name; mark a function that calls the trait's";
        if input.peek(Token![unsafe]) {
            return Err(input.error(not_inherent));
        }
        input.parse::<Token![impl]>()?;
        let generics: Generics = input.parse()?;
        let ty: Type = input.parse()?;
        if input.peek(Token![for]) {
            return Err(syn::Error::new_spanned(ty, not_inherent));
        }
        let clause = input.parse::<Option<WhereClause>>()?;
        // On the struct, `Self` would be that.
        let (own, this) = (generics.to_token_stream(), ty.to_token_stream());
        let mut generics: Generics = syn::parse2(without_self(own, &this))?;
        generics.where_clause = syn::parse2(without_self(clause.to_token_stream(), &this))?;
        let content;
        braced!(content in input);
        content.call(Attribute::parse_inner)?;
        let mut functions = Vec::new();
        while !content.is_empty() {
            let ahead = content.fork();
            ahead.call(Attribute::parse_outer)?;
            ahead.parse::<Visibility>()?;
            if starts_function(&ahead) {
                let mut function: Function = content.parse()?;
                let own = own_attribute(&mut function.attrs)?;
                functions.push((function, own));
            } else {
                content.parse::<ImplItem>()?;
            }
        }
        let name = match peel(&ty) {
            Type::Path(path) => path.path.segments.last().map(|last| last.ident.clone()),
            _ => None,
        };
        let Some(name) = name else {
            let text = "the functions of this `impl` are named after its type: write a path";
            return Err(syn::Error::new_spanned(ty, text));
        };
        let owner = Owner {
            attrs,
            generics,
            ty,
            name,
        };
        Ok(Self { owner, functions })
    }
}

impl Owner {
    /// Its name for people: of an `impl` for some of its instances only, with what these are.
    pub(crate) fn title(&self) -> String {
        let name = self.name.unraw().to_string();
        match peel(&self.ty) {
            Type::Path(path) if Params::of([&self.generics]).is_empty() => {
                let last = path.path.segments.last();
                name + &text(last.map(|last| &last.arguments).to_token_stream())
            }
            _ => name,
        }
    }

    /// What travels is owned.
    pub(crate) fn check(&self) -> syn::Result<()> {
        let mut errors = Errors::default();
        for param in self.generics.lifetimes() {
            errors.at(
                &param.lifetime,
                "the data of a task travels to another process, so its type borrows nothing: \
                 leave the lifetime out, or mark a function outside of the `impl`",
            );
        }
        // Those without a name, as in `impl Page<'_>`.
        if self.generics.lifetimes().next().is_none() {
            owned(&self.ty, &OWNER, &mut errors);
        }
        errors.or(())
    }

    /// The attributes of the `impl` that hold for code outside of it which names its type too.
    pub(crate) fn allowed(&self) -> impl Iterator<Item = Attribute> {
        let allowed = |attr: &&Attribute| attrs::is(attr, "allow") || attrs::is(attr, "expect");
        // The type is written in place of `Self`, where its path is none of the user's words.
        let path = parse_quote!(#[allow(unused_qualifications)]);
        let attrs = self.attrs.iter().filter(allowed).cloned();
        attrs.chain([path])
    }
}

/// Takes `#[pool_task(…)]` away; what stands in it.
fn own_attribute(attrs: &mut Vec<Attribute>) -> syn::Result<Option<TokenStream>> {
    let Some(at) = attrs.iter().position(|attr| is_ours(attr.path())) else {
        return Ok(None);
    };
    match attrs.remove(at).meta {
        Meta::List(list) => Ok(Some(list.tokens)),
        Meta::Path(_) => Ok(None),
        other => Err(syn::Error::new_spanned(other, "write `#[pool_task(…)]`")),
    }
}

fn is_ours(path: &syn::Path) -> bool {
    let last = path.segments.last();
    last.is_some_and(|last| last.ident == "pool_task")
}

/// The `impl` without our attributes in it.
pub(crate) fn stripped(item: TokenStream) -> TokenStream {
    let mut words: Vec<_> = item.into_iter().collect();
    if let Some(TokenTree::Group(block)) = words.last_mut() {
        let mut inner = Group::new(Delimiter::Brace, without_ours(block.stream()));
        inner.set_span(block.span());
        *block = inner;
    }
    words.into_iter().collect()
}

fn without_ours(words: TokenStream) -> TokenStream {
    let mut out = Vec::new();
    for word in words {
        match &word {
            TokenTree::Group(group) if ends_attribute(&out) && names_ours(group) => {
                out.pop();
            }
            _ => out.push(word),
        }
    }
    out.into_iter().collect()
}

fn ends_attribute(before: &[TokenTree]) -> bool {
    matches!(before.last(), Some(TokenTree::Punct(punct)) if punct.as_char() == '#')
}

fn names_ours(group: &Group) -> bool {
    let meta = syn::parse2::<Meta>(group.stream());
    group.delimiter() == Delimiter::Bracket && meta.is_ok_and(|meta| is_ours(meta.path()))
}

impl ToTokens for Owner {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.ty.to_tokens(tokens);
    }
}
