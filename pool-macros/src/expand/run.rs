//! What a worker needs: how the arguments travel, and the call.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};

use super::Plan;
use crate::check::{Arg, Task};
use crate::generics::{Instance, located};
use crate::signature::{fnv1a, signature, title};

impl Plan<'_> {
    /// The arguments as the tuple that travels. A type that cannot travel is refused once, where it
    /// is bound to `A0`, `A1`, …: the rest does not name it. The result's type is refused here in our
    /// words, before `Task` does so in those of serde.
    pub(super) fn codec(&self) -> TokenStream {
        let Self {
            task,
            krate,
            arguments,
            declared,
            of,
            allowed,
            ..
        } = self;
        let Task { name, params, .. } = task;
        let slots: Vec<Ident> = (0..task.args.len())
            .map(|i| format_ident!("A{i}"))
            .collect();
        let types = slots.iter().zip(task.args.iter().zip(&self.stored));
        let types = types.map(|(slot, (arg, ty))| {
            slot_of(arg, quote!(type #slot = #ty;), quote!(type #slot = ();))
        });
        let lent = task.args.iter().map(|arg| {
            let name = &arg.name;
            slot_of(arg, quote!(&self.#name,), quote!(&(),))
        });
        let inputs = slots.iter().zip(&task.args).map(|(slot, arg)| {
            let name = &arg.name;
            slot_of(arg, quote!(#name: Self::#slot,), quote!(_: (),))
        });
        let names = self.list(|arg| arg.name.to_token_stream());
        let marker = self.marker();
        let depending = task.args.iter().zip(&self.stored);
        let depending = depending.filter(|(arg, _)| params.are_in(&arg.ty));
        let sendable = depending.map(|(_, ty)| quote!(#ty: #krate::__private::Argument));
        let sendable: Vec<_> = self.sized.iter().cloned().chain(sendable).collect();
        let declared_de = params.declaration_with(Some(quote!('__de)), None);
        let clause = self.clause_of_fields(&sendable);
        let runtime = self.args.runtime.as_ref();
        let inside = runtime.map(|_| quote!(let _inside = #krate::__private::tokio::enter();));
        // What a generic function returns is known for its instances only.
        let output = match params.is_empty() {
            true => self.returned(),
            false => quote!(()),
        };
        quote! {
            #(#allowed)*
            #[doc(hidden)]
            impl #declared #arguments for #name #of #clause {
                type Output = #output;
                #(#types)*

                fn new(#(#inputs)*) -> Self {
                    Self { #names #marker }
                }
            }

            impl #declared #krate::__private::serde::Serialize for #name #of #clause {
                fn serialize<__S: #krate::__private::serde::Serializer>(
                    &self,
                    out: __S,
                ) -> ::core::result::Result<__S::Ok, __S::Error> {
                    <Self as #arguments>::encode((#(#lent)*), out)
                }
            }

            impl #declared_de #krate::__private::serde::Deserialize<'__de> for #name #of #clause {
                fn deserialize<__D: #krate::__private::serde::Deserializer<'__de>>(
                    input: __D,
                ) -> ::core::result::Result<Self, __D::Error> {
                    #inside
                #arguments::decode(input)
                }
            }
        }
    }

    /// The task that the function is.
    pub(super) fn run(&self) -> TokenStream {
        let Self {
            task,
            krate,
            arguments: list,
            allowed,
            ..
        } = self;
        let name = &task.name;
        let output = self.returned();
        let facts = self.facts(None);
        let call = self.call();
        let entry = self.entry(&quote!(#name));
        // `Self::NAME` and `Self::Output` would repeat the error of a task that is not `Send`.
        quote! {
            #(#allowed)*
            impl #krate::Task for #name {
                type Output = #output;
                #facts

                fn run(self) -> #output {
                    #call
                }

                fn is_plain() -> bool {
                    <Self as #list>::is_plain()
                }
            }

            #entry
        }
    }

    /// The call for every instance, and the task for each that is listed: the result's type may be one
    /// that only the bounds of the function name.
    pub(super) fn generic_run(&self) -> TokenStream {
        let Self {
            task,
            krate,
            arguments: list,
            declared,
            of,
            allowed,
            ..
        } = self;
        let name = &task.name;
        let output = self.returned();
        let call = self.call();
        let clause = task.params.clause(&self.sized);
        let tasks = task.instances.iter().map(|instance| {
            let facts = self.facts(Some(instance));
            let arguments = &instance.arguments;
            let this = quote!(#name<#(#arguments),*>);
            let entry = self.entry(&this);
            let code = quote! {
                impl #krate::Task for #this {
                    type Output = <Self as #krate::__private::Instance>::Output;
                    #facts

                    fn run(self) -> <Self as #krate::__private::Instance>::Output {
                        #krate::__private::Instance::call(self)
                    }

                    fn is_plain() -> bool {
                        <Self as #list>::is_plain()
                    }
                }
            };
            let returns = quote! {
                impl #krate::__private::Returns for #this {
                    type Output = <Self as #krate::__private::Instance>::Output;
                }
            };
            // Where it is listed: one that cannot be a task is reported there, and only once.
            located(quote!(#returns #(#allowed)* #code #entry), instance.place())
        });
        quote! {
            #(#allowed)*
            impl #declared #krate::__private::Instance for #name #of #clause {
                type Output = #output;

                fn call(self) -> #output {
                    #call
                }
            }

            #(#tasks)*
        }
    }

    /// The name of the task, and what the catalog says of it.
    fn facts(&self, instance: Option<&Instance>) -> TokenStream {
        let Self {
            args, task, krate, ..
        } = self;
        let title = title(task, instance);
        let key = match (&args.name, instance) {
            (Some(name), None) => quote!(#name),
            (Some(name), Some(instance)) => {
                let name = format!("{}{}", name.value(), instance.suffix());
                quote!(#name)
            }
            (None, _) => quote!(::core::concat!(::core::module_path!(), "::", #title)),
        };
        let signature = signature(task, instance);
        let signature_hash = fnv1a(&signature);
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
        quote! {
            const NAME: &'static str = #key;
            const INFO: #krate::__private::TaskInfo = #krate::__private::TaskInfo::new(
                #key,
                #signature,
                #signature_hash,
                ::core::file!(),
                ::core::line!(),
            ) #timeout #queue_timeout #retries #idempotent #backend #named;
        }
    }

    /// The call of the function with the fields of `self`.
    fn call(&self) -> TokenStream {
        let Self {
            args, task, krate, ..
        } = self;
        let function = &task.function;
        let values = self.list(|Arg { name, lent, .. }| match lent {
            true => quote!(#krate::__private::Borrow::borrow(&self.#name)),
            false => quote!(self.#name),
        });
        let call = quote!(#function(#values));
        match &args.runtime {
            _ if !task.is_async => call,
            None => quote!(#krate::__private::block_on(#call)),
            Some(_) => quote!(#krate::__private::tokio::block_on(#call)),
        }
    }

    /// The entry in the catalog.
    fn entry(&self, this: &TokenStream) -> TokenStream {
        let Self {
            args,
            krate,
            arguments,
            ..
        } = self;
        let entry = match &args.runtime {
            None => quote!(#krate::__private::Entry::of::<#this>(<#this as #arguments>::run)),
            // `Deserialize` is used, which enters the runtime.
            Some(_) => {
                quote!(#krate::__private::Entry::with::<#this>(<#this as #krate::Task>::INFO))
            }
        };
        quote!(#krate::__private::inventory::submit! { #entry })
    }
}

/// What the argument puts in its slot of the tuple, or what stands there in its absence.
fn slot_of(arg: &Arg, present: TokenStream, absent: TokenStream) -> TokenStream {
    match &arg.cfg {
        Some(predicate) => quote!(#[cfg(#predicate)] #present #[cfg(not(#predicate))] #absent),
        None => present,
    }
}
