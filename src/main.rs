//! The `perfgate` binary: see the library's documentation for what it does and how.

fn main() -> std::process::ExitCode {
    perfgate::cli::main()
}
