//! Links the program to a fixed address.
//!
//! Each task in a process of its own is this program again. At an address that is chosen when it starts, 180,000
//! pointers have to be corrected each time, which took a third of what a short task costs; stack, heap and libraries
//! have addresses of their own choice as before.

use std::env::var;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Only where the C compiler links and knows the word; a static program is linked in another way.
    let is = |variable: &str, value: &str| var(variable).is_ok_and(|found| found == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
