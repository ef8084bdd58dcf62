//! What a function must be to run elsewhere, and the task that it makes.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::spanned::Spanned;
use syn::{Attribute, FnArg, GenericParam, Meta, Pat, ReturnType, Safety, Signature, Type};

use crate::attrs;
use crate::input::{Errors, Function, generated, generated_ident};
use crate::types::{RESULT, argument, never, owned};

/// A function that can be a task.
pub(crate) struct Task {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: TokenStream,
    pub(crate) name: Ident,
    pub(crate) args: Vec<Arg>,
    pub(crate) output: ReturnType,
}

pub(crate) struct Arg {
    /// The name of the field and of the argument of `task` and `spawn`.
    pub(crate) name: Ident,
    /// The predicate of the argument's `#[cfg]`s.
    pub(crate) cfg: Option<TokenStream>,
    /// The type by value, or what the reference points at.
    pub(crate) ty: Type,
    pub(crate) lent: bool,
    /// Where a type that cannot be sent is reported.
    pub(crate) place: Span,
}

/// `pool-core` has `Arguments0` to `Arguments16`, as serde has tuples.
const MAX_ARGUMENTS: usize = 16;

pub(crate) fn check(function: Function) -> syn::Result<Task> {
    let mut errors = Errors::default();
    let Function {
        attrs, vis, sig, ..
    } = function;
    if let Some(attr) = attrs.iter().find(|attr| attrs::is(attr, "target_feature")) {
        errors.at(
            attr,
            "a worker calls the task without knowing its target features: call this function from \
             a task without `#[target_feature]`",
        );
    }
    qualifiers(&sig, &mut errors);
    let args = args(&sig, &mut errors);
    if let ReturnType::Type(_, ty) = &sig.output {
        owned(ty, &RESULT, &mut errors);
    }
    if never(&sig.output) {
        errors.at(&sig.output, "a pool task returns: leave `-> !` out");
    }
    errors.or(Task {
        attrs,
        vis: generated(vis.to_token_stream()),
        name: generated_ident(sig.ident),
        args,
        output: sig.output,
    })
}

fn qualifiers(sig: &Signature, errors: &mut Errors) {
    if let Some(token) = sig.asyncness {
        errors.at(
            token,
            "a pool task is not `async`: a worker runs it to its end; write a plain `fn` that \
             blocks on the future inside",
        );
    }
    if let Safety::Unsafe(token) = sig.safety {
        errors.at(
            token,
            "a pool task is not `unsafe`: the worker that calls it can promise nothing; write a \
             safe `fn` that checks its arguments",
        );
    }
    for param in &sig.generics.params {
        let name = match param {
            GenericParam::Lifetime(_) => continue,
            GenericParam::Type(param) => &param.ident,
            GenericParam::Const(param) => &param.ident,
        };
        errors.at(
            name,
            "a pool task is not generic: a worker finds it by its name alone; write one task for \
             each type, which may call a generic function",
        );
    }
    if let Some(variadic) = &sig.variadic {
        errors.at(
            variadic,
            "a pool task takes a fixed number of arguments: take a `Vec`",
        );
    }
}

fn args(sig: &Signature, errors: &mut Errors) -> Vec<Arg> {
    let mut args = Vec::new();
    for (input, name) in sig.inputs.iter().zip(names(sig)) {
        match input {
            FnArg::Receiver(receiver) => errors.at(
                receiver,
                "a pool task takes no `self`: make it a function outside of the `impl`, and give \
                 it the value as an argument",
            ),
            FnArg::Typed(typed) => {
                let (ty, lent) = argument(&typed.ty, errors);
                args.push(Arg {
                    name,
                    cfg: cfg(&typed.attrs),
                    ty: ty.clone(),
                    lent,
                    place: ty.span().resolved_at(Span::call_site()),
                });
            }
        }
    }
    if let Some(beyond) = sig.inputs.iter().nth(MAX_ARGUMENTS) {
        let text = format!(
            "a pool task takes at most {MAX_ARGUMENTS} arguments: put some of them into a struct"
        );
        errors.at(beyond, text);
    }
    args
}

fn cfg(attrs: &[Attribute]) -> Option<TokenStream> {
    let predicates = attrs.iter().filter_map(|attr| match &attr.meta {
        Meta::List(list) if attrs::is(attr, "cfg") => Some(&list.tokens),
        _ => None,
    });
    let predicates: Vec<_> = predicates.collect();
    (!predicates.is_empty()).then(|| quote!(all(#(#predicates),*)))
}

/// The names in the patterns, or `arg0`, `arg1`, … by position where there is none to take.
fn names(sig: &Signature) -> Vec<Ident> {
    let mut names: Vec<Option<Ident>> = Vec::new();
    for input in &sig.inputs {
        let name = match input {
            FnArg::Typed(typed) => match &*typed.pat {
                Pat::Ident(pat) => Some(generated_ident(pat.ident.clone())),
                _ => None,
            },
            FnArg::Receiver(_) => None,
        };
        // Two arguments of one name differ by hygiene, which fields do not have.
        let first = !names.contains(&name);
        names.push(name.filter(|_| first));
    }
    let taken: Vec<Ident> = names.iter().flatten().cloned().collect();
    let by_position = |(index, name): (usize, Option<Ident>)| {
        name.unwrap_or_else(|| {
            let mut name = format_ident!("arg{index}");
            while taken.contains(&name) {
                name = format_ident!("{name}_");
            }
            name
        })
    };
    names.into_iter().enumerate().map(by_position).collect()
}
