//! The command `podinit`.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    podinit_cli::main()
}
