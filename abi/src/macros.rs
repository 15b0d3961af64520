//! The three forms in which this crate states Linux's words: `consts!`, `flags!` and `pods!`.
//!
//! Names stay Linux's own (`MAP_FIXED`, `tv_sec`), so that a search for one finds it here, in the
//! kernel and in the manual alike; only types are spelt as Rust spells them (`Timespec`).

/// A group of plain numbers of one type, and a function that gives the name of one of them.
///
/// ```text
/// consts! { /// Doc. name_function: u32 { FUTEX_WAIT = 0, … } }   // with a name function
/// consts! { u32 { SOL_SOCKET = 1, … } }                         // without
/// ```
macro_rules! consts {
    ($(#[$meta:meta])* $lookup:ident: $ty:ty { $($(#[$item:meta])* $name:ident = $value:expr,)* }) => {
        consts! { $ty { $($(#[$item])* $name = $value,)* } }
        $(#[$meta])*
        pub const fn $lookup(value: $ty) -> Option<&'static str> {
            $(if value == $name { return Some(stringify!($name)); })*
            None
        }
    };
    ($ty:ty { $($(#[$item:meta])* $name:ident = $value:expr,)* }) => {
        $($(#[$item])* #[doc = concat!("Linux's `", stringify!($name), "`.")] pub const $name: $ty = $value;)*
    };
}

/// A word of flags. `from_bits` refuses unknown bits; `iter_names` and `Debug` give Linux's names.
macro_rules! flags {
    ($(#[$meta:meta])* $name:ident: $ty:ty { $($(#[$item:meta])* $flag:ident = $value:expr,)* }) => {
        bitflags::bitflags! {
            $(#[$meta])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
            #[repr(transparent)]
            pub struct $name: $ty {
                $($(#[$item])* #[doc = concat!("Linux's `", stringify!($flag), "`.")] const $flag = $value;)*
            }
        }
    };
}

/// Structures that cross the boundary between user and kernel: `repr(C)`, any bit pattern valid, and
/// no padding (the `IntoBytes` derive refuses to compile otherwise, so fillers are named fields).
macro_rules! pods {
    ($($(#[$meta:meta])* $name:ident { $($(#[$item:meta])* $field:ident: $ty:ty,)* })*) => {
        $(
            $(#[$meta])*
            #[derive(
                Clone, Copy, Debug, PartialEq, Eq,
                zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout,
            )]
            #[repr(C)]
            pub struct $name {
                $($(#[$item])* #[doc = concat!("Linux's `", stringify!($field), "`.")] pub $field: $ty,)*
            }

            impl Default for $name {
                /// All bytes zero.
                fn default() -> Self {
                    zerocopy::FromZeros::new_zeroed()
                }
            }
        )*
    };
}
