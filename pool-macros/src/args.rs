//! What stands in the parentheses of the attributes.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Error, LitInt, LitStr, Path, Token, parse_quote};

use crate::duration::nanos;
use crate::generics::Types;
use crate::input::Errors;

/// The arguments of `#[pool_task(…)]`.
#[derive(Clone)]
pub(crate) struct TaskArgs {
    /// Where the generated code finds `pool-core`.
    pub(crate) krate: Path,
    /// The variant of `pool_core::Backend`.
    pub(crate) backend: Option<Ident>,
    pub(crate) name: Option<LitStr>,
    /// The struct's name.
    pub(crate) task: Option<Ident>,
    /// The instances of a generic function.
    pub(crate) types: Option<Types>,
    pub(crate) runtime: Option<Runtime>,
    pub(crate) timeout_nanos: Option<u64>,
    pub(crate) queue_timeout_nanos: Option<u64>,
    pub(crate) retries: Option<u32>,
    pub(crate) idempotent: bool,
}

/// What drives an `async fn` that asks for more than the built-in executor: only tokio so far.
#[derive(Clone)]
pub(crate) struct Runtime {
    pub(crate) place: Span,
}

const TASK_ARGS: &str = "`backend = \"threads\"`, `name = \"…\"`, `timeout = \"5s\"`, \
     `queue_timeout = \"5s\"`, `retries = 3`, `idempotent`, `types(f32, f64)`, \
     `runtime = \"tokio\"`, `task = Name`, `crate = path`";

impl TaskArgs {
    fn new() -> Self {
        Self {
            krate: default_crate(),
            backend: None,
            name: None,
            task: None,
            types: None,
            runtime: None,
            timeout_nanos: None,
            queue_timeout_nanos: None,
            retries: None,
            idempotent: false,
        }
    }
}

/// The arguments for one function.
pub(crate) fn task(tokens: TokenStream, errors: &mut Errors) -> TaskArgs {
    over(TaskArgs::new(), tokens, errors)
}

/// The arguments of an `impl`, which hold for each of its functions.
pub(crate) fn methods(tokens: TokenStream, errors: &mut Errors) -> TaskArgs {
    let args = task(tokens, errors);
    let name = args.name.as_ref().map(|name| ("name", name.span()));
    for (key, place) in name
        .into_iter()
        .chain(args.task.as_ref().map(|t| ("task", t.span())))
    {
        let text = format!(
            "`{key}` is for one function: write `#[pool_task({key} = …)]` above it, inside the `impl`"
        );
        errors.add(Error::new(place, text));
    }
    args
}

/// The arguments for a function, over those of its `impl`.
pub(crate) fn over(mut args: TaskArgs, tokens: TokenStream, errors: &mut Errors) -> TaskArgs {
    each(tokens, errors, |key, input| {
        match key.to_string().as_str() {
            "backend" => {
                let value = string(key, input, "backend = \"processes\"")?;
                args.backend = Some(backend(&value)?);
            }
            "name" => {
                let value = string(key, input, "name = \"my_crate::my_task\"")?;
                if value.value().is_empty() {
                    return Err(Error::new(value.span(), "the name of a task is not empty"));
                }
                args.name = Some(value);
            }
            "timeout" => args.timeout_nanos = Some(time(key, input, "timeout = \"5s\"")?),
            "queue_timeout" => {
                args.queue_timeout_nanos = Some(time(key, input, "queue_timeout = \"5s\"")?);
            }
            "retries" => {
                equals(key, input, "retries = 3")?;
                let place = input.span();
                let number = input.parse::<LitInt>().and_then(|lit| lit.base10_parse());
                let number =
                    number.map_err(|_| Error::new(place, "expected a number: `retries = 3`"))?;
                args.retries = Some(number);
            }
            "idempotent" => {
                if input.peek(Token![=]) {
                    return Err(Error::new(key.span(), "`idempotent` takes no value"));
                }
                args.idempotent = true;
            }
            "crate" => args.krate = path(key, input)?,
            "types" => {
                // A mistake in the list is the only one.
                args.types = Some(Types::none(key));
                args.types = Some(Types::parse(key, input)?);
            }
            "runtime" => {
                let value = string(key, input, "runtime = \"tokio\"")?;
                if value.value() != "tokio" {
                    let text = "there is `runtime = \"tokio\"`; without `runtime` the built-in \
                                executor runs the function";
                    return Err(Error::new(value.span(), text));
                }
                let place = value.span();
                args.runtime = Some(Runtime { place });
            }
            "task" => {
                equals(key, input, "task = Name")?;
                let place = input.span();
                let name = input.parse::<Ident>();
                let wrong = |_| Error::new(place, "expected a name for the struct: `task = Name`");
                args.task = Some(name.map_err(wrong)?);
            }
            other => {
                let text = format!("unknown argument `{other}`; there are {TASK_ARGS}");
                return Err(Error::new(key.span(), text));
            }
        }
        Ok(())
    });
    args
}

/// The arguments of `#[pool_core::main]` and `#[pool_core::test]`: the crate's path.
pub(crate) fn door(tokens: TokenStream, errors: &mut Errors) -> Path {
    let mut krate = default_crate();
    each(tokens, errors, |key, input| {
        if key != "crate" {
            let text = format!("unknown argument `{key}`; there is only `crate = path`");
            return Err(Error::new(key.span(), text));
        }
        krate = path(key, input)?;
        Ok(())
    });
    krate
}

fn default_crate() -> Path {
    parse_quote!(::pool_core)
}

/// Hands every `key …` of a comma-separated list to `read`, and goes on after a mistake.
fn each(
    tokens: TokenStream,
    errors: &mut Errors,
    mut read: impl FnMut(&Ident, ParseStream<'_>) -> syn::Result<()>,
) {
    let mut seen = Vec::new();
    let mut one = |input: ParseStream<'_>| {
        let place = input.span();
        let key = input
            .call(Ident::parse_any)
            .map_err(|_| Error::new(place, "expected `argument = value`"))?;
        if seen.contains(&key) {
            let text = format!("`{key}` is given twice: keep one");
            return Err(Error::new(key.span(), text));
        }
        seen.push(key.clone());
        read(&key, input)?;
        if input.is_empty() || input.peek(Token![,]) {
            return Ok(());
        }
        Err(input.error("expected `,` between two arguments"))
    };
    let list = |input: ParseStream<'_>| {
        while !input.is_empty() {
            if let Err(error) = one(input) {
                errors.add(error);
                while !input.is_empty() && !input.peek(Token![,]) {
                    input.parse::<TokenTree>()?;
                }
            }
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(())
    };
    if let Err(error) = list.parse2(tokens) {
        errors.add(error);
    }
}

fn string(key: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<LitStr> {
    equals(key, input, example)?;
    let place = input.span();
    input
        .parse()
        .map_err(|_| Error::new(place, format!("expected a string: `{example}`")))
}

fn time(key: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<u64> {
    let value = string(key, input, example)?;
    nanos(&value.value()).map_err(|text| Error::new(value.span(), text))
}

fn path(key: &Ident, input: ParseStream<'_>) -> syn::Result<Path> {
    let example = "crate = ::pool_core";
    equals(key, input, example)?;
    let place = input.span();
    let path = match input.parse::<Option<LitStr>>()? {
        Some(text) => text.parse_with(Path::parse_mod_style),
        None => input.call(Path::parse_mod_style),
    };
    path.map_err(|_| Error::new(place, format!("expected a path: `{example}`")))
}

fn equals(key: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<()> {
    match input.parse::<Option<Token![=]>>()? {
        Some(_) => Ok(()),
        None => Err(Error::new(key.span(), format!("write `{example}`"))),
    }
}

fn backend(value: &LitStr) -> syn::Result<Ident> {
    let variant = match value.value().as_str() {
        "inline" => "Inline",
        "threads" => "Threads",
        "processes" => "Processes",
        "cluster" => "Cluster",
        other => {
            let text = format!(
                "unknown backend {other:?}; there are \"inline\", \"threads\", \"processes\", \
                 \"cluster\""
            );
            return Err(Error::new(value.span(), text));
        }
    };
    Ok(Ident::new(variant, Span::call_site()))
}
