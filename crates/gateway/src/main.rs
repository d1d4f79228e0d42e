//! The `meltica` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    meltica::cli::main()
}
