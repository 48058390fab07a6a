//! The same command as a plugin: `kubectl podinit …`.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    podinit_cli::main()
}
