//! The kernel image: a thin binary around the library, whose entry point `boot/pvh.rs` defines.
//! Built for the host it prints which system calls there are, for `just syscalls`.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
use kernel as _;

#[cfg(not(target_os = "none"))]
fn main() {
    use kernel::syscall::table::{SUPPORT, Support};

    println!("| Number | System call | Support |\n|--:|---|---|");
    let mut rows = SUPPORT.to_vec();
    rows.sort_by_key(|row| row.number);
    for row in &rows {
        let support = match row.support {
            Support::Full => "full",
            Support::Partial(reason) => reason,
        };
        println!("| {} | {} | {support} |", row.number, row.name);
    }
    let missing: Vec<&str> = (0_u16..512)
        .filter(|number| rows.iter().all(|row| row.number != u64::from(*number)))
        .filter_map(|number| abi::nr::name(number.into()))
        .collect();
    println!("\n{} system calls; `ENOSYS` for {}: {}.", rows.len(), missing.len(), missing.join(", "));
}
