//! The code that `#[pool_task]` writes below the function.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Path, ReturnType, Type, Visibility};

use crate::args::{self, TaskArgs};
use crate::attrs;
use crate::check::{self, Arg, Task};
use crate::generics::{Instance, located};
use crate::input::{Errors, Function, starts_function};
use crate::methods::{self, Methods};
use crate::signature::{fnv1a, signature, title};
use crate::types::peel;

pub(crate) fn pool_task(args: TokenStream, item: TokenStream) -> TokenStream {
    match Parser::parse2(marked, item.clone()) {
        Ok(Marked::Function) => {}
        Ok(Marked::Impl) => return methods(args, item),
        Err(error) => {
            let error = error.into_compile_error();
            return quote!(#item #error);
        }
    }
    let mut errors = Errors::default();
    let args = args::task(args, &mut errors);
    let function = errors.take(syn::parse2::<Function>(item.clone()));
    let task = function.and_then(|function| errors.take(check::check(function, None, &args)));
    let task = task.map(|task| expand(&args, &task));
    errors.beside(quote!(#item #task))
}

/// What the attribute stands on.
enum Marked {
    Function,
    Impl,
}

fn marked(input: ParseStream<'_>) -> syn::Result<Marked> {
    input.call(Attribute::parse_outer)?;
    let marked = if methods::is_impl(input) {
        Ok(Marked::Impl)
    } else {
        input.parse::<Visibility>()?;
        match starts_function(input) {
            true => Ok(Marked::Function),
            false => Err(input.error(
                "this attribute goes on a function, `fn name(…) { … }`, or on an `impl` with functions",
            )),
        }
    };
    // A parser reads everything.
    input.parse::<TokenStream>()?;
    marked
}

/// Every function in the `impl` is a task.
fn methods(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = args::methods(args, &mut errors);
    let mut tasks = TokenStream::new();
    let methods = errors.take(syn::parse2::<Methods>(item.clone()));
    let methods = methods.filter(|methods| errors.take(methods.owner.check()).is_some());
    if let Some(methods) = methods {
        for (function, own) in methods.functions {
            let own = own.unwrap_or_default();
            let args = args::over(args.clone(), own, &mut errors);
            let task = errors.take(check::check(function, Some(&methods.owner), &args));
            tasks.extend(task.map(|task| expand(&args, &task)));
        }
    }
    let item = methods::stripped(item);
    errors.beside(quote!(#item #tasks))
}

fn expand(args: &TaskArgs, task: &Task) -> TokenStream {
    let krate = &args.krate;
    let structure = structure(krate, task);
    let constructors = constructors(krate, task);
    let codec = codec(krate, task);
    let run = if task.params.is_empty() {
        run(args, task)
    } else {
        generic_run(args, task)
    };
    let code = quote!(#constructors #codec #run);
    match &task.cfg {
        None if task.params.is_empty() => quote!(#structure #code),
        None => quote!(#structure const _: () = { #code };),
        Some(cfg) => quote!(#[cfg(#cfg)] #structure #[cfg(#cfg)] const _: () = { #code };),
    }
}

/// Always with braces: a unit or tuple struct would take the function's name among the values.
fn structure(krate: &Path, task: &Task) -> TokenStream {
    let Task {
        vis, name, params, ..
    } = task;
    let doc = format!("The task of {}.", link(task));
    let summary = attrs::summary(&task.attrs);
    let hidden = attrs::hidden(&task.attrs);
    let allowed = attrs::allowed(&task.attrs);
    let fields = list(task, |arg| {
        let name = &arg.name;
        let doc = match arg.receiver {
            true => "The value that the method is called on.".to_owned(),
            false => format!("The argument `{}`.", name.unraw()),
        };
        let ty = stored(krate, task, arg);
        quote!(#[doc = #doc] #vis #name: #ty)
    });
    let marker = marked_types(krate, task).map(|types| {
        let marker = quote!(#krate::__private::PhantomData);
        quote!(__types: #marker<fn() -> (#(#marker<#types>,)*)>,)
    });
    // A function can be more public than its type. With the type as a parameter the struct is only
    // as public as that, whatever its own visibility says.
    let owner = task.owner.as_ref().map(|owner| quote!(__Owner = #owner));
    let declared = params.declaration_with(None, owner);
    let clause = params.clause_of(&fields_words(krate, task), &sized(krate, task));
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

/// The function in documentation.
fn link(task: &Task) -> String {
    match task.owner {
        None => format!("[`{}()`]", task.title),
        Some(_) => format!("`{}()`", task.title),
    }
}

/// `task` and `spawn`, which take what the function takes. Inlined: what no one calls costs no
/// build time.
fn constructors(krate: &Path, task: &Task) -> TokenStream {
    let Task {
        vis,
        name,
        output,
        params,
        ..
    } = task;
    let link = link(task);
    let task_doc = format!("The task that calls {link} with these arguments.");
    let spawn_doc = format!("Submits a call of {link} to the global pool of its backend.");
    let summary: Vec<_> = attrs::summary(&task.attrs).collect();
    let allowed = attrs::allowed(&task.attrs);
    // The compiler shows the place of these words when a call does not fit.
    let fn_task = quote_spanned!(name.span()=> fn task);
    let fn_spawn = quote_spanned!(name.span()=> fn spawn);
    let deprecated = task.attrs.iter().find(|attr| attrs::is(attr, "deprecated"));
    let output = match params.is_empty() {
        true => returned(output),
        false => quote!(<Self as #krate::Task>::Output),
    };
    let inputs = list(task, |Arg { name, ty, lent, .. }| {
        let borrow = lent.then(|| quote!(&));
        quote!(#name: #borrow #ty)
    });
    let names = list(task, |arg| arg.name.to_token_stream());
    let values = list(task, |arg| {
        let Arg { name, ty, .. } = arg;
        let owned = quote_spanned!(arg.place=> <#ty as #krate::__private::ToOwned>::to_owned);
        let owned = match arg.receiver {
            true => located(owned, arg.place),
            false => owned,
        };
        let owned = arg.lent.then(|| quote!(: #owned(#name)));
        quote!(#name #owned)
    });
    let marker = marker(krate, task);
    let listed = (!params.is_empty()).then(|| listed(task));
    let (mut callable, mut spawnable) = (Vec::new(), Vec::new());
    if !params.is_empty() {
        callable.push(quote!(Self: __Listed));
        spawnable.push(quote!(Self: #krate::Task));
        let copied = |arg: &&Arg| params.are_in(&arg.ty) && !params.is_unsized(&arg.ty);
        let lent = task.args.iter().filter(|arg| arg.lent).filter(copied);
        callable.extend(lent.map(|arg| {
            let (ty, stored) = (&arg.ty, stored(krate, task, arg));
            quote!(#ty: #krate::__private::ToOwned<Owned = #stored>)
        }));
    }
    spawnable.extend(callable.iter().cloned());
    let [callable, spawnable] = [callable, spawnable]
        .map(|predicates| (!predicates.is_empty()).then(|| quote!(where #(#predicates),*)));
    let (declared, arguments) = (params.declaration(), params.arguments());
    let clause = params.clause(&sized(krate, task));
    quote! {
        #listed

        #(#allowed)*
        impl #declared #name #arguments #clause {
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

/// The arguments as the tuple that travels. A type that cannot travel is refused once, where it
/// is bound to `A0`, `A1`, …: the rest does not name it. The result's type is refused here in our
/// words, before `Task` does so in those of serde.
fn codec(krate: &Path, task: &Task) -> TokenStream {
    let Task { name, params, .. } = task;
    let allowed = attrs::allowed(&task.attrs);
    let arguments = arguments(krate, task);
    let slots: Vec<Ident> = (0..task.args.len())
        .map(|i| format_ident!("A{i}"))
        .collect();
    let types = slots.iter().zip(&task.args).map(|(slot, arg)| {
        let ty = stored(krate, task, arg);
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
    let names = list(task, |arg| arg.name.to_token_stream());
    let marker = marker(krate, task);
    let mut sendable = sized(krate, task);
    let depending = task
        .args
        .iter()
        .map(|arg| (stored(krate, task, arg), &arg.ty));
    let depending = depending.filter(|(_, ty)| params.are_in(ty));
    sendable.extend(depending.map(|(stored, _)| quote!(#stored: #krate::__private::Argument)));
    let (declared, of) = (params.declaration(), params.arguments());
    let declared_de = params.declaration_with(Some(quote!('__de)), None);
    let clause = params.clause_of(&fields_words(krate, task), &sendable);
    // What a generic function returns is known for its instances only.
    let output = match params.is_empty() {
        true => returned(&task.output),
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
                #arguments::decode(input)
            }
        }
    }
}

fn run(args: &TaskArgs, task: &Task) -> TokenStream {
    let krate = &args.krate;
    let name = &task.name;
    let allowed = attrs::allowed(&task.attrs);
    let output = returned(&task.output);
    let facts = facts(args, task, None);
    let call = call(args, task);
    let entry = entry(args, task, &quote!(#name));
    // `Self::NAME` and `Self::Output` would repeat the error of a task that is not `Send`.
    quote! {
        #(#allowed)*
        impl #krate::Task for #name {
            type Output = #output;
            #facts

            fn run(self) -> #output {
                #call
            }
        }

        #entry
    }
}

/// The call for every instance, and the task for each that is listed: the result's type may be one
/// that only the bounds of the function name.
fn generic_run(args: &TaskArgs, task: &Task) -> TokenStream {
    let krate = &args.krate;
    let Task { name, params, .. } = task;
    let allowed: Vec<_> = attrs::allowed(&task.attrs).collect();
    let output = returned(&task.output);
    let call = call(args, task);
    let (declared, of) = (params.declaration(), params.arguments());
    let clause = params.clause(&sized(krate, task));
    let tasks = task.instances.iter().map(|instance| {
        let facts = facts(args, task, Some(instance));
        let arguments = &instance.arguments;
        let this = quote!(#name<#(#arguments),*>);
        let entry = entry(args, task, &this);
        let code = quote! {
            impl #krate::Task for #this {
                type Output = <Self as #krate::__private::Instance>::Output;
                #facts

                fn run(self) -> <Self as #krate::__private::Instance>::Output {
                    #krate::__private::Instance::call(self)
                }
            }
        };
        // Where it is listed: one that cannot be a task is reported there, and only once.
        let code = located(code, instance.place());
        quote!(#(#allowed)* #code #entry)
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
fn facts(args: &TaskArgs, task: &Task, instance: Option<&Instance>) -> TokenStream {
    let krate = &args.krate;
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
fn call(args: &TaskArgs, task: &Task) -> TokenStream {
    let krate = &args.krate;
    let function = &task.function;
    let values = list(task, |Arg { name, lent, .. }| match lent {
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
fn entry(args: &TaskArgs, task: &Task, this: &TokenStream) -> TokenStream {
    let krate = &args.krate;
    let arguments = arguments(krate, task);
    let entry = match &args.runtime {
        None => quote!(#krate::__private::Entry::of::<#this>(<#this as #arguments>::run)),
        // Its arguments are decoded inside of it.
        Some(_) => quote!(#krate::__private::tokio::entry::<#this>()),
    };
    quote!(#krate::__private::inventory::submit! { #entry })
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
fn stored(krate: &Path, task: &Task, arg: &Arg) -> TokenStream {
    const UNSIZED: &[&str] = &[
        "BStr", "CStr", "OsStr", "Path", "RawValue", "Utf8Path", "str",
    ];
    let is_unsized = |path: &Path| {
        let last = path.segments.last();
        last.is_some_and(|last| UNSIZED.iter().any(|name| last.ident == name))
            || task.params.is_unsized(path)
    };
    match peel(&arg.ty) {
        Type::Slice(slice) if arg.lent => {
            let elem = &slice.elem;
            let krate = located(krate.to_token_stream(), arg.place);
            quote_spanned!(arg.place=> #krate::__private::Vec<#elem>)
        }
        Type::Path(ty) if arg.lent && is_unsized(&ty.path) => {
            quote!(<#ty as #krate::__private::ToOwned>::Owned)
        }
        _ => arg.ty.to_token_stream(),
    }
}

/// The parameters of the struct that no field mentions.
fn marked_types(krate: &Path, task: &Task) -> Option<Vec<TokenStream>> {
    // A field may be absent.
    let always = task.args.iter().filter(|arg| arg.cfg.is_none());
    let words: TokenStream = always.map(|arg| stored(krate, task, arg)).collect();
    let unused = task.params.unused(&words);
    let owner = task.owner.as_ref().map(|_| quote!(__Owner));
    let types: Vec<_> = unused
        .iter()
        .map(|name| quote!(#name))
        .chain(owner)
        .collect();
    (!types.is_empty()).then_some(types)
}

/// The value of the field that mentions them.
fn marker(krate: &Path, task: &Task) -> Option<TokenStream> {
    marked_types(krate, task).map(|_| quote!(__types: #krate::__private::PhantomData,))
}

/// The trait of tasks with so many arguments.
fn arguments(krate: &Path, task: &Task) -> TokenStream {
    let name = format_ident!("Arguments{}", task.args.len());
    quote!(#krate::__private::#name)
}

/// The types of all fields.
fn fields_words(krate: &Path, task: &Task) -> TokenStream {
    list(task, |arg| stored(krate, task, arg))
}

/// What a parameter that may be unsized must be to be lent.
fn sized(krate: &Path, task: &Task) -> Vec<TokenStream> {
    let lent = task.args.iter().filter(|arg| arg.lent);
    lent.filter(|arg| task.params.is_unsized(&arg.ty))
        .map(|Arg { ty, .. }| quote!(#ty: #krate::__private::ToOwned))
        .collect()
}

fn returned(output: &ReturnType) -> TokenStream {
    match output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => ty.to_token_stream(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The blocks of Rust behind a heading.
    fn blocks(heading: &str) -> Vec<TokenStream> {
        let text = include_str!("../../ARCHITECTURE.md");
        let (_, section) = text.split_once(heading).expect("the heading");
        let section = section.split("\n## ").next().expect("a first part");
        let blocks = section.split("```rust\n").skip(1);
        let code = blocks.map(|block| block.split("```").next().expect("a first part"));
        code.map(|code| code.parse().expect("Rust")).collect()
    }

    fn marked(item: TokenStream) -> (TokenStream, TokenStream) {
        let function: Function = syn::parse2(item).expect("a function");
        let Function {
            mut attrs,
            vis,
            sig,
            body,
            ..
        } = function;
        let ours = attrs.pop().expect("the attribute stands last");
        let args = ours
            .meta
            .require_list()
            .expect("with arguments")
            .tokens
            .clone();
        (args, quote!(#(#attrs)* #vis #sig { #body }))
    }

    /// Without spaces and trailing commas, which are rustfmt's.
    fn unspaced(code: TokenStream) -> String {
        let code = code.to_string().replace(' ', "");
        code.replace(",)", ")").replace(",}", "}")
    }

    #[test]
    fn the_example_in_the_architecture_is_what_is_written() {
        let [item, expected] = &blocks("## What the macro writes\n")[..] else {
            panic!("two blocks");
        };
        let (args, item) = marked(item.clone());
        let written = pool_task(args, item.clone());
        assert_eq!(unspaced(written), unspaced(quote!(#item #expected)));
    }

    #[test]
    fn the_same_is_written_every_time() {
        for item in [
            quote!(
                fn f<T: Copy, const N: usize>(a: [T; N], b: &[T]) -> Vec<T>
                where
                    T: Ord,
                {
                    todo()
                }
            ),
            quote!(
                impl<T> Model<T> {
                    fn new(x: T) -> Self {
                        x
                    }
                    async fn run(&self, y: &str) {}
                }
            ),
        ] {
            let args = quote!(types((u8, 4), (u16, 8)), retries = 3);
            let first = pool_task(args.clone(), item.clone()).to_string();
            assert!(first.contains("Arguments2"), "{first}");
            assert_eq!(first, pool_task(args, item).to_string());
        }
    }
}
