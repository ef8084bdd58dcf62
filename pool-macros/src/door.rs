//! `#[pool_core::main]` and `#[pool_core::test]`: the doors through which a re-executed process
//! becomes a worker.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Signature};

use crate::args;
use crate::attrs;
use crate::input::{Errors, Function};
use crate::types::never;

/// The usual attributes that cannot make a plain function of an `async` one.
const INERT: &[&str] = &[
    "allow",
    "cfg",
    "cfg_attr",
    "deny",
    "doc",
    "expect",
    "forbid",
    "ignore",
    "inline",
    "must_use",
    "should_panic",
    "warn",
];

fn is_inert(attr: &Attribute) -> bool {
    INERT.iter().any(|name| attrs::is(attr, name))
}

pub(crate) fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let krate = args::door(args, &mut errors);
    let function = errors.take(syn::parse2::<Function>(item.clone()));
    let main = match function {
        Some(function) if errors.take(check_main(&function)).is_some() => {
            // The other attributes stay on the inner function: `#[tokio::main]` makes a plain
            // function of that, and the runtime starts behind the door.
            let Function { vis, mut sig, .. } = function;
            sig.asyncness = None;
            // Nothing comes after a `main` that never returns.
            let call = if never(&sig.output) {
                quote!(main())
            } else {
                quote! {
                    let result = main();
                    #krate::__private::finish();
                    result
                }
            };
            quote! {
                #vis #sig {
                    #item
                    #krate::init();
                    #call
                }
            }
        }
        // A plain `main` around it, so that the compiler does not complain of the same again.
        Some(function) if function.sig.ident == "main" => quote! {
            fn main() {
                #[allow(dead_code)]
                #item
            }
        },
        _ => item,
    };
    errors.beside(main)
}

fn check_main(function: &Function) -> syn::Result<()> {
    let mut errors = Errors::default();
    let Function { attrs, sig, .. } = function;
    if sig.ident != "main" {
        errors.at(
            &sig.ident,
            "this attribute goes on `main`, where a program starts; elsewhere, call \
             `pool_core::init()`",
        );
    }
    if let Some(token) = sig.asyncness.filter(|_| attrs.iter().all(is_inert)) {
        errors.at(
            token,
            "an `async fn main` needs a runtime: put `#[pool_core::main]` above the attribute that \
             starts it, such as `#[tokio::main]`",
        );
    }
    no_inputs(sig, "`main`", &mut errors);
    errors.or(())
}

pub(crate) fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let krate = args::door(args, &mut errors);
    let function = errors.take(syn::parse2::<Function>(item.clone()));
    let test = match function {
        Some(function) if errors.take(check_test(&function)).is_some() => {
            let name = function.sig.ident.to_string();
            // Until the end of the test: the harness may run the next one in the same thread.
            let door = quote! {
                let __pool_core_door = #krate::__private::test_door(
                    ::core::concat!(::core::module_path!(), "::", #name),
                );
            };
            let is_wrapped = |attr| !is_inert(attr) && !attrs::is_test(attr);
            match function.attrs.iter().any(is_wrapped) || function.sig.asyncness.is_some() {
                false => plain_test(function, &door),
                true => wrapped_test(function, &door),
            }
        }
        _ => item,
    };
    errors.beside(test)
}

fn plain_test(function: Function, door: &TokenStream) -> TokenStream {
    let Function {
        attrs,
        vis,
        sig,
        inner_attrs,
        body,
    } = function;
    let is_test = attrs.iter().any(attrs::is_test);
    let marker = (!is_test).then(|| quote!(#[::core::prelude::v1::test]));
    quote! {
        #marker
        #(#attrs)*
        #vis #sig {
            #(#inner_attrs)*
            #door
            #body
        }
    }
}

/// The test is a plain function around the user's, which keeps the attributes that are not for the
/// harness: what they put around it (a runtime, a lock that the parent's test holds) comes behind the
/// door, so no worker waits for it.
fn wrapped_test(function: Function, door: &TokenStream) -> TokenStream {
    let Function {
        attrs,
        vis,
        sig,
        inner_attrs,
        body,
    } = function;
    let is_for_harness = |attr: &Attribute| is_inert(attr) || attrs::is_test(attr);
    let (outer, inner): (Vec<_>, Vec<_>) = attrs.into_iter().partition(is_for_harness);
    let is_test = outer.iter().any(attrs::is_test);
    let marker = (!is_test).then(|| quote!(#[::core::prelude::v1::test]));
    let mut plain = sig.clone();
    plain.asyncness = None;
    let name = &sig.ident;
    quote! {
        #marker
        #(#outer)*
        // `#[tokio::test]` marks the inner function, which no harness sees.
        #[allow(unnameable_test_items)]
        #vis #plain {
            #door
            #(#inner)*
            #sig {
                #(#inner_attrs)*
                #body
            }
            #name()
        }
    }
}

fn check_test(function: &Function) -> syn::Result<()> {
    let mut errors = Errors::default();
    let Function { attrs, sig, .. } = function;
    if let Some(token) = sig.asyncness.filter(|_| attrs.iter().all(is_inert)) {
        errors.at(
            token,
            "an `async fn` needs a runtime: put `#[pool_core::test]` above the attribute that \
             starts it, such as `#[tokio::test]`",
        );
    }
    no_inputs(sig, "a test", &mut errors);
    errors.or(())
}

fn no_inputs(sig: &Signature, what: &str, errors: &mut Errors) {
    if !sig.inputs.is_empty() {
        errors.at(&sig.inputs, format!("{what} takes no arguments"));
    }
}
