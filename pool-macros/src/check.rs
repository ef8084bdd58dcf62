//! What a function must be to run elsewhere, and the task that it makes.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Attribute, FnArg, Meta, Pat, Path, Receiver, ReceiverKind, ReturnType, Safety, Signature, Type,
    parse_quote,
};

use crate::args::TaskArgs;
use crate::attrs;
use crate::generics::{self, Instance, Params, without_self};
use crate::input::{Errors, Function, generated, generated_ident};
use crate::methods::Owner;
use crate::types::{RESULT, argument, never, owned};

/// A function that can be a task.
pub(crate) struct Task {
    pub(crate) attrs: Vec<Attribute>,
    /// The predicate of a method's `#[cfg]`s. Those of a function and of an `impl` are read before
    /// the macro runs.
    pub(crate) cfg: Option<TokenStream>,
    pub(crate) vis: TokenStream,
    /// The struct's name.
    pub(crate) name: Ident,
    /// The function's name for people: `title`, or `Page::title`.
    pub(crate) title: String,
    /// The type whose function it is.
    pub(crate) owner: Option<Type>,
    /// What is called: `title`, `<Page>::title`, `title::<T>`.
    pub(crate) function: TokenStream,
    pub(crate) is_async: bool,
    pub(crate) params: Params,
    pub(crate) instances: Vec<Instance>,
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
    /// Whether it is the `self` of a method.
    pub(crate) receiver: bool,
    /// Where a type that cannot be sent is reported.
    pub(crate) place: Span,
}

/// `pool-core` has `Arguments0` to `Arguments16`, as serde has tuples.
const MAX_ARGUMENTS: usize = 16;

/// A struct of such a name would be meant in the whole module.
const PRIMITIVES: &[&str] = &[
    "bool", "char", "f32", "f64", "i128", "i16", "i32", "i64", "i8", "isize", "str", "u128", "u16",
    "u32", "u64", "u8", "usize",
];

pub(crate) fn check(
    function: Function,
    owner: Option<&Owner>,
    args: &TaskArgs,
) -> syn::Result<Task> {
    let mut errors = Errors::default();
    let Function {
        mut attrs,
        vis,
        sig,
        ..
    } = function;
    attrs.extend(owner.into_iter().flat_map(Owner::allowed));
    let sig = match owner {
        Some(owner) => syn::parse2(without_self(sig.to_token_stream(), &quote!(#owner)))?,
        None => sig,
    };
    if let Some(attr) = attrs.iter().find(|attr| attrs::is(attr, "target_feature")) {
        errors.at(
            attr,
            "a worker calls the task without knowing its target features: call this function from \
             a task without `#[target_feature]`",
        );
    }
    if let Some(attr) = attrs.iter().find(|attr| starts_runtime(attr.path()))
        && sig.asyncness.is_some()
    {
        errors.at(
            attr,
            "this attribute makes a plain function of the `async fn`: put it above \
             `#[pool_task]`, or write `#[pool_task(runtime = \"tokio\")]` instead of it",
        );
    }
    qualifiers(&sig, args, &mut errors);
    if owner.is_none() && args.task.is_none() && PRIMITIVES.iter().any(|name| sig.ident == name) {
        let text = format!(
            "the struct of this task would hide the primitive type `{0}`: name it with \
             `#[pool_task(task = …)]`",
            sig.ident
        );
        errors.at(&sig.ident, text);
    }
    let params = Params::of(
        owner
            .map(|o| &o.generics)
            .into_iter()
            .chain([&sig.generics]),
    );
    let instances = generics::instances(args.types.as_ref(), &params, &sig.ident, &mut errors);
    let fields = fields(&sig, owner, &mut errors);
    if fields
        .iter()
        .any(|arg| arg.name.to_string().starts_with('_'))
    {
        // The struct is one whose fields are written and read.
        attrs.push(parse_quote!(#[allow(clippy::pub_underscore_fields)]));
    }
    if let ReturnType::Type(_, ty) = &sig.output {
        owned(ty, &RESULT, &mut errors);
    }
    if never(&sig.output) {
        errors.at(&sig.output, "a pool task returns: leave `-> !` out");
    }
    let (title, name) = match owner {
        Some(owner) => (
            format!("{}::{}", owner.title(), sig.ident.unraw()),
            // Where the function's name is, because that is where a clash is reported.
            format_ident!(
                "{}_{}",
                owner.name.unraw(),
                sig.ident.unraw(),
                span = sig.ident.span()
            ),
        ),
        None => (sig.ident.unraw().to_string(), sig.ident.clone()),
    };
    let own = Params::of([&sig.generics])
        .arguments()
        .map(|own| quote!(::#own));
    let function = generated_ident(sig.ident);
    let function = match owner {
        Some(owner) => quote!(<#owner>::#function #own),
        None => quote!(#function #own),
    };
    let cfg = cfg(&attrs);
    errors.or(Task {
        attrs,
        cfg,
        vis: generated(vis.to_token_stream()),
        name: generated_ident(args.task.clone().unwrap_or(name)),
        title,
        owner: owner.map(|owner| owner.ty.clone()),
        function,
        is_async: sig.asyncness.is_some(),
        params,
        instances,
        args: fields,
        output: sig.output,
    })
}

/// `tokio::main`, `async_std::test`, …
fn starts_runtime(path: &Path) -> bool {
    let last = path.segments.last().filter(|_| path.segments.len() > 1);
    last.is_some_and(|last| last.ident == "main" || last.ident == "test")
}

fn qualifiers(sig: &Signature, args: &TaskArgs, errors: &mut Errors) {
    if let Some(runtime) = args.runtime.as_ref().filter(|_| sig.asyncness.is_none()) {
        errors.add(syn::Error::new(
            runtime.place,
            "a runtime is for an `async fn`: leave `runtime` out, or make the function `async`",
        ));
    }
    if let Safety::Unsafe(token) = sig.safety {
        errors.at(
            token,
            "a pool task is not `unsafe`: the worker that calls it can promise nothing; write a \
             safe `fn` that checks its arguments",
        );
    }
    if let Some(variadic) = &sig.variadic {
        errors.at(
            variadic,
            "a pool task takes a fixed number of arguments: take a `Vec`",
        );
    }
}

fn fields(sig: &Signature, owner: Option<&Owner>, errors: &mut Errors) -> Vec<Arg> {
    let mut args = Vec::new();
    for (input, name) in sig.inputs.iter().zip(names(sig)) {
        match input {
            FnArg::Receiver(receiver) => args.extend(this(receiver, owner, name, errors)),
            FnArg::Typed(typed) => {
                let (ty, lent) = argument(&typed.ty, errors);
                args.push(Arg {
                    name,
                    cfg: cfg(&typed.attrs),
                    ty: ty.clone(),
                    lent,
                    receiver: false,
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

/// The `self` of a method as an argument.
fn this(
    receiver: &Receiver,
    owner: Option<&Owner>,
    name: Ident,
    errors: &mut Errors,
) -> Option<Arg> {
    let Some(owner) = owner else {
        errors.at(
            receiver,
            "put `#[pool_task]` on the `impl` of this method: there it sees which type `self` is",
        );
        return None;
    };
    let lent = match &receiver.kind {
        ReceiverKind::Value => false,
        ReceiverKind::Reference(_, _, None) => true,
        ReceiverKind::Reference(..) => {
            errors.at(
                receiver,
                "a pool task works on its own copy of `self`, so what it writes through `&mut self` \
                 would be lost: take `self` and return it, or move this function to another `impl`, \
                 which is not marked",
            );
            return None;
        }
        _ => {
            errors.at(
                receiver,
                "the `self` of a pool task is sent as its own type: write `self` or `&self`, or \
                 move this function to another `impl`, which is not marked",
            );
            return None;
        }
    };
    Some(Arg {
        name,
        cfg: None,
        ty: owner.ty.clone(),
        lent,
        receiver: true,
        place: receiver.self_token.span().resolved_at(Span::call_site()),
    })
}

/// The predicates of all `#[cfg]`s.
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
            let mut name = match sig.inputs.get(index) {
                Some(FnArg::Receiver(_)) => format_ident!("this"),
                _ => format_ident!("arg{index}"),
            };
            while taken.contains(&name) {
                name = format_ident!("{name}_");
            }
            name
        })
    };
    names.into_iter().enumerate().map(by_position).collect()
}

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;
    use syn::parse_quote;

    use super::{attrs, check};
    use crate::args;
    use crate::input::Errors;

    #[test]
    fn a_field_may_begin_with_an_underscore() {
        let args = args::task(TokenStream::new(), &mut Errors::default());
        let lints = |function| {
            let task = check(function, None, &args);
            let attrs = task.map(|task| task.attrs).unwrap_or_default();
            let allowed = attrs::allowed(&attrs).map(|attr| attr.to_string());
            allowed.collect::<String>()
        };
        let odd = lints(parse_quote!(
            pub fn count(_text: String) {}
        ));
        assert!(odd.contains("pub_underscore_fields"), "{odd}");
        assert_eq!(
            lints(parse_quote!(
                pub fn count(text: String) {}
            )),
            ""
        );
    }
}
