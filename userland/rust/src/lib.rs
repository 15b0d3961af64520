//! The harness of the Rust test programs: the same lines as `userland/test.h` prints, the same status.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// A test: its name, a sentence, and what it does. It fails by panicking.
pub type Test = (&'static str, fn());

/// Runs the tests in order and ends the process: `ok name` or `FAIL name` a line, status 1 if any failed.
///
/// A program built to abort on panic ends at its first failure, by SIGABRT.
pub fn run(tests: &[Test]) -> ! {
    let mut failed = false;
    for (name, test) in tests {
        match catch_unwind(AssertUnwindSafe(test)) {
            Ok(()) => println!("ok {name}"),
            Err(_) => {
                println!("FAIL {name}");
                failed = true;
            }
        }
    }
    std::process::exit(i32::from(failed))
}

/// The list of tests, each function under its own name.
#[macro_export]
macro_rules! tests {
    ($($name:ident)*) => {
        fn main() {
            $crate::run(&[$((stringify!($name), $name as fn())),*])
        }
    };
}
