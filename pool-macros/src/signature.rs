//! The signature of a task as text, for the catalog and for the task's identity.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ReturnType;

use crate::check::{Arg, Task};
use crate::generics::Instance;

pub(crate) fn signature(task: &Task, instance: Option<&Instance>) -> String {
    let arg = |arg: &Arg| {
        let borrow = if arg.lent { "&" } else { "" };
        match arg.receiver {
            true => format!("{borrow}self"),
            false => format!("{}: {borrow}{}", arg.name, text(arg.ty.to_token_stream())),
        }
    };
    let args: Vec<_> = task.args.iter().map(arg).collect();
    let output = match &task.output {
        ReturnType::Default => String::new(),
        ReturnType::Type(_, ty) => format!(" -> {}", text(ty.to_token_stream())),
    };
    let of_param = |(name, value): (&_, &_)| format!("{name} = {}", text(quote!(#value)));
    let params = instance.map(|instance| {
        let params = task.params.names.iter().zip(&instance.arguments);
        let params: Vec<_> = params.map(of_param).collect();
        format!("<{}>", params.join(", "))
    });
    format!(
        "{}fn {}{}({}){output}",
        if task.is_async { "async " } else { "" },
        task.title,
        params.unwrap_or_default(),
        args.join(", ")
    )
}

/// The name of the function, or of one instance: `norm<f32>`.
pub(crate) fn title(task: &Task, instance: Option<&Instance>) -> String {
    let suffix = instance.map(Instance::suffix).unwrap_or_default();
    format!("{}{suffix}", task.title)
}

impl Instance {
    /// `f32, 4`
    fn text(&self) -> String {
        let arguments = self
            .arguments
            .iter()
            .map(|argument| text(quote!(#argument)));
        arguments.collect::<Vec<_>>().join(", ")
    }

    /// Behind the name of the function.
    pub(crate) fn suffix(&self) -> String {
        format!("<{}>", self.text())
    }

    /// As it stands in `types(…)`.
    pub(crate) fn listed(&self) -> String {
        match self.arguments.len() {
            1 => self.text(),
            _ => format!("({})", self.text()),
        }
    }
}

/// The signature's part of the task's id.
pub(crate) fn fnv1a(signature: &str) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    signature.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The tokens of a type with the usual spaces. `to_string` may put spaces and line ends anywhere,
/// and not the same ones in every release of the compiler.
pub(crate) fn text(tokens: TokenStream) -> String {
    let spaced = tokens.to_string();
    let one_line = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    let tight = [
        " <", "< ", " >", "& ", "* ", " ::", ":: ", " ,", " ;", " (", "( ", " )", "[ ", " ]",
    ]
    .iter()
    .fold(one_line, |text, pair| text.replace(pair, pair.trim()));
    let spaced = [
        (",(", ", ("),
        ("->(", "-> ("),
        (";<", "; <"),
        (",<", ", <"),
        ("- ", "-"),
    ];
    let text = |text: String, (from, to): &(&str, &str)| text.replace(from, to);
    spaced.iter().fold(tight, text)
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
            (quote!([u8; <Self>::N]), "[u8; <Self>::N]"),
            (quote!(-3), "-3"),
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
