//! The struct, and how one is made.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;

use super::Plan;
use crate::attrs;
use crate::check::{Arg, Task};
use crate::generics::{Instance, located};
use crate::signature::title;

impl Plan<'_> {
    /// Always with braces: a unit or tuple struct would take the function's name among the values.
    pub(super) fn structure(&self) -> TokenStream {
        let Self {
            task,
            krate,
            unmentioned,
            ..
        } = self;
        let Task {
            vis, name, params, ..
        } = task;
        let doc = format!("The task of {}.", link(task));
        let summary = attrs::summary(&task.attrs);
        let hidden = attrs::hidden(&task.attrs);
        let allowed = &self.allowed;
        let fields = self.list_with(|arg, ty| {
            let name = &arg.name;
            let doc = match arg.receiver {
                true => "The value that the method is called on.".to_owned(),
                false => format!("The argument `{}`.", name.unraw()),
            };
            quote!(#[doc = #doc] #vis #name: #ty)
        });
        let marker = (!unmentioned.is_empty()).then(|| {
            let marker = quote!(#krate::__private::PhantomData);
            quote!(__types: #marker<fn() -> (#(#marker<#unmentioned>,)*)>,)
        });
        // A function can be more public than its type. With the type as a parameter the struct is only
        // as public as that, whatever its own visibility says.
        let owner = task.owner.as_ref().map(|owner| quote!(__Owner = #owner));
        let declared = params.declaration_with(None, owner);
        let clause = self.clause_of_fields(&self.sized);
        // The bounds and the types were judged on the function.
        let lints = (task.owner.is_some() || !params.is_empty())
            .then(|| quote!(#[allow(private_bounds, private_interfaces)]));
        // Where the name is, because that is where a clash with another type is reported.
        let structure =
            quote_spanned!(name.span()=> struct #name #declared #clause { #fields #marker });
        quote! {
            #[doc = #doc]
            #[doc = ""]
            #(#summary)*
            #hidden
            #lints
            #(#allowed)*
            #vis #structure
        }
    }

    /// `task` and `spawn`, which take what the function takes. Inlined: what no one calls costs no
    /// build time.
    pub(super) fn constructors(&self) -> TokenStream {
        let Self {
            task,
            krate,
            declared,
            of,
            ..
        } = self;
        let Task {
            vis, name, params, ..
        } = task;
        let link = link(task);
        let task_doc = format!("The task that calls {link} with these arguments.");
        let spawn_doc = format!("Submits a call of {link} to the global pool of its backend.");
        let summary: Vec<_> = attrs::summary(&task.attrs).collect();
        let allowed = &self.allowed;
        // The compiler shows the place of these words when a call does not fit.
        let fn_task = quote_spanned!(name.span()=> fn task);
        let fn_spawn = quote_spanned!(name.span()=> fn spawn);
        let deprecated = task.attrs.iter().find(|attr| attrs::is(attr, "deprecated"));
        let output = match params.is_empty() {
            true => self.returned(),
            false => quote!(<Self as #krate::Task>::Output),
        };
        let inputs = self.list(|Arg { name, ty, lent, .. }| {
            let borrow = lent.then(|| quote!(&));
            quote!(#name: #borrow #ty)
        });
        let names = self.list(|arg| arg.name.to_token_stream());
        let values = self.list(|arg| {
            let Arg { name, ty, .. } = arg;
            let owned = quote_spanned!(arg.place=> <#ty as #krate::__private::ToOwned>::to_owned);
            let owned = match arg.receiver {
                true => located(owned, arg.place),
                false => owned,
            };
            let owned = arg.lent.then(|| quote!(: #owned(#name)));
            quote!(#name #owned)
        });
        let marker = self.marker();
        let listed = (!params.is_empty()).then(|| listed(task));
        let (mut callable, mut spawnable) = (Vec::new(), Vec::new());
        if !params.is_empty() {
            callable.push(quote!(Self: __Listed));
            spawnable.push(quote!(Self: #krate::Task));
            let copied = |(arg, _): &(&Arg, _)| {
                arg.lent && params.are_in(&arg.ty) && !params.is_unsized(&arg.ty)
            };
            let lent = task.args.iter().zip(&self.stored).filter(copied);
            callable.extend(lent.map(
                |(Arg { ty, .. }, stored)| quote!(#ty: #krate::__private::ToOwned<Owned = #stored>),
            ));
        }
        spawnable.extend(callable.iter().cloned());
        let [callable, spawnable] = [callable, spawnable]
            .map(|predicates| (!predicates.is_empty()).then(|| quote!(where #(#predicates),*)));
        let clause = params.clause(&self.sized);
        quote! {
            #listed

            #(#allowed)*
            impl #declared #name #of #clause {
                #[doc = #task_doc]
                #[doc = ""]
                #(#summary)*
                #deprecated
                #[must_use]
                #[inline]
                #vis #fn_task(#inputs) -> Self #callable {
                    Self { #values #marker }
                }

                #[doc = #spawn_doc]
                #deprecated
                #[inline]
                #vis #fn_spawn(#inputs) -> #krate::JoinHandle<#output> #spawnable {
                    #krate::__private::spawn(Self::task(#names))
                }
            }
        }
    }
}

/// The function in documentation.
fn link(task: &Task) -> String {
    match task.owner {
        None => format!("[`{}()`]", task.title),
        Some(_) => format!("`{}()`", task.title),
    }
}

/// The trait of the instances that are listed, which says so where another one is made.
fn listed(task: &Task) -> TokenStream {
    let (name, title) = (&task.name, title(task, None));
    let instances = task.instances.iter().map(|instance| {
        let arguments = &instance.arguments;
        quote!(impl __Listed for #name<#(#arguments),*> {})
    });
    let list: Vec<_> = task.instances.iter().map(Instance::listed).collect();
    // Braces stand for the trait's parameters.
    let list = list.join(", ").replace('{', "{{").replace('}', "}}");
    let message = format!("`{{Self}}` is not among the tasks of `{title}`");
    let label = format!("`{title}` is a task for `types({list})`");
    let note = format!(
        "a worker finds a task by its name, so each instance is listed: add it to \
         `#[pool_task(types({list}))]`"
    );
    quote! {
        #[diagnostic::on_unimplemented(message = #message, label = #label, note = #note)]
        pub trait __Listed {}
        #(#instances)*
    }
}
