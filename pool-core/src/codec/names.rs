//! Which names of fields and variants a writer may leave out, because the reader knows them.
//!
//! Writer and reader are one executable, so the reader's side of a type is here as well. A writer
//! begins with all names. When it has written a type with names for the first time, it reads its own
//! bytes back with the type's `Deserialize` (a *rehearsal*) and notes with which list of fields or
//! variants the type asks for each of its structs and enums, and at which *place* of the value it
//! does. From then on it leaves out the names that stand in those lists where they stand there. A
//! type that asks for anything else at that place, such as an untagged enum, which wants to see all
//! names first, notes nothing, and gets all names for ever.
//!
//! A place is the way from the outermost value: a hash of the positions, in these lists, of the fields
//! and variants on that way, of the indices of tuples, and of the names of structs and enums. Elements
//! of a sequence share one place.
//!
//! What stands at a place must always be of one type, or a list that was learned from one type would be
//! used for another. That holds for the fields of a struct, the elements of tuples and sequences, and
//! the content of a variant. It does not hold for the values of a map, which may be a struct with
//! flattened parts, nor for the content of an adjacently tagged enum, which is a struct whose tag the
//! type asks for as an identifier: nothing is learned below those.

use std::any::TypeId;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{OnceLock, PoisonError, RwLock};

/// Names in the order in which the reader knows them.
pub(super) type List = &'static [&'static str];

/// Places that are kept for one type. A type with more of them writes names at the others.
const PLACES: usize = 128;
/// A type is full when this many places are taken, so that a search ends soon.
const FULL: u32 = PLACES as u32 / 2;
/// Rehearsals of one type. Each finds something new, or there would be none: a variant that was not
/// seen before.
const MAX_REHEARSALS: u32 = 64;

/// The way from the outermost value to one of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u64);

impl Place {
    pub(super) const ROOT: Self = Self(0x9E37_79B9_7F4A_7C15);
    /// Below a struct whose names are not known nothing is known.
    pub(super) const UNKNOWN: Self = Self(0);

    /// The place of a part of the value here.
    #[inline]
    pub(super) fn part(self, part: Part) -> Self {
        let mixed = (self.0 ^ part.0).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        match self {
            Self::UNKNOWN => Self::UNKNOWN,
            _ => Self(mixed ^ (mixed >> 32)),
        }
    }
}

impl Place {
    /// The place of a struct or enum of this name here. Types of different names never share one.
    #[inline]
    pub(super) fn of_type(self, name: &str) -> Self {
        const PRIME: u64 = 0x9FB2_1C65_1E98_DF25;
        let (words, rest) = name.as_bytes().as_chunks::<8>();
        let word = rest
            .iter()
            .fold(name.len() as u64, |word, byte| word << 8 | u64::from(*byte));
        let words = words.iter().map(|word| u64::from_le_bytes(*word));
        let hash = words.fold(word, |hash, word| {
            let mixed = (hash ^ word).wrapping_mul(PRIME);
            mixed ^ (mixed >> 29)
        });
        self.part(Part(hash.wrapping_mul(PRIME) | 1 << 63))
    }
}

/// A part of a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part(u64);

impl Part {
    /// The content of a variant, or the whole value.
    pub(super) const VALUE: Self = Self(1);
    /// An element of a sequence.
    pub(super) const ELEMENT: Self = Self(3);

    /// An element of a tuple, or a variant by its position in the reader's list.
    #[inline]
    pub(super) const fn at(position: usize) -> Self {
        Self(4 + position as u64)
    }

    /// A field by its position in the reader's list. Whether the type is given its fields in the
    /// order of this list or by their names, it may ask for their values in another way.
    #[inline]
    pub(super) const fn field(position: usize, in_order: bool) -> Self {
        Self((4 + position as u64) << 1 | in_order as u64)
    }
}

/// What one type asks for, place by place. Lives as long as the program: there is one for each type
/// that is sent.
#[derive(Debug)]
pub(super) struct Names {
    places: Box<[Known; PLACES]>,
    taken: AtomicU32,
    rehearsals: AtomicU32,
}

#[derive(Debug, Default)]
struct Known {
    /// The place; 0 while nothing is known here.
    place: AtomicU64,
    list: OnceLock<List>,
    /// Something else was asked for here later.
    contradicted: AtomicBool,
}

impl Names {
    fn new() -> Self {
        Self {
            places: Box::new(std::array::from_fn(|_| Known::default())),
            taken: AtomicU32::new(0),
            rehearsals: AtomicU32::new(0),
        }
    }

    /// The entries where this place may be, in the order of a search.
    #[inline]
    fn search(&self, place: Place) -> impl Iterator<Item = &Known> {
        let first = place.0 as usize;
        (0..PLACES).map(move |step| &self.places[(first + step) % PLACES])
    }

    #[cold]
    fn find(&self, place: Place) -> Option<&Known> {
        // Pairs with the exchange in `entry`; the list has its own synchronization.
        let places = self
            .search(place)
            .map(|known| (known, known.place.load(Acquire)));
        let mut taken = places.take_while(|(_, there)| *there != 0);
        taken
            .find(|(_, there)| *there == place.0)
            .map(|(known, _)| known)
    }

    /// The names with which the reader asks for what is here, if that is known.
    #[inline]
    pub(super) fn at(&self, place: Place) -> Option<List> {
        if place == Place::UNKNOWN {
            return None;
        }
        let first = &self.places[place.0 as usize % PLACES];
        let known = match first.place.load(Acquire) {
            there if there == place.0 => first,
            _ => self.find(place)?,
        };
        match known.contradicted.load(Relaxed) {
            true => None,
            false => known.list.get().copied(),
        }
    }

    /// Notes with which names the reader asks for what is here.
    pub(super) fn learn(&self, place: Place, list: List) {
        if let Some(known) = self.entry(place)
            && *known.list.get_or_init(|| list) != list
        {
            known.contradicted.store(true, Relaxed);
        }
    }

    /// The entry of the place, a new one if there is room.
    fn entry(&self, place: Place) -> Option<&Known> {
        if place == Place::UNKNOWN {
            return None;
        }
        for known in self.search(place) {
            let mut there = known.place.load(Acquire);
            if there == 0 {
                if self.taken.load(Relaxed) >= FULL {
                    return None;
                }
                let taken = known.place.compare_exchange(0, place.0, Release, Acquire);
                match taken {
                    Ok(_) => {
                        self.taken.fetch_add(1, Relaxed);
                        return Some(known);
                    }
                    Err(other) => there = other,
                }
            }
            if there == place.0 {
                return Some(known);
            }
        }
        None
    }

    /// Notes that a struct has to have names here.
    pub(super) fn contradict(&self, place: Place) {
        if let Some(known) = self.entry(place) {
            known.contradicted.store(true, Relaxed);
        }
    }

    /// Whether a struct has to have names here.
    pub(super) fn is_contradicted(&self, place: Place) -> bool {
        if place == Place::UNKNOWN {
            return true;
        }
        self.find(place)
            .is_some_and(|known| known.contradicted.load(Relaxed))
    }

    /// Whether one more rehearsal may find something.
    pub(super) fn may_rehearse(&self) -> bool {
        self.taken.load(Relaxed) < FULL && self.rehearsals.fetch_add(1, Relaxed) < MAX_REHEARSALS
    }

    /// Those of the type.
    #[inline]
    pub(super) fn of(id: TypeId) -> &'static Self {
        thread_local! {
            /// The type that this thread used last.
            static LAST: Cell<Option<(TypeId, &'static Names)>> = const { Cell::new(None) };
        }
        // A destructor of the thread may send a value when `LAST` is gone.
        if let Ok(Some((last, names))) = LAST.try_with(Cell::get)
            && last == id
        {
            return names;
        }
        let names = Self::new_for(id);
        let _ = LAST.try_with(|last| last.set(Some((id, names))));
        names
    }

    #[cold]
    fn new_for(id: TypeId) -> &'static Self {
        static ALL: OnceLock<RwLock<HashMap<TypeId, &'static Names>>> = OnceLock::new();
        let all = ALL.get_or_init(RwLock::default);
        let found = all
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .copied();
        found.unwrap_or_else(|| {
            let mut all = all.write().unwrap_or_else(PoisonError::into_inner);
            all.entry(id)
                .or_insert_with(|| Box::leak(Box::new(Self::new())))
        })
    }
}
