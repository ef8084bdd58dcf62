//! The code that `#[pool_task]` writes below the function.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{Path, ReturnType, Type};

use crate::args::{self, TaskArgs};
use crate::attrs;
use crate::check::{self, Arg, Task};
use crate::input::{Errors, Function};
use crate::signature::signature;
use crate::types::peel;

pub(crate) fn pool_task(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = args::task(args, &mut errors);
    let task = syn::parse2::<Function>(item.clone()).and_then(check::check);
    let task = errors.take(task).map(|task| expand(&args, &task));
    errors.beside(quote!(#item #task))
}

fn expand(args: &TaskArgs, task: &Task) -> TokenStream {
    let krate = &args.krate;
    let name = &task.name;
    let structure = structure(krate, task);
    let constructors = constructors(krate, task);
    let codec = codec(krate, task);
    let run = run(args, task);
    quote! {
        #structure
        #constructors
        #codec
        #run
        #krate::__private::inventory::submit! { #krate::__private::Entry::of::<#name>() }
    }
}

/// Always with braces: a unit or tuple struct would take the function's name among the values.
fn structure(krate: &Path, task: &Task) -> TokenStream {
    let Task { vis, name, .. } = task;
    let doc = format!("The task of [`{}()`].", name.unraw());
    let summary = attrs::summary(&task.attrs);
    let hidden = attrs::hidden(&task.attrs);
    let allowed = attrs::allowed(&task.attrs);
    let fields = list(task, |arg| {
        let name = &arg.name;
        let doc = format!("The argument `{}`.", name.unraw());
        let ty = stored(krate, arg);
        quote!(#[doc = #doc] #vis #name: #ty)
    });
    // Where the name is, because that is where a clash with another type is reported.
    let structure = quote_spanned!(name.span()=> struct #name { #fields });
    quote! {
        #[doc = #doc]
        #[doc = ""]
        #(#summary)*
        #hidden
        #(#allowed)*
        #vis #structure
    }
}

/// `task` and `spawn`, which take what the function takes. Inlined: what no one calls costs no
/// build time.
fn constructors(krate: &Path, task: &Task) -> TokenStream {
    let Task {
        vis, name, output, ..
    } = task;
    let unraw = name.unraw();
    let task_doc = format!("The task that calls [`{unraw}()`] with these arguments.");
    let spawn_doc = format!("Submits a call of [`{unraw}()`] to the global pool of its backend.");
    let allowed = attrs::allowed(&task.attrs);
    // The compiler shows the place of these words when a call does not fit.
    let fn_task = quote_spanned!(name.span()=> fn task);
    let fn_spawn = quote_spanned!(name.span()=> fn spawn);
    let deprecated = task.attrs.iter().find(|attr| attrs::is(attr, "deprecated"));
    let output = returned(output);
    let params = list(task, |Arg { name, ty, lent, .. }| {
        let borrow = lent.then(|| quote!(&));
        quote!(#name: #borrow #ty)
    });
    let names = list(task, |arg| arg.name.to_token_stream());
    let values = list(task, |arg| {
        let Arg { name, ty, .. } = arg;
        let owned = quote_spanned!(arg.place=> <#ty as #krate::__private::ToOwned>::to_owned);
        let owned = arg.lent.then(|| quote!(: #owned(#name)));
        quote!(#name #owned)
    });
    quote! {
        #(#allowed)*
        impl #name {
            #[doc = #task_doc]
            #deprecated
            #[must_use]
            #[inline]
            #vis #fn_task(#params) -> Self {
                Self { #values }
            }

            #[doc = #spawn_doc]
            #deprecated
            #[inline]
            #vis #fn_spawn(#params) -> #krate::JoinHandle<#output> {
                #krate::__private::spawn(Self::task(#names))
            }
        }
    }
}

/// The arguments as the tuple that travels. A type that cannot travel is refused once, where it
/// is bound to `A0`, `A1`, …: the rest does not name it.
fn codec(krate: &Path, task: &Task) -> TokenStream {
    let name = &task.name;
    let allowed = attrs::allowed(&task.attrs);
    let arguments = format_ident!("Arguments{}", task.args.len());
    let slots: Vec<Ident> = (0..task.args.len())
        .map(|i| format_ident!("A{i}"))
        .collect();
    let types = slots.iter().zip(&task.args).map(|(slot, arg)| {
        let ty = stored(krate, arg);
        slot_of(arg, quote!(type #slot = #ty;), quote!(type #slot = ();))
    });
    let lent = task.args.iter().map(|arg| {
        let name = &arg.name;
        slot_of(arg, quote!(&self.#name,), quote!(&(),))
    });
    let params = slots.iter().zip(&task.args).map(|(slot, arg)| {
        let name = &arg.name;
        slot_of(arg, quote!(#name: Self::#slot,), quote!(_: (),))
    });
    // Clippy finds a `()` that stands for the empty tuple.
    let lent = (!slots.is_empty()).then(|| quote!((#(#lent)*)));
    let names = list(task, |arg| arg.name.to_token_stream());
    quote! {
        #(#allowed)*
        #[doc(hidden)]
        impl #krate::__private::#arguments for #name {
            #(#types)*

            fn lend(&self) -> (#(&Self::#slots,)*) {
                #lent
            }

            fn new(#(#params)*) -> Self {
                Self { #names }
            }
        }

        impl #krate::__private::serde::Serialize for #name {
            fn serialize<__S: #krate::__private::serde::Serializer>(
                &self,
                out: __S,
            ) -> ::core::result::Result<__S::Ok, __S::Error> {
                #krate::__private::#arguments::encode(self, out)
            }
        }

        impl<'__de> #krate::__private::serde::Deserialize<'__de> for #name {
            fn deserialize<__D: #krate::__private::serde::Deserializer<'__de>>(
                input: __D,
            ) -> ::core::result::Result<Self, __D::Error> {
                #krate::__private::#arguments::decode(input)
            }
        }
    }
}

fn run(args: &TaskArgs, task: &Task) -> TokenStream {
    let krate = &args.krate;
    let name = &task.name;
    let allowed = attrs::allowed(&task.attrs);
    let output = returned(&task.output);
    let unraw = name.unraw().to_string();
    let key = match &args.name {
        Some(name) => quote!(#name),
        None => quote!(::core::concat!(::core::module_path!(), "::", #unraw)),
    };
    let signature = signature(task);
    let timeout = args
        .timeout_nanos
        .map(|nanos| quote!(.timeout_nanos(#nanos)));
    let queue_timeout = args
        .queue_timeout_nanos
        .map(|nanos| quote!(.queue_timeout_nanos(#nanos)));
    let retries = args.retries.map(|retries| quote!(.retries(#retries)));
    let idempotent = args.idempotent.then(|| quote!(.idempotent()));
    let backend = args
        .backend
        .as_ref()
        .map(|name| quote!(.backend(#krate::Backend::#name)));
    let named = args.name.as_ref().map(|_| quote!(.named()));
    let values = list(task, |Arg { name, lent, .. }| {
        if *lent {
            quote!(#krate::__private::Borrow::borrow(&self.#name))
        } else {
            quote!(self.#name)
        }
    });
    // `Self::NAME` and `Self::Output` would repeat the error of a task that is not `Send`.
    quote! {
        #(#allowed)*
        impl #krate::Task for #name {
            type Output = #output;
            const NAME: &'static str = #key;
            const INFO: #krate::__private::TaskInfo = #krate::__private::TaskInfo::new(
                #key,
                #signature,
                ::core::file!(),
                ::core::line!(),
            ) #timeout #queue_timeout #retries #idempotent #backend #named;

            fn run(self) -> #output {
                #name(#values)
            }
        }
    }
}

/// A list with something of every argument, as far as its `#[cfg]` lets it be there.
fn list(task: &Task, of: impl Fn(&Arg) -> TokenStream) -> TokenStream {
    let item = |arg: &Arg| {
        let cfg = arg.cfg.as_ref().map(|predicate| quote!(#[cfg(#predicate)]));
        let item = of(arg);
        quote!(#cfg #item,)
    };
    task.args.iter().map(item).collect()
}

/// What the argument puts in its slot of the tuple, or what stands there in its absence.
fn slot_of(arg: &Arg, present: TokenStream, absent: TokenStream) -> TokenStream {
    match &arg.cfg {
        Some(predicate) => quote!(#[cfg(#predicate)] #present #[cfg(not(#predicate))] #absent),
        None => present,
    }
}

/// The type of the field. Unsized types have their own owned form. Any other is itself, and not
/// `ToOwned::Owned`: where that fails, it fails in every use of the struct.
fn stored(krate: &Path, arg: &Arg) -> TokenStream {
    const UNSIZED: &[&str] = &[
        "BStr", "CStr", "OsStr", "Path", "RawValue", "Utf8Path", "str",
    ];
    let is_unsized = |path: &Path| {
        let last = path.segments.last();
        last.is_some_and(|last| UNSIZED.iter().any(|name| last.ident == name))
    };
    match peel(&arg.ty) {
        Type::Slice(slice) if arg.lent => {
            let elem = &slice.elem;
            let krate = located(krate, arg.place);
            quote_spanned!(arg.place=> #krate::__private::Vec<#elem>)
        }
        Type::Path(ty) if arg.lent && is_unsized(&ty.path) => {
            quote!(<#ty as #krate::__private::ToOwned>::Owned)
        }
        _ => arg.ty.to_token_stream(),
    }
}

/// The path as if it stood at `place`: an error is shown from a type's first token to its last.
fn located(path: &Path, place: Span) -> TokenStream {
    let move_there = |mut token: TokenTree| {
        token.set_span(token.span().located_at(place));
        token
    };
    path.to_token_stream().into_iter().map(move_there).collect()
}

fn returned(output: &ReturnType) -> TokenStream {
    match output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => ty.to_token_stream(),
    }
}
