//! Which types can be sent, as far as their words tell; serde's traits decide the rest.

use syn::{
    GenericArgument, Ident, PathArguments, ReturnType, Type, TypeParamBound, TypePath,
    TypeTraitObject,
};

use crate::input::Errors;

/// What to say of a type that is not owned or has no name.
pub(crate) struct Place {
    borrow: &'static str,
    impl_trait: &'static str,
}

pub(crate) const ARGUMENT: Place = Place {
    borrow: "an argument of a pool task may be a reference, but not contain one, because its data \
             travels to another process",
    impl_trait: "an argument of a pool task is sent as one type: name it instead of `impl`",
};

pub(crate) const RESULT: Place = Place {
    borrow: "a pool task returns owned data, because it may come from another process",
    impl_trait: "the result of a pool task is sent as one type: name it instead of `impl`",
};

pub(crate) const OWNER: Place = Place {
    borrow: "the data of a task travels to another process, so its type borrows nothing",
    impl_trait: ARGUMENT.impl_trait,
};

/// The type of an argument: what is stored, and whether the function gets a reference to it.
pub(crate) fn argument<'a>(ty: &'a Type, errors: &mut Errors) -> (&'a Type, bool) {
    let Type::Reference(reference) = peel(ty) else {
        owned(ty, &ARGUMENT, errors);
        return (ty, false);
    };
    let lifetime = reference.lifetime.as_ref();
    if reference.mutability.is_some() {
        errors.at(
            reference,
            "a pool task works on its own copy of an argument, so what it writes through a `&mut` \
             would be lost: take the value and return it",
        );
    } else if let Some(lifetime) = lifetime.filter(|lifetime| lifetime.ident == "static") {
        errors.at(
            lifetime,
            "an argument is lent to a pool task for one call, not for `'static`: leave the \
             lifetime out, or take an owned value",
        );
    }
    match peel(&reference.elem) {
        object @ Type::TraitObject(_) if not_data(object).is_none() => errors.at(
            object,
            "an argument of a pool task is sent as one type: name it instead of `dyn`",
        ),
        pointee => owned(pointee, &ARGUMENT, errors),
    }
    (&reference.elem, true)
}

/// Refuses references, other lifetimes than `'static`, and types without a name.
pub(crate) fn owned(ty: &Type, place: &Place, errors: &mut Errors) {
    if let Some(text) = not_data(ty) {
        return errors.at(ty, text);
    }
    let mut inside = |ty: &Type| owned(ty, place, errors);
    match ty {
        Type::Array(ty) => inside(&ty.elem),
        Type::Group(ty) => inside(&ty.elem),
        Type::Paren(ty) => inside(&ty.elem),
        Type::Slice(ty) => inside(&ty.elem),
        Type::Tuple(ty) => ty.elems.iter().for_each(inside),
        Type::Path(ty) => owned_path(ty, place, errors),
        Type::ImplTrait(_) => errors.at(ty, place.impl_trait),
        Type::Reference(reference) => {
            let text = format!("{}: write {}", place.borrow, owned_form(&reference.elem));
            errors.at(ty, text);
        }
        Type::TraitObject(object) if is_error(object) => errors.at(
            ty,
            "`dyn Error` cannot be sent between processes: write `pool_core::RemoteError` instead of \
             the box (`?` makes one of any error), or an enum that derives serde's traits",
        ),
        _ => {}
    }
}

fn owned_path(ty: &TypePath, place: &Place, errors: &mut Errors) {
    if ty
        .path
        .segments
        .first()
        .is_some_and(|first| first.ident == "Self")
    {
        errors.at(
            ty,
            "put `#[pool_task]` on the `impl` of this function: there it sees which type `Self` is",
        );
    }
    for segment in &ty.path.segments {
        let PathArguments::AngleBracketed(list) = &segment.arguments else {
            continue;
        };
        for arg in &list.args {
            match arg {
                // A type can have it as a mark, and no value: `PhantomData<fn() -> T>`.
                GenericArgument::Type(ty) if not_data(ty).is_some() && !holds(&segment.ident) => {}
                GenericArgument::Type(ty) => owned(ty, place, errors),
                GenericArgument::Lifetime(lifetime) if lifetime.ident != "static" => {
                    let text = format!(
                        "{}: write an owned type, or `'static` where it can be",
                        place.borrow
                    );
                    errors.at(lifetime, text);
                }
                _ => {}
            }
        }
    }
}

/// What to write instead of a reference to `ty`.
fn owned_form(ty: &Type) -> &'static str {
    match peel(ty) {
        Type::Slice(_) => "`Vec<…>`",
        Type::Path(ty) if ty.path.is_ident("str") => "`String`",
        Type::Path(ty) if ty.path.is_ident("Path") => "`PathBuf`",
        _ => "the type without `&`",
    }
}

/// What to write instead of code or an address, which no one can send: serde's words would ask for
/// implementations that nobody can write.
fn not_data(ty: &Type) -> Option<&'static str> {
    const CODE: &str = "a function or closure cannot be sent between processes: send an enum that \
                        says what to do, or make a task of the function itself";
    let bounds = match peel(ty) {
        Type::FnPtr(_) => return Some(CODE),
        Type::Ptr(_) => {
            return Some("an address means nothing in another process: send what stands there");
        }
        Type::ImplTrait(ty) => &ty.bounds,
        Type::TraitObject(ty) => &ty.bounds,
        _ => return None,
    };
    let of_bound = |bound: &TypeParamBound| match bound {
        TypeParamBound::Trait(bound) => {
            let name = bound.path.segments.last()?.ident.to_string();
            match name.as_str() {
                "AsyncFn" | "AsyncFnMut" | "AsyncFnOnce" | "Fn" | "FnMut" | "FnOnce" => Some(CODE),
                "Future" => Some(
                    "a future cannot be sent between processes: write an `async fn`; where an \
                     attribute makes this of one, put `#[pool_task]` above that",
                ),
                _ => None,
            }
        }
        _ => None,
    };
    bounds.iter().find_map(of_bound)
}

/// Whether a type of this name holds values of its parameters.
fn holds(name: &Ident) -> bool {
    const HOLDERS: &[&str] = &["Arc", "Box", "Option", "Pin", "Rc", "Result", "Vec"];
    HOLDERS.iter().any(|holder| name == holder)
}

fn is_error(object: &TypeTraitObject) -> bool {
    object.bounds.iter().any(|bound| match bound {
        TypeParamBound::Trait(bound) => {
            let last = bound.path.segments.last();
            last.is_some_and(|last| last.ident == "Error")
        }
        _ => false,
    })
}

/// Whether it is `-> !`.
pub(crate) fn never(output: &ReturnType) -> bool {
    matches!(output, ReturnType::Type(_, ty) if matches!(peel(ty), Type::Never(_)))
}

/// The type inside of parentheses and of the invisible groups of `macro_rules!`.
pub(crate) fn peel(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => peel(&group.elem),
        Type::Paren(paren) => peel(&paren.elem),
        ty => ty,
    }
}
