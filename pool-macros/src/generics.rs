//! Generic functions: what their parameters become on the struct, and the instances listed for them.

use proc_macro2::{Group, Ident, Spacing, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Error, GenericArgument, GenericParam, Generics, Lifetime, Lit, Token, Type, TypeParamBound,
    WherePredicate, parenthesized, token,
};

use crate::input::Errors;
use crate::types::{ARGUMENT, owned};

/// The parameters of the struct: the function's without its lifetimes, and behind those of the
/// `impl` that it stands in.
#[derive(Default)]
pub(crate) struct Params {
    /// `T`, `const N: usize`, …, without bounds.
    declared: Vec<TokenStream>,
    pub(crate) names: Vec<Ident>,
    /// Every bound, as a predicate of a `where` clause.
    predicates: Vec<TokenStream>,
    /// Those that are `?Sized`.
    unsized_names: Vec<Ident>,
}

impl Params {
    /// Of the function, and of the `impl` before it.
    pub(crate) fn of<'a>(generics: impl IntoIterator<Item = &'a Generics>) -> Self {
        let mut params = Self::default();
        let mut lifetimes = Vec::new();
        for generics in generics {
            let of_param = generics.params.iter().filter_map(|param| match param {
                GenericParam::Lifetime(param) => Some(param.lifetime.ident.clone()),
                _ => None,
            });
            lifetimes.extend(of_param);
            for param in &generics.params {
                match param {
                    GenericParam::Lifetime(_) => {}
                    GenericParam::Type(param) => {
                        let name = &param.ident;
                        params.declared.push(name.to_token_stream());
                        params.names.push(name.clone());
                        params.bounded(&quote!(), name, &param.bounds, &lifetimes);
                    }
                    GenericParam::Const(param) => {
                        let (name, ty) = (&param.ident, &param.ty);
                        params.declared.push(quote!(const #name: #ty));
                        params.names.push(name.clone());
                    }
                }
            }
            let clause = generics.where_clause.iter().flat_map(|c| &c.predicates);
            for predicate in clause {
                // What a task owns outlives every lifetime.
                let WherePredicate::Type(predicate) = predicate else {
                    continue;
                };
                let inner = predicate.lifetimes.as_ref().map(|l| &l.lifetimes);
                let inner = inner.to_token_stream();
                params.bounded(&inner, &predicate.bounded_ty, &predicate.bounds, &lifetimes);
            }
        }
        params
    }

    /// Notes `ty: bounds`, for every value of the function's lifetimes that it names.
    fn bounded(
        &mut self,
        inner: &TokenStream,
        ty: &dyn ToTokens,
        bounds: &Punctuated<TypeParamBound, Token![+]>,
        lifetimes: &[Ident],
    ) {
        let ty = ty.to_token_stream();
        let is_static = |lifetime: &Lifetime| lifetime.ident == "static";
        let kept = bounds.iter().filter(|bound| match bound {
            TypeParamBound::Lifetime(lifetime) => is_static(lifetime),
            _ => true,
        });
        let kept: Vec<_> = kept.collect();
        if kept.is_empty() {
            return;
        }
        let maybe = |bound: &&TypeParamBound| matches!(bound, TypeParamBound::Trait(bound) if bound.maybe.is_some());
        if kept.iter().any(maybe) {
            let this = self.names.iter().find(|name| **name == ty.to_string());
            self.unsized_names.extend(this.cloned());
        }
        let predicate = quote!(#ty: #(#kept)+*);
        let named = lifetimes
            .iter()
            .filter(|name| mentions(&predicate, name, true));
        let named: Vec<_> = named
            .map(|name| Lifetime::new(&format!("'{name}"), name.span()))
            .collect();
        let forall =
            (!named.is_empty() || !inner.is_empty()).then(|| quote!(for<#(#named,)* #inner>));
        self.predicates.push(quote!(#forall #predicate));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether the words name one of the parameters.
    pub(crate) fn are_in(&self, words: &impl ToTokens) -> bool {
        let words = words.to_token_stream();
        self.names.iter().any(|name| mentions(&words, name, false))
    }

    /// Whether it is nothing but a parameter that may be unsized.
    pub(crate) fn is_unsized(&self, ty: &impl ToTokens) -> bool {
        let ty = ty.to_token_stream().to_string();
        self.unsized_names.iter().any(|name| *name == ty)
    }

    /// `<T, const N: usize>`, or nothing.
    pub(crate) fn declaration(&self) -> Option<TokenStream> {
        self.declaration_with(None, None)
    }

    /// `<first, T, const N: usize, last>`, or nothing.
    pub(crate) fn declaration_with(
        &self,
        first: Option<TokenStream>,
        last: Option<TokenStream>,
    ) -> Option<TokenStream> {
        let declared: Vec<_> = first.iter().chain(&self.declared).chain(&last).collect();
        (!declared.is_empty()).then(|| quote!(<#(#declared),*>))
    }

    /// `<T, N>`, or nothing.
    pub(crate) fn arguments(&self) -> Option<TokenStream> {
        let names = &self.names;
        (!self.is_empty()).then(|| quote!(<#(#names),*>))
    }

    /// The `where` clause with all bounds and some predicates more, or nothing.
    pub(crate) fn clause(&self, more: &[TokenStream]) -> Option<TokenStream> {
        let all: Vec<_> = self.predicates.iter().chain(more).collect();
        (!all.is_empty()).then(|| quote!(where #(#all),*))
    }

    /// The same with the bounds that the types of the fields need: without any, an instance that
    /// does not keep them is reported once, where it is called.
    pub(crate) fn clause_of(
        &self,
        fields: &TokenStream,
        more: &[TokenStream],
    ) -> Option<TokenStream> {
        if !self.unsized_names.is_empty() || self.projects(fields) {
            return self.clause(more);
        }
        (!more.is_empty()).then(|| quote!(where #(#more),*))
    }

    /// Whether a type belongs to one of the parameters, as in `T::Item` and `<T as Trait>::Item`.
    fn projects(&self, words: &TokenStream) -> bool {
        let words: Vec<_> = words.clone().into_iter().collect();
        let is_projected = |pair: &[TokenTree]| match pair {
            [TokenTree::Ident(name), TokenTree::Punct(next)] => {
                next.as_char() == ':' && self.names.contains(name)
            }
            [_, TokenTree::Ident(word)] => word == "as",
            _ => false,
        };
        let inside = |word: &TokenTree| match word {
            TokenTree::Group(group) => self.projects(&group.stream()),
            _ => false,
        };
        words.windows(2).any(is_projected) || words.iter().any(inside)
    }

    /// The parameters that no argument mentions.
    pub(crate) fn unused(&self, words: &TokenStream) -> Vec<&Ident> {
        let types = self.declared.iter().zip(&self.names);
        let types = types.filter(|(declared, name)| declared.to_string() == name.to_string());
        types
            .map(|(_, name)| name)
            .filter(|name| !mentions(words, name, false))
            .collect()
    }
}

/// Whether the name is among the words, as that of a lifetime or as another.
fn mentions(words: &TokenStream, name: &Ident, lifetime: bool) -> bool {
    let mut after_quote = false;
    for word in words.clone() {
        match word {
            TokenTree::Group(group) if mentions(&group.stream(), name, lifetime) => return true,
            TokenTree::Ident(ident) if after_quote == lifetime && ident == *name => return true,
            TokenTree::Punct(punct) => {
                after_quote = punct.as_char() == '\'';
                continue;
            }
            _ => {}
        }
        after_quote = false;
    }
    false
}

/// What stands in `types(…)`.
#[derive(Clone)]
pub(crate) struct Types {
    entries: Vec<Entry>,
    place: Span,
}

/// `f32`, `4`, or `(f32, 4)`: which of them is a list, the number of parameters says.
#[derive(Clone)]
struct Entry {
    whole: Argument,
    /// The parts of what stands in parentheses.
    parts: Option<Vec<Argument>>,
}

/// A type or a constant.
#[derive(Clone)]
pub(crate) struct Argument {
    words: TokenStream,
    ty: Option<Type>,
}

/// One entry as the arguments of the struct.
pub(crate) struct Instance {
    pub(crate) arguments: Vec<Argument>,
}

impl Types {
    /// An empty list.
    pub(crate) fn none(key: &Ident) -> Self {
        let (entries, place) = (Vec::new(), key.span());
        Self { entries, place }
    }

    /// The list behind `types`.
    pub(crate) fn parse(key: &Ident, input: ParseStream<'_>) -> syn::Result<Self> {
        if !input.peek(token::Paren) {
            return Err(Error::new(key.span(), "write `types(f32, f64)`"));
        }
        let content;
        parenthesized!(content in input);
        let entries = Punctuated::<Entry, Token![,]>::parse_terminated(&content)?;
        if entries.is_empty() {
            let text = "list the instances that can be tasks: `types(f32, f64)`";
            return Err(Error::new(key.span(), text));
        }
        Ok(Self {
            entries: entries.into_iter().collect(),
            place: key.span(),
        })
    }
}

impl Parse for Entry {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let ahead = input.fork();
        let list = |input: ParseStream<'_>| {
            let content;
            parenthesized!(content in input);
            content.parse_terminated(Argument::parse, Token![,])
        };
        let parts = match input.peek(token::Paren) {
            true => list(&ahead).ok(),
            false => None,
        };
        let whole = match (input.fork().parse::<Argument>(), &parts) {
            (Err(_), Some(_)) => Argument {
                // Constants are in it, which a type cannot hold.
                words: input.parse::<TokenTree>()?.into(),
                ty: None,
            },
            _ => input.parse()?,
        };
        let parts = parts.map(|parts| parts.into_iter().collect());
        Ok(Self { whole, parts })
    }
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(Token![-]) {
            let minus = input.parse::<Token![-]>()?;
            let number = input.parse::<Lit>()?;
            let words = quote!(#minus #number);
            return Ok(Self { words, ty: None });
        }
        let place = input.span();
        let argument: GenericArgument = input.parse()?;
        let words = argument.to_token_stream();
        match argument {
            GenericArgument::Type(ty) => Ok(Self {
                words,
                ty: Some(ty),
            }),
            GenericArgument::Const(_) => Ok(Self { words, ty: None }),
            _ => Err(Error::new(place, "expected a type or a constant")),
        }
    }
}

impl ToTokens for Argument {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.words.to_tokens(tokens);
    }
}

/// The instances of a function; none of one that is not generic.
pub(crate) fn instances(
    types: Option<&Types>,
    params: &Params,
    place: &Ident,
    errors: &mut Errors,
) -> Vec<Instance> {
    let count = params.names.len();
    let Some(types) = types else {
        if count > 0 {
            let example = match count {
                1 => "types(f32, f64)",
                2 => "types((f32, u8), (f64, u16))",
                _ => "types((A, B, …), …)",
            };
            let text = format!(
                "a worker finds a task by its name, so a generic function lists the instances that \
                 can be tasks: write `#[pool_task({example})]` with the types (or constants) for `{}`",
                list(&params.names)
            );
            errors.at(place, text);
        }
        return Vec::new();
    };
    if count == 0 {
        let text = "this function has no type parameter: leave `types` out";
        errors.add(Error::new(types.place, text));
        return Vec::new();
    }
    let mut seen = Vec::new();
    let mut instances = Vec::new();
    for Entry { whole, parts } in &types.entries {
        let arguments = match parts {
            _ if count == 1 => vec![whole.clone()],
            Some(parts) if parts.len() == count => parts.clone(),
            _ => {
                let text = format!(
                    "this function has {count} parameters, `{}`: write what they are as \
                     `({})`",
                    list(&params.names),
                    vec!["…"; count].join(", ")
                );
                errors.at(whole, text);
                continue;
            }
        };
        for argument in &arguments {
            if let Some(ty) = &argument.ty {
                owned(ty, &ARGUMENT, errors);
            }
        }
        let words = quote!(#(#arguments),*).to_string();
        if seen.contains(&words) {
            errors.at(whole, "this instance is listed twice: keep one");
            continue;
        }
        seen.push(words);
        instances.push(Instance { arguments });
    }
    instances
}

fn list(names: &[Ident]) -> String {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    names.join(", ")
}

impl Instance {
    /// Where it is listed.
    pub(crate) fn place(&self) -> Span {
        let Self { arguments } = self;
        quote!(#(#arguments),*)
            .span()
            .resolved_at(Span::call_site())
    }
}

/// The words with `Self` as the type that it is in an `impl`.
pub(crate) fn without_self(words: TokenStream, self_ty: &TokenStream) -> TokenStream {
    let mut out = TokenStream::new();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        match word {
            TokenTree::Ident(ident) if ident == "Self" => {
                // One colon is that of a bound.
                let is_path = matches!(
                    words.peek(),
                    Some(TokenTree::Punct(p)) if p.as_char() == ':' && p.spacing() == Spacing::Joint
                );
                let ty = located(self_ty.clone(), ident.span());
                out.extend(if is_path { quote!(<#ty>) } else { ty });
            }
            TokenTree::Group(group) => {
                let inner = without_self(group.stream(), self_ty);
                let mut new = Group::new(group.delimiter(), inner);
                new.set_span(group.span());
                out.extend([TokenTree::Group(new)]);
            }
            word => out.extend([word]),
        }
    }
    out
}

/// The words as if they stood at `place`: an error is shown there.
pub(crate) fn located(words: TokenStream, place: Span) -> TokenStream {
    let move_there = |word: TokenTree| match word {
        TokenTree::Group(group) => {
            let mut moved = Group::new(group.delimiter(), located(group.stream(), place));
            moved.set_span(group.span().located_at(place));
            moved.into()
        }
        mut word => {
            word.set_span(word.span().located_at(place));
            word
        }
    };
    words.into_iter().map(move_there).collect()
}
