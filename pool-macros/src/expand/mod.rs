//! The code that `#[pool_task]` writes below the function.

mod run;
mod structure;

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Path, ReturnType, Type, Visibility};

use crate::args::{self, TaskArgs};
use crate::attrs;
use crate::check::{self, Arg, Task};
use crate::generics::located;
use crate::input::{Errors, Function, starts_function};
use crate::methods::{self, Methods};
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
    let plan = Plan::new(args, task);
    let structure = plan.structure();
    let constructors = plan.constructors();
    let codec = plan.codec();
    let run = match task.params.is_empty() {
        true => plan.run(),
        false => plan.generic_run(),
    };
    let code = quote!(#constructors #codec #run);
    match &task.cfg {
        None if task.params.is_empty() => quote!(#structure #code),
        None => quote!(#structure const _: () = { #code };),
        Some(cfg) => quote!(#[cfg(#cfg)] #structure #[cfg(#cfg)] const _: () = { #code };),
    }
}

/// A task, and what more than one part of its code is made of.
struct Plan<'a> {
    args: &'a TaskArgs,
    task: &'a Task,
    /// Where `pool-core` is found.
    krate: &'a Path,
    /// The types of the fields.
    stored: Vec<TokenStream>,
    /// The trait of tasks with so many arguments.
    arguments: TokenStream,
    /// The parameters of the struct, and the struct's arguments that they are.
    declared: Option<TokenStream>,
    of: Option<TokenStream>,
    /// What parameters that may be unsized must be to be lent.
    sized: Vec<TokenStream>,
    /// The parameters of the struct that no field mentions.
    unmentioned: Vec<TokenStream>,
    /// The lints that the user allows.
    allowed: Vec<TokenStream>,
}

impl<'a> Plan<'a> {
    fn new(args: &'a TaskArgs, task: &'a Task) -> Self {
        let Task { params, owner, .. } = task;
        let krate = &args.krate;
        let stored: Vec<_> = task
            .args
            .iter()
            .map(|arg| stored(krate, task, arg))
            .collect();
        // A field may be absent.
        let always = stored
            .iter()
            .zip(&task.args)
            .filter(|(_, arg)| arg.cfg.is_none());
        let always = always.map(|(ty, _)| ty.clone()).collect();
        let unused = params.unused(&always).into_iter().map(|name| quote!(#name));
        let owner = owner.as_ref().map(|_| quote!(__Owner));
        let may_be_unsized = |arg: &&Arg| arg.lent && params.is_unsized(&arg.ty);
        let lent = task.args.iter().filter(may_be_unsized);
        let arguments = format_ident!("Arguments{}", task.args.len());
        Self {
            args,
            task,
            krate,
            arguments: quote!(#krate::__private::#arguments),
            declared: params.declaration(),
            of: params.arguments(),
            sized: lent
                .map(|Arg { ty, .. }| quote!(#ty: #krate::__private::ToOwned))
                .collect(),
            unmentioned: unused.chain(owner).collect(),
            stored,
            allowed: attrs::allowed(&task.attrs).collect(),
        }
    }

    /// The bounds that the fields need, with some more.
    fn clause_of_fields(&self, more: &[TokenStream]) -> Option<TokenStream> {
        let stored = &self.stored;
        self.task.params.clause_of(&quote!(#(#stored,)*), more)
    }

    /// The value of the field that mentions the other parameters.
    fn marker(&self) -> Option<TokenStream> {
        let krate = self.krate;
        (!self.unmentioned.is_empty()).then(|| quote!(__types: #krate::__private::PhantomData,))
    }

    /// A list with something of every argument, as far as its `#[cfg]` lets it be there.
    fn list(&self, of: impl Fn(&Arg) -> TokenStream) -> TokenStream {
        self.list_with(|arg, _| of(arg))
    }

    /// The same; it gets the type of the field as well.
    fn list_with(&self, of: impl Fn(&Arg, &TokenStream) -> TokenStream) -> TokenStream {
        let item = |(arg, stored): (&Arg, &TokenStream)| {
            let cfg = arg.cfg.as_ref().map(|predicate| quote!(#[cfg(#predicate)]));
            let item = of(arg, stored);
            quote!(#cfg #item,)
        };
        self.task.args.iter().zip(&self.stored).map(item).collect()
    }

    fn returned(&self) -> TokenStream {
        match &self.task.output {
            ReturnType::Default => quote!(()),
            ReturnType::Type(_, ty) => ty.to_token_stream(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The blocks of Rust behind a heading.
    fn blocks(heading: &str) -> Vec<TokenStream> {
        let text = include_str!("../../../ARCHITECTURE.md");
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
