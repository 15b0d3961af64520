//! From registers to typed arguments, and from arguments to what a trace shows.
//!
//! Conversions never fail: a register is truncated as the C prototype truncates it. User pointer types are
//! claims to be checked when they are used.

use core::fmt;

use abi::Pod;

use crate::mem::{UserAddr, UserIn, UserOut, UserStr};

/// A type that a system call takes as an argument.
pub trait FromRegister: Sized {
    /// The argument in a register, truncated to the type's width.
    fn from_register(value: u64) -> Self;
}

/// How a trace shows an argument, in strace's format. Only called while tracing.
pub trait TraceArgument {
    /// Writes the argument.
    fn trace(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl FromRegister for $type {
            #[inline(always)]
            fn from_register(value: u64) -> Self {
                value as $type
            }
        }
        impl TraceArgument for $type {
            fn trace(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}
integers!(u8, u16, i32, u32, i64, u64, usize, isize);

/// A word of flags: shown in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flags(pub u32);

impl FromRegister for Flags {
    #[inline(always)]
    fn from_register(value: u64) -> Self {
        Self(value as u32)
    }
}

impl TraceArgument for Flags {
    fn trace(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0"),
            flags => write!(f, "{flags:#x}"),
        }
    }
}

/// An address that the handler does not dereference itself, or not yet: shown as strace shows pointers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pointer(pub u64);

impl FromRegister for Pointer {
    #[inline(always)]
    fn from_register(value: u64) -> Self {
        Self(value)
    }
}

impl TraceArgument for Pointer {
    fn trace(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("NULL"),
            address => write!(f, "{address:#x}"),
        }
    }
}

impl<T: Pod> FromRegister for UserIn<T> {
    #[inline(always)]
    fn from_register(value: u64) -> Self {
        Self::new(value)
    }
}

impl<T: Pod> TraceArgument for UserIn<T> {
    fn trace(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Pointer(self.addr().0).trace(f)
    }
}

impl<T: Pod> FromRegister for UserOut<T> {
    #[inline(always)]
    fn from_register(value: u64) -> Self {
        Self::new(value)
    }
}

impl<T: Pod> TraceArgument for UserOut<T> {
    fn trace(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Pointer(self.addr().0).trace(f)
    }
}

impl FromRegister for UserAddr {
    #[inline(always)]
    fn from_register(value: u64) -> Self {
        Self(value)
    }
}

impl TraceArgument for UserAddr {
    fn trace(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Pointer(self.0).trace(f)
    }
}

impl FromRegister for UserStr {
    #[inline(always)]
    fn from_register(value: u64) -> Self {
        Self::new(value)
    }
}

impl TraceArgument for UserStr {
    /// The string in quotes, cut after 64 bytes; the address if there is none.
    fn trace(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0; 64];
        let (bytes, tail) = match self.read_into(&mut buffer) {
            Ok(Some(bytes)) => (bytes, ""),
            Ok(None) => (&buffer[..], "..."),
            Err(_) => return Pointer(self.0.0).trace(f),
        };
        write!(f, "\"{}\"{tail}", bytes.escape_ascii())
    }
}
