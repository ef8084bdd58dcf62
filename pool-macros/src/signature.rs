//! The signature of a task as text, for the catalog and for the task's identity.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::ReturnType;

use crate::check::Task;

pub(crate) fn signature(task: &Task) -> String {
    let arg = |arg: &crate::check::Arg| {
        let borrow = if arg.lent { "&" } else { "" };
        format!("{}: {borrow}{}", arg.name, text(arg.ty.to_token_stream()))
    };
    let args: Vec<_> = task.args.iter().map(arg).collect();
    let output = match &task.output {
        ReturnType::Default => String::new(),
        ReturnType::Type(_, ty) => format!(" -> {}", text(ty.to_token_stream())),
    };
    format!("fn {}({}){output}", task.name, args.join(", "))
}

/// The tokens of a type with the usual spaces. `to_string` may put spaces and line ends anywhere,
/// and not the same ones in every release of the compiler.
fn text(tokens: TokenStream) -> String {
    let spaced = tokens.to_string();
    let one_line = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    let tight = [
        " <", "< ", " >", "& ", "* ", " ::", ":: ", " ,", " ;", " (", "( ", " )", "[ ", " ]",
    ]
    .iter()
    .fold(one_line, |text, pair| text.replace(pair, pair.trim()));
    tight.replace(",(", ", (").replace("->(", "-> (")
}

#[cfg(test)]
mod tests {
    use quote::quote;

    #[test]
    fn types_are_written_as_in_source() {
        for (tokens, expected) in [
            (
                quote!(Result<Vec<u8>, (String, u32)>),
                "Result<Vec<u8>, (String, u32)>",
            ),
            (quote!([u8; 16]), "[u8; 16]"),
            (quote!(Cow<'static, str>), "Cow<'static, str>"),
            (
                quote!(<str as std::borrow::ToOwned>::Owned),
                "<str as std::borrow::ToOwned>::Owned",
            ),
            (quote!(fn(u8) -> *const u8), "fn(u8) -> *const u8"),
            (
                quote!(PhantomData<fn() -> ((), u8)>),
                "PhantomData<fn() -> ((), u8)>",
            ),
        ] {
            assert_eq!(super::text(tokens), expected);
        }
    }
}
